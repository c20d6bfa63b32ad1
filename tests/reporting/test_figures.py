"""The figures of a statement, worked out by hand beside those of the report."""

import datetime
from decimal import Decimal

import pytest

from accounts.errors import DomainError
from models_portfolio.models import ModelAssignment, ModelPortfolio
from portfolios.calculations.entries import Entry, EntryType
from portfolios.calculations.returns import DailyValue, Figure, Reason
from portfolios.models import Benchmark, BenchmarkValue, Price, Valuation
from portfolios.services import value_portfolios
from reporting.calculations.costs import (
    average_value,
    costs_between,
    effect_on_return,
    income_between,
    product_cost,
    share_of,
)
from reporting.figures import gather
from tests.factories import Cast
from tests.portfolios import make as portfolios
from tests.reporting import make

D = Decimal
JUNE = datetime.date(2026, 6, 1)


def entry(kind: EntryType, day: datetime.date = JUNE, **fields: object) -> Entry:
    return Entry(id=object(), type=kind, trade_date=day, settlement_date=day, currency="EUR", **fields)


def test_costs_are_told_apart_and_converted() -> None:
    entries = [
        entry(EntryType.FEE, gross_amount=D(100), net_amount=D(-100)),
        entry(EntryType.BUY, gross_amount=D(1000), fees=D(10), net_amount=D(-1010), rate_to_portfolio=D(2)),
        entry(EntryType.DIVIDEND, gross_amount=D(50), taxes=D(15), net_amount=D(35)),
        entry(EntryType.TAX, gross_amount=D(7), net_amount=D(-7)),
        entry(EntryType.FEE, JUNE + datetime.timedelta(1), gross_amount=D(9), net_amount=D(-9)),
    ]
    costs = costs_between(entries, start=JUNE, end=JUNE)
    assert (costs.service, costs.trading, costs.taxes, costs.total) == (D(100), D(20), D(22), D(142))
    assert costs.by_day == {JUNE: D(142)}
    assert income_between(entries, start=JUNE, end=JUNE) == D(50)


def test_a_reversed_fee_costs_nothing() -> None:
    fee = entry(EntryType.FEE, net_amount=D(-100))
    undone = entry(EntryType.REVERSAL, net_amount=D(100), reverses=fee.id)
    assert costs_between([fee, undone], start=JUNE, end=JUNE).total == 0


def test_the_effect_of_costs_is_the_return_they_took() -> None:
    day = JUNE + datetime.timedelta(1)
    costs = costs_between([entry(EntryType.FEE, day, net_amount=D(-20))], start=JUNE, end=day)
    days = [DailyValue(date=day, value=D(1030))]
    effect = effect_on_return(days, costs, opening_value=D(1000), opening_date=JUNE)
    assert effect.value == D("0.02")


def test_what_depends_on_a_missing_value_is_not_available() -> None:
    days = [DailyValue(date=JUNE, value=None)]
    costs = costs_between([], start=JUNE, end=JUNE)
    average = average_value(days)
    assert average == Figure(value=None, reason=Reason.MISSING_VALUE)
    assert share_of(D(5), average).reason == Reason.MISSING_VALUE
    assert product_cost(D("0.01"), average, days=90).value is None
    assert effect_on_return(days, costs, opening_value=D(1), opening_date=None).reason == Reason.MISSING_VALUE
    assert share_of(D(5), Figure(value=D(0))).reason == Reason.NO_CAPITAL


def test_opening_flows_result_and_closing_add_up(in_aurora: Cast) -> None:
    portfolio = make.portfolio_with_history(in_aurora.unit, by=in_aurora.manager)
    figures = gather(portfolio, make.FIRST, make.LAST)
    assert figures.opening_date == datetime.date(2026, 3, 31)
    assert (figures.inflow, figures.outflow) == (D(20_000), D(5_000))
    # 400 Apple at 104 at the end of March; 100 sold at 110 in mid-May for 11 of costs; 117 at the end of June.
    change = 300 * D(13) + 100 * D(6)
    assert figures.value_change.value == change
    assert figures.result.value == change - 511
    amounts = {line.key: line.amount.value for line in figures.costs}
    assert amounts["service"] == 500
    assert amounts["trading"] == 11
    assert amounts["total"] == 511
    assert figures.closing_value.value == figures.opening_value.value + 15_000 + change - 511
    assert sum(line.market_value for line in figures.holdings) == pytest.approx(figures.closing_value.value)


def test_returns_agree_with_the_chained_daily_values(in_aurora: Cast) -> None:
    portfolio = make.portfolio_with_history(in_aurora.unit, by=in_aurora.manager)
    figures = gather(portfolio, make.FIRST, make.LAST)
    by_day = {row.date: row for row in Valuation.objects.filter(portfolio=portfolio)}
    start, end = by_day[figures.opening_date], by_day[figures.closing_date]
    returns = {line.key: line for line in figures.returns}
    assert returns["net"].period.value == pytest.approx(
        end.return_index / start.return_index - 1, abs=D("1e-9")
    )
    assert returns["gross"].period.value == pytest.approx(
        end.gross_return_index / start.gross_return_index - 1, abs=D("1e-9")
    )
    assert returns["net"].since_inception.value == pytest.approx(end.return_index - 1, abs=D("1e-9"))
    assert returns["gross"].period.value > returns["net"].period.value
    assert figures.index[0] == (figures.opening_date, 1)


def test_under_one_year_nothing_is_annualised(in_aurora: Cast) -> None:
    portfolio = make.portfolio_with_history(in_aurora.unit, by=in_aurora.manager)
    for line in gather(portfolio, make.FIRST, make.LAST).returns:
        assert line.annualised == Figure(value=None, reason=Reason.UNDER_ONE_YEAR)


def test_holdings_are_those_of_the_end_of_the_period_not_of_today(in_aurora: Cast) -> None:
    portfolio = make.portfolio_with_history(in_aurora.unit, by=in_aurora.manager)
    figures = gather(portfolio, make.FIRST, portfolios.day(60))
    apple = next(line for line in figures.holdings if line.security == "Apple")
    assert (apple.quantity, apple.price, apple.price_date) == (D(400), D(108), portfolios.day(60))
    assert apple.is_simulated
    assert apple.price_source == "Simulated closes"
    assert not apple.is_stale


def test_a_period_from_the_opening_on_has_no_value_before(in_aurora: Cast) -> None:
    portfolio = make.portfolio_with_history(in_aurora.unit, by=in_aurora.manager)
    figures = gather(portfolio, portfolios.day(-10), make.LAST)
    assert figures.opening_date is None
    assert figures.opening_value.value == 0
    net = next(line for line in figures.returns if line.key == "net")
    assert net.period.value == net.since_inception.value


def test_a_portfolio_without_a_value_in_the_period_is_refused(in_aurora: Cast) -> None:
    portfolio = make.portfolio_with_history(in_aurora.unit, by=in_aurora.manager)
    with pytest.raises(DomainError) as refused:
        gather(portfolio, portfolios.day(-20), portfolios.day(-10))
    assert refused.value.code == "no_valuation"


def test_a_missing_price_is_named_and_never_zero(in_aurora: Cast) -> None:
    portfolio = make.portfolio_with_history(in_aurora.unit, by=in_aurora.manager)
    Price.objects.filter(security__name="Roche").delete()
    value_portfolios(portfolio_ids=[portfolio.pk], from_date=datetime.date.min)
    figures = gather(portfolio, make.FIRST, make.LAST)
    assert figures.closing_value.value is None
    assert figures.result.value is None
    assert "Roche" in figures.closing_problem
    roche = next(line for line in figures.holdings if line.security == "Roche")
    assert roche.market_value is None
    assert "Roche" in roche.problem
    assert all(line.period.reason == Reason.MISSING_VALUE for line in figures.returns)


def test_the_benchmark_of_the_followed_model_stands_beside(in_aurora: Cast) -> None:
    portfolio = make.portfolio_with_history(in_aurora.unit, by=in_aurora.manager)
    benchmark = Benchmark.objects.create(code="W50", name="Half world", currency="EUR")
    model = ModelPortfolio.objects.create(
        code="BAL", name="Balanced", currency="EUR", risk_level=4, benchmark=benchmark
    )
    ModelAssignment.objects.create(portfolio=portfolio, model=model, valid_from=portfolios.MONDAY)
    for offset, level in ((-3, 100), (29, 110), (120, 121)):
        BenchmarkValue.objects.create(benchmark=benchmark, date=portfolios.day(offset), level=level)
    line = gather(portfolio, make.FIRST, make.LAST).returns[-1]
    assert (line.key, line.name) == ("benchmark", "Half world")
    assert line.period.value == pytest.approx(D("0.1"))
    assert line.since_inception.value == pytest.approx(D("0.21"))
    BenchmarkValue.objects.filter(date=portfolios.day(29)).delete()
    assert gather(portfolio, make.FIRST, make.LAST).returns[-1].period.reason == Reason.NO_DATA
