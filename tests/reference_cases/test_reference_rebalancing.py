"""Drift and trades agree with other projects' worked cases."""

from decimal import Decimal

import pytest

from models_portfolio.calculations.drift import measure_drift
from models_portfolio.calculations.weights import CASH
from tests.reference_cases.cases import Case, assert_close, cases
from trading.calculations.proposal import Instrument, Mode, RebalanceInputs
from trading.calculations.rebalance import rebalance

CURRENCIES = ("USD", "EUR")


@pytest.mark.parametrize("case", [c for c in cases("rebalancing") if "expected" in c.values[0]])
def test_drift_agrees(case: Case) -> None:
    values = {key: holding["value"] for key, holding in case["holdings"].items()}
    total = sum(values.values())
    weights = {key: value / total for key, value in values.items()}
    drift = {line.key: line for line in measure_drift(weights, case["target_weights"]).lines}
    for key, expected in case["expected"]["current_weights"].items():
        assert_close(drift[key].weight, expected, case)
    for key, expected in case["expected"]["target_values"].items():
        assert_close(drift[key].target * total, expected, case)
    for key, expected in case["expected"]["drift"].items():
        if key not in CURRENCIES:
            # The sources count what is lacking, drift here is what is too much.
            assert_close(-drift[key].absolute, expected, case)


@pytest.mark.parametrize("case", [c for c in cases("rebalancing") if "expected_orders" in c.values[0]])
def test_trades_agree(case: Case) -> None:
    targets = dict(case["target_weights"])
    targets[CASH] = 1 - sum(targets.values())
    inputs = RebalanceInputs(
        mode=Mode.TO_TARGET,
        currency="USD",
        holdings={key: holding["quantity"] for key, holding in case["holdings"].items()},
        cash=Decimal(0),
        targets=targets,
        instruments={
            key: Instrument(security=key, price=price, currency="USD")
            for key, price in case["prices"].items()
        },
    )
    if min(targets.values()) < 0:
        with pytest.raises(ValueError, match="zero or more"):
            rebalance(inputs)
        assert case["expected_orders"] == []
        return
    orders = [
        {"side": line.side, "symbol": line.security, "quantity": line.quantity}
        for line in rebalance(inputs).trades
    ]
    assert orders == case["expected_orders"]
