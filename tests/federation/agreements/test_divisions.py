"""Divisions of work: which make sense, why the others do not, and how the wizard takes them."""

import itertools

import pytest

from accounts.errors import DomainError
from federation.agreements import drafting, proposals
from federation.agreements.sharing import withholdable
from federation.models import Agreement, Function, Side
from federation.scope import PRESETS, objections
from tests.federation.agreements import make
from tests.federation.agreements.browsing import url
from tests.federation.divisions import CUSTOM, SENSIBLE, divided

CASES = [
    ({"relationship": "manager"}, [], [], "that is what makes it the channel"),
    ({"models": "channel"}, [], [], "The models are the manager's"),
    ({"trading": "channel"}, [], [], "Portfolio management and trading belong together"),
    ({"management": "channel"}, [], [], "Portfolio management and trading belong together"),
    ({"management": "channel", "trading": "channel"}, [], [], "submits no mandates"),
    (
        {"management": "channel", "trading": "channel", "settlement": "channel"},
        [],
        [],
        "would know of none for reporting",
    ),
    (dict(PRESETS["advice"].division), [], [], "Keep private: Relationship, Portfolio management"),
    (dict(PRESETS["advice"].division), PRESETS["advice"].private[1:], [], "Keep private: Relationship."),
    (
        dict(PRESETS["advice"].division),
        [*PRESETS["advice"].private, "models"],
        [],
        "manages by the weights of the models: models cannot stay private",
    ),
    (
        dict(PRESETS["advice"].division),
        PRESETS["advice"].private,
        ["models_portfolio.Target"],
        "target cannot",
    ),
    ({}, ["relationship"], [], "The manager manages by the client's mandate"),
    ({}, ["models"], [], "The channel chooses a plan"),
    ({}, ["management"], [], "The channel has to know whether its mandates"),
    ({}, ["reporting"], [], "The channel hands the reports to the clients"),
    ({"settlement": "channel"}, ["trading"], [], "The channel settles what was allocated"),
    ({"settlement": "channel"}, ["settlement"], [], "The manager values portfolios, and trades, from what"),
    ({"reporting": "channel"}, ["settlement"], [], "The channel reports holdings and transactions"),
    ({"reporting": "channel"}, [], ["portfolios.Valuation"], "valuation cannot be left out"),
    ({"settlement": "channel"}, [], ["portfolios.Holding"], "holding cannot be left out"),
    ({"settlement": "channel"}, [], ["trading.Allocation"], "allocation cannot be left out"),
    ({}, [], ["clients.MandateRestriction"], "mandate restriction cannot be left out"),
    ({}, [], ["clients.PayoutAccount"], "payout account cannot be left out"),
    ({}, [], ["clients.Mandate.agreement"], "cannot be left out of a share"),
    ({"settlement": "nobody"}, [], [], "Say who does: Settlement."),
]


@pytest.mark.parametrize(("change", "private", "withheld", "said"), CASES, ids=[case[3] for case in CASES])
def test_a_senseless_division_is_refused_with_its_reason(change, private, withheld, said):
    found = objections({**PRESETS["closed"].division, **change}, list(private), withheld)
    assert any(said in sentence for sentence in found), found


def test_a_missing_function_has_to_be_given_to_somebody():
    assert objections({}) == [
        "Say who does: Relationship, Models, Portfolio management, Trading, Settlement, Reporting."
    ]


def test_of_all_divisions_and_private_functions_exactly_these_make_sense():
    accepted = set()
    for sides in itertools.product(Side, repeat=len(Function)):
        division = dict(zip(Function, sides, strict=True))
        for bits in itertools.product((False, True), repeat=len(Function)):
            private = [function for function, closed in zip(Function, bits, strict=True) if closed]
            if not objections(division, private):
                accepted.add((tuple(sides), frozenset(private)))
    expected = {
        (tuple(each.division[function] for function in Function), frozenset(each.private))
        for each in SENSIBLE
    }
    assert accepted == expected


@pytest.mark.parametrize("each", SENSIBLE, ids=str)
def test_whatever_may_be_withheld_raises_no_objection(each):
    for side in Side:
        for entry in withholdable(each.division, each.private, side):
            assert objections(each.division, each.private, [entry]) == []


def test_the_wizard_divides_the_work_otherwise(aurora, harbour, browse):
    version = make.draft(aurora, harbour)
    client = browse(aurora, make.administrator(aurora))
    step = url("draft_step", version.agreement.pk, "work")
    assert "Where another party trades, it affirms or rejects" in client.get(step).content.decode()
    chosen = {f"who_{function}": side for function, side in divided(settlement="channel").division.items()}
    answer = client.post(step, {"preset": "custom", **chosen})
    assert answer.url == url("draft_step", version.agreement.pk, "sharing")
    version.refresh_from_db()
    assert version.division["settlement"] == "channel"
    assert Agreement.objects.get(pk=version.agreement_id).preset == CUSTOM
    for page in ("work", "sharing", "preview", "propose"):
        assert client.get(url("draft_step", version.agreement_id, page)).status_code == 200


def test_the_wizard_refuses_with_every_reason_and_keeps_what_was_chosen(aurora, harbour, browse):
    version = make.draft(aurora, harbour)
    client = browse(aurora, make.administrator(aurora))
    wrong = {**PRESETS["closed"].division, "models": "channel", "trading": "channel"}
    answer = client.post(
        url("draft_step", version.agreement.pk, "work"),
        {"preset": "custom", **{f"who_{function}": side for function, side in wrong.items()}},
    )
    text = answer.content.decode()
    assert "The models are the manager" in text
    assert "belong together" in text
    assert 'name="who_trading" value="channel" checked' in text
    nobody = client.post(answer.request["PATH_INFO"], {"preset": "custom", "who_relationship": "nobody"})
    assert "who_relationship" in nobody.context["form"].errors
    version.refresh_from_db()
    assert version.division == dict(PRESETS["closed"].division)


def test_the_service_refuses_what_the_form_would(aurora, harbour):
    version = make.draft(aurora, harbour)
    with pytest.raises(DomainError) as refused:
        make.act(
            drafting.divide, version, aurora, division=PRESETS["closed"].division, private=["management"]
        )
    assert refused.value.code == "division_senseless"
    # What was withheld before the service knew better is not proposed either.
    version.withheld = ["clients.MandateRestriction"]
    version.save()
    with pytest.raises(DomainError) as refused:
        make.act(proposals.propose, version, aurora)
    [sentence] = refused.value.data["objections"]
    assert sentence.startswith("The manager manages by the client's mandate, its restrictions")
    assert sentence.endswith("mandate restriction cannot be left out.")


def test_what_the_partner_needs_under_this_division_cannot_be_withheld(aurora, harbour):
    version = make.draft(aurora, harbour)
    make.act(drafting.divide, version, aurora, division=divided(reporting="channel").division)
    with pytest.raises(DomainError) as refused:
        make.act(drafting.withhold, version, aurora, withheld=["portfolios.Holding"])
    assert refused.value.code == "cannot_withhold"


def test_a_function_does_not_change_hands_while_its_records_stand(aurora, harbour):
    agreement = make.active(aurora, harbour)
    draft = make.act(drafting.revise, agreement, aurora)
    with pytest.raises(DomainError) as refused:
        make.act(drafting.divide, draft, aurora, division=divided(settlement="channel").division)
    assert "Settlement is done by Aurora since this agreement began" in str(refused.value)
    # What stays private may still change.
    make.act(drafting.divide, draft, aurora, division=PRESETS["closed"].division, private=["trading"])
    make.act(proposals.propose, draft, aurora)
