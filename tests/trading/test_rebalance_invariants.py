"""Whatever the situation: a proposal keeps its limits, and a second one has nothing left to trade."""

from dataclasses import replace
from decimal import Decimal as D
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models_portfolio.calculations.weights import CASH
from trading.calculations.proposal import (
    Instrument,
    Mode,
    OpenOrder,
    Policy,
    ReasonCode,
    Rebalance,
    RebalanceInputs,
    Restriction,
    Side,
)
from trading.calculations.rebalance import rebalance

KEYS = ("A", "B", "C", "D", "E")


@st.composite
def situations(draw: st.DrawFn) -> RebalanceInputs:
    numbers = [draw(st.integers(0, 100)) for _ in KEYS]
    cash_number = draw(st.integers(0, 20))
    total = sum(numbers) + cash_number
    targets: dict[Any, D] = {}
    if total:
        targets = {key: D(n * 10**6 // total).scaleb(-6) for key, n in zip(KEYS, numbers, strict=True)}
        targets[CASH] = 1 - sum(targets.values())
    instruments: dict[Any, Instrument] = {}
    for key in KEYS:
        restricted = draw(st.sampled_from([None, None, None, *Restriction]))
        decimals = draw(st.sampled_from([0, 0, 2, 6]))
        instruments[key] = Instrument(
            security=key,
            price=draw(st.decimals("0.01", 3000, places=2)),
            currency="USD",
            rate=draw(st.sampled_from([D(1), D("0.9137"), D("1.0563")])),
            quantity_decimals=decimals,
            lot_size=draw(st.sampled_from([None, None, D(10)])) if not decimals else None,
            restrictions=frozenset([restricted] if restricted else []),
        )
    return RebalanceInputs(
        mode=draw(st.sampled_from(Mode)),
        currency="EUR",
        holdings={key: D(draw(st.integers(0, 5000))) for key in KEYS if draw(st.booleans())},
        cash=draw(st.decimals(-2000, 200000, places=2)),
        targets=targets,
        instruments=instruments,
        policy=Policy(
            reserve=draw(st.sampled_from([D(0), D(500), D(20000)])),
            minimum_cash_weight=draw(st.sampled_from([D(0), D("0.02")])),
            minimum_trade_amount=draw(st.sampled_from([D(0), D(100), D(1000)])),
            minimum_trade_weight=draw(st.sampled_from([D(0), D("0.001"), D("0.01")])),
            fee_rate=draw(st.sampled_from([D(0), D("0.001"), D("0.02")])),
            fee_minimum=draw(st.sampled_from([D(0), D(9)])),
        ),
        cash_wanted=draw(st.sampled_from([D(0), D(1000), D(50000)])),
    )


def carried_out(result: Rebalance) -> RebalanceInputs:
    """Return the inputs after all proposed trades are done at their prices and estimated costs."""
    inputs = result.inputs
    holdings, cash = dict(inputs.holdings), inputs.cash
    for line in result.trades:
        sign = 1 if line.side is Side.BUY else -1
        holdings[line.security] = holdings.get(line.security, D(0)) + sign * line.quantity
        cash -= sign * line.amount + line.fees
    return replace(inputs, holdings=holdings, cash=cash)


def sent(result: Rebalance) -> RebalanceInputs:
    """Return the inputs while all proposed trades are open orders."""
    orders = tuple(
        OpenOrder(security=line.security, side=line.side, quantity=line.quantity)
        for line in result.trades
        if line.side is not None
    )
    return replace(result.inputs, open_orders=orders)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(situations())
def test_the_invariants_hold(inputs: RebalanceInputs) -> None:
    result = rebalance(inputs)
    policy = inputs.policy
    after = carried_out(result)
    assert result.cash_after == after.cash
    assert all(quantity >= 0 for quantity in after.holdings.values())
    if any(line.side is Side.BUY for line in result.trades):
        assert after.cash >= policy.reserve
    assert after.cash >= min(D(0), inputs.cash)
    weights = [line.proposed_weight for line in result.lines]
    assert result.cash_after is not None
    if result.value and None not in weights:
        new_value = result.value - result.fees
        assert abs(sum(w for w in weights if w is not None) + result.cash_after / new_value - 1) < D("1e-15")
    for line in result.lines:
        rules = inputs.instruments[line.security].restrictions
        if line.side is Side.BUY:
            assert not rules & {Restriction.DO_NOT_BUY, Restriction.EXCLUDED}
            assert line.quantity % inputs.instruments[line.security].step == 0
            assert line.amount >= policy.minimum_trade_amount
            assert line.amount >= policy.minimum_trade_weight * (result.value or 0) * D("0.9")
        if line.side is Side.SELL:
            assert Restriction.DO_NOT_SELL not in rules
        assert isinstance(line.reason, ReasonCode)
    if inputs.mode is Mode.INVEST_CASH and inputs.cash > policy.reserve:
        assert all(line.side is Side.BUY for line in result.trades)
    if inputs.mode in (Mode.RAISE_CASH, Mode.LIQUIDATE):
        assert all(line.side is Side.SELL for line in result.trades)
    if not inputs.targets and inputs.mode in (Mode.TO_TARGET, Mode.INVEST_CASH):
        assert not result.trades


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(situations())
def test_a_second_run_trades_nothing(inputs: RebalanceInputs) -> None:
    first = rebalance(inputs)
    assert not rebalance(carried_out(first)).trades
    assert not rebalance(sent(first)).trades
