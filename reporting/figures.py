"""Gather the figures of a report as they stand: values, returns, costs, holdings and transactions.

Nothing is worded here. A figure that cannot be had is None with a reason, never 0. All amounts are in
the portfolio's currency unless a currency stands beside them.
"""

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from django.utils.translation import gettext as _

from accounts.errors import DomainError
from models_portfolio.models import ModelAssignment
from portfolios.calculations.entries import ZERO
from portfolios.calculations.money_weighted import CashFlow, MoneyWeightedReturn, money_weighted_return
from portfolios.calculations.returns import DailyValue, Figure, Reason, annualise
from portfolios.models import BenchmarkValue, Handover, Portfolio
from portfolios.services.entries import load_entries
from portfolios.services.figures import Day, PeriodReturn, load_days, return_over
from reporting.calculations.costs import (
    Costs,
    average_value,
    costs_between,
    effect_on_return,
    income_between,
    product_cost,
    share_of,
)
from reporting.lines import HoldingLine, Share, TransactionLine, allocation_of, holdings_of, transactions_of

DAYS_PER_YEAR = 365
# A benchmark's level may be this many days older than the day it stands for.
BENCHMARK_DAYS = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Returns:
    """A return over the period, since inception and a year since inception; only the latter is annualised."""

    key: str
    period: Figure
    since_inception: Figure
    annualised: Figure
    name: str = ""
    currency: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeOfManager:
    """A handover: the net return before it, since a day, and the chain of that with the return since."""

    day: datetime.date
    since: datetime.date | None
    before: Figure
    chained: Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class CostLine:
    """A kind of cost in money and as a fraction of the average value."""

    key: str
    amount: Figure
    share: Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """All figures of one statement."""

    currency: str
    period_from: datetime.date
    period_to: datetime.date
    inception: datetime.date
    opening_date: datetime.date | None
    opening_value: Figure
    closing_date: datetime.date
    closing_value: Figure
    closing_problem: str
    inflow: Decimal
    outflow: Decimal
    income: Decimal
    value_change: Figure
    result: Figure
    returns: tuple[Returns, ...]
    change_of_manager: ChangeOfManager | None
    costs: tuple[CostLine, ...]
    cost_effect: Figure
    average_value: Figure
    index: tuple[tuple[datetime.date, Decimal], ...]
    holdings: tuple[HoldingLine, ...]
    allocation: tuple[Share, ...]
    transactions: tuple[TransactionLine, ...]
    has_simulated_prices: bool


@dataclass(frozen=True, slots=True)
class _History:
    """A portfolio's valued days up to the end of the period, split at its beginning."""

    before: list[Day]
    within: list[Day]

    @property
    def opening(self) -> Day | None:
        return self.before[-1] if self.before else None

    @property
    def closing(self) -> Day:
        return self.within[-1]


def gather(portfolio: Portfolio, period_from: datetime.date, period_to: datetime.date) -> Figures:
    """Return the figures of ``portfolio`` from the beginning of ``period_from`` to the end of ``period_to``.

    Raises DomainError where the portfolio has not been valued within the period.
    """
    history = _history(portfolio, period_from, period_to)
    entries = load_entries([portfolio.pk], until=period_to)[portfolio.pk]
    opening, closing = history.opening, history.closing
    all_days = _days([*history.before, *history.within])
    days = _days(history.within)
    opening_value = Figure(value=ZERO) if opening is None else _value(opening)
    closing_value = _value(closing)
    inflow = sum((day.inflow for day in days), ZERO)
    outflow = sum((day.outflow for day in days), ZERO)
    costs = costs_between(entries, start=period_from, end=period_to)
    income = income_between(entries, start=period_from, end=period_to)
    result = _result(opening_value, closing_value, inflow, outflow)
    average = average_value(days)
    start = opening.date if opening else None
    holdings = holdings_of(portfolio, closing.date)
    returns = _returns(portfolio, history, days, all_days, opening_value)
    return Figures(
        currency=portfolio.currency,
        period_from=period_from,
        period_to=period_to,
        inception=all_days[0].date,
        opening_date=start,
        opening_value=opening_value,
        closing_date=closing.date,
        closing_value=closing_value,
        closing_problem=closing.problem,
        inflow=inflow,
        outflow=outflow,
        income=income,
        value_change=result if result.value is None else Figure(value=result.value - income + costs.total),
        result=result,
        returns=returns,
        change_of_manager=_change_of_manager(portfolio, returns[0].since_inception),
        costs=_cost_lines(
            portfolio, costs, average, (closing.date - (start or closing.date)).days or len(days)
        ),
        cost_effect=effect_on_return(days, costs, opening_value=opening_value.value, opening_date=start),
        average_value=average,
        index=_index(history),
        holdings=holdings,
        allocation=allocation_of(holdings),
        transactions=transactions_of(portfolio, period_from, period_to),
        has_simulated_prices=any(each.is_simulated for each in history.within),
    )


def _history(portfolio: Portfolio, period_from: datetime.date, period_to: datetime.date) -> _History:
    rows = load_days(portfolio, datetime.date.min, period_to)
    history = _History(
        [row for row in rows if row.date < period_from], [row for row in rows if row.date >= period_from]
    )
    if not history.within:
        raise DomainError(
            "no_valuation",
            _(
                "Portfolio %(number)s has no value within this period. Choose another period, or import prices first."
            )
            % {"number": portfolio.number},
        )
    return history


def _days(rows: Iterable[Day]) -> list[DailyValue]:
    return [
        DailyValue(date=row.date, value=row.value, inflow=row.inflow, outflow=row.outflow, fees=row.fees)
        for row in rows
    ]


def _value(row: Day) -> Figure:
    if row.value is None:
        return Figure(value=None, reason=Reason.MISSING_VALUE)
    return Figure(value=row.value)


def _result(opening: Figure, closing: Figure, inflow: Decimal, outflow: Decimal) -> Figure:
    if opening.value is None or closing.value is None:
        return Figure(value=None, reason=Reason.MISSING_VALUE)
    return Figure(value=closing.value - opening.value - inflow + outflow)


def _returns(
    portfolio: Portfolio,
    history: _History,
    days: Sequence[DailyValue],
    all_days: Sequence[DailyValue],
    opening_value: Figure,
) -> tuple[Returns, ...]:
    start = history.opening.date if history.opening else None
    opening = [history.opening] if history.opening else []
    period = return_over([*opening, *history.within], start or datetime.date.min)
    whole = return_over([*history.before, *history.within], datetime.date.min)
    lines = [
        Returns(
            key=key,
            period=_linked(period, key),
            since_inception=_linked(whole, key),
            annualised=_annualised(whole, key),
        )
        for key in ("net", "gross")
    ]
    lines.append(_money_weighted(days, all_days, opening_value, start))
    benchmark = _benchmark(portfolio, history)
    return (*lines, benchmark) if benchmark else tuple(lines)


def _change_of_manager(portfolio: Portfolio, since_inception: Figure) -> ChangeOfManager | None:
    handover = Handover.objects.current().filter(mandate=portfolio.mandate_id).first()
    if portfolio.mandate_id is None or handover is None:
        return None
    before = handover.time_weighted_return
    if before is None:
        missing = Figure(value=None, reason=Reason.NO_DATA)
        return ChangeOfManager(day=handover.as_of, since=None, before=missing, chained=missing)
    chained = since_inception
    if since_inception.value is not None:
        chained = Figure(value=(1 + before) * (1 + since_inception.value) - 1)
    return ChangeOfManager(
        day=handover.as_of, since=handover.performance_from, before=Figure(value=before), chained=chained
    )


def _linked(found: PeriodReturn, key: str) -> Figure:
    return Figure(value=found.net if key == "net" else found.gross, reason=found.reason)


def _annualised(found: PeriodReturn, key: str) -> Figure:
    linked = _linked(found, key)
    if linked.value is None or found.start is None or found.end is None:
        return linked
    return annualise(linked.value, days=(found.end - found.start).days)


def _money_weighted(
    days: Sequence[DailyValue],
    all_days: Sequence[DailyValue],
    opening_value: Figure,
    opening_date: datetime.date | None,
) -> Returns:
    period = (
        Figure(value=None, reason=Reason.MISSING_VALUE)
        if opening_value.value is None
        else _rate(_solve(days, opening_value.value, opening_date))
    )
    whole = _solve(all_days, ZERO, None)
    annual = (
        Figure(value=whole.annual, reason=whole.reason)
        if whole.days >= DAYS_PER_YEAR
        else Figure(value=None, reason=Reason.UNDER_ONE_YEAR)
    )
    return Returns(key="money_weighted", period=period, since_inception=_rate(whole), annualised=annual)


def _solve(
    days: Sequence[DailyValue], opening: Decimal, opening_date: datetime.date | None
) -> MoneyWeightedReturn:
    closing = days[-1]
    if closing.value is None:
        return MoneyWeightedReturn(annual=None, period=None, days=0, reason=Reason.MISSING_VALUE)
    flows = [CashFlow(date=opening_date, amount=-opening)] if opening_date and opening else []
    flows += [
        CashFlow(date=day.date, amount=day.outflow - day.inflow) for day in days if day.inflow or day.outflow
    ]
    return money_weighted_return([*flows, CashFlow(date=closing.date, amount=closing.value)])


def _rate(found: MoneyWeightedReturn) -> Figure:
    return Figure(value=found.period, reason=found.reason)


def _benchmark(portfolio: Portfolio, history: _History) -> Returns | None:
    """Return the benchmark of the model that the portfolio follows at the end of the period."""
    assignment = (
        ModelAssignment.objects.current()
        .as_of(history.closing.date)
        .filter(portfolio=portfolio)
        .select_related("model__benchmark")
        .first()
    )
    benchmark = assignment.model.benchmark if assignment else None
    if benchmark is None:
        return None
    # From the close before the first day, as the portfolio's own return.
    first = (history.before or history.within)[0].date - datetime.timedelta(days=1)
    end = history.closing.date
    start = history.opening.date if history.opening else first

    def change(since: datetime.date) -> Figure:
        before, after = level(since), level(end)
        if before is None or after is None or before <= 0:
            return Figure(value=None, reason=Reason.NO_DATA)
        return Figure(value=after / before - 1)

    def level(day: datetime.date) -> Decimal | None:
        oldest = day - datetime.timedelta(days=BENCHMARK_DAYS)
        known = BenchmarkValue.objects.current().filter(benchmark=benchmark, date__lte=day, date__gte=oldest)
        return known.order_by("-date").values_list("level", flat=True).first()

    whole = change(first)
    return Returns(
        key="benchmark",
        name=benchmark.name,
        currency=benchmark.currency,
        period=change(start),
        since_inception=whole,
        annualised=whole if whole.value is None else annualise(whole.value, days=(end - first).days),
    )


def _cost_lines(portfolio: Portfolio, costs: Costs, average: Figure, days: int) -> tuple[CostLine, ...]:
    amounts = {
        "service": Figure(value=costs.service),
        "trading": Figure(value=costs.trading),
        "taxes": Figure(value=costs.taxes),
        "total": Figure(value=costs.total),
        "product": product_cost(_yearly_product_cost(portfolio), average, days=days),
    }
    return tuple(
        CostLine(
            key=key,
            amount=amount,
            share=amount if amount.value is None else share_of(amount.value, average),
        )
        for key, amount in amounts.items()
    )


def _yearly_product_cost(portfolio: Portfolio) -> Decimal | None:
    """Return what the signed terms say the funds cost a year; None where they say nothing."""
    terms = portfolio.mandate.terms if portfolio.mandate else {}
    try:
        return Decimal(str(terms["product_cost"]))
    except (KeyError, InvalidOperation):
        return None


def _index(history: _History) -> tuple[tuple[datetime.date, Decimal], ...]:
    """Return the return index of the period by day, 1 at its beginning."""
    rows = [*([history.opening] if history.opening else []), *history.within]
    base = rows[0].index if history.opening else Decimal(1)
    return tuple((row.date, row.index / base) for row in rows)
