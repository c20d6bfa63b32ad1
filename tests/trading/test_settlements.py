"""Delivery against payment: when it is expected, that it has happened, failed or was reversed."""

import datetime
from decimal import Decimal

import pytest
from django.urls import reverse

from accounts.errors import DomainError
from models_portfolio.effective import today
from portfolios.models import Listing, Portfolio, Transaction
from portfolios.services.holdings import derive_holdings
from portfolios.services.ledger import reverse as reverse_entry
from tests.factories import Cast
from tests.models_portfolio import make as models
from tests.portfolios import make as portfolios
from tests.trading import make
from tests.trading.pages import text_of
from trading.calculations.settlement import settlement_date
from trading.models import Allocation, Order, Settlement
from trading.services import record_failure, retry, settle, settle_due

D = Decimal
pytestmark = pytest.mark.usefixtures("queued")


def test_settlement_follows_the_market_of_the_listing(in_aurora: Cast, queued):
    apple = models.security("Apple", currency="USD")
    portfolios.rates("USD", {0: "1.25"})
    Listing.objects.create(security=apple, mic="XNAS", currency="USD")
    model = models.published(in_aurora.manager, {apple: "0.5", models.security("Nestlé"): "0.5"})
    make.fill_all(make.sent(make.portfolio(in_aurora, model), in_aurora))
    make.run_market(queued)

    dates = dict(Allocation.objects.values_list("order__security__name", "settlement_date"))
    assert dates["Apple"] == settlement_date(today(), "XNAS")
    assert dates["Nestlé"] == settlement_date(today())
    # A day sooner, but for a holiday of that market alone.
    assert dates["Apple"] <= dates["Nestlé"]


def test_an_order_is_settled_once_all_its_parts_are(in_aurora: Cast, queued):
    portfolio = make.portfolio(in_aurora, make.balanced(in_aurora.manager))
    make.fill_all(make.sent(portfolio, in_aurora, parts=2))
    make.run_market(queued)
    assert settle_due() == 0
    order = Order.objects.get(security__name="Apple")
    first, second = Settlement.objects.filter(allocation__order=order)

    settle(settlement=first, by=in_aurora.operations)
    order.refresh_from_db()
    assert order.state == Order.State.FILLED
    settle_due(day=second.expected_date)
    order.refresh_from_db()
    assert order.state == Order.State.SETTLED


def test_a_failed_settlement_says_why_and_is_tried_again(in_aurora: Cast, queued):
    portfolio = make.portfolio(in_aurora, make.balanced(in_aurora.manager))
    make.fill_all(make.sent(portfolio, in_aurora))
    make.run_market(queued)
    settlement = Settlement.objects.first()

    with pytest.raises(DomainError, match="Say why"):
        record_failure(settlement=settlement, reason=" ", by=in_aurora.operations)
    failed = record_failure(settlement=settlement, reason="Short of units", by=in_aurora.operations)
    assert (failed.state, failed.failure_reason) == ("failed", "Short of units")
    assert settle_due(day=today() + datetime.timedelta(days=30)) == Settlement.objects.count() - 1

    again = retry(settlement=settlement, by=in_aurora.operations)
    assert again.state == "pending"
    assert again.expected_date > today()


def test_a_trade_that_is_reversed_settles_no_more_and_takes_its_exchange_with_it(
    in_aurora: Cast, queued, aurora, browse
):
    apple = models.security("Apple", currency="USD")
    portfolios.rates("USD", {0: "1.25"})
    model = models.published(in_aurora.manager, {apple: "0.5", models.security("Nestlé"): "0.5"})
    portfolio = make.portfolio(in_aurora, model)
    make.fill_all(make.sent(portfolio, in_aurora))
    make.run_market(queued)
    bought = Transaction.objects.get(type="buy", security=apple)

    reverse_entry(entry=bought, by=in_aurora.operations, text="Wrong price")

    settlement = Settlement.objects.get(allocation=bought.reference)
    assert (settlement.state, settlement.failure_reason) == ("reversed", "Wrong price")
    exchange = Transaction.objects.get(type="currency_exchange")
    assert exchange.reversed_by.text == "Wrong price"
    cash = {holding.currency: holding.quantity for holding in portfolio.holdings.filter(security=None)}
    other = Transaction.objects.get(type="buy", security__name="Nestlé")
    assert (cash["EUR"], cash.get("USD", D(0))) == (100_000 + other.net_amount, 0)
    with pytest.raises(DomainError, match="is reversed by now"):
        settle(settlement=settlement, by=in_aurora.operations)
    settle(settlement=Settlement.objects.get(allocation=other.reference), by=in_aurora.operations)
    assert settle_due(day=today() + datetime.timedelta(days=30)) == 0
    assert set(Order.objects.values_list("security__name", "state", "state_note")) == {
        ("Apple", "cancelled", "What was filled was reversed in the ledger."),
        ("Nestlé", "settled", ""),
    }
    assert Order.objects.get(security=apple).filled_quantity == bought.quantity
    cash = portfolio.holdings.get(security=None, currency="EUR")
    assert cash.quantity == cash.settled_quantity

    # One that had settled, and not on its day, reads reversed too, and keeps the day.
    reverse_entry(entry=other, by=in_aurora.operations, text="Not our client")
    kept = Settlement.objects.get(allocation=other.reference)
    assert (kept.state, kept.failure_reason, kept.settled_on) == ("reversed", "Not our client", today())
    cash = portfolio.holdings.get(security=None, currency="EUR")
    assert cash.quantity == cash.settled_quantity == 100_000
    page = browse(aurora, in_aurora.operations).get(
        reverse("trading:order_detail", args=[kept.allocation.order_id])
    )
    assert "Not our client had settled on" in text_of(page)


def settled(portfolio: Portfolio, what: str) -> tuple[Decimal, Decimal]:
    """Return how much of a security a portfolio holds by trade date, and how much has settled."""
    holding = portfolio.holdings.get(security__name=what)
    return holding.quantity, holding.settled_quantity


def test_settled_units_and_cash_follow_what_really_settled(in_aurora: Cast, queued):
    portfolio = make.portfolio(in_aurora, make.balanced(in_aurora.manager))
    make.fill_all(make.sent(portfolio, in_aurora))
    make.run_market(queued)
    apple, *others = Settlement.objects.order_by("allocation__order__number")
    name = str(apple.allocation.order.security)
    quantity = apple.allocation.quantity
    assert settled(portfolio, name) == (quantity, 0)

    # Delivered before its day: settled at once.
    settle(settlement=apple, by=in_aurora.operations)
    assert settled(portfolio, name) == (quantity, quantity)
    cash = portfolio.holdings.get(security=None)
    assert cash.settled_quantity == 100_000 + apple.allocation.net_amount
    assert cash.quantity == 100_000 + sum(a.net_amount for a in Allocation.objects.all())

    # Failed: the agreed day comes and goes, and nothing has settled.
    failed = record_failure(settlement=others[0], reason="Short of units", by=in_aurora.operations)
    later = max(each.expected_date for each in others) + datetime.timedelta(days=10)
    derived = derive_holdings([portfolio], later)[portfolio.pk]
    line = next(h for h in derived if h.security_id == failed.allocation.order.security_id)
    assert (line.quantity, line.settled_quantity) == (failed.allocation.quantity, 0)

    settle(settlement=retry(settlement=failed, by=in_aurora.operations), by=in_aurora.operations)
    assert settled(portfolio, str(failed.allocation.order.security)) == (failed.allocation.quantity,) * 2
