"""Divide a block's fills among its orders, and amounts down to the last cent."""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import TypeAlias

Key: TypeAlias = Hashable
ZERO = Decimal(0)
ONE = Decimal(1)
PRICE_DECIMALS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockMember:
    """Hold an order's part in a block: what it ordered and what is booked to it already."""

    id: Key
    quantity: Decimal
    booked: Decimal = ZERO
    is_house: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """Hold a fill in the market."""

    quantity: Decimal
    price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberAllocation:
    """Hold an order's part of a fill, beside the part it would have without lots."""

    id: Key
    quantity: Decimal
    ideal: Decimal


def allocate_fill(
    members: Sequence[BlockMember], filled: Decimal, *, lot: Decimal = ONE
) -> tuple[MemberAllocation, ...]:
    """Divide a new fill of `filled` among the members, in their order.

    Each lot goes to the order with the largest (ideal cumulative − booked), capped at the order,
    ties to the larger order and then the id; what is booked is never taken back. Client orders
    are served before the house's (MiFID II delegated regulation, art. 68–69). `ideal` is
    cumulative. Raises ValueError when the fill is more than is left of the orders.
    """
    if lot <= 0 or filled < 0:
        raise ValueError("A fill cannot be negative, and a lot must be above zero.")
    left_to_fill = sum((member.quantity - member.booked for member in members), ZERO)
    if filled > left_to_fill:
        raise ValueError(f"The fill of {filled} is more than the {left_to_fill} left to fill.")
    clients = [member for member in members if not member.is_house]
    house = [member for member in members if member.is_house]
    open_to_clients = sum((member.quantity - member.booked for member in clients), ZERO)
    to_clients = min(filled, open_to_clients)
    parts = {**_divide(clients, to_clients, lot), **_divide(house, filled - to_clients, lot)}
    return tuple(
        MemberAllocation(id=member.id, quantity=parts[member.id][0], ideal=parts[member.id][1])
        for member in members
    )


def average_price(fills: Sequence[Fill]) -> Decimal | None:
    """Return the average price of all fills, to `PRICE_DECIMALS`; None without a fill."""
    quantity = sum((fill.quantity for fill in fills), ZERO)
    if not quantity:
        return None
    amount = sum((fill.quantity * fill.price for fill in fills), ZERO)
    return (amount / quantity).quantize(ONE.scaleb(-PRICE_DECIMALS), rounding=ROUND_HALF_EVEN)


def allocate_amount(
    amount: Decimal, quantities: Mapping[Key, Decimal], *, decimals: int = 2
) -> dict[Key, Decimal]:
    """Divide an amount by quantity so that the parts sum to it exactly.

    The residual cents go to the largest remainders, ties to the larger quantity and then the id.
    Raises ValueError when there is nothing to divide by, or the amount has finer units.
    """
    total = sum(quantities.values(), ZERO)
    unit = ONE.scaleb(-decimals)
    if total <= 0 or min(quantities.values()) < 0:
        raise ValueError("The quantities must be zero or more, with a sum above zero.")
    if amount % unit:
        raise ValueError(f"The amount {amount} has more than {decimals} decimals.")
    exact = {key: Fraction(amount) * Fraction(q) / Fraction(total) for key, q in quantities.items()}
    cents = {key: int(value / Fraction(unit)) for key, value in exact.items()}
    residual = int(amount / unit) - sum(cents.values())
    order = sorted(
        quantities,
        key=lambda key: (
            -abs(exact[key] / Fraction(unit) - cents[key]),
            -quantities[key],
            str(key),
        ),
    )
    for key in order[: abs(residual)]:
        cents[key] += 1 if residual > 0 else -1
    return {key: cents[key] * unit for key in quantities}


def _divide(
    members: Sequence[BlockMember], filled: Decimal, lot: Decimal
) -> dict[Key, tuple[Decimal, Decimal]]:
    """Return the new quantity and the cumulative ideal of each member."""
    total = sum((member.quantity for member in members), ZERO)
    if not total:
        return {member.id: (ZERO, ZERO) for member in members}
    cumulative = sum((member.booked for member in members), ZERO) + filled
    # Fractions, so that equal gaps are equal and ties are decided by the rule.
    ideals = {m.id: Fraction(m.quantity) * Fraction(cumulative) / Fraction(total) for m in members}
    gaps = {m.id: ideals[m.id] - Fraction(m.booked) for m in members}
    given = _whole_lots(gaps, filled, lot)
    left = filled - sum(given.values(), ZERO)
    queue = [
        (-(gaps[m.id] - Fraction(given[m.id])), -m.quantity, str(m.id), index)
        for index, m in enumerate(members)
    ]
    heapq.heapify(queue)
    while left and queue:
        gap, size, name, index = heapq.heappop(queue)
        member = members[index]
        part = min(lot, left, member.quantity - member.booked - given[member.id])
        if part <= 0:
            continue
        given[member.id] += part
        left -= part
        heapq.heappush(queue, (gap + Fraction(part), size, name, index))
    return {
        m.id: (given[m.id], Decimal(ideals[m.id].numerator) / Decimal(ideals[m.id].denominator))
        for m in members
    }


def _whole_lots(gaps: Mapping[Key, Fraction], filled: Decimal, lot: Decimal) -> dict[Key, Decimal]:
    """Give at once the lots that the rule would give one by one, so that large fills are fast.

    Every lot above a common level goes before any below it. The level is the lowest, in lots, at
    which what lies above it does not exceed the fill.
    """
    lots = {key: max(int(gap / Fraction(lot)), 0) for key, gap in gaps.items()}
    available = int((filled / lot).to_integral_value(rounding=ROUND_DOWN))
    low, high = 0, max(lots.values())
    while low < high:
        level = (low + high) // 2
        if sum(max(count - level, 0) for count in lots.values()) <= available:
            high = level
        else:
            low = level + 1
    return {key: max(count - low, 0) * lot for key, count in lots.items()}
