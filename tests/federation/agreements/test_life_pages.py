"""What pages say while an agreement is suspended, winds down or has ended, and of what is under way."""

import datetime

from django.urls import reverse
from django.utils import timezone
from django_tenants.utils import tenant_context

from accounts.models import Role, RoleAssignment
from clients.models import Client, ClientInstruction, MandateDecision
from federation.agreements import life, sealing
from federation.models import Agreement, SealedRecords
from portfolios.models import Holding
from tests import factories
from tests.clients import make as clients_make
from tests.federation.agreements import make
from tests.federation.agreements.browsing import page, people, url
from tests.federation.received import as_mirror
from tests.portfolios import make as portfolios_make
from trading.models import Allocation, Order, Settlement


def test_suspending_takes_one_click(aurora, harbour, browse):
    agreement = make.active(aurora, harbour)
    client = browse(harbour, people(harbour).administrator)
    client.post(url("switch", agreement.pk, "everything", "suspend"), {"reason": "Wrong fees."})
    assert Agreement.objects.get(pk=agreement.pk).is_suspended
    listed = client.get(url("agreements"), {"state": "suspended", "_export": "csv"}).content.decode()
    assert "Active; Suspended" in listed
    assert b"nothing new crosses" in page(browse, aurora, url("agreement_detail", agreement.pk)).content
    mirror = client.get(url("mirror_detail", agreement.streams.first().pk)).content.decode()
    assert "Everything suspended" in mirror
    assert "Wrong fees." in mirror
    client.post(url("switch", agreement.pk, "everything", "resume"), {"next": url("mirrors")})
    assert not Agreement.objects.get(pk=agreement.pk).is_suspended


def test_a_mirror_leads_to_where_both_directions_are_suspended(aurora, harbour, browse):
    agreement = make.active(aurora, harbour)
    client = browse(harbour, people(harbour).administrator)
    mirror = client.get(url("mirror_detail", agreement.streams.first().pk)).content.decode()
    suspend = url("switch", agreement.pk, "everything", "suspend")
    assert suspend not in mirror
    assert f'href="{url("agreement_detail", agreement.pk)}#switches"' in mirror
    shown = client.get(url("agreement_detail", agreement.pk)).content.decode()
    assert shown.count(f'action="{suspend}"') == 1
    # The top of the page leads to the one button, beside which stands what it strands.
    assert 'href="#switches"' in shown
    assert shown.count('form="suspend"') == 1
    assert 'name="reason"' in shown.split(suspend)[1].split("</form>")[0]


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
    # An administrator sees no record, and reads who does; who sees them goes on to their list.
    shown = f"{reverse('clients:mandate_list')}?agreement={agreement.pk}"
    assert shown not in blocked
    assert "compliance opens the lists" in blocked
    with tenant_context(harbour):
        both = people(harbour).administrator
        both.role_assignments.create(role=Role.COMPLIANCE)
    blocked = page(browse, harbour, url("terminate", agreement.pk)).content.decode()
    assert shown in blocked
    assert "compliance opens the lists" not in blocked
    browse(harbour, people(harbour).administrator).post(url("switch", agreement.pk, "everything", "suspend"))
    held = page(browse, harbour, url("agreement_detail", agreement.pk)).content.decode()
    assert "Held up by the suspension" in held


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


def test_where_no_mandate_crosses_there_is_no_switch_for_new_ones(aurora, meadow, browse):
    agreement = make.active(aurora, meadow, "advice")
    detail, switch = (
        url("agreement_detail", agreement.pk),
        url("switch", agreement.pk, "new_mandates", "suspend"),
    )
    text = page(browse, aurora, detail).content.decode()
    assert url("switch", agreement.pk, "everything", "suspend") in text
    assert switch not in text
    # Who stopped them before they became private can let them in again.
    make.act(life.suspend, agreement, aurora, what="new_mandates")
    text = page(browse, aurora, detail).content.decode()
    assert url("switch", agreement.pk, "new_mandates", "resume") in text
    assert switch not in text


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
    # It belongs to no unit, so whoever answers for one unit is not led there.
    with tenant_context(aurora):
        RoleAssignment.objects.update(unit=people(aurora).unit)
    assert link not in page(browse, aurora, path).content.decode()


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
