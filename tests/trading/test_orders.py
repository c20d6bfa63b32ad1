"""An order moves only along the transitions of its table."""

import itertools

import pytest

from trading.calculations.orders import (
    FINAL_STATES,
    OPEN_STATES,
    TRANSITIONS,
    OrderState,
    OrderTransitionError,
    can_move,
    check_move,
    is_cancellable,
    is_in_market,
)


def test_the_way_from_draft_to_settled_is_open() -> None:
    way = ["draft", "proposed", "approved", "sent", "new", "partially_filled", "filled", "settled"]
    assert all(can_move(before, after) for before, after in itertools.pairwise(way))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("draft", "approved"),
        ("proposed", "sent"),
        ("approved", "filled"),
        ("filled", "cancelled"),
        ("cancelled", "filled"),
        ("settled", "filled"),
        ("rejected", "approved"),
        ("waiting", "filled"),
    ],
)
def test_steps_cannot_be_left_out_or_undone(before: str, after: str) -> None:
    assert not can_move(before, after)
    with pytest.raises(OrderTransitionError, match=f"{before} cannot become {after}"):
        check_move(before, after)


def test_an_edit_voids_approval() -> None:
    assert check_move("approved", "draft") is OrderState.DRAFT


def test_a_busted_fill_opens_the_order_again() -> None:
    assert can_move("filled", "partially_filled")
    assert can_move("partially_filled", "new")


def test_every_state_is_in_the_table_and_can_be_reached() -> None:
    assert set(TRANSITIONS) == set(OrderState)
    reached = set().union(*TRANSITIONS.values())
    assert reached == set(OrderState)


def test_final_and_open_states_do_not_meet() -> None:
    assert set(FINAL_STATES) == {
        OrderState.SETTLED,
        OrderState.CANCELLED,
        OrderState.REJECTED,
        OrderState.EXPIRED,
    }
    assert not OPEN_STATES & FINAL_STATES
    assert all(is_cancellable(state) for state in OPEN_STATES)
    assert not is_cancellable("filled")
    assert is_in_market("new")
    assert not is_in_market("sent")


def test_an_unknown_state_is_an_error() -> None:
    with pytest.raises(ValueError, match="lost"):
        can_move("lost", "filled")
