"""Charts of portfolios and prices, with the same figures as tables."""

import datetime
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _

from accounts import formatting
from accounts.currencies import minor_units
from portfolios.models import Holding
from portfolios.services.benchmarks import Comparison
from portfolios.services.figures import Day

# Of fewer days a line says nothing: they are named.
FEWEST_DAYS = 3
# A table of a year's days by week end is long enough to read.
_TABLE_ROWS = 60


def _spread(rows: Sequence[Any]) -> list[Any]:
    """Return about ``_TABLE_ROWS`` of the rows, the last one always among them."""
    step = max(1, -(-len(rows) // _TABLE_ROWS))
    return list(reversed(rows[::-1][::step]))


def _lines_over(days: Iterable[datetime.date]) -> dict[str, Any]:
    """Return what the options of charts with lines over days share."""
    return {
        "tooltip": {"trigger": "axis"},
        "xAxis": {"type": "category", "data": [formatting.day(day) for day in days], "boundaryGap": False},
        "yAxis": {"type": "value", "scale": True},
        "grid": {"left": 8, "right": 28, "top": 32, "bottom": 8, "containLabel": True},
    }


def value_chart(days: Sequence[Day], currency: str) -> dict[str, Any]:
    """Return the value by day, with what clients paid in and out as its table's columns."""
    option = {
        "roboblock": {"format": "money", "currency": currency, "places": minor_units(currency)},
        **_lines_over(day.date for day in days),
        "series": [
            {
                "name": _("Value"),
                "type": "line",
                "showSymbol": len(days) == 1,
                "areaStyle": {"opacity": 0.12},
                "data": [None if day.value is None else day.value for day in days],
            }
        ],
    }
    rows = [
        (
            formatting.day(day.date),
            formatting.amount(day.value, currency),
            formatting.amount(day.inflow, currency),
            formatting.amount(day.outflow, currency),
        )
        for day in _spread(days)
    ]
    return {
        "title": f"{_('Value')} ({currency})",
        "option": _plain(option),
        "table": {"headers": [_("Date"), _("Value"), _("Inflow"), _("Outflow")], "rows": rows},
    }


def too_few(days: Sequence[Day]) -> list[Day]:
    """Return the days that have a value, where they are too few for a line; else nothing."""
    valued = [day for day in days if day.value is not None]
    return valued if len(valued) < FEWEST_DAYS else []


def return_chart(
    days: Sequence[Day],
    benchmark: Comparison | None,
    since: datetime.date,
    changes: Sequence[datetime.date] = (),
) -> dict[str, Any]:
    """Return the linked net return since the period's start, the benchmark beside it as a dashed line.

    ``changes`` are the days on which the manager changed; they are marked.
    """
    first = days[0].index if days and days[0].date <= since else Decimal(1)
    growth = [(day.date, None if day.value is None else day.index / first - 1) for day in days]
    series: list[dict[str, Any]] = [
        {
            "name": _("Portfolio, net"),
            "type": "line",
            "showSymbol": len(days) == 1,
            "data": [value for _day, value in growth],
        }
    ]
    if changes:
        series[0]["markLine"] = {
            "symbol": "none",
            "label": {"formatter": _("Change of manager")},
            "data": [{"xAxis": formatting.day(day)} for day in changes],
        }
    beside: list[Decimal | None] = []
    if benchmark is not None:
        last: Decimal | None = None
        for day in days:
            last = benchmark.by_day.get(day.date, last)
            beside.append(last)
        series.append(
            {
                "name": benchmark.name,
                "type": "line",
                "showSymbol": len(days) == 1,
                "lineStyle": {"type": "dashed"},
                "data": beside,
            }
        )
    option = {
        "roboblock": {"format": "percent"},
        "legend": {"show": benchmark is not None, "top": 0},
        **_lines_over(day.date for day in days),
        "series": series,
    }
    headers = [_("Date"), _("Portfolio, net"), *([benchmark.name] if benchmark else [])]
    figures = [
        (
            f"{formatting.day(day)} ({_('change of manager')})" if day in changes else formatting.day(day),
            formatting.signed_percent(value),
            *([formatting.signed_percent(beside[i])] if benchmark else []),
        )
        for i, (day, value) in enumerate(growth)
    ]
    return {"option": _plain(option), "table": {"headers": headers, "rows": _spread(figures)}}


def allocation_chart(
    holdings: Sequence[Holding], key: Callable[[Holding], str], heading: str, currency: str
) -> dict[str, Any]:
    """Return the weights by class or currency as bars, the heaviest first; unknown values stay out."""
    weights: dict[str, Decimal] = {}
    values: dict[str, Decimal] = {}
    for holding in holdings:
        if holding.weight is None or holding.market_value is None:
            continue
        name = key(holding)
        weights[name] = weights.get(name, Decimal(0)) + holding.weight
        values[name] = values.get(name, Decimal(0)) + holding.market_value
    listed = sorted(weights.items(), key=lambda item: item[1])
    option = {
        "roboblock": {"format": "percent"},
        "tooltip": {"trigger": "axis", "axisPointer": {"type": "shadow"}},
        "xAxis": {"type": "value", "min": 0},
        "yAxis": {"type": "category", "data": [name for name, _weight in listed]},
        "grid": {"left": 8, "right": 24, "top": 8, "bottom": 8, "containLabel": True},
        "series": [
            {
                "name": _("Weight"),
                "type": "bar",
                "barMaxWidth": 18,
                "data": [weight for _name, weight in listed],
            }
        ],
    }
    title = _("Asset class") if heading == "class" else _("Currency")
    rows = [
        (name, formatting.percent(weight, 1), formatting.amount(values[name], currency))
        for name, weight in reversed(listed)
    ]
    height = 40 + 34 * max(len(listed), 1)
    return {
        "option": _plain(option),
        "table": {"headers": [title, _("Weight"), _("Value")], "rows": rows},
        "height": height,
        "is_empty": not listed,
    }


def price_chart(points: Sequence[tuple[datetime.date, Decimal]], currency: str) -> dict[str, Any]:
    """Return closing prices by day."""
    option = {
        "roboblock": {"format": "money", "currency": currency},
        **_lines_over(day for day, _close in points),
        "series": [
            {
                "name": _("Close"),
                "type": "line",
                "showSymbol": len(points) == 1,
                "data": [close for _day, close in points],
            }
        ],
    }
    rows = [(formatting.day(day), formatting.price(close)) for day, close in _spread(points)]
    return {
        "title": f"{_('Closing price')} ({currency})",
        "option": _plain(option),
        "table": {"headers": [_("Date"), _("Close")], "rows": rows},
    }


def _plain(value: Any) -> Any:
    """Return an option whose figures are as JSON has them."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, Decimal):
        return round(float(value), 8)
    return value
