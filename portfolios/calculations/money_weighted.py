"""Money-weighted returns: Modified Dietz and XIRR."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import numpy as np
import pyxirr
from numpy.typing import NDArray

from portfolios.calculations.entries import ONE, ZERO
from portfolios.calculations.returns import DAYS_PER_YEAR, Figure, FlowTiming, Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class CashFlow:
    """Hold a dated amount. Its sign is that of the formula it goes into."""

    date: date
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyWeightedReturn:
    """Hold a money-weighted return a year and for the period, or the reason why there is none.

    With several solutions `reason` says so, `solutions` lists them, and `annual` is the one
    nearest to zero.
    """

    annual: Decimal | None
    period: Decimal | None
    days: int
    reason: Reason | None = None
    solutions: tuple[Decimal, ...] = ()


def modified_dietz(
    *,
    begin_value: Decimal,
    end_value: Decimal,
    flows: Sequence[CashFlow],
    start: date,
    end: date,
    timing: FlowTiming = FlowTiming.END,
) -> Figure:
    """Return (E − B − ΣF) / (B + Σ w·F); inflows are positive, outflows negative.

    `start` is the day of B's close and T the days to `end`; a flow t days in weighs (T − t) / T
    at the end of its day, (T − t + 1) / T at the start. Average capital of zero or below is not
    meaningful. Raises ValueError for a flow outside the period.
    """
    length = (end - start).days
    if length <= 0:
        raise ValueError("The period needs at least one day.")
    total, capital = ZERO, begin_value
    for flow in flows:
        offset = (flow.date - start).days
        if not 0 <= offset <= length or (timing is FlowTiming.START and not offset):
            raise ValueError(f"The flow of {flow.date} is outside the period.")
        days_inside = length - offset + (1 if timing is FlowTiming.START else 0)
        total += flow.amount
        capital += flow.amount * days_inside / length
    if capital <= 0:
        return Figure(value=None, reason=Reason.NO_CAPITAL)
    return Figure(value=(end_value - begin_value - total) / capital)


def money_weighted_return(flows: Sequence[CashFlow]) -> MoneyWeightedReturn:
    """Solve Σ CF·(1 + r)^(−days/365) = 0; what the client pays in is negative.

    The last flow is the value at the end, also when that is zero: everything lost is −1.
    """
    if not flows:
        return MoneyWeightedReturn(annual=None, period=None, days=0, reason=Reason.NO_DATA)
    ordered = sorted(flows, key=lambda flow: flow.date)
    days = (ordered[-1].date - ordered[0].date).days
    amounts = [float(flow.amount) for flow in ordered]
    has_in, has_out = min(amounts) < 0, max(amounts) > 0
    if has_in and not has_out and ordered[-1].amount == 0 and days:
        return MoneyWeightedReturn(annual=-ONE, period=-ONE, days=days, reason=Reason.TOTAL_LOSS)
    if not (has_in and has_out):
        return MoneyWeightedReturn(annual=None, period=None, days=days, reason=Reason.NO_SIGN_CHANGE)
    if not days:
        return MoneyWeightedReturn(annual=None, period=None, days=days, reason=Reason.TOO_FEW_RETURNS)
    roots = _solutions(ordered, amounts)
    if not roots:
        return MoneyWeightedReturn(annual=None, period=None, days=days, reason=Reason.NO_SOLUTION)
    solutions = tuple(Decimal(repr(root)) for root in sorted(roots))
    annual = min(solutions, key=abs)
    return MoneyWeightedReturn(
        annual=annual,
        period=(ONE + annual) ** (Decimal(days) / DAYS_PER_YEAR) - ONE,
        days=days,
        reason=Reason.SEVERAL_SOLUTIONS if len(solutions) > 1 else None,
        solutions=solutions,
    )


def _solutions(ordered: Sequence[CashFlow], amounts: list[float]) -> list[float]:
    dates = [flow.date for flow in ordered]
    signs = [amount > 0 for amount in amounts if amount]
    changes = sum(before != after for before, after in itertools.pairwise(signs))
    if changes == 1:
        root = pyxirr.xirr(dates, amounts)
        if root is not None and np.isfinite(root):
            return [root]
    return _scan(dates, amounts)


def _scan(dates: Sequence[date], amounts: list[float]) -> list[float]:
    """Find every solution between 1 + r = 1e-8 and 1e6 by its change of sign."""
    years = np.array([(day - dates[0]).days / DAYS_PER_YEAR for day in dates])
    money = np.array(amounts)
    grid = np.linspace(np.log(1e-8), np.log(1e6), 4001)
    worth = _worth(grid, years, money)
    roots: list[float] = []
    for i in np.flatnonzero(np.sign(worth[:-1]) * np.sign(worth[1:]) < 0):
        low, high = grid[i], grid[i + 1]
        sign_low = np.sign(worth[i])
        for _ in range(80):
            middle = (low + high) / 2
            if np.sign(_worth(np.array([middle]), years, money)[0]) == sign_low:
                low = middle
            else:
                high = middle
        roots.append(float(np.expm1((low + high) / 2)))
    roots += [float(np.expm1(x)) for x, y in zip(grid, worth, strict=True) if y == 0]
    return roots


def _worth(
    logs: NDArray[np.float64], years: NDArray[np.float64], money: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return a multiple of the present value for each log(1 + r), scaled so as not to overflow.

    Valued at the end for negative rates and at the start for positive ones: same sign, same zero.
    """
    shift = np.where(logs < 0, years[-1], 0.0)
    exponent = -logs[:, None] * (years[None, :] - shift[:, None])
    return np.asarray(np.exp(exponent) @ money, dtype=np.float64)
