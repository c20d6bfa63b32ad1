"""Expect settlement of allocations and book their trades, at the party that settles."""

from collections.abc import Sequence

from accounts.models import User
from portfolios.models import Portfolio, Transaction
from portfolios.services import book
from trading.models import Allocation, Settlement
from trading.services.policy import rounded


def settle_and_book(allocations: Sequence[Allocation], *, by: User | None) -> None:
    """Expect settlement and book the trades of allocations that this institution settles.

    The ledger carries the contractual settlement date; whether and when delivery happened is the
    settlement's own state, which settled cash and positions follow.
    """
    Settlement.objects.bulk_create(
        Settlement(allocation=each, portfolio=each.portfolio, expected_date=each.settlement_date)
        for each in allocations
    )
    book(entries=[entry for each in allocations for entry in _entries(each)], by=by)


def _entries(allocation: Allocation) -> list[Transaction]:
    """Return the trade, and the currency exchange that pays for it or changes its proceeds."""
    portfolio: Portfolio = allocation.portfolio
    is_buy = allocation.net_amount < 0
    trade = Transaction(
        portfolio=portfolio,
        type=Transaction.Type.BUY if is_buy else Transaction.Type.SELL,
        trade_date=allocation.trade_date,
        settlement_date=allocation.settlement_date,
        security=allocation.order.security,
        quantity=allocation.quantity if is_buy else -allocation.quantity,
        price=allocation.price,
        currency=allocation.currency,
        gross_amount=allocation.gross_amount,
        fees=allocation.fees,
        net_amount=allocation.net_amount,
        exchange_rate=allocation.exchange_rate,
        reference=allocation.pk,
        text=allocation.order.number,
    )
    if allocation.currency == portfolio.currency:
        return [trade]
    # Cash is kept in the portfolio's currency: the foreign amount comes and goes the same day.
    exchange = Transaction(
        portfolio=portfolio,
        type=Transaction.Type.CURRENCY_EXCHANGE,
        trade_date=allocation.trade_date,
        settlement_date=allocation.settlement_date,
        currency=allocation.currency,
        gross_amount=abs(allocation.net_amount),
        net_amount=-allocation.net_amount,
        exchange_rate=allocation.exchange_rate,
        counter_currency=portfolio.currency,
        counter_amount=rounded(allocation.net_amount * allocation.exchange_rate, portfolio.currency),
        reference=allocation.pk,
        text=allocation.order.number,
    )
    return [exchange, trade] if is_buy else [trade, exchange]
