"""Value many portfolios on many days at once, exactly.

All arithmetic is on scaled integers in NumPy arrays of Python integers: as fast as a batch needs,
and the same to the last digit as the plain Decimal way (``portfolios.calculations.valuation``).
"""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from portfolios.calculations.entries import ExternalFlow, Key
from portfolios.calculations.timeline import Step, Timeline

QUANTITY_PLACES, UNIT_VALUE_PLACES = 8, 20
MONEY_PLACES, INDEX_PLACES = 4, 12
_TO_MONEY = 10 ** (QUANTITY_PLACES + UNIT_VALUE_PLACES - MONEY_PLACES)
INDEX_ONE = 10**INDEX_PLACES


def scaled(value: Decimal, places: int) -> int:
    """Return ``value`` × 10^places as a whole number, rounded half to even."""
    with localcontext(prec=60):
        return int(value.scaleb(places).to_integral_value())


def rounded_quotient(numerator: int, denominator: int) -> int:
    """Return numerator / denominator (above zero) as a whole number, rounded half to even."""
    quotient, rest = divmod(numerator, denominator)
    if 2 * rest > denominator or (2 * rest == denominator and quotient & 1):
        quotient += 1
    return quotient


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitValues:
    """Hold the value of one unit in a portfolio's currency on each day of a calendar.

    ``values`` are scaled by ``UNIT_VALUE_PLACES``, 0 where not available; the three masks say on
    which days it is not available, old, or simulated.
    """

    name: str
    values: NDArray[np.object_]
    is_missing: NDArray[np.bool_]
    is_stale: NDArray[np.bool_]
    is_simulated: NDArray[np.bool_]
    reason: str = ""


@dataclass(slots=True, kw_only=True)
class DailyValues:
    """Hold one portfolio's days: scaled by ``MONEY_PLACES`` and ``INDEX_PLACES``; None: not available."""

    days: list[date]
    values: list[int | None]
    cash_values: list[int | None]
    inflows: list[int]
    outflows: list[int]
    fees: list[int]
    indices: list[int]
    gross_indices: list[int]
    problems: list[str]
    is_simulated: list[bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """Hold the close of the day before the first: value scaled by ``MONEY_PLACES``, chained indices."""

    value: int | None = 0
    index: int = INDEX_ONE
    gross_index: int = INDEX_ONE


def value_days(
    timeline: Timeline,
    flows: Sequence[ExternalFlow],
    *,
    calendar: Sequence[date],
    days: Sequence[int],
    securities: Mapping[Key, UnitValues],
    currencies: Mapping[str, UnitValues],
    opening: Opening,
) -> DailyValues:
    """Value a portfolio on ``days``, which are positions in ``calendar``, and chain its returns.

    Inflows count at the start of the day and outflows at the end; a day whose base is zero or
    below, or whose value or opening is not available, leaves the index where it was (GIPS 2020:
    the chain closes, the next positive base opens a new one).
    """
    first, count = days[0], days[-1] + 1 - days[0]
    window = calendar[first : first + count]
    total = np.zeros(count, dtype=object)
    cash = np.zeros(count, dtype=object)
    simulated = np.zeros(count, dtype=bool)
    missing: dict[int, list[str]] = {}
    missing_cash: set[int] = set()
    stale: dict[int, list[str]] = {}
    for security, steps in timeline.securities.items():
        unit = securities[security]
        for start, end, held in _segments(steps, window):
            quantity = scaled(held, QUANTITY_PLACES)
            _add(unit, first, start, end, quantity, total)
            _note(unit, first, start, end, missing, stale)
            simulated[start:end] |= unit.is_simulated[first + start : first + end]
    for currency, steps in timeline.cash.items():
        unit = currencies[currency]
        for start, end, held in _segments(steps, window):
            _add(unit, first, start, end, scaled(held, QUANTITY_PLACES), cash)
            _note(unit, first, start, end, missing, stale)
            if unit.is_missing.any():
                gaps = np.flatnonzero(unit.is_missing[first + start : first + end])
                missing_cash.update(int(start + i) for i in gaps)
    chosen = [position - first for position in days]
    totals, cashes = (total + cash).tolist(), cash.tolist()
    return _chain(
        [window[i] for i in chosen],
        [None if i in missing else rounded_quotient(totals[i], _TO_MONEY) for i in chosen],
        [None if i in missing_cash else rounded_quotient(cashes[i], _TO_MONEY) for i in chosen],
        flows,
        opening,
        problems=[_problem(missing.get(i), stale.get(i)) for i in chosen],
        is_simulated=simulated[chosen].tolist(),
    )


def _segments(steps: Sequence[Step], window: Sequence[date]) -> list[tuple[int, int, Decimal]]:
    """Return (from, to, held) as positions in the window, for what is held at all."""
    starts = [bisect.bisect_left(window, day) for day, _held in steps]
    ends = [*starts[1:], len(window)]
    return [
        (start, end, held)
        for (_day, held), start, end in zip(steps, starts, ends, strict=True)
        if start < end and held
    ]


def _add(unit: UnitValues, first: int, start: int, end: int, quantity: int, into: NDArray[Any]) -> None:
    into[start:end] += unit.values[first + start : first + end] * quantity


def _note(
    unit: UnitValues,
    first: int,
    start: int,
    end: int,
    missing: dict[int, list[str]],
    stale: dict[int, list[str]],
) -> None:
    for mask, notes, text in (
        (unit.is_missing, missing, unit.reason or unit.name),
        (unit.is_stale, stale, unit.name),
    ):
        for i in np.flatnonzero(mask[first + start : first + end]):
            notes.setdefault(int(start + i), []).append(text)


def _problem(missing: list[str] | None, stale: list[str] | None) -> str:
    if missing:
        return "; ".join(missing)[:200]
    if stale:
        return f"Stale price: {', '.join(stale)}"[:200]
    return ""


def _chain(
    days: list[date],
    values: list[int | None],
    cash_values: list[int | None],
    flows: Sequence[ExternalFlow],
    opening: Opening,
    *,
    problems: list[str],
    is_simulated: list[bool],
) -> DailyValues:
    by_day = {flow.date: flow for flow in flows}
    inflows: list[int] = []
    outflows: list[int] = []
    fees: list[int] = []
    indices: list[int] = []
    gross_indices: list[int] = []
    before, index, gross_index = opening.value, opening.index, opening.gross_index
    for day, value in zip(days, values, strict=True):
        flow = by_day.get(day)
        inflow = outflow = fee = 0
        if flow is not None:
            inflow, outflow, fee = (
                scaled(amount, MONEY_PLACES) for amount in (flow.inflow, flow.outflow, flow.fees)
            )
        if before is not None and value is not None and before + inflow > 0:
            base = before + inflow
            index = rounded_quotient(index * (value + outflow), base)
            gross_index = rounded_quotient(gross_index * (value + outflow + fee), base)
        inflows.append(inflow)
        outflows.append(outflow)
        fees.append(fee)
        indices.append(index)
        gross_indices.append(gross_index)
        before = value
    return DailyValues(
        days=days,
        values=values,
        cash_values=cash_values,
        inflows=inflows,
        outflows=outflows,
        fees=fees,
        indices=indices,
        gross_indices=gross_indices,
        problems=problems,
        is_simulated=is_simulated,
    )
