"""The lots of a security: what each purchase left, and which of them a sale takes by the cost method."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum

from portfolios.calculations.entries import ZERO, Entry, Key


class CostMethod(StrEnum):
    """Which lots a sale uses up: their average, the first, the last, or those of the highest cost a unit."""

    AVERAGE = "average"
    FIFO = "fifo"
    LIFO = "lifo"
    HIFO = "hifo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """Hold what is left of one purchase, or, at average cost, the whole pool of a security."""

    entry_id: Key
    acquired_on: date
    quantity: Decimal
    book_cost: Decimal
    book_cost_portfolio: Decimal


@dataclass(slots=True)
class Book:
    """Gather one security while the ledger is read."""

    currency: str
    quantity: Decimal = ZERO
    settled: Decimal = ZERO
    lots: list[Lot] = field(default_factory=list)


def lot_of(entry: Entry, costs: Decimal) -> Lot:
    """Return the lot that an entry brings in, at its own cost and day unless it came with others."""
    cost = entry.original_cost if entry.original_cost is not None else entry.gross_amount + costs
    if entry.original_cost_portfolio is not None:
        cost_portfolio = entry.original_cost_portfolio
    else:
        cost_portfolio = cost * entry.rate_to_portfolio
    return Lot(
        entry_id=entry.id,
        acquired_on=entry.original_date or entry.trade_date,
        quantity=entry.quantity,
        book_cost=cost,
        book_cost_portfolio=cost_portfolio,
    )


def add(book: Book, lot: Lot, method: CostMethod) -> None:
    """Put a lot into the book; at average cost all of them are one pool."""
    book.quantity += lot.quantity
    if method is CostMethod.AVERAGE and book.lots:
        pool = book.lots[0]
        book.lots = [
            Lot(
                entry_id=pool.entry_id,
                acquired_on=min(pool.acquired_on, lot.acquired_on),
                quantity=pool.quantity + lot.quantity,
                book_cost=pool.book_cost + lot.book_cost,
                book_cost_portfolio=pool.book_cost_portfolio + lot.book_cost_portfolio,
            )
        ]
    else:
        book.lots.append(lot)


def take(book: Book, quantity: Decimal, method: CostMethod) -> tuple[Lot, ...]:
    """Take `quantity` from the lots in the order of the method and return the parts taken."""
    order = list(book.lots)
    if method is CostMethod.LIFO:
        # Reversed first, so that of two lots of one day the one booked last goes first.
        order.reverse()
        order.sort(key=lambda lot: lot.acquired_on, reverse=True)
    elif method is CostMethod.HIFO:
        order.sort(key=lambda lot: lot.book_cost / lot.quantity, reverse=True)
    else:
        order.sort(key=lambda lot: lot.acquired_on)
    used: list[Lot] = []
    left = quantity
    for lot in order:
        if not left:
            break
        taken = min(left, lot.quantity)
        left -= taken
        position = next(i for i, kept in enumerate(book.lots) if kept is lot)
        if taken == lot.quantity:
            # The whole cost goes with the last unit, so no residue stays behind.
            used.append(lot)
            del book.lots[position]
            continue
        part = _part(lot, taken)
        used.append(part)
        book.lots[position] = Lot(
            entry_id=lot.entry_id,
            acquired_on=lot.acquired_on,
            quantity=lot.quantity - taken,
            book_cost=lot.book_cost - part.book_cost,
            book_cost_portfolio=lot.book_cost_portfolio - part.book_cost_portfolio,
        )
    book.quantity -= quantity
    return tuple(used)


def take_back(book: Book, entry: Entry, method: CostMethod) -> tuple[Lot, ...]:
    """Take out what a transfer out names by the day and the cost that it came in with; nothing where it is not there.

    Such a transfer corrects what was transferred in: what stays is as if that had not come.
    """
    if entry.original_cost is None:
        return ()
    quantity, cost = -entry.quantity, -entry.original_cost
    those = [
        lot
        for lot in book.lots
        if lot.quantity >= quantity
        and lot.book_cost >= cost
        and (method is CostMethod.AVERAGE or lot.acquired_on == entry.original_date)
    ]
    if not those:
        return ()
    lot = min(those, key=lambda each: abs(each.book_cost / each.quantity - cost / quantity))
    position = next(i for i, kept in enumerate(book.lots) if kept is lot)
    book.quantity -= quantity
    if quantity == lot.quantity:
        del book.lots[position]
        return (lot,)
    if entry.original_cost_portfolio is not None:
        cost_portfolio = -entry.original_cost_portfolio
    else:
        cost_portfolio = lot.book_cost_portfolio * cost / lot.book_cost if lot.book_cost else ZERO
    part = replace(_part(lot, quantity), book_cost=cost, book_cost_portfolio=cost_portfolio)
    book.lots[position] = replace(
        lot,
        quantity=lot.quantity - quantity,
        book_cost=lot.book_cost - part.book_cost,
        book_cost_portfolio=lot.book_cost_portfolio - part.book_cost_portfolio,
    )
    return (part,)


def _part(lot: Lot, quantity: Decimal) -> Lot:
    return Lot(
        entry_id=lot.entry_id,
        acquired_on=lot.acquired_on,
        quantity=quantity,
        book_cost=lot.book_cost * quantity / lot.quantity,
        book_cost_portfolio=lot.book_cost_portfolio * quantity / lot.quantity,
    )


def split(book: Book, ratio: Decimal) -> None:
    """Have each unit become so many; the cost stays."""
    book.lots = [
        Lot(
            entry_id=lot.entry_id,
            acquired_on=lot.acquired_on,
            quantity=lot.quantity * ratio,
            book_cost=lot.book_cost,
            book_cost_portfolio=lot.book_cost_portfolio,
        )
        for lot in book.lots
    ]
    # Summed from the lots, so that the holding and its lots never differ by a rounding.
    book.quantity = sum((lot.quantity for lot in book.lots), ZERO)
    book.settled *= ratio
