"""What an agreement's token opens: the published models and views under it, nothing else, and only while it lives."""

import datetime

import pytest
from django.utils import timezone
from django_tenants.utils import tenant_context

from accounts.errors import DomainError
from federation.agreements import drafting, life, offers, proposals, tokens
from federation.models import AgreementToken
from models_portfolio.models import ModelPortfolio, View
from tests import factories
from tests.federation.agreements import make
from tests.models_portfolio import make as models_make

BASE = "/api/v1/agreement/"
SOON = datetime.timedelta(days=30)


def token_for(agreement, issuer) -> str:
    _token, text = make.act(
        tokens.make_token, agreement, issuer, name="Their system", expires_at=timezone.now() + SOON
    )
    return text


@pytest.fixture
def advice(aurora, meadow):
    """An advice agreement with one model on offer, one that is not, and a draft version."""
    agreement = make.active(aurora, meadow, "advice")
    with tenant_context(aurora):
        by = factories.cast().manager
        apple = models_make.security("Apple")
        offered = models_make.published(by, {apple: "0.9", None: "0.1"}, "OFF")
        models_make.published(by, {apple: "0.5", None: "0.5"}, "SECRET")
        version = offered.versions.get()
        View.objects.create(
            version=version, security=apple, tilt="0.02", rationale="Strong", valid_from=models_make.today(),
            published_at=timezone.now(),
        )  # fmt: skip
        View.objects.create(
            version=version,
            asset_class="equity",
            tilt="0.01",
            rationale="Unfinished",
            valid_from=models_make.today(),
        )
    make.act(offers.offer, agreement, aurora, model=ModelPortfolio(pk=offered.pk, code="OFF", name="Model OFF",
             currency="EUR", risk_level=4))  # fmt: skip
    return agreement


def read(browse, institution, what, text):
    path, _question, query = what.partition("/?")
    return browse(institution).get(f"{BASE}{path}/?{query}", headers={"Authorization": f"Bearer {text}"})


def test_a_partner_reads_published_models_versions_and_views(advice, aurora, browse):
    text = token_for(advice, aurora)
    (model,) = read(browse, aurora, "models", text).json()["results"]
    assert model["code"] == "OFF"
    assert "unit" not in model
    (version,) = read(browse, aurora, "versions", text).json()["results"]
    assert version["number"] == 1
    assert [
        (line["security"] and line["security"]["isin"], line["weight"]) for line in version["targets"]
    ] == [
        ("US0378331005", "0.9000000000"),
        (None, "0.1000000000"),
    ]
    (view,) = read(browse, aurora, "views", text).json()["results"]
    assert (view["rationale"], view["security"]["isin"]) == ("Strong", "US0378331005")


def test_a_partners_pages_are_asked_for_and_kept_as_little_as_a_users(advice, aurora, browse):
    text = token_for(advice, aurora)
    answer = read(browse, aurora, "models", text)
    assert answer["Cache-Control"] == "private, no-store"
    assert read(browse, aurora, "models", "rba_unknown")["Cache-Control"] == "private, no-store"
    for wrong in ("page_size=0", "page_size=501", "page_size=ten", "cursor=nonsense", "ordering=code"):
        refused = read(browse, aurora, f"models/?{wrong}", text)
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid"), wrong
    assert len(read(browse, aurora, "models/?page_size=500", text).json()["results"]) == 1


def test_withheld_fields_are_not_read_either(advice, aurora, browse):
    draft = make.act(drafting.revise, advice, aurora)
    make.act(drafting.withhold, draft, aurora, withheld=["models_portfolio.ModelPortfolio.description",
             "models_portfolio.View"])  # fmt: skip
    make.act(proposals.propose, draft, aurora)
    text = token_for(advice, aurora)
    (model,) = read(browse, aurora, "models", text).json()["results"]
    assert "description" not in model
    assert read(browse, aurora, "views", text).json()["results"] == []


DEAD = [
    ("suspended", lambda agreement, aurora: make.act(life.suspend, agreement, aurora)),
    ("terminated", lambda agreement, aurora: make.act(life.terminate, agreement, aurora)),
    (
        "revoked",
        lambda agreement, aurora: make.act(tokens.revoke_token, AgreementToken.objects.get(), aurora),
    ),
    ("expired", lambda agreement, aurora: AgreementToken.objects.update(expires_at=timezone.now())),
]


@pytest.mark.parametrize(("why", "end"), DEAD, ids=[each[0] for each in DEAD])
def test_a_token_that_is_no_longer_good_is_refused(advice, aurora, browse, why, end):
    text = token_for(advice, aurora)
    end(advice, aurora)
    for what in ("models", "versions", "views"):
        assert read(browse, aurora, what, text).status_code == 401


def test_a_token_is_good_on_its_issuers_domain_alone(advice, aurora, meadow, borealis, browse):
    text = token_for(advice, aurora)
    for other in (meadow, borealis):
        assert read(browse, other, "models", text).status_code == 401


@pytest.mark.parametrize(
    "spoil",
    [
        lambda t: t[:-1] + ("a" if t[-1] != "a" else "b"),
        lambda t: t.replace("rba_", "rbx_"),
        lambda t: "rba_",
    ],
)
def test_a_spoilt_token_is_refused(advice, aurora, browse, spoil):
    assert read(browse, aurora, "models", spoil(token_for(advice, aurora))).status_code in {401, 403}


def test_a_token_opens_no_page(advice, aurora, browse):
    headers = {"Authorization": f"Bearer {token_for(advice, aurora)}"}
    client = browse(aurora)
    for path in ("/agreements/", "/mirrors/", "/disclosures/"):
        assert client.get(path, headers=headers).status_code in {302, 404}


@pytest.mark.parametrize("what", ["clients", "mandates", "portfolios", "models", "agreements", "streams"])
def test_a_token_opens_nothing_else_of_the_api(advice, aurora, browse, what):
    answer = browse(aurora).get(
        f"/api/v1/{what}/", headers={"Authorization": f"Bearer {token_for(advice, aurora)}"}
    )
    assert answer.status_code in {401, 403}


def test_the_institutions_own_users_do_not_read_it_in_the_browser(advice, aurora, browse):
    with tenant_context(aurora):
        administrator = factories.cast().administrator
    assert browse(aurora, administrator).get(f"{BASE}models/").status_code in {401, 403}


def test_of_a_token_only_a_hash_is_kept(advice, aurora):
    text = token_for(advice, aurora)
    token = AgreementToken.objects.get()
    assert len(token.secret_hash) == 64
    assert text.rpartition("_")[2] not in (token.secret_hash, token.prefix)
    assert len(text) > 50


def test_a_token_lasts_a_year_at_most(advice, aurora):
    for days in (-1, 400):
        with pytest.raises(DomainError):
            make.act(
                tokens.make_token,
                advice,
                aurora,
                name="x",
                expires_at=timezone.now() + datetime.timedelta(days=days),
            )


def test_the_channel_hands_out_nothing_under_advice(advice, meadow, browse):
    text = token_for(advice, meadow)
    for what in ("models", "versions", "views"):
        assert read(browse, meadow, what, text).json()["results"] == []
