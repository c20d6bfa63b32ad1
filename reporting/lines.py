"""The lines of a report: what was held at its end, how that divides, and what was booked within it."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import prefetch_related_objects

from portfolios.calculations.entries import ZERO
from portfolios.calculations.valuation import sum_or_none
from portfolios.models import Holding, Portfolio, Transaction
from portfolios.services.holdings import derive_holdings
from portfolios.services.market import STALE_AFTER_DAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldingLine:
    """A holding at the end of the period; ``security`` is empty for cash."""

    security: str
    isin: str
    asset_class: str
    currency: str
    quantity: Decimal
    price: Decimal | None
    price_date: datetime.date | None
    price_source: str
    is_simulated: bool
    is_stale: bool
    market_value: Decimal | None
    weight: Decimal | None
    unrealised_gain: Decimal | None
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Part of the portfolio: an asset class, or "cash"."""

    key: str
    value: Decimal | None
    weight: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionLine:
    """An entry of the ledger within the period, as booked."""

    trade_date: datetime.date
    type: str
    security: str
    quantity: Decimal
    price: Decimal | None
    currency: str
    net_amount: Decimal
    text: str
    # The other side of a currency exchange.
    counter_currency: str = ""
    counter_amount: Decimal | None = None

    @property
    def amounts(self) -> list[tuple[Decimal, str]]:
        """Return what it moved, in each of its currencies."""
        moved = [(self.net_amount, self.currency)]
        if self.counter_currency and self.counter_amount is not None:
            moved.append((self.counter_amount, self.counter_currency))
        return moved


def holdings_of(portfolio: Portfolio, day: datetime.date) -> tuple[HoldingLine, ...]:
    """Return what a portfolio held at the close of a day, the largest first and cash last."""
    rows = derive_holdings([portfolio], day)[portfolio.pk]
    prefetch_related_objects(rows, "security")
    lines = [_line(row, day) for row in rows if row.quantity]
    return tuple(
        sorted(lines, key=lambda line: (not line.security, -(line.market_value or ZERO), line.security))
    )


def _line(row: Holding, day: datetime.date) -> HoldingLine:
    security = row.security
    is_old = row.price_date is not None and (day - row.price_date).days > STALE_AFTER_DAYS
    gain = row.unrealised_gain
    return HoldingLine(
        security=security.name if security else "",
        isin=(security.isin or "") if security else "",
        asset_class=security.asset_class if security else "cash",
        currency=row.currency,
        quantity=row.quantity,
        price=row.price,
        price_date=row.price_date,
        price_source=row.price_source_name,
        is_simulated=row.is_price_simulated,
        is_stale=is_old,
        market_value=row.market_value,
        weight=row.weight,
        unrealised_gain=gain if isinstance(gain, Decimal) else None,
        problem=row.problem if row.market_value is None else "",
    )


def allocation_of(holdings: Sequence[HoldingLine]) -> tuple[Share, ...]:
    """Return the shares of asset classes, the largest first."""
    keys = list(dict.fromkeys(line.asset_class for line in holdings))
    shares = []
    for key in keys:
        lines = [line for line in holdings if line.asset_class == key]
        shares.append(
            Share(
                key=key,
                value=sum_or_none(line.market_value for line in lines),
                weight=sum_or_none(line.weight for line in lines),
            )
        )
    return tuple(sorted(shares, key=lambda share: -(share.weight or ZERO)))


def transactions_of(
    portfolio: Portfolio, period_from: datetime.date, period_to: datetime.date
) -> tuple[TransactionLine, ...]:
    """Return what was booked within a period, in the order of its days."""
    rows = (
        Transaction.objects.current()
        .filter(portfolio=portfolio, trade_date__gte=period_from, trade_date__lte=period_to)
        .select_related("security")
        .order_by("trade_date", "created_at", "pk")
    )
    return tuple(
        TransactionLine(
            trade_date=row.trade_date,
            type=row.type,
            security=row.security.name if row.security else "",
            quantity=row.quantity,
            price=row.price,
            currency=row.currency,
            net_amount=row.net_amount,
            text=row.text,
            counter_currency=row.counter_currency,
            counter_amount=row.counter_amount,
        )
        for row in rows
    )
