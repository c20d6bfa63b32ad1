"""Returns and other figures of portfolios over a period, from their stored valuations."""

import datetime
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db import connection
from django.utils.translation import gettext_lazy as _

from portfolios.calculations.money_weighted import CashFlow, MoneyWeightedReturn, money_weighted_return
from portfolios.calculations.returns import Reason
from portfolios.models import Portfolio, Valuation

REASONS = {
    Reason.NO_DATA: _("No value in this period yet."),
    Reason.MISSING_VALUE: _("A value in this period is not available."),
    Reason.CHAIN_CLOSED: _("The portfolio was empty in between."),
    Reason.UNDER_ONE_YEAR: _("Shown a year only from one year on."),
    Reason.NO_CAPITAL: _("Nothing was invested in this period."),
    Reason.NO_SIGN_CHANGE: _("Money only went in, or only came out."),
    Reason.NO_SOLUTION: _("There is no rate that explains these flows."),
    Reason.SEVERAL_SOLUTIONS: _("Several rates explain these flows; the one nearest to zero is shown."),
    Reason.TOTAL_LOSS: _("Everything was lost."),
    Reason.TOO_FEW_RETURNS: _("There are too few days."),
}


@dataclass(frozen=True, slots=True)
class PeriodReturn:
    """A portfolio's linked return over a period; None for ``reason``.

    ``start`` is the close it counts from: that of the period, or the day before the opening.
    """

    net: Decimal | None
    gross: Decimal | None
    start: datetime.date | None
    end: datetime.date | None
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Day:
    """One stored valuation."""

    date: datetime.date
    value: Decimal | None
    inflow: Decimal
    outflow: Decimal
    fees: Decimal
    index: Decimal
    gross_index: Decimal
    problem: str
    is_simulated: bool


_DAY_FIELDS = (
    "date", "market_value", "inflow", "outflow", "fees", "return_index", "gross_return_index", "problem",
    "has_simulated_prices",
)  # fmt: skip


def load_days(portfolio: Portfolio, since: datetime.date, until: datetime.date) -> list[Day]:
    """Return the valuations from the close of ``since``, or the last one before it, to that of ``until``."""
    rows = Valuation.objects.current().filter(portfolio=portfolio, date__lte=until)
    opening = rows.filter(date__lte=since).order_by("-date").values_list("date", flat=True).first()
    if opening is not None:
        rows = rows.filter(date__gte=opening)
    return [Day(*values) for values in rows.order_by("date").values_list(*_DAY_FIELDS)]


def return_over(days: Sequence[Day], since: datetime.date) -> PeriodReturn:
    """Return the linked return over ``days`` as ``load_days`` gives them.

    From the close of ``since``; where the days begin later, from the close before their first value,
    so that the first day counts with what was paid in at its start. Days without a value at the
    beginning and at the end are no part of it.
    """
    if not days:
        return PeriodReturn(None, None, None, None, Reason.NO_DATA)
    has_opening = days[0].date <= since
    start, end = _span(days, has_opening)
    reason = _gap([(day.date, day.value) for day in days])
    if reason is not None:
        return PeriodReturn(None, None, start, end, reason)
    first, gross_first = (days[0].index, days[0].gross_index) if has_opening else (Decimal(1), Decimal(1))
    return PeriodReturn(days[-1].index / first - 1, days[-1].gross_index / gross_first - 1, start, end)


def _span(days: Sequence[Day], has_opening: bool) -> tuple[datetime.date, datetime.date]:
    invested = [i for i, day in enumerate(days) if day.value is None or day.value > 0] or [0, len(days) - 1]
    first, last = invested[0], min(invested[-1] + 1, len(days) - 1)
    start = days[first].date
    return start if has_opening and first == 0 else start - datetime.timedelta(days=1), days[last].date


def _gap(values: Sequence[tuple[datetime.date, Decimal | None]]) -> Reason | None:
    if any(value is None for _day, value in values):
        return Reason.MISSING_VALUE
    positive = [day for day, value in values if value is not None and value > 0]
    if not positive:
        return Reason.NO_CAPITAL
    empty = any(
        value is not None and value <= 0 and positive[0] < day < positive[-1] for day, value in values
    )
    return Reason.CHAIN_CLOSED if empty else None


def money_weighted_over(days: Sequence[Day], since: datetime.date) -> MoneyWeightedReturn:
    """Return the money-weighted return over ``days``: the opening value and each flow at its date."""
    if not days or days[-1].value is None:
        return MoneyWeightedReturn(annual=None, period=None, days=0, reason=Reason.NO_DATA)
    flows: list[CashFlow] = []
    rest = days
    if days[0].date <= since:
        if days[0].value is None:
            return MoneyWeightedReturn(annual=None, period=None, days=0, reason=Reason.MISSING_VALUE)
        flows.append(CashFlow(date=days[0].date, amount=-days[0].value))
        rest = days[1:]
    flows += [
        CashFlow(date=day.date, amount=day.outflow - day.inflow) for day in rest if day.inflow or day.outflow
    ]
    flows = [flow for flow in flows if flow.amount]
    return money_weighted_return([*flows, CashFlow(date=days[-1].date, amount=days[-1].value)])


def period_returns(
    portfolio_ids: Collection[uuid.UUID], since: datetime.date, until: datetime.date
) -> dict[uuid.UUID, PeriodReturn]:
    """Return the returns of many portfolios over one period, in one query."""
    if not portfolio_ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT wanted.id, opening.date, opening.return_index, opening.gross_return_index, opening.market_value,
                closing.date, closing.return_index, closing.gross_return_index,
                without.gap, first.date, last.date, without.empty
            FROM unnest(%(ids)s::uuid[]) AS wanted(id)
            LEFT JOIN LATERAL (
                SELECT date, return_index, gross_return_index, market_value FROM portfolios_valuation v
                WHERE v.portfolio_id = wanted.id AND v.date <= %(since)s ORDER BY v.date DESC LIMIT 1
            ) opening ON TRUE
            LEFT JOIN LATERAL (
                SELECT date, return_index, gross_return_index FROM portfolios_valuation v
                WHERE v.portfolio_id = wanted.id AND v.date <= %(until)s ORDER BY v.date DESC LIMIT 1
            ) closing ON TRUE
            LEFT JOIN LATERAL (
                SELECT bool_or(v.market_value IS NULL) AS gap,
                    array_agg(v.date) FILTER (WHERE v.market_value <= 0) AS empty
                FROM portfolios_valuation v
                WHERE v.portfolio_id = wanted.id AND v.date <= %(until)s
                    AND v.date >= coalesce(opening.date, '-infinity'::date)
                    AND (v.market_value IS NULL OR v.market_value <= 0)
            ) without ON TRUE
            LEFT JOIN LATERAL (
                SELECT v.date FROM portfolios_valuation v
                WHERE v.portfolio_id = wanted.id AND v.date <= %(until)s
                    AND v.date >= coalesce(opening.date, '-infinity'::date) AND v.market_value > 0
                ORDER BY v.date LIMIT 1
            ) first ON TRUE
            LEFT JOIN LATERAL (
                SELECT v.date FROM portfolios_valuation v
                WHERE v.portfolio_id = wanted.id AND v.date <= %(until)s
                    AND v.date >= coalesce(opening.date, '-infinity'::date) AND v.market_value > 0
                ORDER BY v.date DESC LIMIT 1
            ) last ON TRUE
            """,
            {"ids": list(portfolio_ids), "since": since, "until": until},
        )
        return {row[0]: _period_return(*row[1:]) for row in cursor.fetchall()}


def _period_return(
    start: datetime.date | None,
    start_index: Decimal | None,
    start_gross: Decimal | None,
    _start_value: Decimal | None,
    end: datetime.date | None,
    end_index: Decimal | None,
    end_gross: Decimal | None,
    has_gap: bool | None,
    first: datetime.date | None,
    last: datetime.date | None,
    empty: list[datetime.date] | None,
) -> PeriodReturn:
    if end is None or end_index is None or end_gross is None:
        return PeriodReturn(None, None, start, end, Reason.NO_DATA)
    reason = None
    if has_gap:
        reason = Reason.MISSING_VALUE
    elif first is None or last is None:
        reason = Reason.NO_CAPITAL
    elif any(first < day < last for day in empty or ()):
        reason = Reason.CHAIN_CLOSED
    if reason is not None:
        return PeriodReturn(None, None, start, end, reason)
    return PeriodReturn(
        end_index / (start_index or Decimal(1)) - 1, end_gross / (start_gross or Decimal(1)) - 1, start, end
    )
