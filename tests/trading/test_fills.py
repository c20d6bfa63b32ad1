"""From orders to blocks, fills and bookings."""

import datetime
import uuid
from decimal import Decimal

import pytest

from accounts.errors import DomainError
from clients.models import KycStatus, MandateRestriction
from models_portfolio.services import new_draft, publish, save_draft
from portfolios.models import Transaction
from tests.factories import Cast
from tests.models_portfolio import make as models
from tests.portfolios import make as portfolios
from tests.trading import make
from trading.models import Allocation, Block, Execution, Order, Settlement
from trading.services import cancel, propose, propose_each, record_execution, release_waiting, send
from trading.tasks import fill_block, resume_blocks, submit_block

D = Decimal
pytestmark = pytest.mark.usefixtures("queued")


def test_orders_in_one_security_and_side_go_to_market_as_one_block(in_aurora: Cast):
    model = make.balanced(in_aurora.manager)
    orders = [
        order
        for number in ("P-1", "P-2")
        for order in make.approved(make.portfolio(in_aurora, model, number), in_aurora)
    ]

    blocks = send(order_ids=[order.pk for order in orders], by=in_aurora.second_manager)

    assert len(orders) == 6
    assert len(blocks) == 3
    apple = next(block for block in blocks if block.security.name == "Apple")
    assert apple.quantity == sum(order.quantity for order in orders if order.security_id == apple.security_id)


def test_a_block_filled_in_parts_ends_in_holdings_without_negative_cash(in_aurora: Cast, queued):
    portfolio = make.portfolio(in_aurora, make.balanced(in_aurora.manager))
    orders = make.sent(portfolio, in_aurora, parts=3)
    make.fill_all(orders)
    make.run_market(queued)

    for order in Order.objects.all():
        assert order.state == Order.State.FILLED
        assert order.filled_quantity == order.quantity
        assert order.allocations.count() == 3
    held = make.held(portfolio)
    assert held["Apple"] == next(o.quantity for o in orders if o.security.name == "Apple")
    assert held["EUR"] > D(4900)
    assert Execution.objects.count() == 9
    assert Settlement.objects.filter(state="pending").count() == 9


def test_a_second_run_trades_nothing(in_aurora: Cast, queued):
    portfolio = make.portfolio(in_aurora, make.balanced(in_aurora.manager))
    make.fill_all(make.sent(portfolio, in_aurora))
    make.run_market(queued)

    [outcome] = propose_each(portfolios=[portfolio], by=in_aurora.manager)

    assert (outcome.proposal, outcome.refusal) == (None, "")


def test_open_orders_count_so_nothing_is_bought_twice(in_aurora: Cast):
    portfolio = make.portfolio(in_aurora, make.balanced(in_aurora.manager))
    make.sent(portfolio, in_aurora)

    [outcome] = propose_each(portfolios=[portfolio], by=in_aurora.manager)

    assert outcome.proposal is None


def test_a_message_that_comes_twice_fills_once(in_aurora: Cast, queued):
    portfolio = make.portfolio(in_aurora, make.balanced(in_aurora.manager))
    orders = make.sent(portfolio, in_aurora, parts=2)
    block = Block.objects.get(security__name="Apple")
    submit_block(str(block.pk))
    submit_block(str(block.pk))
    fill_block(str(block.pk), 1)
    fill_block(str(block.pk), 1)
    make.run_market(queued)

    order = Order.objects.get(pk=next(o.pk for o in orders if o.security_id == block.security_id))
    assert order.filled_quantity == order.quantity
    assert Execution.objects.filter(block=block).count() == 2
    assert Transaction.objects.filter(type="buy", security=block.security).count() == 2


def test_partial_fills_are_never_taken_back_from_a_portfolio(in_aurora: Cast):
    model = models.published(in_aurora.manager, {models.security("Apple"): "0.95", None: "0.05"})
    all_orders = [
        make.approved(make.portfolio(in_aurora, model, f"P-{n}", cash=cash), in_aurora)[0]
        for n, cash in enumerate((60_000, 60_000, 20_000))
    ]
    [block] = send(order_ids=[order.pk for order in all_orders], by=in_aurora.second_manager)
    booked: dict[uuid.UUID, Decimal] = {}
    for part, quantity in enumerate((D(300), D(700), D(150))):
        record_execution(block_id=block.pk, quantity=quantity, price=D(100), reference=f"R-{part}")
        now = dict(Order.objects.values_list("pk", "filled_quantity"))
        assert all(now[key] >= before for key, before in booked.items())
        assert sum(now.values()) == sum(e.quantity for e in Execution.objects.all())
        booked = now

    total = sum(a.gross_amount for a in Allocation.objects.all())
    assert total == D(115_000)
    with pytest.raises(DomainError, match="more than the"):
        record_execution(block_id=block.pk, quantity=D(9999), price=D(100), reference="R-9")


def test_a_purchase_in_a_foreign_currency_brings_its_own_exchange(in_aurora: Cast, queued):
    dollars = models.security("Microsoft", 400, currency="USD")
    portfolios.rates("USD", {0: "1.25"})
    model = models.published(in_aurora.manager, {dollars: "0.90", None: "0.10"})
    portfolio = make.portfolio(in_aurora, model)

    make.fill_all(make.sent(portfolio, in_aurora))
    make.run_market(queued)

    held = make.held(portfolio)
    assert held["Microsoft"] == D(280)
    assert held.get("USD", D(0)) == 0
    exchange = Transaction.objects.get(type="currency_exchange")
    cost = D(280) * 400 * D("1.001")
    assert exchange.net_amount == cost
    assert exchange.counter_amount == -cost * D("0.8")
    assert held["EUR"] == D(100_000) - cost * D("0.8")


def test_open_buys_in_a_foreign_currency_lower_the_cash_that_pays_for_them(in_aurora: Cast):
    apple = models.security("Apple", 180, currency="USD")
    portfolios.rates("USD", {0: "1.25"})
    portfolio = make.portfolio(in_aurora, models.published(in_aurora.manager, {apple: "0.9", None: "0.1"}))
    (order,) = make.approved(portfolio, in_aurora)
    promised = (order.estimated_amount / D("1.25")).quantize(D("0.0001"))

    cash = {h.currency: h for h in portfolio.holdings.filter(security=None)}
    assert set(cash) == {"EUR"}
    assert cash["EUR"].available_quantity == cash["EUR"].quantity - promised


def test_cancelling_keeps_what_was_filled_and_ends_the_block(in_aurora: Cast):
    portfolio = make.portfolio(in_aurora, make.balanced(in_aurora.manager))
    make.sent(portfolio, in_aurora)
    order = Order.objects.get(security__name="Apple")
    record_execution(block_id=order.block_id, quantity=D(100), price=D(180), reference="R-1")

    order = cancel(order=order, by=in_aurora.manager)

    assert (order.state, order.filled_quantity) == ("cancelled", D(100))
    assert order.block.state == Block.State.FILLED
    assert make.held(portfolio)["Apple"] == D(100)
    with pytest.raises(DomainError, match="nothing left"):
        cancel(order=order, by=in_aurora.manager)


def test_a_block_without_a_price_is_refused_with_its_orders(in_aurora: Cast, queued):
    portfolio = make.portfolio(in_aurora, make.balanced(in_aurora.manager))
    make.sent(portfolio, in_aurora)
    block = Block.objects.get(security__name="Apple")
    block.security.prices.all().delete()

    submit_block(str(block.pk))
    make.run_market(queued)

    order = Order.objects.get(security__name="Apple")
    assert (order.state, order.state_note) == ("rejected", "There is no price for Apple.")


def test_waiting_purchases_go_on_once_kyc_is_in_order(in_aurora: Cast):
    portfolio = make.portfolio(in_aurora, make.balanced(in_aurora.manager))
    make.buy(portfolio, models.security("Microsoft", 300), 100, 300)
    KycStatus.objects.update(state=KycStatus.State.PENDING)
    orders = make.approved(portfolio, in_aurora)
    send(order_ids=[o.pk for o in orders if o.state == "approved"], by=in_aurora.manager)
    assert release_waiting() == 0

    KycStatus.objects.update(state=KycStatus.State.APPROVED)

    wish = MandateRestriction.objects.create(
        mandate=portfolio.mandate, kind="exclude_security", value=models.security("Apple").isin
    )

    assert release_waiting() == 2
    apple = Order.objects.get(security__name="Apple")
    assert apple.state == "waiting"
    assert apple.state_note == "It may not be bought any more. Cancel the order."
    wish.delete()
    assert release_waiting() == 1
    assert set(Order.objects.values_list("state", flat=True)) == {"sent"}


def test_purchases_approved_before_kyc_ended_wait_when_they_are_sent(in_aurora: Cast):
    portfolio = make.portfolio(in_aurora, make.balanced(in_aurora.manager))
    make.buy(portfolio, models.security("Microsoft", 300), 100, 300)
    orders = make.approved(portfolio, in_aurora)
    KycStatus.objects.update(state=KycStatus.State.BLOCKED)

    blocks = send(order_ids=[order.pk for order in orders], by=in_aurora.manager)

    assert [str(block) for block in blocks] == ["Sell Microsoft"]
    bought = Order.objects.filter(side="buy")
    assert set(bought.values_list("state", "state_note")) == {("waiting", "KYC of the client is blocked.")}
    assert not bought.filter(block__isnull=False).exists()
    KycStatus.objects.update(state=KycStatus.State.APPROVED)
    assert release_waiting() == 3
    assert set(Order.objects.values_list("state", flat=True)) == {"sent"}


def test_a_block_whose_message_was_lost_is_taken_up_again(in_aurora: Cast, queued):
    portfolio = make.portfolio(in_aurora, make.balanced(in_aurora.manager))
    make.sent(portfolio, in_aurora)
    Block.objects.update(sent_at=models.timezone.now() - datetime.timedelta(minutes=5))

    resume_blocks()
    make.run_market(queued)

    assert set(Order.objects.values_list("state", flat=True)) == {"filled"}


def test_a_fund_of_fractions_trades_in_them(in_aurora: Cast, queued):
    fund = models.security("Nestlé", "13.37", lot_size=0, quantity_decimals=4)
    model = models.published(in_aurora.manager, {fund: "0.97", None: "0.03"})
    portfolio = make.portfolio(in_aurora, model, cash="9999.99")
    make.fill_all(make.sent(portfolio, in_aurora, parts=3))
    make.run_market(queued)

    order = Order.objects.get()
    assert order.state == "filled"
    assert order.quantity % 1 != 0
    assert make.held(portfolio)["EUR"] > 0


def test_a_fill_of_a_broken_lot_is_refused_unless_it_is_all_that_is_left(in_aurora: Cast):
    make.sent(make.portfolio(in_aurora, make.balanced(in_aurora.manager)), in_aurora)
    order = Order.objects.get(security__name="Bund")

    with pytest.raises(DomainError, match="no multiple"):
        record_execution(block_id=order.block_id, quantity=D(500), price=D("98.5"), reference="R-1")
    record_execution(block_id=order.block_id, quantity=D(1000), price=D("98.5"), reference="R-1")

    order.refresh_from_db()
    assert order.filled_quantity == D(1000)


def test_an_order_cannot_be_sent_twice(in_aurora: Cast):
    portfolio = make.portfolio(in_aurora, make.balanced(in_aurora.manager))
    orders = make.sent(portfolio, in_aurora)

    with pytest.raises(DomainError, match="by now"):
        send(order_ids=[orders[0].pk], by=in_aurora.manager)


def test_a_proposal_after_a_new_version_says_that_the_model_changed(in_aurora: Cast, queued):
    model = make.balanced(in_aurora.manager)
    portfolio = make.portfolio(in_aurora, model)
    make.fill_all(make.sent(portfolio, in_aurora))
    make.run_market(queued)
    draft = new_draft(model=model, by=in_aurora.manager)
    save_draft(version=draft, lines=[models.line(models.security("Apple"), "1")], by=in_aurora.manager)
    publish(version=draft, by=in_aurora.manager)

    assert propose(portfolio=portfolio, by=in_aurora.manager).reason == "model_change"
