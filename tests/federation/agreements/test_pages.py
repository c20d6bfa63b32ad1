"""Pages of agreements: who sees them, and what they say of what is under way and how it ended."""

import datetime

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django_tenants.utils import tenant_context

from clients.models import Client, ClientInstruction, MandateDecision
from federation.agreements import life, sealing
from federation.models import Agreement, AgreementToken, SealedRecords
from portfolios.models import Holding
from tests import factories
from tests.clients import make as clients_make
from tests.federation.agreements import make
from tests.federation.agreements.browsing import page, people, url
from tests.federation.received import as_mirror
from tests.models_portfolio import make as models_make
from tests.portfolios import make as portfolios_make
from trading.models import Allocation, Order, Settlement


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


def test_suspending_takes_one_click(aurora, harbour, browse):
    agreement = make.active(aurora, harbour)
    client = browse(harbour, people(harbour).administrator)
    client.post(url("switch", agreement.pk, "everything", "suspend"))
    assert Agreement.objects.get(pk=agreement.pk).is_suspended
    listed = client.get(url("agreements"), {"state": "suspended", "_export": "csv"}).content.decode()
    assert "Active; Suspended" in listed
    assert b"nothing new crosses" in page(browse, aurora, url("agreement_detail", agreement.pk)).content
    client.post(url("switch", agreement.pk, "everything", "resume"), {"next": url("mirrors")})
    assert not Agreement.objects.get(pk=agreement.pk).is_suspended


def test_the_page_says_what_a_suspension_would_strand(aurora, harbour, browse):
    agreement = make.active(aurora, harbour)
    advisor = people(harbour).advisor
    with tenant_context(harbour):
        clients_make.submitted(advisor, clients_make.offer(agreement=agreement.pk, origin=aurora.pk))
    text = page(browse, harbour, url("agreement_detail", agreement.pk)).content.decode()
    assert "Mandates that wait for a decision" in text
    assert "a suspension of everything would hold it up" in text
    blocked = page(browse, harbour, url("terminate", agreement.pk)).content.decode()
    assert "Something is still open" in blocked
    browse(harbour, people(harbour).administrator).post(url("switch", agreement.pk, "everything", "suspend"))
    held = page(browse, harbour, url("agreement_detail", agreement.pk)).content.decode()
    assert "Held up by the suspension" in held


def test_what_waits_for_an_answer_comes_first_until_another_order_is_chosen(
    aurora, borealis, harbour, browse
):
    make.active(aurora, harbour)
    make.proposed(borealis, harbour)
    for sort, first in (({}, "Borealis – Harbour"), ({"sort": "name"}, "Aurora – Harbour")):
        table = page(browse, harbour, url("agreements"), data=sort).context["table"]
        assert next(row.record.name for row in table.paginated_rows) == first


def test_pages_of_records_say_that_a_suspension_holds_them_up(aurora, harbour, browse):
    agreement, second = make.active(aurora, harbour), make.active(aurora, harbour)
    with tenant_context(harbour):
        advisor = factories.cast().advisor
        mandate = clients_make.submitted(
            advisor, clients_make.offer(agreement=agreement.pk, origin=aurora.pk)
        )
    with tenant_context(harbour), as_mirror():
        MandateDecision.objects.create(
            mandate=mandate, submission=1, outcome="accepted", decided_at=timezone.now(), origin=aurora.pk
        )
    with tenant_context(aurora), as_mirror():
        received = Client.objects.create(origin=harbour.pk, kind="person", number="C-1", name="Ada Example")
    deposit = reverse("clients:instruction_create", args=[mandate.pk, "deposit"])
    pages = [
        (harbour, deposit, "advisor", "matched as soon as it arrives"),
        (harbour, deposit, "advisor", "goes over by itself once it is resumed"),
        (harbour, deposit, "advisor", "once both, the money and this instruction, have arrived there"),
        (
            harbour,
            reverse("clients:mandate_detail", args=[mandate.pk]),
            "compliance",
            "what either of you changes",
        ),
        (
            aurora,
            reverse("clients:client_detail", args=[received.pk]),
            "compliance",
            "nothing has arrived since",
        ),
    ]

    def said() -> list[bool]:
        return [words in page(browse, party, path, who).content.decode() for party, path, who, words in pages]

    assert said() == [True, False, False, False, False]
    make.act(life.suspend, agreement, harbour, what="everything")
    # The client may still come under the other agreement.
    assert said() == [False, True, True, True, False]
    make.act(life.suspend, second, aurora, what="everything")
    assert said() == [False, True, True, True, True]


def test_an_advisor_reads_on_a_mandate_that_its_agreement_is_wound_down_or_over(aurora, harbour, browse):
    agreement = make.active(aurora, harbour)
    with tenant_context(harbour):
        advisor = factories.cast().advisor
        mandate = clients_make.submitted(
            advisor, clients_make.offer(agreement=agreement.pk, origin=aurora.pk)
        )

    def shown() -> str:
        path = reverse("clients:mandate_detail", args=[mandate.pk])
        return page(browse, harbour, path, "compliance").content.decode()

    assert "wound down" not in shown()
    make.act(life.wind_down, agreement, aurora)
    assert "takes no new mandates: withdraw this one" in shown()
    with tenant_context(harbour), as_mirror():
        MandateDecision.objects.create(
            mandate=mandate, submission=1, outcome="accepted", decided_at=timezone.now(), origin=aurora.pk
        )
    assert "This mandate goes on until you have it closed" in shown()
    make.act(life.cut, agreement, harbour, reason="x")
    assert "has ended: nothing that you change here reaches them" in shown()


def _ask_and_order(mandates):
    """Have an instruction that is not done and an open order under each mandate, and one of each that is over."""
    share = portfolios_make.security()
    for number, mandate in enumerate(mandates):
        portfolio = portfolios_make.portfolio(number=f"P-{number}", mandate=mandate)
        for state in ("approved", "settled"):
            Order.objects.create(portfolio=portfolio, security=share, number=f"O-{number}-{state}", side="buy",
                                 quantity=1, currency="EUR", state=state)  # fmt: skip
        for status in ("sent", "withdrawn"):
            ClientInstruction.objects.create(mandate=mandate, kind="deposit", status=status, amount=10,
                                             sent_at=timezone.now(), currency="EUR")  # fmt: skip


def _trade_and_hold_late(mandate):
    """Have a trade that has not settled, one that has, and a closed portfolio that holds something."""
    order, day = Order.objects.get(number="O-0-settled"), timezone.localdate()
    for state in ("pending", "settled"):
        allocation = Allocation.objects.create(
            order=order, portfolio=order.portfolio, quantity=1, price=10, currency="EUR", gross_amount=10,
            net_amount=10, trade_date=day, settlement_date=day,
        )  # fmt: skip
        Settlement.objects.create(
            allocation=allocation, portfolio=order.portfolio, state=state, expected_date=day
        )
    closed = portfolios_make.portfolio(number="P-9", mandate=mandate, closed_on=day)
    Holding.objects.create(portfolio=closed, currency="EUR", quantity=5, settled_quantity=5, as_of=day)


def test_a_count_of_what_is_open_leads_compliance_to_exactly_that(aurora, harbour, browse):
    agreement = make.active(aurora, harbour)
    advisor = people(harbour).advisor
    with tenant_context(harbour):
        plan = clients_make.offer(agreement=agreement.pk, origin=aurora.pk)
        under = [clients_make.submitted(advisor, plan) for _each in range(2)]
        _ask_and_order([under[0], clients_make.submitted(advisor, clients_make.offer())])
        _trade_and_hold_late(under[1])
    client = browse(harbour, people(harbour).compliance)
    detail = url("agreement_detail", agreement.pk)
    text, not_theirs = client.get(detail).content.decode(), page(browse, harbour, detail).content.decode()
    for name, query, what, expected in (
        ("clients:mandate_list", "state=undecided", "pk", {mandate.pk for mandate in under}),
        ("clients:mandate_list", "state=running", "pk", set()),
        ("trading:order_list", "state=open", "number", {"O-0-approved"}),
        ("trading:affirmation_list", "state=open", "pk", set()),
        ("trading:settlement_list", "state=open", "state", {"pending"}),
        ("clients:instruction_list", "state=open", "mandate_id", {under[0].pk}),
        ("portfolios:book", "attention=late", "number", {"P-9"}),
    ):
        link = f"{reverse(name)}?agreement={agreement.pk}&amp;{query}"
        assert (link in text) == bool(expected), link
        assert link not in not_theirs
        shown = client.get(link.replace("&amp;", "&")).context["table"].data
        assert sorted(getattr(row, what) for row in shown) == sorted(expected)


def test_the_page_of_an_ended_agreement_says_from_when_to_when_it_was_in_force(aurora, harbour, browse):
    agreement = make.active(aurora, harbour)
    since = "in force since"
    assert since in page(browse, harbour, url("agreement_detail", agreement.pk)).content.decode()
    browse(harbour, people(harbour).administrator).post(url("cut", agreement.pk), {"reason": "Incident"})
    text = page(browse, harbour, url("agreement_detail", agreement.pk)).content.decode()
    assert "in force from" in text
    assert since not in text
    assert "No model is on offer any more." in text


def test_an_agreement_that_winds_down_says_so_and_takes_neither_models_nor_a_stop_of_mandates(
    aurora, harbour, browse
):
    agreement = make.active(aurora, harbour)
    make.act(life.wind_down, agreement, harbour, reason="We move on.")
    text = page(browse, aurora, url("agreement_detail", agreement.pk)).content.decode()
    assert "Harbour winds this agreement down" in text
    assert "We move on." in text
    assert url("offer_add", agreement.pk) not in text
    assert url("switch", agreement.pk, "new_mandates", "suspend") not in text
    assert url("switch", agreement.pk, "everything", "suspend") in text
    assert page(browse, aurora, url("offer_add", agreement.pk)).status_code == 404
    detail = url("agreement_detail", agreement.pk)
    assert page(browse, harbour, url("wind_down", agreement.pk)).headers["Location"] == detail, (
        "the browser's Back"
    )


def test_after_a_cut_the_partner_reads_who_cut_and_why_and_finds_what_it_keeps(aurora, harbour, browse):
    agreement = make.active(aurora, harbour)
    make.act(life.cut, agreement, harbour, reason="We found a leak.")
    path, link = url("agreement_detail", agreement.pk), f"{url('sealed_list')}?partner=Harbour%20Bank"
    text = page(browse, aurora, path).content.decode()
    assert "Harbour cut this agreement off in an emergency" in text
    assert "We found a leak." in text.partition("timeline-heads")[0]
    assert link not in text, "nothing was received"
    SealedRecords.objects.create(
        agreement=agreement, owner=harbour, receiver=aurora, retain_until=datetime.date(2040, 1, 1)
    )
    assert link in page(browse, aurora, path).content.decode()


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
    made = client.post(url("token_make", agreement.pk), {"name": "Their system", "expires_on": "2027-01-31"})
    token = AgreementToken.objects.get()
    assert made.context["text"].startswith(f"rba_{token.prefix}_")
    assert made["Cache-Control"] == "no-store"
    shown = client.get(url("agreement_detail", agreement.pk)).content.decode()
    assert token.prefix in shown
    assert made.context["text"] not in shown
    client.post(url("token_revoke", agreement.pk, token.pk))
    token.refresh_from_db()
    assert token.revoked_at is not None
    assert page(browse, meadow, url("token_revoke", agreement.pk, token.pk)).status_code == 405


def test_the_timeline_says_whose_records_are_sealed_where_and_by_a_person_of_which_party(
    aurora, harbour, browse
):
    agreement = make.active(aurora, harbour)
    SealedRecords.objects.create(
        agreement=agreement, owner=harbour, receiver=aurora, retain_until=datetime.date(2040, 1, 1)
    )
    make.act(sealing.record_sealed, agreement, harbour)
    text = page(browse, aurora, url("agreement_detail", agreement.pk)).content.decode()
    assert "Administrator · Harbour" in text.partition("Received records sealed")[2].partition("Proposed")[0]
    listed = page(browse, aurora, url("timeline", agreement.pk)).content.decode()
    assert "Records of Harbour, kept at Aurora<br>Until" in listed
    assert "Administrator (Harbour)" in listed


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
    assert page(browse, harbour, url("institution"), "compliance").status_code == 404
