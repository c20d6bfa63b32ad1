"""Lay a benchmark beside a portfolio, in the portfolio's currency."""

import bisect
import datetime
import uuid
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from portfolios.calculations.valuation import cross_rate
from portfolios.models import Benchmark, BenchmarkValue, Portfolio
from portfolios.services.market import load_rates

NONE = "none"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A benchmark over a period: its growth by day since the first close, and in total."""

    pk: uuid.UUID
    name: str
    start: datetime.date | None
    end: datetime.date | None
    total: Decimal | None
    note: str
    by_day: dict[datetime.date, Decimal]


def benchmarks_for(_portfolio: Portfolio) -> QuerySet[Benchmark]:
    """Return the benchmarks that may be laid beside a portfolio."""
    return Benchmark.objects.current().order_by("name")


def compare(
    portfolio: Portfolio, wanted: str, model: Any, since: datetime.date, until: datetime.date
) -> Comparison | None:
    """Return the benchmark that the URL asks for by id, else that of the model; None for "none"."""
    if wanted == NONE:
        return None
    benchmark = _benchmark(wanted) or (model.benchmark if model is not None else None)
    if benchmark is None:
        return None
    values = BenchmarkValue.objects.current().filter(benchmark=benchmark, date__lte=until)
    opening = values.filter(date__lte=since).order_by("-date").values_list("date", flat=True).first()
    if opening is not None:
        values = values.filter(date__gte=opening)
    levels = list(values.order_by("date").values_list("date", "level"))
    converted = _convert(levels, benchmark.currency, portfolio.currency)
    if not converted:
        return Comparison(benchmark.pk, benchmark.name, None, None, None, _("No level in this period."), {})
    start, first = converted[0]
    by_day = {day: level / first - 1 for day, level in converted}
    note = "" if opening is not None else _("Levels begin within the period.")
    return Comparison(
        benchmark.pk, benchmark.name, start, converted[-1][0], converted[-1][1] / first - 1, note, by_day
    )


def _benchmark(wanted: str) -> Benchmark | None:
    try:
        key = uuid.UUID(wanted)
    except ValueError:
        return None
    found: Benchmark | None = Benchmark.objects.current().filter(pk=key).first()
    return found


def _convert(
    levels: list[tuple[datetime.date, Decimal]], source: str, target: str
) -> list[tuple[datetime.date, Decimal]]:
    if source == target or not levels:
        return levels
    rates = load_rates([source, target], since=levels[0][0], until=levels[-1][0])
    converted = []
    for day, level in levels:
        per_euro = {code: rate for code, known in rates.items() if (rate := _as_of(known, day)) is not None}
        rate = cross_rate(per_euro, from_currency=source, to_currency=target)
        if rate is not None:
            converted.append((day, level * rate))
    return converted


def _as_of(known: list[tuple[datetime.date, Decimal]], day: datetime.date) -> Decimal | None:
    at = bisect.bisect_right(known, (day, Decimal("Infinity")))
    return known[at - 1][1] if at else None
