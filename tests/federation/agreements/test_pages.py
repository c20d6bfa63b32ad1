"""Pages of agreements: who sees them, and what one does there."""

import datetime

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_tenants.utils import tenant_context

from federation.models import Agreement, AgreementToken
from tests import factories
from tests.federation.agreements import make
from tests.federation.agreements.browsing import page, people, url
from tests.models_portfolio import make as models_make


def pages_of(agreement) -> list[str]:
    version = agreement.version or agreement.versions.first()
    return [
        url("agreement_detail", agreement.pk),
        url("timeline", agreement.pk),
        url("version_detail", agreement.pk, version.pk),
        url("version_preview", agreement.pk, version.pk),
        url("wind_down", agreement.pk),
        url("terminate", agreement.pk),
        url("offer_add", agreement.pk),
        url("draft_step", agreement.pk, "sharing"),
    ]


def posts_of(agreement) -> list[str]:
    version = agreement.version or agreement.versions.first()
    some = agreement.pk
    return [
        url("accept", agreement.pk, version.pk),
        url("decline", agreement.pk, version.pk),
        url("withdraw", agreement.pk, version.pk),
        url("revise", agreement.pk),
        url("draft_discard", agreement.pk),
        url("switch", agreement.pk, "everything", "suspend"),
        url("switch", agreement.pk, "new_mandates", "resume"),
        url("wind_down", agreement.pk),
        url("terminate", agreement.pk),
        url("cut", agreement.pk),
        url("listing", agreement.pk),
        url("offer_add", agreement.pk),
        url("offer_switch", agreement.pk, some),
        url("token_make", agreement.pk),
        url("token_revoke", agreement.pk, some),
    ]


def test_to_a_third_party_an_agreement_does_not_exist(aurora, harbour, lakeside, browse):
    agreement = make.active(aurora, harbour)
    client = browse(lakeside, people(lakeside).administrator)
    for path in pages_of(agreement):
        assert client.get(path).status_code == 404, path
    for path in posts_of(agreement):
        assert (
            client.post(path, {"reason": "x", "name": "x", "expires_on": "2030-01-01"}).status_code == 404
        ), path
    assert b"Aurora" not in client.get(url("agreements")).content
    assert Agreement.objects.get(pk=agreement.pk).state == "active"


@pytest.mark.parametrize("who", ["manager", "advisor", "operations", "stranger"])
def test_agreements_are_for_administrators_and_compliance(aurora, harbour, browse, who):
    agreement = make.active(aurora, harbour)
    client = browse(harbour, getattr(people(harbour), who))
    for path in [url("agreements"), url("agreement_new"), url("mirrors"), *pages_of(agreement)]:
        assert client.get(path).status_code == 404, path
    for path in posts_of(agreement):
        assert client.post(path).status_code == 404, path


def test_compliance_reads_and_changes_nothing(aurora, harbour, browse):
    agreement = make.active(aurora, harbour)
    client = browse(harbour, people(harbour).compliance)
    assert client.get(url("agreements")).status_code == 200
    shown = client.get(url("agreement_detail", agreement.pk)).content.decode()
    assert "Suspend" not in shown.replace("Suspended", "")
    for path in posts_of(agreement):
        assert client.post(path).status_code == 404, path


def test_a_draft_exists_for_its_drafter_alone(aurora, harbour, browse):
    agreement = make.draft(aurora, harbour).agreement
    assert page(browse, aurora, url("agreement_detail", agreement.pk)).status_code == 200
    assert page(browse, harbour, url("agreement_detail", agreement.pk)).status_code == 404
    assert b"Aurora" not in page(browse, harbour, url("agreements")).content


def test_the_partner_is_told_that_it_has_to_answer(aurora, harbour, browse):
    version = make.proposed(aurora, harbour)
    waiting = page(browse, harbour, url("agreements"), data={"state": "needs_answer", "_export": "csv"})
    assert "Proposed; Waits for your answer" in waiting.content.decode()
    waiting = page(browse, aurora, url("agreements"), data={"state": "needs_answer", "_export": "csv"})
    assert len(waiting.content.decode().splitlines()) == 1
    assert b"Waits for your answer" in page(browse, harbour, url("agreements")).content
    assert b"Waits for the partner" in page(browse, aurora, url("agreements")).content
    client = browse(harbour, people(harbour).administrator)
    assert (
        "offers no model yet"
        not in client.get(url("agreement_detail", version.agreement_id)).content.decode()
    )
    for path in (
        url("agreement_detail", version.agreement_id),
        url("version_detail", version.agreement_id, version.pk),
    ):
        assert "What Aurora offers, with the fees, appears once" in client.get(path).content.decode()
    assert b"See and answer" in client.get(url("agreement_detail", version.agreement_id)).content
    client.post(url("accept", version.agreement_id, version.pk))
    assert Agreement.objects.get(pk=version.agreement_id).state == "active"
    assert version.acceptances.get(institution=harbour).by_name == "Administrator"


def test_what_waits_for_an_answer_comes_first_until_another_order_is_chosen(
    aurora, borealis, harbour, browse
):
    make.active(aurora, harbour)
    make.proposed(borealis, harbour)
    for sort, first in (({}, "Borealis – Harbour"), ({"sort": "name"}, "Aurora – Harbour")):
        table = page(browse, harbour, url("agreements"), data=sort).context["table"]
        assert next(row.record.name for row in table.paginated_rows) == first


def test_what_is_never_shared_is_named_so_where_a_table_has_no_heads(aurora, harbour, browse):
    agreement = make.active(aurora, harbour)
    text = page(browse, harbour, url("agreement_detail", agreement.pk)).content.decode()
    assert 'data-label="Never shared"' in text


def test_a_manager_offers_a_model_from_the_agreements_page(aurora, harbour, browse):
    agreement = make.active(aurora, harbour)
    with tenant_context(aurora):
        model = models_make.published(
            factories.cast().manager, {models_make.security("Apple"): "0.9", None: "0.1"}
        )
    form = {
        "model": str(model.pk), "name": "Calm", "minimum_amount": "50000", "management_fee": "0.80",
        "custody_fee": "0.15", "product_cost": "0.20", "horizon_years": "5",
    }  # fmt: skip
    client = browse(aurora, people(aurora).administrator)
    client.post(url("offer_add", agreement.pk), form)
    with tenant_context(aurora):
        offer = model.offers.get()
    assert (offer.agreement, str(offer.management_fee)) == (agreement.pk, "0.0080000000")
    assert agreement.events.get(kind="offered").data["model"] == "Calm"
    client.post(url("offer_switch", agreement.pk, offer.pk))
    with tenant_context(aurora):
        offer.refresh_from_db()
    assert not offer.is_open
    assert page(browse, harbour, url("offer_add", agreement.pk)).status_code == 404


def test_a_token_is_shown_once_and_revoked(aurora, meadow, browse):
    agreement = make.active(aurora, meadow, "advice")
    client = browse(aurora, people(aurora).administrator)
    day = (timezone.localdate() + datetime.timedelta(days=60)).isoformat()
    made = client.post(
        url("token_make", agreement.pk),
        {"name": "Their system", "expires_on": day},
        HTTP_HOST="aurora.localhost:666",
    )
    assert b":666" not in made.content
    token = AgreementToken.objects.get()
    assert made.context["text"].startswith(f"rba_{token.prefix}_")
    assert made["Cache-Control"] == "no-store"
    shown = client.get(url("agreement_detail", agreement.pk)).content.decode()
    assert token.prefix in shown
    assert f'until <time datetime="{day}"' in shown
    assert made.context["text"] not in shown
    client.post(url("token_revoke", agreement.pk, token.pk))
    token.refresh_from_db()
    assert token.revoked_at is not None
    assert page(browse, meadow, url("token_revoke", agreement.pk, token.pk)).status_code == 405


def test_a_number_out_of_bounds_is_refused_in_plain_words(aurora, harbour, browse):
    agreement = make.active(aurora, harbour)
    with tenant_context(aurora):
        models_make.published(factories.cast().manager, {None: "1"})
    client = browse(aurora, people(aurora).administrator)
    refused = client.post(url("offer_add", agreement.pk), {"horizon_years": "0"}).content.decode()
    assert "Enter 1 or more." in refused
    assert "Ensure this value" not in refused


def test_what_is_never_shared_of_identity_checks_is_called_kyc_evidence(aurora, harbour, browse):
    agreement = make.active(aurora, harbour)
    assert "KYC evidence" in page(browse, harbour, url("agreement_detail", agreement.pk)).content.decode()


def test_the_timeline_is_exported(aurora, harbour, browse):
    agreement = make.active(aurora, harbour)
    answer = page(browse, harbour, url("timeline", agreement.pk), data={"_export": "csv"})
    assert "text/csv" in answer["Content-Type"]
    lines = answer.content.decode().splitlines()
    assert len(lines) == 1 + agreement.events.count()
    assert any("Accepted" in line and "Harbour Bank" in line for line in lines)


def queries(client, path: str) -> int:
    client.get(path)
    with CaptureQueriesContext(
        connection,
    ) as captured:
        assert client.get(path).status_code == 200
    return len(captured)


def test_the_number_of_queries_does_not_grow_with_agreements(
    aurora, borealis, harbour, lakeside, meadow, browse
):
    client = browse(aurora, people(aurora).administrator)
    first = make.active(aurora, harbour)
    few = queries(client, url("agreements")), queries(client, url("agreement_detail", first.pk))
    make.active(aurora, lakeside)
    make.proposed(aurora, meadow, "advice")
    many = queries(client, url("agreements")), queries(client, url("agreement_detail", first.pk))
    assert many[0] == few[0] <= 20
    # The state of each stream is read from its owner's log: a fixed number a stream.
    assert many[1] <= 60
    assert isinstance(borealis.pk, type(aurora.pk))


def test_the_institutions_letterhead_is_its_administrators_to_change(harbour, browse):
    client = browse(harbour, people(harbour).administrator)
    form = {
        "short_name": "Harbour", "address": "Musterquai 7", "contact": "hello@harbour.example", "colour": "#123456",
        "language": "de", "footer": "", "description": "A bank by the sea", "is_channel": "on",
    }  # fmt: skip
    assert client.post(url("institution"), form).status_code == 302
    harbour.refresh_from_db()
    assert (harbour.colour, harbour.language, harbour.is_channel) == ("#123456", "de", True)
    assert b"Enter a colour" in client.post(url("institution"), {**form, "colour": "red"}).content
    assert (
        b"at most 1000 characters" in client.post(url("institution"), {**form, "footer": "x" * 1001}).content
    )
    assert page(browse, harbour, url("institution"), "compliance").status_code == 404
