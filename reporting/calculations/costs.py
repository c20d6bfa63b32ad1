"""What managing a portfolio cost over a period, in money and in return (MiFID II delegated regulation, art. 50)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from portfolios.calculations.entries import ZERO, Entry, EntryType, standing_entries
from portfolios.calculations.returns import DailyValue, Figure, Reason, time_weighted_return

DAYS_PER_YEAR = 365


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Hold what a period cost in the portfolio's currency; refunds lower it.

    ``by_day`` is the sum of all three on each day that had any.
    """

    service: Decimal
    trading: Decimal
    taxes: Decimal
    by_day: Mapping[date, Decimal]

    @property
    def total(self) -> Decimal:
        """Return all of them together."""
        return self.service + self.trading + self.taxes


def costs_between(entries: Iterable[Entry], *, start: date, end: date) -> Costs:
    """Sum service fees, trading costs and taxes of the entries that stand, by trade date, both days included.

    Service fees are entries of their own; trading costs are the fees within purchases, sales and the
    like; taxes are entries of their own and those withheld within others.
    """
    service = trading = taxes = ZERO
    by_day: dict[date, Decimal] = {}
    for entry in standing_entries(entries):
        if not start <= entry.trade_date <= end:
            continue
        rate = entry.rate_to_portfolio
        fee = trade = ZERO
        tax = entry.taxes * rate
        if entry.type is EntryType.FEE:
            fee = -entry.net_amount * rate - tax
        elif entry.type is EntryType.TAX:
            tax = -entry.net_amount * rate
        else:
            trade = entry.fees * rate
        service, trading, taxes = service + fee, trading + trade, taxes + tax
        if fee + trade + tax:
            by_day[entry.trade_date] = by_day.get(entry.trade_date, ZERO) + fee + trade + tax
    return Costs(service=service, trading=trading, taxes=taxes, by_day=by_day)


def income_between(entries: Iterable[Entry], *, start: date, end: date) -> Decimal:
    """Sum dividends and interest before taxes and fees, in the portfolio's currency."""
    return sum(
        (
            (entry.net_amount + entry.fees + entry.taxes) * entry.rate_to_portfolio
            for entry in standing_entries(entries)
            if entry.type in (EntryType.DIVIDEND, EntryType.INTEREST) and start <= entry.trade_date <= end
        ),
        ZERO,
    )


def average_value(days: Sequence[DailyValue]) -> Figure:
    """Return the mean of the days' values; not available where one of them is not."""
    if not days:
        return Figure(value=None, reason=Reason.NO_DATA)
    values = [day.value for day in days]
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return Figure(value=None, reason=Reason.MISSING_VALUE)
    return Figure(value=sum(known, ZERO) / len(known))


def share_of(amount: Decimal, base: Figure) -> Figure:
    """Return an amount as a fraction of ``base``; not available where that is not above zero."""
    if base.value is None:
        return base
    if base.value <= 0:
        return Figure(value=None, reason=Reason.NO_CAPITAL)
    return Figure(value=amount / base.value)


def effect_on_return(
    days: Sequence[DailyValue], costs: Costs, *, opening_value: Decimal | None, opening_date: date | None
) -> Figure:
    """Return by how much all costs lowered the time-weighted return of ``days``, as a fraction.

    It is the return with every cost of ``costs`` added back on its day, less the return as it was.
    """
    net = time_weighted_return(days, opening_value=opening_value, opening_date=opening_date)
    before = time_weighted_return(
        [replace(day, fees=costs.by_day.get(day.date, ZERO)) for day in days],
        opening_value=opening_value,
        opening_date=opening_date,
        gross=True,
    )
    if net.value is None or before.value is None:
        return Figure(value=None, reason=net.reason or before.reason)
    return Figure(value=before.value - net.value)


def product_cost(rate: Decimal | None, base: Figure, *, days: int) -> Figure:
    """Estimate what the funds themselves took out of their prices: a yearly ``rate`` on the average value."""
    if rate is None:
        return Figure(value=None, reason=Reason.NO_DATA)
    if base.value is None:
        return base
    return Figure(value=base.value * rate * days / DAYS_PER_YEAR)
