"""The entries of a ledger: their types, which of them stand, and what flows they are."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

Key: TypeAlias = Hashable
ZERO = Decimal(0)
ONE = Decimal(1)


class EntryType(StrEnum):
    """What an entry of the ledger books."""

    BUY = "buy"
    SELL = "sell"
    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    TRANSFER_IN = "transfer_in"
    TRANSFER_OUT = "transfer_out"
    CURRENCY_EXCHANGE = "currency_exchange"
    DIVIDEND = "dividend"
    INTEREST = "interest"
    FEE = "fee"
    TAX = "tax"
    SPLIT = "split"
    REVERSAL = "reversal"


class LedgerErrorCode(StrEnum):
    """Why an entry does not fit the ledger before it."""

    SELLS_MORE_THAN_HELD = "sells_more_than_held"
    QUANTITY_SIGN = "quantity_sign"
    RATIO_MISSING = "ratio_missing"
    SECURITY_MISSING = "security_missing"
    CURRENCY_DIFFERS = "currency_differs"
    REVERSES_UNKNOWN = "reverses_unknown"
    REVERSED_TWICE = "reversed_twice"


class LedgerError(ValueError):
    """Say which entry cannot stand in the ledger, by `code`, `entry` and the numbers involved."""

    def __init__(
        self,
        code: LedgerErrorCode,
        message: str,
        *,
        entry: Entry,
        held: Decimal | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.entry = entry
        self.held = held


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Hold one ledger entry.

    `quantity` is signed (+ into the portfolio), and so is `net_amount`, the effect on the cash in
    `currency`; gross amount, fees and taxes are positive. A split carries in `ratio` the new
    units for one old unit (2 for two-for-one, 0.1 for one-for-ten) and takes effect before the
    day's other entries. A currency exchange carries its other leg, signed too, in `counter_*`;
    or it is two entries, one for each currency. `rate_to_portfolio` is units of the portfolio's
    currency for one unit of `currency`. A transfer in kind carries its market value in
    `gross_amount`, and may carry the cost and the date at which it was first bought.
    """

    id: Key
    type: EntryType
    trade_date: date
    settlement_date: date
    currency: str
    security: Key | None = None
    quantity: Decimal = ZERO
    price: Decimal | None = None
    gross_amount: Decimal = ZERO
    fees: Decimal = ZERO
    taxes: Decimal = ZERO
    net_amount: Decimal = ZERO
    rate_to_portfolio: Decimal = ONE
    counter_currency: str = ""
    counter_amount: Decimal | None = None
    ratio: Decimal | None = None
    reverses: Key | None = None
    original_cost: Decimal | None = None
    original_cost_portfolio: Decimal | None = None
    original_date: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalFlow:
    """Hold a day's client flows and charged fees in the portfolio's currency, all positive."""

    date: date
    inflow: Decimal = ZERO
    outflow: Decimal = ZERO
    fees: Decimal = ZERO


def standing_entries(entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries that count, in the order given: no reversal and nothing reversed.

    A reversal may itself be reversed, which lets the first entry stand again.
    Raises LedgerError when a reversal names no known entry or one that is reversed already.
    """
    listed = list(entries)
    by_id = {entry.id: entry for entry in listed}
    reversals: dict[Key, Entry] = {}
    for entry in listed:
        if entry.type is not EntryType.REVERSAL:
            continue
        if entry.reverses is None or entry.reverses not in by_id or entry.reverses == entry.id:
            raise LedgerError(
                LedgerErrorCode.REVERSES_UNKNOWN,
                f"The reversal {entry.id} names no entry of this ledger.",
                entry=entry,
            )
        if entry.reverses in reversals:
            raise LedgerError(
                LedgerErrorCode.REVERSED_TWICE,
                f"The entry {entry.reverses} is already reversed.",
                entry=entry,
            )
        reversals[entry.reverses] = entry
    cancelled: set[Key] = set()
    # The newest reversal is never reversed by an older one, so it is decided first.
    for entry in reversed(listed):
        if entry.type is EntryType.REVERSAL and entry.id not in cancelled:
            cancelled.add(entry.reverses)
    return [entry for entry in listed if entry.type is not EntryType.REVERSAL and entry.id not in cancelled]


def external_flows(entries: Iterable[Entry]) -> list[ExternalFlow]:
    """Sum client flows and charged fees by trade date, in the portfolio's currency.

    Flows are deposits, withdrawals and transfers, those in kind at the market value in
    `gross_amount`. Fees are the entries of type fee (management, custody): a gross return adds
    them back and stays net of trading costs (GIPS 2020, gross-of-fees).
    """
    totals: dict[date, list[Decimal]] = {}
    for entry in standing_entries(entries):
        if entry.type not in FLOWS and entry.type is not EntryType.FEE:
            continue
        amount = moved_by(entry)
        day = totals.setdefault(entry.trade_date, [ZERO, ZERO, ZERO])
        if entry.type is EntryType.FEE:
            day[2] -= amount
        elif amount >= 0:
            day[0] += amount
        else:
            day[1] -= amount
    return [
        ExternalFlow(date=day, inflow=inflow, outflow=outflow, fees=fees)
        for day, (inflow, outflow, fees) in sorted(totals.items())
    ]


def moved_by(entry: Entry) -> Decimal:
    """Return what an entry brings in, or takes out if below zero, in the portfolio's currency."""
    amount = entry.net_amount
    if entry.type is EntryType.TRANSFER_IN and entry.security is not None:
        amount += entry.gross_amount
    elif entry.type is EntryType.TRANSFER_OUT and entry.security is not None:
        amount -= entry.gross_amount
    return amount * entry.rate_to_portfolio


def signed_net_amount(
    entry_type: EntryType,
    gross_amount: Decimal,
    *,
    fees: Decimal = ZERO,
    taxes: Decimal = ZERO,
) -> Decimal:
    """Return the effect on cash of a positive gross amount with its fees and taxes.

    Transfers in kind and splits move no cash but their fees. A currency exchange has a sign of
    its own for each leg and a reversal that of what it reverses: both raise ValueError.
    """
    if entry_type in (EntryType.CURRENCY_EXCHANGE, EntryType.REVERSAL):
        raise ValueError(f"The type {entry_type} does not say the direction of its cash.")
    if entry_type in (EntryType.SPLIT, EntryType.TRANSFER_IN, EntryType.TRANSFER_OUT):
        return -fees - taxes
    if entry_type in _CASH_IN:
        return gross_amount - fees - taxes
    return -gross_amount - fees - taxes


_CASH_IN = frozenset({EntryType.SELL, EntryType.DEPOSIT, EntryType.DIVIDEND, EntryType.INTEREST})
FLOWS = frozenset({EntryType.DEPOSIT, EntryType.WITHDRAWAL, EntryType.TRANSFER_IN, EntryType.TRANSFER_OUT})
