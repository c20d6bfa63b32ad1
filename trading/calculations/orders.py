"""Say which states an order can move between."""

from __future__ import annotations

from enum import StrEnum


class OrderState(StrEnum):
    """Name an order's state; from `new` on it is FIX 4.4's OrdStatus (39)."""

    DRAFT = "draft"
    PROPOSED = "proposed"
    APPROVED = "approved"
    WAITING = "waiting"
    SENT = "sent"
    NEW = "new"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    SETTLED = "settled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    DONE_FOR_DAY = "done_for_day"


_S = OrderState

# A fill may overtake its acknowledgement, and an edit sends a proposal back to draft. Out of
# filled lead a bust (ExecType H) and a correction (G); settlement is per execution, so an order
# is settled once all of them are. Waiting is for a state of the client that stops orders.
TRANSITIONS: dict[OrderState, frozenset[OrderState]] = {
    _S.DRAFT: frozenset({_S.PROPOSED, _S.CANCELLED}),
    _S.PROPOSED: frozenset({_S.APPROVED, _S.REJECTED, _S.DRAFT, _S.CANCELLED}),
    _S.APPROVED: frozenset({_S.SENT, _S.WAITING, _S.DRAFT, _S.CANCELLED}),
    _S.WAITING: frozenset({_S.APPROVED, _S.SENT, _S.CANCELLED}),
    _S.SENT: frozenset({_S.NEW, _S.PARTIALLY_FILLED, _S.FILLED, _S.REJECTED, _S.CANCELLED, _S.EXPIRED}),
    _S.NEW: frozenset(
        {
            _S.PARTIALLY_FILLED,
            _S.FILLED,
            _S.CANCELLED,
            _S.REJECTED,
            _S.EXPIRED,
            _S.DONE_FOR_DAY,
        }
    ),
    _S.PARTIALLY_FILLED: frozenset({_S.NEW, _S.FILLED, _S.CANCELLED, _S.EXPIRED, _S.DONE_FOR_DAY}),
    _S.DONE_FOR_DAY: frozenset({_S.NEW, _S.PARTIALLY_FILLED, _S.FILLED, _S.CANCELLED, _S.EXPIRED}),
    _S.FILLED: frozenset({_S.SETTLED, _S.PARTIALLY_FILLED, _S.NEW}),
    _S.SETTLED: frozenset(),
    _S.CANCELLED: frozenset(),
    _S.REJECTED: frozenset(),
    _S.EXPIRED: frozenset(),
}

OPEN_STATES = frozenset({_S.APPROVED, _S.WAITING, _S.SENT, _S.NEW, _S.PARTIALLY_FILLED, _S.DONE_FOR_DAY})
FINAL_STATES = frozenset(state for state, following in TRANSITIONS.items() if not following)
_IN_MARKET = frozenset({_S.NEW, _S.PARTIALLY_FILLED, _S.DONE_FOR_DAY})


class OrderTransitionError(ValueError):
    """Say that an order cannot move from `current` to `wanted`."""

    def __init__(self, current: OrderState, wanted: OrderState) -> None:
        super().__init__(f"An order that is {current} cannot become {wanted}.")
        self.current = current
        self.wanted = wanted


def can_move(current: str, wanted: str) -> bool:
    """Return whether an order may go from one state to another; states by their values."""
    return OrderState(wanted) in TRANSITIONS[OrderState(current)]


def check_move(current: str, wanted: str) -> OrderState:
    """Return the wanted state, or raise OrderTransitionError."""
    if not can_move(current, wanted):
        raise OrderTransitionError(OrderState(current), OrderState(wanted))
    return OrderState(wanted)


def is_cancellable(state: str) -> bool:
    """Return whether a cancel may be asked for; in the market a fill may still come first."""
    return _S.CANCELLED in TRANSITIONS[OrderState(state)]


def is_in_market(state: str) -> bool:
    """Return whether the market has acknowledged the order and may fill it."""
    return OrderState(state) in _IN_MARKET
