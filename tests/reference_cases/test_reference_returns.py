"""Returns and drawdowns agree with other projects' worked cases."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from portfolios.calculations.money_weighted import CashFlow, modified_dietz, money_weighted_return
from portfolios.calculations.returns import DailyValue, Reason, daily_return, link, time_weighted_return
from portfolios.calculations.risk import max_drawdown
from tests.reference_cases.cases import Case, assert_close, cases

START = date(2024, 1, 1)
ZERO = Decimal(0)


def subperiod_returns(case: Case) -> list[Decimal | None]:
    return [
        daily_return(
            part["begin_value"],
            DailyValue(
                date=START,
                value=part["end_value_before_outflow"] - part["outflow_at_end"],
                inflow=part["inflow_at_start"],
                outflow=part["outflow_at_end"],
            ),
        )
        for part in case["subperiods"]
    ]


def days_of_an_account(case: Case) -> list[DailyValue]:
    """Build the daily values of an account from its movements."""
    day, end = date.fromisoformat(case["start"]), date.fromisoformat(case["end"])
    balance, days = ZERO, []
    while day <= end:
        inflow = outflow = ZERO
        for on, kind, amount in case["transactions"]:
            if date.fromisoformat(on) == day:
                balance += amount if kind in ("deposit", "interest") else -amount
                inflow += amount if kind == "deposit" else ZERO
                outflow += amount if kind == "withdrawal" else ZERO
        days.append(DailyValue(date=day, value=balance, inflow=inflow, outflow=outflow))
        day += timedelta(days=1)
    return days


@pytest.mark.parametrize("case", cases("twr"))
def test_time_weighted_returns_agree(case: Case) -> None:
    if "transactions" in case:
        result = time_weighted_return(days_of_an_account(case))
        assert_close(result.value, case["expected_twr"], case)
        monday = next(i for i, point in enumerate(result.daily) if point.date.weekday() == 0)
        weeks = [result.daily[:monday], result.daily[monday:]]
        for week, expected in zip(weeks, case["expected_weekly_returns"], strict=True):
            assert_close(link(point.daily for point in week), expected, case)
        return
    returns = case.get("monthly_returns") or subperiod_returns(case)
    for actual, expected in zip(returns, case.get("expected_subperiod_returns", returns), strict=True):
        if expected is None:
            assert actual is None
        else:
            assert_close(actual, expected, case)
    for count, expected in enumerate(case.get("expected_cumulative", []), start=1):
        assert_close(link(returns[:count]), expected, case)
    if case["expected_twr"] is None:
        assert link(returns) is None
    else:
        assert_close(link(returns), case["expected_twr"], case)


@pytest.mark.parametrize("case", cases("dietz"))
def test_modified_dietz_agrees(case: Case) -> None:
    # A simple Dietz weighs every flow one half: the middle day of two.
    length = int(case.get("days", 2))
    result = modified_dietz(
        begin_value=case["begin_value"],
        end_value=case["end_value"],
        flows=[
            CashFlow(date=START + timedelta(days=int(flow.get("day", 1))), amount=flow["amount"])
            for flow in case["flows"]
        ],
        start=START,
        end=START + timedelta(days=length),
    )
    assert_close(result.value, case["expected_return"], case)


@pytest.mark.parametrize("case", cases("xirr"))
def test_money_weighted_returns_agree(case: Case) -> None:
    flows = [CashFlow(date=date.fromisoformat(on), amount=amount) for on, amount in case["cashflows"]]
    result = money_weighted_return(flows)
    if case["expected_xirr"] is None:
        assert result.annual is None
        assert result.reason is not None
    elif case["use"].startswith("multi-root"):
        roots = case["helper_check"]["roots_found"]
        assert result.reason is Reason.SEVERAL_SOLUTIONS
        assert len(result.solutions) == len(roots)
        for actual, expected in zip(result.solutions, sorted(roots), strict=True):
            assert_close(actual, expected, case)
    else:
        assert_close(result.annual, case["expected_xirr"], case)


@pytest.mark.parametrize("case", cases("risk"))
def test_drawdowns_agree(case: Case) -> None:
    result = max_drawdown(
        [(START + timedelta(days=i), value) for i, value in enumerate(case["cumulative_returns"])]
    )
    assert result is not None
    assert_close(result.depth, case["expected_max_drawdown"], case)
