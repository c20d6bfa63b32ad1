"""Properties of the daily valuation, whatever the figures."""

from datetime import date, timedelta
from decimal import Decimal as D

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from portfolios.calculations.daily import (
    UNIT_VALUE_PLACES,
    Opening,
    UnitValues,
    rounded_quotient,
    scaled,
    value_days,
)
from portfolios.calculations.entries import Entry, EntryType
from portfolios.calculations.ledger import derive_positions
from portfolios.calculations.timeline import follow

DAYS = [date(2026, 1, 5) + timedelta(days=i) for i in range(6)]
amounts = st.decimals(min_value=D("0.01"), max_value=D("99999"), places=4)
moves = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from(["buy", "sell", "split"]), amounts), max_size=12
)


def _entries(wanted) -> list[Entry]:
    """Return a sound ledger: what is sold is part of what is held on every later day too."""
    entries: list[Entry] = []
    held = D(0)
    for number, (offset, kind, amount) in enumerate(
        sorted(wanted, key=lambda move: (move[0], move[1] != "split"))
    ):
        quantity = amount
        if kind == "sell":
            quantity = -min(amount, held)
        if kind == "split":
            quantity = D(0)
        if kind == "sell" and not quantity:
            continue
        held = held * 2 if kind == "split" else held + quantity
        entries.append(
            Entry(id=number, type=EntryType(kind), trade_date=DAYS[offset], settlement_date=DAYS[offset], currency="EUR",
                  security="S", quantity=quantity, price=D(1), gross_amount=abs(quantity), net_amount=-quantity,
                  ratio=D(2) if kind == "split" else None)
        )  # fmt: skip
    return entries


@given(moves)
def test_the_timeline_holds_what_the_ledger_derives_on_every_day(wanted):
    entries = _entries(wanted)
    timeline = follow(entries)
    for day in DAYS:
        derived = derive_positions(entries, as_of=day)
        steps = [held for since, held in timeline.securities.get("S", []) if since <= day]
        expected = derived.holdings["S"].quantity if "S" in derived.holdings else D(0)
        assert (steps[-1] if steps else D(0)) == expected
        cash = [held for since, held in timeline.cash.get("EUR", []) if since <= day]
        assert (cash[-1] if cash else D(0)) == (derived.cash["EUR"].traded if "EUR" in derived.cash else D(0))


@given(moves, st.lists(amounts, min_size=6, max_size=6))
def test_each_day_is_worth_quantity_times_price(wanted, closes):
    entries = _entries(wanted)
    none = np.zeros(6, dtype=bool)
    unit = UnitValues(name="S", values=np.array([scaled(close, UNIT_VALUE_PLACES) for close in closes], dtype=object),
                      is_missing=none, is_stale=none, is_simulated=none)  # fmt: skip
    one = UnitValues(name="EUR", values=np.array([scaled(D(1), UNIT_VALUE_PLACES)] * 6, dtype=object),
                     is_missing=none, is_stale=none, is_simulated=none)  # fmt: skip
    found = value_days(follow(entries), [], calendar=DAYS, days=list(range(6)), securities={"S": unit},
                       currencies={"EUR": one}, opening=Opening())  # fmt: skip
    for i, day in enumerate(DAYS):
        derived = derive_positions(entries, as_of=day)
        held = derived.holdings["S"].quantity if "S" in derived.holdings else D(0)
        cash = derived.cash["EUR"].traded if "EUR" in derived.cash else D(0)
        assert D(found.values[i]).scaleb(-4) == (held * closes[i] + cash).quantize(D("0.0001"))


@given(st.integers(-(10**40), 10**40), st.integers(1, 10**30))
def test_a_quotient_is_rounded_half_to_even(numerator, denominator):
    quotient = rounded_quotient(numerator, denominator)
    rest = abs(2 * (numerator - quotient * denominator))
    assert rest <= denominator
    assert rest < denominator or quotient % 2 == 0
