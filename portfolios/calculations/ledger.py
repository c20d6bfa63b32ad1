"""Derive holdings, cost, realised gains and cash from the entries of a ledger.

The ledger is append-only and may be back-dated, so nothing here is carried over from an
earlier derivation: the same entries always give the same answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from portfolios.calculations.entries import (
    FLOWS,
    ZERO,
    Entry,
    EntryType,
    Key,
    LedgerError,
    LedgerErrorCode,
    standing_entries,
)
from portfolios.calculations.lots import Book, CostMethod, Lot, add, lot_of, split, take, take_back


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """Hold a security by trade date (`quantity`) and by settlement date (`settled_quantity`).

    `settled_quantity` may be negative for a while when a sale settles before its purchase.
    """

    security: Key
    currency: str
    quantity: Decimal
    settled_quantity: Decimal
    book_cost: Decimal
    book_cost_portfolio: Decimal
    lots: tuple[Lot, ...]

    @property
    def average_cost(self) -> Decimal | None:
        """Return the cost of one unit in the security's currency, or None when none is held."""
        return self.book_cost / self.quantity if self.quantity else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """Hold a realised gain, in the security's currency and split in the portfolio's.

    `price_gain_portfolio + currency_gain_portfolio == gain_portfolio`: the price part is the gain
    in the security's currency at the rate of the sale, the rest is the change of the rate on the
    cost. `lots` are the parts of purchases that were sold.
    """

    entry_id: Key
    security: Key
    trade_date: date
    currency: str
    quantity: Decimal
    proceeds: Decimal
    cost: Decimal
    gain: Decimal
    proceeds_portfolio: Decimal
    cost_portfolio: Decimal
    gain_portfolio: Decimal
    price_gain_portfolio: Decimal
    currency_gain_portfolio: Decimal
    lots: tuple[Lot, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CashBalance:
    """Hold cash in one currency: settled, and traded (with trades not yet settled)."""

    currency: str
    settled: Decimal
    traded: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Positions:
    """Hold everything the ledger says as of a day.

    `holdings` also lists a security that is sold but not yet delivered (quantity 0).
    """

    as_of: date
    method: CostMethod
    holdings: Mapping[Key, Holding]
    gains: tuple[Gain, ...]
    cash: Mapping[str, CashBalance]

    def quantities(self) -> dict[Key, Decimal]:
        """Return how much is held of each security and currency by trade date, without what is zero."""
        held: dict[Key, Decimal] = {key: each.quantity for key, each in self.holdings.items()}
        held |= {currency: each.traded for currency, each in self.cash.items()}
        return {key: quantity for key, quantity in held.items() if quantity}


def derive_positions(
    entries: Iterable[Entry],
    *,
    as_of: date,
    method: CostMethod = CostMethod.AVERAGE,
    fees_in_cost: bool = True,
) -> Positions:
    """Derive holdings, realised gains and cash at the end of `as_of`.

    `entries` come in the order of booking; they are read by trade date, within a day in the order
    given. Fees and taxes of a trade raise the cost of a purchase and lower the proceeds of a sale
    unless `fees_in_cost` is false. An entry and its reversal are left out as if never booked.
    Raises LedgerError when more is sold or transferred out than is held on that day.
    """
    books: dict[Key, Book] = {}
    gains: list[Gain] = []
    settled: dict[str, Decimal] = {}
    traded: dict[str, Decimal] = {}
    counted = [entry for entry in standing_entries(entries) if entry.trade_date <= as_of]
    counted.sort(key=lambda entry: (entry.trade_date, entry.type is not EntryType.SPLIT))
    for entry in counted:
        is_settled = entry.settlement_date <= as_of
        for currency, amount in _cash_effects(entry):
            traded[currency] = traded.get(currency, ZERO) + amount
            settled[currency] = settled.get(currency, ZERO) + (amount if is_settled else ZERO)
        if entry.type in _MOVES_SECURITIES and not _is_cash_transfer(entry):
            gain = _apply(entry, books, is_settled, method, fees_in_cost)
            if gain is not None:
                gains.append(gain)
    return Positions(
        as_of=as_of,
        method=method,
        holdings={
            security: _holding(security, book)
            for security, book in books.items()
            if book.quantity or book.settled
        },
        gains=tuple(gains),
        cash={
            currency: CashBalance(currency=currency, settled=settled[currency], traded=traded[currency])
            for currency in sorted(traded)
        },
    )


_MOVES_SECURITIES = frozenset(
    {
        EntryType.BUY,
        EntryType.SELL,
        EntryType.TRANSFER_IN,
        EntryType.TRANSFER_OUT,
        EntryType.SPLIT,
    }
)


def _cash_effects(entry: Entry) -> list[tuple[str, Decimal]]:
    effects = [(entry.currency, entry.net_amount)]
    if entry.counter_currency and entry.counter_amount is not None:
        effects.append((entry.counter_currency, entry.counter_amount))
    return [(currency, amount) for currency, amount in effects if amount]


def _is_cash_transfer(entry: Entry) -> bool:
    return entry.security is None and entry.type in FLOWS


def _apply(
    entry: Entry,
    books: dict[Key, Book],
    is_settled: bool,
    method: CostMethod,
    fees_in_cost: bool,
) -> Gain | None:
    if entry.security is None:
        raise LedgerError(
            LedgerErrorCode.SECURITY_MISSING,
            f"The entry {entry.id} ({entry.type}) names no security.",
            entry=entry,
        )
    book = books.setdefault(entry.security, Book(currency=entry.currency))
    if entry.type is EntryType.SPLIT:
        if entry.ratio is None or entry.ratio <= 0:
            raise LedgerError(
                LedgerErrorCode.RATIO_MISSING,
                f"The split {entry.id} needs a ratio above zero.",
                entry=entry,
            )
        split(book, entry.ratio)
        return None
    is_inward = entry.type in (EntryType.BUY, EntryType.TRANSFER_IN)
    if not entry.quantity or (entry.quantity > 0) is not is_inward:
        raise LedgerError(
            LedgerErrorCode.QUANTITY_SIGN,
            f"The entry {entry.id} ({entry.type}) needs a quantity {'above' if is_inward else 'below'} zero.",
            entry=entry,
        )
    if not book.quantity:
        book.currency = entry.currency
    elif book.currency != entry.currency:
        raise LedgerError(
            LedgerErrorCode.CURRENCY_DIFFERS,
            f"The entry {entry.id} is in {entry.currency}, the holding in {book.currency}.",
            entry=entry,
        )
    costs = entry.fees + entry.taxes if fees_in_cost else ZERO
    if is_inward:
        add(book, lot_of(entry, costs), method)
        if is_settled:
            book.settled += entry.quantity
        return None
    quantity = -entry.quantity
    if quantity > book.quantity:
        raise LedgerError(
            LedgerErrorCode.SELLS_MORE_THAN_HELD,
            f"The entry {entry.id} takes out {quantity} of {entry.security} on "
            f"{entry.trade_date}, but only {book.quantity} are held.",
            entry=entry,
            held=book.quantity,
        )
    used = take_back(book, entry, method) or take(book, quantity, method)
    if is_settled:
        book.settled -= quantity
    if entry.type is EntryType.TRANSFER_OUT:
        return None
    return _gain(entry, used, proceeds=entry.gross_amount - costs)


def _gain(entry: Entry, used: Sequence[Lot], *, proceeds: Decimal) -> Gain:
    rate = entry.rate_to_portfolio
    cost = sum((lot.book_cost for lot in used), ZERO)
    cost_portfolio = sum((lot.book_cost_portfolio for lot in used), ZERO)
    price_gain = (proceeds - cost) * rate
    currency_gain = cost * rate - cost_portfolio
    return Gain(
        entry_id=entry.id,
        security=entry.security,
        trade_date=entry.trade_date,
        currency=entry.currency,
        quantity=-entry.quantity,
        proceeds=proceeds,
        cost=cost,
        gain=proceeds - cost,
        proceeds_portfolio=proceeds * rate,
        cost_portfolio=cost_portfolio,
        gain_portfolio=price_gain + currency_gain,
        price_gain_portfolio=price_gain,
        currency_gain_portfolio=currency_gain,
        lots=tuple(used),
    )


def _holding(security: Key, book: Book) -> Holding:
    return Holding(
        security=security,
        currency=book.currency,
        quantity=book.quantity,
        settled_quantity=book.settled,
        book_cost=sum((lot.book_cost for lot in book.lots), ZERO),
        book_cost_portfolio=sum((lot.book_cost_portfolio for lot in book.lots), ZERO),
        lots=tuple(book.lots),
    )
