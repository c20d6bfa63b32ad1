"""Returns follow their published definitions, and are not available rather than wrong."""

from datetime import date, timedelta
from decimal import Decimal as D
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolios.calculations.money_weighted import (
    CashFlow,
    modified_dietz,
    money_weighted_return,
)
from portfolios.calculations.returns import (
    DailyValue,
    FlowTiming,
    Reason,
    annualise,
    link,
    time_weighted_return,
)
from portfolios.calculations.risk import Frequency, max_drawdown, volatility

START = date(2024, 1, 1)


def on(offset: int) -> date:
    return START + timedelta(days=offset)


def daily(offset: int, value: Any, inflow: Any = 0, outflow: Any = 0, fees: Any = 0) -> DailyValue:
    return DailyValue(
        date=on(offset),
        value=None if value is None else D(str(value)),
        inflow=D(str(inflow)),
        outflow=D(str(outflow)),
        fees=D(str(fees)),
    )


def percent(value: D | None, decimals: int) -> D:
    assert value is not None
    return round(value * 100, decimals)


def test_time_weighted_return_of_the_worked_example() -> None:
    days = [daily(9, 101000), daily(10, 121000, 20000), daily(30, 123000)]
    result = time_weighted_return(days, opening_value=D(100000), opening_date=on(0))
    assert percent(result.value, 4) == D("2.6694")
    assert result.days == 30


def test_modified_dietz_of_the_worked_example() -> None:
    example: dict[str, Any] = {
        "begin_value": D(100000),
        "end_value": D(123000),
        "flows": [CashFlow(date=on(10), amount=D(20000))],
        "start": on(0),
        "end": on(30),
    }
    assert percent(modified_dietz(**example).value, 4) == D("2.6471")
    at_start = modified_dietz(**example, timing=FlowTiming.START)
    assert percent(at_start.value, 4) == D("2.6316")


def test_money_weighted_return_of_the_worked_example() -> None:
    flows = [
        CashFlow(date=on(0), amount=D(-100000)),
        CashFlow(date=on(10), amount=D(-20000)),
        CashFlow(date=on(30), amount=D(123000)),
    ]
    result = money_weighted_return(flows)
    assert percent(result.annual, 3) == D("37.442")
    assert percent(result.period, 4) == D("2.6484")
    assert result.reason is None


def test_inflows_count_at_the_start_and_outflows_at_the_end() -> None:
    inflow = time_weighted_return([daily(0, 220, 100)], opening_value=D(100))
    assert inflow.value == D("0.1")
    outflow = time_weighted_return([daily(0, 60, 0, 50)], opening_value=D(100))
    assert outflow.value == D("0.1")


@pytest.mark.parametrize(
    ("inflow_timing", "outflow_timing", "expected"),
    [
        (FlowTiming.START, FlowTiming.START, "0.1"),
        (FlowTiming.END, FlowTiming.END, "0.2"),
        (FlowTiming.START, FlowTiming.END, "0.05"),
    ],
)
def test_the_flow_convention_is_a_parameter(
    inflow_timing: FlowTiming, outflow_timing: FlowTiming, expected: str
) -> None:
    days = [daily(0, 110, 100, 100)]
    if expected == "0.2":
        days = [daily(0, 120, 100, 100)]
    result = time_weighted_return(
        days, opening_value=D(100), inflow_timing=inflow_timing, outflow_timing=outflow_timing
    )
    assert result.value == D(expected)
    assert (result.inflow_timing, result.outflow_timing) == (inflow_timing, outflow_timing)


def test_a_gross_return_adds_fees_back() -> None:
    days = [daily(0, 105, fees=5)]
    assert time_weighted_return(days, opening_value=D(100)).value == D("0.05")
    gross = time_weighted_return(days, opening_value=D(100), gross=True)
    assert gross.value == D("0.1")
    assert gross.is_gross


def test_a_return_since_inception_starts_with_the_first_inflow() -> None:
    days = [daily(0, 0), daily(1, 1010, 1000), daily(2, 1111)]
    result = time_weighted_return(days)
    assert result.value == D("0.111")
    assert (result.start, result.end) == (on(0), on(2))


def test_a_zero_base_closes_the_chain_and_the_next_inflow_opens_another() -> None:
    days = [
        daily(0, 110, 100),
        daily(1, 0, 0, 121),
        daily(2, 0),
        daily(3, 210, 200),
    ]
    result = time_weighted_return(days)
    assert result.value is None
    assert result.reason is Reason.CHAIN_CLOSED
    assert [(chain.start, chain.end, chain.value) for chain in result.chains] == [
        (on(-1), on(1), D("0.21")),
        (on(2), on(3), D("0.05")),
    ]
    assert result.daily[2].daily is None


def test_a_negative_base_closes_the_chain() -> None:
    days = [daily(0, -10, 100), daily(1, -5), daily(2, 95, 90)]
    result = time_weighted_return(days)
    assert result.reason is Reason.CHAIN_CLOSED
    assert len(result.chains) == 2


def test_a_portfolio_that_was_emptied_keeps_its_return() -> None:
    days = [daily(0, 100, 100), daily(1, 0, 0, 110), daily(2, 0)]
    result = time_weighted_return(days)
    assert result.value == D("0.1")
    assert result.end == on(1)


def test_a_missing_value_makes_the_return_not_available() -> None:
    result = time_weighted_return([daily(0, 100, 100), daily(1, None), daily(2, 120)])
    assert result.value is None
    assert result.reason is Reason.MISSING_VALUE
    assert result.annualised.reason is Reason.MISSING_VALUE


def test_nothing_gives_no_return_and_no_zero() -> None:
    assert time_weighted_return([]).reason is Reason.NO_DATA
    assert time_weighted_return([]).days == 0
    assert time_weighted_return([daily(0, 0)]).reason is Reason.NO_CAPITAL


def test_a_return_is_annualised_from_a_year_on() -> None:
    assert annualise(D("0.1"), days=364).reason is Reason.UNDER_ONE_YEAR
    assert annualise(D("0.1"), days=365).value == D("0.1")
    assert annualise(D("0.21"), days=730).value == D("0.1")
    assert annualise(D(-1), days=730).value == -1


def test_a_missing_period_is_not_linked_over() -> None:
    assert link([D("0.01"), D("0.02")]) == D("0.0302")
    assert link([D("0.01"), None, D("0.02")]) is None


def test_dietz_without_capital_is_not_meaningful() -> None:
    result = modified_dietz(
        begin_value=D(100),
        end_value=D(10),
        flows=[CashFlow(date=on(1), amount=D(-1000))],
        start=on(0),
        end=on(30),
    )
    assert result.reason is Reason.NO_CAPITAL


@pytest.mark.parametrize(
    ("offset", "timing"), [(31, FlowTiming.END), (-1, FlowTiming.END), (0, FlowTiming.START)]
)
def test_dietz_refuses_a_flow_outside_the_period(offset: int, timing: FlowTiming) -> None:
    with pytest.raises(ValueError, match="outside the period"):
        modified_dietz(
            begin_value=D(1),
            end_value=D(1),
            flows=[CashFlow(date=on(offset), amount=D(1))],
            start=on(0),
            end=on(30),
            timing=timing,
        )


def test_money_that_only_goes_in_has_no_rate() -> None:
    flows = [CashFlow(date=on(0), amount=D(-5)), CashFlow(date=on(9), amount=D(-1))]
    result = money_weighted_return(flows)
    assert result.annual is None
    assert result.reason is Reason.NO_SIGN_CHANGE
    assert money_weighted_return([]).reason is Reason.NO_DATA


def test_money_that_is_lost_wholly_is_minus_one() -> None:
    flows = [CashFlow(date=on(0), amount=D(-5)), CashFlow(date=on(9), amount=D(0))]
    assert money_weighted_return(flows).annual == -1


def test_several_rates_are_said_to_be_several() -> None:
    flows = [
        CashFlow(date=on(0), amount=D(-1000)),
        CashFlow(date=on(365), amount=D(2300)),
        CashFlow(date=on(730), amount=D(-1320)),
    ]
    result = money_weighted_return(flows)
    assert result.reason is Reason.SEVERAL_SOLUTIONS
    assert [round(solution, 6) for solution in result.solutions] == [D("0.1"), D("0.2")]
    assert result.annual is not None
    assert round(result.annual, 6) == D("0.1")


def test_flows_of_one_day_are_too_few_days_for_a_rate() -> None:
    flows = [CashFlow(date=on(0), amount=D(-5)), CashFlow(date=on(0), amount=D(6))]
    assert money_weighted_return(flows).reason is Reason.TOO_FEW_RETURNS


def test_volatility_states_how_it_was_annualised() -> None:
    result = volatility([D("0.01"), D("0.03")], frequency=Frequency.MONTHLY)
    assert result.value is not None
    assert abs(result.value - D("0.0002").sqrt() * D(12).sqrt()) < D("1e-20")
    assert (result.periods_per_year, result.observations) == (12, 2)
    assert volatility([D(1)], frequency=Frequency.DAILY).reason is Reason.TOO_FEW_RETURNS


def test_the_drawdown_says_from_when_to_when() -> None:
    levels = ["0", "0.2", "0.1", "-0.1", "0.1", "0.2", "0.3", "0.25"]
    result = max_drawdown([(on(i), D(level)) for i, level in enumerate(levels)])
    assert result is not None
    assert (result.depth, result.peak, result.trough, result.recovered) == (
        D("0.25"),
        on(1),
        on(3),
        on(5),
    )
    assert max_drawdown([]) is None


def test_a_drawdown_may_not_have_recovered() -> None:
    result = max_drawdown([(on(0), D(0)), (on(1), D("-0.5")), (on(2), D("-0.1"))])
    assert result is not None
    assert result.recovered is None


@given(
    st.lists(st.decimals("-0.5", "0.5", places=4), min_size=1, max_size=20),
    st.lists(st.integers(0, 1000), min_size=20, max_size=20),
)
def test_flows_do_not_change_a_time_weighted_return(changes: list[D], flows: list[int]) -> None:
    value, days = D(1000), []
    for n, change in enumerate(changes):
        flow = D(flows[n])
        value = (value + flow) * (1 + change)
        days.append(daily(n, value, flow))
    expected = link(changes)
    result = time_weighted_return(days, opening_value=D(1000))
    assert expected is not None
    assert result.value is not None
    assert abs(result.value - expected) < D("1e-18")
