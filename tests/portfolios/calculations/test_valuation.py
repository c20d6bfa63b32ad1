"""What cannot be valued is named, and never counts as nothing."""

from datetime import date, timedelta
from decimal import Decimal as D
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolios.calculations.cash import CashDeductions, cash_positions
from portfolios.calculations.ledger import CashBalance
from portfolios.calculations.valuation import (
    Missing,
    MissingKind,
    Position,
    PriceUnit,
    Quote,
    RateQuote,
    Valuation,
    cross_rate,
    value_portfolio,
)

TODAY = date(2026, 3, 18)
RATES = {
    "USD": RateQuote(per_euro=D("1.10"), as_of=TODAY),
    "CHF": RateQuote(per_euro=D("0.95"), as_of=TODAY),
}


def quote(price: Any, currency: str = "EUR", *, age: int = 0, **values: Any) -> Quote:
    return Quote(price=D(str(price)), currency=currency, as_of=TODAY - timedelta(days=age), **values)


def value(
    positions: list[Position],
    cash: dict[str, D] | None = None,
    *,
    quotes: dict[Any, Quote] | None = None,
    currency: str = "EUR",
    rates: dict[str, RateQuote] = RATES,
) -> Valuation:
    return value_portfolio(
        positions, cash or {}, currency=currency, as_of=TODAY, quotes=quotes or {}, rates=rates
    )


def test_rates_cross_over_the_euro() -> None:
    per_euro = {"USD": D("1.10"), "CHF": D("0.95")}
    assert cross_rate(per_euro, from_currency="EUR", to_currency="USD") == D("1.10")
    assert cross_rate(per_euro, from_currency="USD", to_currency="USD") == 1
    crossed = cross_rate(per_euro, from_currency="USD", to_currency="CHF")
    assert crossed == D("0.95") / D("1.10")
    assert cross_rate(per_euro, from_currency="JPY", to_currency="CHF") is None


def test_a_portfolio_is_valued_in_its_currency() -> None:
    result = value(
        [Position(security="A", quantity=D(11)), Position(security="B", quantity=D(2))],
        {"EUR": D(100), "USD": D(55)},
        quotes={"A": quote(10, "USD"), "B": quote(25)},
    )
    assert result.securities_value == 150
    assert result.cash_value == 150
    assert result.total == 300
    assert [line.weight for line in result.positions] == [D(100) / 300, D(50) / 300]
    assert not result.missing


def test_a_portfolio_in_another_currency_crosses_both_ways() -> None:
    result = value([Position(security="A", quantity=D(1))], quotes={"A": quote(110, "USD")}, currency="CHF")
    assert result.total is not None
    assert abs(result.total - 95) < D("1e-20")


def test_a_bond_is_quoted_in_percent_of_its_nominal() -> None:
    result = value(
        [Position(security="A", quantity=D(10000))],
        quotes={"A": quote("98.5", unit=PriceUnit.PERCENT)},
    )
    assert result.total == 9850


def test_a_missing_price_makes_the_total_not_available() -> None:
    result = value(
        [Position(security="A", quantity=D(1)), Position(security="B", quantity=D(1))],
        {"EUR": D(5)},
        quotes={"A": quote(1)},
    )
    assert result.total is None
    assert result.securities_value is None
    assert result.cash_value == 5
    assert result.missing == (Missing(kind=MissingKind.PRICE, security="B"),)
    assert result.positions[0].market_value == 1
    assert result.positions[0].weight is None


def test_a_missing_rate_is_named() -> None:
    result = value([Position(security="A", quantity=D(1))], quotes={"A": quote(1, "JPY")})
    assert result.total is None
    assert result.missing == (Missing(kind=MissingKind.RATE, currency="JPY"),)
    assert value([], {"JPY": D(1)}).missing == (Missing(kind=MissingKind.RATE, currency="JPY"),)


def test_the_portfolios_own_currency_may_be_the_missing_rate() -> None:
    result = value([], {"EUR": D(1)}, currency="JPY")
    assert result.missing == (Missing(kind=MissingKind.RATE, currency="JPY"),)


def test_a_price_of_tomorrow_is_missing_today() -> None:
    result = value([Position(security="A", quantity=D(1))], quotes={"A": quote(1, age=-1)})
    assert result.total is None


def test_nothing_held_needs_no_price() -> None:
    assert value([Position(security="A", quantity=D(0))], {"JPY": D(0)}).total == 0


@pytest.mark.parametrize(("age", "is_stale"), [(0, False), (5, False), (6, True)])
def test_an_old_price_is_used_and_flagged(age: int, is_stale: bool) -> None:
    result = value([Position(security="A", quantity=D(2))], quotes={"A": quote(3, age=age)})
    assert result.total == 6
    assert result.is_stale is is_stale
    assert result.positions[0].is_stale is is_stale


def test_an_old_rate_is_flagged_too() -> None:
    rates = {"USD": RateQuote(per_euro=D(2), as_of=TODAY - timedelta(days=30))}
    assert value([], {"USD": D(4)}, rates=rates).is_stale
    assert not value([], {"USD": D(0)}, rates=rates).is_stale


def test_the_unrealised_gain_splits_into_price_and_currency() -> None:
    position = Position(security="A", quantity=D(10), book_cost=D(1000), book_cost_portfolio=D(1000))
    line = value([position], quotes={"A": quote(121, "USD")}).positions[0]
    assert line.unrealised_gain == D(100)
    assert line.price_gain is not None
    assert line.currency_gain is not None
    assert line.price_gain + line.currency_gain == line.unrealised_gain
    assert abs(line.price_gain - D(210) / D("1.1")) < D("1e-20")


def test_a_gain_without_a_price_is_not_available() -> None:
    position = Position(security="A", quantity=D(1), book_cost=D(1), book_cost_portfolio=D(1))
    assert value([position]).positions[0].unrealised_gain is None


def test_weights_need_a_value_above_zero() -> None:
    result = value([Position(security="A", quantity=D(1))], {"EUR": D(-5)}, quotes={"A": quote(5)})
    assert result.total == 0
    assert result.positions[0].weight is None


@given(
    st.lists(st.tuples(st.decimals(0, 10**6, places=4), st.decimals("0.01", 10**4, places=4))),
    st.decimals(1, 10**6, places=2),
)
def test_weights_sum_to_one(lines: list[tuple[D, D]], cash: D) -> None:
    result = value(
        [Position(security=i, quantity=quantity) for i, (quantity, _) in enumerate(lines)],
        {"USD": cash},
        quotes={i: quote(price, "CHF") for i, (_, price) in enumerate(lines)},
    )
    weights = [line.weight or D(0) for line in (*result.positions, *result.cash)]
    assert abs(sum(weights) - 1) < D("1e-20")


def test_available_cash_is_traded_cash_less_what_is_promised() -> None:
    balances = {"EUR": CashBalance(currency="EUR", settled=D(1000), traded=D(700))}
    promised = {
        "EUR": CashDeductions(open_buys=D(100), reserves=D(50), fees=D(20), withdrawals=D(30)),
        "USD": CashDeductions(open_buys=D(5)),
    }
    cash = cash_positions(balances, promised)
    assert (cash["EUR"].settled, cash["EUR"].traded, cash["EUR"].available) == (1000, 700, 500)
    assert cash["USD"].available == -5
