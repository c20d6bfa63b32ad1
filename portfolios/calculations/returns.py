"""Time-weighted returns of a portfolio from its daily values and flows.

Returns are fractions. A figure that cannot be had is None with a `Reason`, never 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum

from portfolios.calculations.entries import ONE, ZERO

DAYS_PER_YEAR = 365


class FlowTiming(StrEnum):
    """Whether money that moves on a day counts before or after that day's gain."""

    START = "start"
    END = "end"


class Reason(StrEnum):
    """Say why a figure is not available, or what to know about it."""

    NO_DATA = "no_data"
    MISSING_VALUE = "missing_value"
    CHAIN_CLOSED = "chain_closed"
    UNDER_ONE_YEAR = "under_one_year"
    NO_CAPITAL = "no_capital"
    NO_SIGN_CHANGE = "no_sign_change"
    NO_SOLUTION = "no_solution"
    SEVERAL_SOLUTIONS = "several_solutions"
    TOTAL_LOSS = "total_loss"
    TOO_FEW_RETURNS = "too_few_returns"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Hold a figure, or None and the reason why it is not available."""

    value: Decimal | None
    reason: Reason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyValue:
    """Hold a portfolio's value at the close of a day and what crossed its border that day.

    Flows and fees are positive amounts in the portfolio's currency; `fees` left the portfolio
    (they lower `value`) and are added back for a gross return. None is a value not available.
    """

    date: date
    value: Decimal | None
    inflow: Decimal = ZERO
    outflow: Decimal = ZERO
    fees: Decimal = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyReturn:
    """Hold a day's return, and the linked return since its chain began; None outside a chain."""

    date: date
    daily: Decimal | None
    cumulative: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Hold a stretch of days whose returns can be linked; `start` is the close before it."""

    start: date
    end: date
    value: Decimal | None
    reason: Reason | None = None

    @property
    def days(self) -> int:
        """Return the length in calendar days."""
        return (self.end - self.start).days


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeWeightedReturn:
    """Hold a linked return with the convention it was made by.

    `value` is None when a day's value is missing, or when the base went to zero or below in
    between, so that there are several chains; each of them is in `chains`.
    """

    start: date | None
    end: date | None
    is_gross: bool
    inflow_timing: FlowTiming
    outflow_timing: FlowTiming
    value: Decimal | None
    reason: Reason | None
    chains: tuple[Chain, ...]
    daily: tuple[DailyReturn, ...]

    @property
    def days(self) -> int:
        """Return the length in calendar days."""
        if self.start is None or self.end is None:
            return 0
        return (self.end - self.start).days

    @property
    def annualised(self) -> Figure:
        """Return the yearly return, available only at a year or more."""
        if self.value is None:
            return Figure(value=None, reason=self.reason)
        return annualise(self.value, days=self.days)


def link(returns: Iterable[Decimal | None]) -> Decimal | None:
    """Link returns geometrically; None when one of them is missing."""
    product = ONE
    for value in returns:
        if value is None:
            return None
        product *= ONE + value
    return product - ONE


def annualise(value: Decimal, *, days: int) -> Figure:
    """Return (1 + R)^(365 / days) − 1, available only from 365 days on (GIPS 2020)."""
    if days < DAYS_PER_YEAR:
        return Figure(value=None, reason=Reason.UNDER_ONE_YEAR)
    if value <= -ONE:
        return Figure(value=-ONE, reason=Reason.TOTAL_LOSS)
    return Figure(value=(ONE + value) ** (Decimal(DAYS_PER_YEAR) / days) - ONE)


def daily_return(
    opening: Decimal,
    day: DailyValue,
    *,
    gross: bool = False,
    inflow_timing: FlowTiming = FlowTiming.START,
    outflow_timing: FlowTiming = FlowTiming.END,
) -> Decimal | None:
    """Return one day's return on `opening`, the value at the close of the day before.

    Flows at the start belong to the base, flows at the end are taken out of the result.
    None when the value is missing or the base is zero or below.
    """
    base, result = opening, day.value
    if result is None:
        return None
    if inflow_timing is FlowTiming.START:
        base += day.inflow
    else:
        result -= day.inflow
    if outflow_timing is FlowTiming.START:
        base -= day.outflow
    else:
        result += day.outflow
    if gross:
        result += day.fees
    return None if base <= 0 else result / base - ONE


def time_weighted_return(
    days: Sequence[DailyValue],
    *,
    opening_value: Decimal | None = ZERO,
    opening_date: date | None = None,
    gross: bool = False,
    inflow_timing: FlowTiming = FlowTiming.START,
    outflow_timing: FlowTiming = FlowTiming.END,
) -> TimeWeightedReturn:
    """Link the daily returns of `days`, which are in order of date.

    `opening_value` is the value at the close of `opening_date`, by default nothing on the day
    before the first: a return since inception. A zero or negative base closes the chain; the
    next positive base opens a new one. Inflows count at the start and outflows at the end of the
    day unless said otherwise.
    """
    if not days:
        return TimeWeightedReturn(
            start=None,
            end=None,
            is_gross=gross,
            inflow_timing=inflow_timing,
            outflow_timing=outflow_timing,
            value=None,
            reason=Reason.NO_DATA,
            chains=(),
            daily=(),
        )
    start = opening_date or days[0].date - timedelta(days=1)
    chains: list[Chain] = []
    points: list[DailyReturn] = []
    opening, before = opening_value, start
    growth: Decimal | None = None
    chain_start = start
    has_gap = opening is None
    for day in days:
        change = (
            None
            if opening is None
            else daily_return(
                opening,
                day,
                gross=gross,
                inflow_timing=inflow_timing,
                outflow_timing=outflow_timing,
            )
        )
        if change is not None:
            if growth is None:
                growth, chain_start = ONE, before
            growth *= ONE + change
            points.append(DailyReturn(date=day.date, daily=change, cumulative=growth - ONE))
        else:
            has_gap = has_gap or day.value is None
            if growth is not None:
                chains.append(Chain(start=chain_start, end=before, value=growth - ONE))
                growth = None
            points.append(DailyReturn(date=day.date, daily=None, cumulative=None))
        opening, before = day.value, day.date
    if growth is not None:
        chains.append(Chain(start=chain_start, end=before, value=growth - ONE))
    reason = None
    if has_gap:
        reason = Reason.MISSING_VALUE
    elif not chains:
        reason = Reason.NO_CAPITAL
    elif len(chains) > 1:
        reason = Reason.CHAIN_CLOSED
    return TimeWeightedReturn(
        start=chains[0].start if chains else start,
        end=chains[-1].end if chains else before,
        is_gross=gross,
        inflow_timing=inflow_timing,
        outflow_timing=outflow_timing,
        value=chains[0].value if reason is None else None,
        reason=reason,
        chains=tuple(chains),
        daily=tuple(points),
    )
