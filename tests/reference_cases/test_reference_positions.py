"""Quantity, cost and gains agree with other projects' worked cases."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from portfolios.calculations.entries import Entry, EntryType, LedgerError, signed_net_amount
from portfolios.calculations.ledger import Positions, derive_positions
from portfolios.calculations.lots import CostMethod
from tests.reference_cases.cases import Case, assert_close, cases

ZERO = Decimal(0)
LATER = date(2100, 1, 1)


def on(text: str) -> date:
    """Read an ISO date, or the number of a step."""
    return date(2000, 1, 1) + timedelta(days=int(text)) if text.isdigit() else date.fromisoformat(text)


def entries(case: Case) -> list[Entry]:
    made = []
    for number, row in enumerate(case["transactions"]):
        kind = EntryType(row["type"])
        quantity, price = row.get("quantity", ZERO), row.get("price", ZERO)
        gross, fee = row.get("gross", quantity * price), row.get("fee", ZERO)
        if kind is EntryType.SELL:
            quantity = -quantity
        made.append(
            Entry(
                id=number,
                type=kind,
                trade_date=on(row["date"]),
                settlement_date=on(row["date"]),
                currency=case.get("currency", "EUR"),
                security="it",
                quantity=quantity,
                gross_amount=gross,
                fees=fee,
                ratio=row.get("ratio"),
                net_amount=signed_net_amount(kind, gross, fees=fee),
            )
        )
    return made


def figures(case: Case, result: Positions) -> dict[str, Any]:
    holding = result.holdings.get("it")
    quantity = holding.quantity if holding else ZERO
    cost = holding.book_cost if holding else ZERO
    gains = [gain.gain for gain in result.gains]
    fees = sum((row.get("fee", ZERO) for row in case["transactions"]), ZERO)
    found: dict[str, Any] = {
        "quantity": quantity,
        "cost_basis": cost,
        "average_cost": holding.average_cost if holding else None,
        "realised_gain": sum(gains, ZERO),
        "realised_gains": gains,
        "total_fees": fees,
        "dividend_income": sum(
            (r["quantity"] * r["price"] for r in case["transactions"] if r["type"] == "dividend"), ZERO
        ),
    }
    if case.get("market_price") is not None:
        found["market_value"] = quantity * case["market_price"]
        found["unrealised_gain"] = found["market_value"] - cost
        found["gross_performance"] = found["unrealised_gain"] + found["realised_gain"]
        found["net_performance"] = found["gross_performance"] - fees
    return found


@pytest.mark.parametrize("case", cases("positions"))
def test_positions_agree(case: Case) -> None:
    if "expected_error" in case:
        with pytest.raises(LedgerError):
            derive_positions(entries(case), as_of=LATER)
        return
    for name in case["cost_methods"]:
        result = derive_positions(
            entries(case),
            as_of=LATER,
            method=CostMethod(name),
            fees_in_cost=case.get("fees_in_cost", True),
        )
        found = figures(case, result)
        expected = case["expected"].get(name, case["expected"])
        for figure, value in expected.items():
            if figure in case["cost_methods"] or figure == "wrong_answer_reported":
                continue
            if isinstance(value, list):
                assert len(found[figure]) == len(value)
                for actual, wanted in zip(found[figure], value, strict=True):
                    assert_close(actual, wanted, case, figure)
            else:
                assert_close(found[figure], value, case, f"{name} {figure}")
        if "expected_cash" in case:
            cash = result.cash[case["currency"]].traded
            assert_close(cash, case["expected_cash"]["after"], case, "cash")
