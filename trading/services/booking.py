"""Expect settlement of allocations and book their trades, at the party that settles."""

from collections.abc import Sequence

from django.db import transaction

from accounts.currencies import rounded
from accounts.errors import DomainError
from accounts.models import User
from clients.duties import Duty
from portfolios.duties import performed
from portfolios.models import Portfolio, Transaction
from portfolios.services import book
from trading.models import Allocation, Settlement


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


def book_fills(allocations: Sequence[Allocation]) -> int:
    """Settle and book fills; one that its ledger refuses stops no other and says why. Return how many are booked."""
    try:
        with transaction.atomic():
            settle_and_book(allocations, by=None)
    except DomainError:
        return sum(_book_or_note(each) for each in allocations)
    return len(allocations)


def _book_or_note(allocation: Allocation) -> bool:
    problem = ""
    try:
        with transaction.atomic():
            settle_and_book([allocation], by=None)
    except DomainError as error:
        problem = str(error.message)[:200]
    if allocation.booking_problem != problem:
        allocation.booking_problem = problem
        allocation.save(update_fields=["booking_problem"])
    return not problem


@transaction.atomic
def book_unbooked() -> int:
    """Book the fills whose ledger had refused them and has been put right since; return how many."""
    fills = (
        Allocation.objects.refused_by_ledger()
        .select_for_update(of=("self",), skip_locked=True)
        .select_related("portfolio__mandate", "order__security")
        .order_by("created_at", "pk")
    )
    ours = {each.pk for each in performed(Duty.SETTLEMENT, {fill.portfolio for fill in fills})}
    return sum(_book_or_note(fill) for fill in fills if fill.portfolio_id in ours)


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
