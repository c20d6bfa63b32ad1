"""Fills are divided fairly, what is booked stays booked, and every cent goes somewhere."""

from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.calculations.allocation import (
    BlockMember,
    Fill,
    allocate_amount,
    allocate_fill,
    average_price,
)


def block(*orders: int, booked: tuple[int, ...] = (), house: tuple[int, ...] = ()) -> list[BlockMember]:
    return [
        BlockMember(
            id=i,
            quantity=D(order),
            booked=D(booked[i]) if booked else D(0),
            is_house=i in house,
        )
        for i, order in enumerate(orders)
    ]


def quantities(members: list[BlockMember], filled: int, lot: str = "1") -> list[int]:
    return [int(part.quantity) for part in allocate_fill(members, D(filled), lot=D(lot))]


def test_a_fill_in_one_shot() -> None:
    assert quantities(block(500, 300, 200), 333) == [166, 100, 67]


def test_fills_one_after_another_never_take_back() -> None:
    first = quantities(block(600, 600, 200), 1000, "100")
    assert first == [400, 400, 200]
    second = quantities(block(600, 600, 200, booked=tuple(first)), 100, "100")
    assert second == [100, 0, 0]
    assert [a + b for a, b in zip(first, second, strict=True)] == [500, 400, 200]


def test_a_tie_goes_to_the_larger_order_and_then_the_id() -> None:
    assert quantities(block(100, 100), 1) == [1, 0]
    assert quantities(block(10, 30, booked=(0, 1)), 1) == [0, 1]


def test_clients_are_served_before_the_house() -> None:
    assert quantities(block(100, 100, 100, house=(1,)), 150) == [75, 0, 75]
    assert quantities(block(100, 100, 100, house=(1,)), 250) == [100, 50, 100]


def test_the_ideal_is_kept_beside_the_actual_part() -> None:
    parts = allocate_fill(block(500, 300, 200), D(333))
    assert [part.ideal for part in parts] == [D("166.5"), D("99.9"), D("66.6")]


def test_more_than_was_ordered_cannot_be_allocated() -> None:
    with pytest.raises(ValueError, match="more than the 5 left"):
        allocate_fill(block(10, booked=(5,)), D(6))
    with pytest.raises(ValueError, match="negative"):
        allocate_fill(block(10), D(-1))


def test_a_fill_that_is_no_whole_lot_is_given_out_wholly() -> None:
    assert sum(quantities(block(150, 150), 130, "100")) == 130


def test_a_large_fill_is_given_out_at_once() -> None:
    members = block(*(10**9 + i for i in range(50)))
    assert sum(quantities(members, 5 * 10**9)) == 5 * 10**9


def test_the_average_price_has_eight_decimals() -> None:
    fills = [Fill(quantity=D(1), price=D("10.01")), Fill(quantity=D(2), price=D(10))]
    assert average_price(fills) == D("10.00333333")
    assert average_price([]) is None


def test_residual_cents_go_to_the_largest_remainders() -> None:
    assert allocate_amount(D("10.00"), {"a": D(1), "b": D(1), "c": D(1)}) == {
        "a": D("3.34"),
        "b": D("3.33"),
        "c": D("3.33"),
    }
    assert allocate_amount(D(100), {"a": D(2), "b": D(1)}, decimals=0) == {"a": 67, "b": 33}
    assert allocate_amount(D("-0.05"), {"a": D(1), "b": D(3)}) == {"a": D("-0.01"), "b": D("-0.04")}


def test_an_amount_needs_something_to_be_divided_by() -> None:
    with pytest.raises(ValueError, match="above zero"):
        allocate_amount(D(1), {"a": D(0)})
    with pytest.raises(ValueError, match="decimals"):
        allocate_amount(D("0.001"), {"a": D(1)})


@given(
    orders=st.lists(st.integers(1, 2000), min_size=1, max_size=6),
    fills=st.lists(st.integers(1, 1500), max_size=8),
    lot=st.sampled_from([1, 7, 100]),
    house=st.booleans(),
)
def test_fills_are_given_out_wholly_within_orders_and_close_to_the_ideal(
    orders: list[int], fills: list[int], lot: int, house: bool
) -> None:
    booked = [0] * len(orders)
    for fill in fills:
        fill = min(fill, sum(orders) - sum(booked))
        members = block(*orders, booked=tuple(booked), house=(0,) if house else ())
        parts = allocate_fill(members, D(fill), lot=D(lot))
        assert sum(part.quantity for part in parts) == fill
        for i, part in enumerate(parts):
            assert 0 <= part.quantity <= orders[i] - booked[i]
            booked[i] += int(part.quantity)


@given(
    orders=st.lists(st.integers(1, 2000), min_size=1, max_size=6),
    share=st.integers(0, 100),
)
def test_a_fill_in_single_units_is_less_than_one_from_the_ideal(orders: list[int], share: int) -> None:
    for part in allocate_fill(block(*orders), D(sum(orders) * share // 100)):
        assert abs(part.quantity - part.ideal) < 1


@given(
    st.integers(-(10**9), 10**9),
    st.dictionaries(st.integers(0, 20), st.integers(0, 10**6).map(D), min_size=1).filter(
        lambda parts: sum(parts.values()) > 0
    ),
    st.sampled_from([0, 2, 3]),
)
def test_an_amount_is_divided_to_the_last_cent(units: int, parts: dict[int, D], decimals: int) -> None:
    amount = D(units).scaleb(-decimals)
    divided = allocate_amount(amount, parts, decimals=decimals)
    assert sum(divided.values()) == amount
    for key, part in divided.items():
        exact = amount * parts[key] / sum(parts.values())
        assert abs(part - exact) < D(1).scaleb(-decimals)
