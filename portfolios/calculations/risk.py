"""Volatility and drawdown of a series of returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from portfolios.calculations.entries import ONE, ZERO
from portfolios.calculations.returns import Reason


class Frequency(StrEnum):
    """How far apart the returns lie that a figure of risk is worked out from."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


PERIODS_PER_YEAR = {Frequency.DAILY: 252, Frequency.WEEKLY: 52, Frequency.MONTHLY: 12}


@dataclass(frozen=True, slots=True, kw_only=True)
class Volatility:
    """Hold a volatility a year with the frequency and the factor it was made by."""

    value: Decimal | None
    frequency: Frequency
    periods_per_year: int
    observations: int
    reason: Reason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawdown:
    """Hold the deepest fall from a peak, as a positive fraction of the peak.

    `recovered` is the first day at or above the peak again, None while it is not.
    """

    depth: Decimal
    peak: date
    trough: date
    recovered: date | None


def volatility(returns: Sequence[Decimal], *, frequency: Frequency) -> Volatility:
    """Return the sample standard deviation of `returns` × √(periods a year)."""
    periods = PERIODS_PER_YEAR[frequency]
    count = len(returns)
    value: Decimal | None = None
    if count > 1:
        mean = sum(returns, ZERO) / count
        variance = sum(((r - mean) ** 2 for r in returns), ZERO) / (count - 1)
        value = (variance * periods).sqrt()
    return Volatility(
        value=value,
        frequency=frequency,
        periods_per_year=periods,
        observations=count,
        reason=Reason.TOO_FEW_RETURNS if value is None else None,
    )


def max_drawdown(cumulative: Sequence[tuple[date, Decimal]]) -> Drawdown | None:
    """Return the deepest drawdown of linked returns by day (0.1 is +10 % since the start).

    None for an empty series. Daily closes: a fall within a day is not seen.
    """
    if not cumulative:
        return None
    peak_day, peak = cumulative[0][0], ONE + cumulative[0][1]
    worst = Drawdown(depth=ZERO, peak=peak_day, trough=peak_day, recovered=peak_day)
    worst_peak = peak
    for day, value in cumulative:
        level = ONE + value
        if worst.recovered is None and level >= worst_peak:
            worst = Drawdown(depth=worst.depth, peak=worst.peak, trough=worst.trough, recovered=day)
        if level >= peak:
            peak_day, peak = day, level
            continue
        depth = ONE - level / peak if peak > 0 else ZERO
        if depth > worst.depth:
            worst = Drawdown(depth=depth, peak=peak_day, trough=day, recovered=None)
            worst_peak = peak
    return worst
