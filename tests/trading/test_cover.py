"""What is approved or sent has the cash and the securities that it needs, as of that moment."""

from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.errors import DomainError
from clients.models import ClientInstruction, KycStatus
from portfolios.attention import reasons_of
from portfolios.models import Portfolio
from portfolios.services import book
from portfolios.services import reverse as reverse_entry
from tests.factories import Cast
from tests.models_portfolio import make as models
from tests.portfolios import make as portfolios
from tests.trading import make
from tests.trading.pages import text_of
from trading.models import Allocation, Order, Proposal
from trading.services import approve, propose, record_execution, release_waiting, send, send_each
from trading.tasks import settle_due_settlements

D = Decimal
pytestmark = pytest.mark.usefixtures("unsent")


def pay_out(portfolio: Portfolio, amount: int) -> None:
    book(entries=[portfolios.withdrawal(portfolio, amount)], by=None)


def test_a_proposal_is_not_approved_without_the_cash_that_it_needs(in_aurora: Cast, aurora, browse):
    portfolio = make.portfolio(in_aurora, make.balanced(in_aurora.manager))
    proposal = make.submitted(portfolio, in_aurora.manager)
    asked_for = ClientInstruction.objects.create(
        mandate=portfolio.mandate, kind="withdrawal", status="sent", sent_at=timezone.now(),
        amount=D(90_000), currency="EUR",
    )  # fmt: skip
    words = r"The purchases of P-1 cost EUR\s9\d,\d{3}\.\d\d, and EUR\s10,000.00 is free for them\."

    with pytest.raises(DomainError, match=f"{words} Work the proposal out again"):
        approve(proposal=proposal, by=in_aurora.second_manager)
    asked_for.delete()
    pay_out(portfolio, 90_000)
    with pytest.raises(DomainError, match=f"{words} Work the proposal out again"):
        approve(proposal=proposal, by=in_aurora.second_manager)

    page = browse(aurora, in_aurora.second_manager)
    shown = text_of(page.get(reverse("trading:proposal_detail", args=[proposal.pk])))
    assert "and EUR 10,000.00 is free for them. Work the proposal out again." in shown
    book(entries=[portfolios.deposit(portfolio, 90_000)], by=None)
    assert approve(proposal=proposal, by=in_aurora.second_manager)


def test_what_is_held_no_longer_is_neither_approved_nor_sent_for_sale(in_aurora: Cast):
    portfolio = make.portfolio(in_aurora, None)
    bought = make.buy(portfolio, models.security("Apple"), 10, 100)
    make.buy(portfolio, models.security("Nestlé"), 10, 100)
    proposal = make.submitted(portfolio, in_aurora.manager, mode=Proposal.Mode.LIQUIDATE)
    reverse_entry(entry=bought, by=None)
    words = "10 of Apple are to be sold, and P-1 has 0 to sell."

    with pytest.raises(DomainError, match=f"{words} Work the proposal out again"):
        approve(proposal=proposal, by=in_aurora.second_manager)
    bought = make.buy(portfolio, models.security("Apple"), 10, 100)
    orders = approve(proposal=proposal, by=in_aurora.second_manager)
    reverse_entry(entry=bought, by=None)
    ids = [order.pk for order in orders]
    with pytest.raises(DomainError, match=rf"{words} Cancel order O-\d+, and work the proposal out again"):
        send(order_ids=ids, by=in_aurora.manager)
    assert set(portfolio.orders.values_list("state", flat=True)) == {"approved"}
    sent = send_each(order_ids=ids, by=in_aurora.manager)

    assert [str(block) for block in sent.blocks] == ["Sell Nestlé"]
    assert [str(order.security) for order, _why in sent.refused] == ["Apple"]


def test_purchases_beyond_the_cash_of_one_portfolio_all_stay_and_hold_no_other_up(in_aurora: Cast):
    model = make.balanced(in_aurora.manager)
    spent, other = (make.portfolio(in_aurora, model, number) for number in ("P-1", "P-2"))
    orders = [order for each in (spent, other) for order in make.approved(each, in_aurora)]
    pay_out(spent, 30_000)

    sent = send_each(order_ids=[order.pk for order in orders], by=in_aurora.manager)

    assert {order.portfolio.number for order, _why in sent.refused} == {"P-1"}
    for order, why in sent.refused:
        assert "EUR\xa070,000.00 is free for them" in str(why)
        assert f"Cancel order {order.number}, and work the proposal out again." in str(why)
    assert set(spent.orders.values_list("state", flat=True)) == {"approved"}
    assert set(other.orders.values_list("state", flat=True)) == {"sent"}
    # What is in the market is spent, too: two of three fit, and then not the third.
    small, *_rest = sorted(orders[:3], key=lambda order: order.estimated_amount)
    assert send_each(order_ids=[small.pk], by=in_aurora.manager).blocks
    rest = [order.pk for order in orders[:3] if order.pk != small.pk]
    refused = send_each(order_ids=rest, by=in_aurora.manager).refused
    assert len(refused) == 2
    assert "EUR\xa070,000.00" not in str(refused[0][1])


def test_purchases_that_waited_for_kyc_stay_where_the_cash_is_gone_and_say_so(in_aurora: Cast):
    model = models.published(in_aurora.manager, {models.security("Apple"): "0.9", None: "0.1"})
    spent, other = (make.portfolio(in_aurora, model, number) for number in ("P-1", "P-2"))
    KycStatus.objects.update(state=KycStatus.State.PENDING)
    for each in (spent, other):
        make.approved(each, in_aurora)
    Proposal.objects.update(state=Proposal.State.SENT)
    pay_out(spent, 50_000)
    KycStatus.objects.update(state=KycStatus.State.APPROVED)

    release_waiting()

    stays, goes = (Order.objects.get(portfolio=each) for each in (spent, other))
    assert (stays.state, goes.state) == ("approved", "sent")
    assert "EUR\xa050,000.00 is free for them. Cancel order" in stays.state_note


def test_a_fill_that_one_ledger_refuses_is_told_and_holds_no_other_client_up(in_aurora: Cast, aurora, browse):
    sold, other = (make.portfolio(in_aurora, None, number) for number in ("P-1", "P-2"))
    bought = make.buy(sold, models.security("Apple"), 10, 100)
    make.buy(other, models.security("Apple"), 10, 100)
    orders = [make.approved(each, in_aurora, mode=Proposal.Mode.LIQUIDATE)[0] for each in (sold, other)]
    [block] = send(order_ids=[order.pk for order in orders], by=in_aurora.manager)
    reverse_entry(entry=bought, by=None)

    record_execution(block_id=block.pk, quantity=D(20), price=D(100), reference="R-1")

    assert set(Order.objects.values_list("state", "filled_quantity")) == {("filled", D(10))}
    assert not make.held(other)["Apple"]
    refused, booked = Allocation.objects.order_by("order__number")
    assert refused.booking_problem.startswith("Portfolio P-1 holds 0 of Apple")
    assert booked.booking_problem == ""
    assert [reason.code for reason in reasons_of([sold.pk])[sold.pk] if reason.code == "unbooked"]
    page = browse(aurora, in_aurora.operations)
    for url in (reverse("trading:desk"), reverse("trading:order_detail", args=[orders[0].pk])):
        assert "Portfolio P-1 holds 0 of Apple" in text_of(page.get(url))
    with pytest.raises(DomainError, match="A fill of P-1 is not booked"):
        propose(portfolio=sold, by=in_aurora.manager, mode=Proposal.Mode.LIQUIDATE)

    settle_due_settlements()
    assert Allocation.objects.refused_by_ledger().exists()
    make.buy(sold, models.security("Apple"), 10, 100)
    settle_due_settlements()
    refused.refresh_from_db()
    assert refused.booking_problem == ""
    assert refused.settlement.state == "pending"
    assert not make.held(sold)["Apple"]
