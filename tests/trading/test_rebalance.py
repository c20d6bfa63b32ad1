"""A proposal reaches the targets as far as cash, lots and restrictions allow, and says why."""

from decimal import Decimal as D
from typing import Any

import pytest

from models_portfolio.calculations.weights import CASH
from trading.calculations.proposal import (
    Instrument,
    Mode,
    OpenOrder,
    Policy,
    ProposedLine,
    ReasonCode,
    Rebalance,
    RebalanceInputs,
    Restriction,
    Side,
)
from trading.calculations.rebalance import evaluate, rebalance


def instrument(key: str, price: Any, **values: Any) -> Instrument:
    values.setdefault("currency", "EUR")
    return Instrument(security=key, price=None if price is None else D(str(price)), **values)


def propose(
    holdings: dict[str, Any],
    cash: Any,
    targets: dict[str, str],
    prices: dict[str, Any],
    *,
    mode: Mode = Mode.TO_TARGET,
    restrictions: dict[str, Restriction] | None = None,
    orders: tuple[OpenOrder, ...] = (),
    cash_wanted: Any = 0,
    instruments: dict[str, Any] | None = None,
    **policy: Any,
) -> Rebalance:
    made = {
        key: instrument(
            key,
            price,
            restrictions=frozenset({(restrictions or {})[key]} if key in (restrictions or {}) else ()),
            **(instruments or {}).get(key, {}),
        )
        for key, price in prices.items()
    }
    return rebalance(
        RebalanceInputs(
            mode=mode,
            currency="EUR",
            holdings={key: D(str(quantity)) for key, quantity in holdings.items()},
            cash=D(str(cash)),
            targets={key: D(weight) for key, weight in targets.items()},
            instruments=made,
            open_orders=orders,
            policy=Policy(**{key: D(str(value)) for key, value in policy.items()}),
            cash_wanted=D(str(cash_wanted)),
        )
    )


def by_key(result: Rebalance) -> dict[Any, ProposedLine]:
    return {line.security: line for line in result.lines}


def traded(result: Rebalance) -> dict[Any, D]:
    return {
        line.security: line.quantity if line.side is Side.BUY else -line.quantity for line in result.trades
    }


HALVES = {"A": "0.5", "B": "0.5"}
PRICES = {"A": 10, "B": 20}


def test_a_first_investment_buys_the_targets() -> None:
    result = propose({}, 1000, HALVES, PRICES)
    assert traded(result) == {"A": 50, "B": 25}
    assert {line.reason for line in result.lines} == {ReasonCode.NEW_POSITION}
    assert result.cash_after == 0
    assert result.drift_before == D(1)
    assert result.drift_after == 0


def test_sells_come_before_the_buys_they_pay_for() -> None:
    result = propose({"A": 100}, 0, HALVES, PRICES)
    assert [line.side for line in result.trades] == [Side.SELL, Side.BUY]
    assert traded(result) == {"A": -50, "B": 25}
    assert by_key(result)["A"].reason is ReasonCode.OVERWEIGHT
    assert result.turnover == D("0.5")


def test_what_the_model_does_not_hold_is_sold_even_in_odd_lots() -> None:
    result = propose({"X": "3.7"}, 0, {"A": "1"}, {"A": 1, "X": 10})
    line = by_key(result)["X"]
    assert (line.side, line.quantity, line.reason) == (Side.SELL, D("3.7"), ReasonCode.NOT_IN_MODEL)
    assert traded(result)["A"] == 37


def test_no_model_never_means_liquidate() -> None:
    result = propose({"A": 10}, 100, {}, PRICES)
    assert not result.trades
    assert {line.reason for line in result.lines} == {ReasonCode.NO_MODEL}
    assert result.drift_before is None


def test_only_the_mode_that_says_so_liquidates() -> None:
    result = propose({"A": 10, "B": 1}, 0, HALVES, PRICES, mode=Mode.LIQUIDATE, minimum_trade_amount=50)
    assert traded(result) == {"A": -10, "B": -1}
    assert {line.reason for line in result.lines} == {ReasonCode.LIQUIDATION}


def test_liquidation_leaves_what_costs_more_than_it_brings() -> None:
    result = propose({"A": 1}, 0, {}, PRICES, mode=Mode.LIQUIDATE, fee_minimum=10)
    assert not result.trades
    assert by_key(result)["A"].reason is ReasonCode.COSTS_EXCEED_TRADE


def test_less_than_a_lot_is_not_traded() -> None:
    result = propose(
        {"A": 51, "B": 49},
        0,
        HALVES,
        {"A": 10, "B": 10},
        instruments={key: {"lot_size": D(5)} for key in "AB"},
    )
    assert {line.reason for line in result.lines} == {ReasonCode.BELOW_LOT}


def test_liquidation_says_what_it_cannot_sell() -> None:
    result = propose(
        {"A": 10, "B": 1, "C": 1},
        0,
        {},
        {"A": 10, "B": None, "C": 5},
        mode=Mode.LIQUIDATE,
        restrictions={"C": Restriction.DO_NOT_SELL},
    )
    reasons = {line.security: line.reason for line in result.lines}
    assert reasons == {
        "A": ReasonCode.LIQUIDATION,
        "B": ReasonCode.MISSING_PRICE,
        "C": ReasonCode.DO_NOT_SELL,
    }
    assert result.value is None


def test_buys_are_floored_to_lots_and_cash_covers_their_costs() -> None:
    result = propose({}, 1000, {"A": "1"}, {"A": 10}, fee_rate="0.01")
    assert traded(result) == {"A": 99}
    assert result.cash_after == D("0.1")


def test_a_minimum_of_costs_counts_too() -> None:
    result = propose({}, 1000, {"A": "1"}, {"A": 10}, fee_minimum=25)
    assert traded(result) == {"A": 97}
    assert result.cash_after == 5


def test_cash_short_of_the_shortfall_goes_to_the_largest_first() -> None:
    result = propose(
        {"A": 100, "L": 100},
        100,
        {"A": "0.5", "B": "0.3", "C": "0.2"},
        {"A": 10, "B": 10, "C": 10, "L": 10},
        restrictions={"L": Restriction.DO_NOT_SELL, "A": Restriction.DO_NOT_SELL},
    )
    assert traded(result) == {"B": 6, "C": 4}
    result = propose(
        {"A": 90}, 100, {"A": "0.5", "B": "0.3", "C": "0.2"}, dict.fromkeys("ABC", 10), mode=Mode.INVEST_CASH
    )
    assert traded(result) == {"B": 10}
    lines = by_key(result)
    assert lines["B"].limited_by is ReasonCode.NO_CASH
    assert lines["C"].reason is ReasonCode.NO_CASH
    assert lines["A"].reason is ReasonCode.BUYS_ONLY


def test_leftover_cash_buys_one_more_lot_where_that_comes_closer() -> None:
    result = propose({}, 100, {"A": "0.65", "B": "0.35"}, {"A": 30, "B": 30})
    assert traded(result) == {"A": 2, "B": 1}
    result = propose({"C": 0}, 1000, {"A": "0.57", "B": "0.36", CASH: "0.07"}, {"A": 100, "B": 100, "C": 1})
    assert traded(result) == {"A": 6, "B": 3}


def test_the_cash_target_and_the_reserve_stay_in_cash() -> None:
    result = propose({}, 1000, {"A": "0.9", CASH: "0.1"}, {"A": 1}, reserve=100)
    assert traded(result) == {"A": 810}
    assert result.cash_after == 190


def test_a_minimum_of_cash_beyond_the_models_is_kept() -> None:
    result = propose({}, 1000, {"A": "0.95", CASH: "0.05"}, {"A": 1}, minimum_cash_weight="0.1")
    assert traded(result) == {"A": 900}


def test_a_withdrawal_in_the_reserve_is_raised_by_selling() -> None:
    result = propose({"A": 100}, 0, {"A": "1"}, {"A": 30}, reserve=1000)
    assert traded(result) == {"A": -34}
    assert result.cash_after == 1020


def test_negative_cash_is_covered() -> None:
    result = propose({"A": 50, "B": 25}, -90, HALVES, PRICES)
    assert result.cash_after is not None
    assert result.cash_after >= 0


def test_trades_below_the_minimum_are_not_made() -> None:
    result = propose({"A": 54, "B": 23}, 0, HALVES, PRICES, minimum_trade_amount=50)
    assert by_key(result)["A"].reason is ReasonCode.BELOW_MINIMUM
    result = propose({"A": 54, "B": 23}, 0, HALVES, PRICES, minimum_trade_weight="0.1")
    assert by_key(result)["A"].reason is ReasonCode.BELOW_MINIMUM


def test_a_trade_that_costs_more_than_it_moves_is_not_made() -> None:
    result = propose({"A": 52, "B": 23}, 0, HALVES, {"A": 10, "B": 20}, fee_minimum=40)
    assert {line.reason for line in result.lines} <= {
        ReasonCode.COSTS_EXCEED_TRADE,
        ReasonCode.BELOW_LOT,
        ReasonCode.NO_CASH,
        ReasonCode.AT_TARGET,
    }
    assert not result.trades


def test_what_may_not_be_bought_leaves_its_weight_to_the_others() -> None:
    result = propose(
        {},
        1000,
        {"A": "0.5", "B": "0.3", "C": "0.2"},
        dict.fromkeys("ABC", 1),
        restrictions={"A": Restriction.DO_NOT_BUY},
    )
    assert traded(result) == {"B": 600, "C": 400}
    assert by_key(result)["A"].reason is ReasonCode.DO_NOT_BUY


def test_what_may_not_be_sold_stays_and_the_others_share_the_rest() -> None:
    result = propose(
        {"A": 800},
        200,
        {"A": "0.5", "B": "0.3", "C": "0.2"},
        dict.fromkeys("ABC", 1),
        restrictions={"A": Restriction.DO_NOT_SELL},
    )
    assert traded(result) == {"B": 120, "C": 80}
    assert by_key(result)["A"].reason is ReasonCode.DO_NOT_SELL


def test_what_is_excluded_is_sold_and_replaced_by_the_others() -> None:
    result = propose({"A": 500}, 500, HALVES, {"A": 1, "B": 1}, restrictions={"A": Restriction.EXCLUDED})
    assert traded(result) == {"A": -500, "B": 1000}
    assert (by_key(result)["A"].reason, by_key(result)["A"].limited_by) == (ReasonCode.EXCLUDED, None)
    assert (result.drift_before, result.drift_after) == (1, 0)


@pytest.mark.parametrize("held", [{}, {"B": 1000}])
def test_what_is_excluded_and_not_held_says_so_instead_of_being_at_its_target(held: dict[str, int]) -> None:
    cash = 1000 - sum(held.values())
    result = propose(held, cash, HALVES, {"A": 1, "B": 1}, restrictions={"A": Restriction.EXCLUDED})
    assert by_key(result)["A"].reason is ReasonCode.EXCLUDED
    assert evaluate(result.inputs, traded(result)).lines[0].reason is ReasonCode.EXCLUDED


def test_open_orders_count_and_are_waited_for() -> None:
    order = OpenOrder(security="A", side=Side.BUY, quantity=D(50))
    result = propose({}, 1000, HALVES, PRICES, orders=(order,))
    assert traded(result) == {"B": 25}
    line = by_key(result)["A"]
    assert (line.reason, line.current_quantity) == (ReasonCode.OPEN_ORDER, 50)
    assert result.cash_before == 500


def test_a_missing_price_of_a_holding_stops_the_proposal() -> None:
    result = propose({"A": 1, "B": 1}, 1000, HALVES, {"A": None, "B": 20})
    assert not result.trades
    assert by_key(result)["A"].reason is ReasonCode.MISSING_PRICE
    assert by_key(result)["B"].reason is ReasonCode.VALUE_NOT_AVAILABLE
    assert (result.value, result.drift_before, result.turnover) == (None, None, None)
    assert by_key(result)["A"].current_weight is None


def test_a_missing_price_of_a_target_leaves_its_part_in_cash() -> None:
    result = propose({}, 1000, HALVES, {"A": None, "B": 20})
    assert traded(result) == {"B": 25}
    assert by_key(result)["A"].reason is ReasonCode.MISSING_PRICE


def test_a_missing_rate_is_told_from_a_missing_price() -> None:
    result = propose({}, 1000, HALVES, PRICES, instruments={"A": {"currency": "USD", "rate": None}})
    assert by_key(result)["A"].reason is ReasonCode.MISSING_RATE


def test_everything_is_valued_in_the_portfolios_currency() -> None:
    result = propose(
        {},
        1000,
        HALVES,
        {"A": 10, "B": 100},
        instruments={
            "A": {"currency": "USD", "rate": D("0.8")},
            "B": {"is_percent": True, "lot_size": D(100)},
        },
    )
    assert traded(result) == {"A": 62, "B": 500}
    assert by_key(result)["A"].amount == 496


def test_fractions_are_traded_where_a_security_allows_them() -> None:
    result = propose({}, 100, {"A": "1"}, {"A": 30}, instruments={"A": {"quantity_decimals": 3}})
    assert traded(result) == {"A": D("3.333")}


def test_raising_cash_sells_the_most_overweight_and_buys_nothing() -> None:
    result = propose({"A": 80, "B": 10}, 0, HALVES, PRICES, mode=Mode.RAISE_CASH, cash_wanted=300)
    assert traded(result) == {"A": -30}
    assert by_key(result)["A"].reason is ReasonCode.CASH_NEEDED
    assert by_key(result)["B"].reason is ReasonCode.CASH_SUFFICES


def test_raising_cash_rounds_up_and_covers_its_costs() -> None:
    result = propose(
        {"A": 100},
        5,
        {"A": "1"},
        {"A": 30},
        mode=Mode.RAISE_CASH,
        cash_wanted=1000,
        fee_rate="0.01",
        fee_minimum=10,
    )
    assert result.cash_after is not None
    assert 1000 <= result.cash_after < 1030


def test_raising_cash_that_is_there_sells_nothing() -> None:
    result = propose({"A": 100}, 500, {"A": "1"}, {"A": 30}, mode=Mode.RAISE_CASH, cash_wanted=500)
    assert not result.trades
    assert by_key(result)["A"].reason is ReasonCode.CASH_SUFFICES


def test_raising_more_than_there_is_sells_all_that_may_be_sold() -> None:
    result = propose(
        {"A": 10, "B": 10},
        0,
        {},
        PRICES,
        mode=Mode.RAISE_CASH,
        cash_wanted=9999,
        restrictions={"B": Restriction.DO_NOT_SELL},
    )
    assert traded(result) == {"A": -10}
    assert by_key(result)["B"].reason is ReasonCode.DO_NOT_SELL


@pytest.mark.parametrize(
    ("holdings", "targets", "prices"),
    [
        ({"A": -1}, HALVES, PRICES),
        ({}, {"A": "0.9"}, PRICES),
        ({}, {"A": "1.5", "B": "-0.5"}, PRICES),
        ({"X": 1}, HALVES, PRICES),
    ],
)
def test_inputs_that_make_no_sense_are_refused(
    holdings: dict[str, int], targets: dict[str, str], prices: dict[str, int]
) -> None:
    with pytest.raises(ValueError, match=r"below zero|sum to 1|missing"):
        propose(holdings, 100, targets, prices)


def test_the_proposal_keeps_the_inputs_it_follows_from() -> None:
    result = propose({"A": 54, "B": 23}, 10, HALVES, PRICES, fee_rate="0.001")
    assert rebalance(result.inputs) == result


def test_trades_made_by_hand_are_worked_out_like_those_by_the_rules() -> None:
    by_rules = propose({"A": 100}, 500, HALVES, PRICES, fee_rate="0.001")
    by_hand = evaluate(by_rules.inputs, traded(by_rules))
    assert (by_hand.cash_after, by_hand.fees, by_hand.turnover, by_hand.drift_after) == (
        by_rules.cash_after,
        by_rules.fees,
        by_rules.turnover,
        by_rules.drift_after,
    )
    assert evaluate(by_rules.inputs, {"A": D(0), "B": D(5)}).cash_after == D("399.9")
