"""Tell the three kinds of cash apart: settled, traded, available."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from portfolios.calculations.entries import ZERO
from portfolios.calculations.ledger import CashBalance


@dataclass(frozen=True, slots=True, kw_only=True)
class CashDeductions:
    """Hold what is promised already, in one currency; every amount is positive."""

    open_buys: Decimal = ZERO
    reserves: Decimal = ZERO
    fees: Decimal = ZERO
    withdrawals: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        """Return the sum of what is promised."""
        return self.open_buys + self.reserves + self.fees + self.withdrawals


@dataclass(frozen=True, slots=True, kw_only=True)
class CashPosition:
    """Hold the three kinds of cash in one currency, and what lies between them.

    `settled` is in the account, `traded` counts trades that have not settled yet, `available` is
    traded less what is promised. Available below zero means that more is promised than there is.
    """

    currency: str
    settled: Decimal
    traded: Decimal
    available: Decimal
    deductions: CashDeductions


def cash_positions(
    balances: Mapping[str, CashBalance], deductions: Mapping[str, CashDeductions]
) -> dict[str, CashPosition]:
    """Return the three kinds of cash by currency, also where there are only deductions."""
    positions: dict[str, CashPosition] = {}
    for currency in sorted({*balances, *deductions}):
        balance = balances.get(currency)
        settled = balance.settled if balance else ZERO
        traded = balance.traded if balance else ZERO
        promised = deductions.get(currency, CashDeductions())
        positions[currency] = CashPosition(
            currency=currency,
            settled=settled,
            traded=traded,
            available=traded - promised.total,
            deductions=promised,
        )
    return positions
