"""Portfolios, securities, prices and ledger entries for tests."""

import datetime
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.utils import timezone

from accounts.models import Unit
from portfolios.models import (
    ExchangeRate,
    Portfolio,
    Price,
    PriceSource,
    Security,
    Transaction,
    security_id,
)
from tests.federation.received import as_mirror as as_mirror

D = Decimal
MONDAY = datetime.date(2026, 3, 2)


def day(offset: int) -> datetime.date:
    """Return the day ``offset`` days after a Monday in the past."""
    return MONDAY + datetime.timedelta(days=offset)


def source(code: str = "TEST", **fields: Any) -> PriceSource:
    found = PriceSource.objects.filter(origin=fields.get("origin"), code=code).first()
    return found or PriceSource.objects.create(code=code, name=fields.pop("name", f"{code} prices"), **fields)


def security(
    isin: str = "US0378331005", name: str = "Apple", currency: str = "EUR", **fields: Any
) -> Security:
    fields.setdefault("asset_class", Security.AssetClass.EQUITY)
    return Security.objects.create(id=security_id(isin), isin=isin, name=name, currency=currency, **fields)


def prices(of: Security, closes: Mapping[int, str | int], from_source: PriceSource | None = None) -> None:
    """Add closes by day offset."""
    from_source = from_source or source()
    Price.objects.bulk_create(
        Price(security=of, source=from_source, date=day(offset), close=D(close), currency=of.currency)
        for offset, close in closes.items()
    )


def rates(currency: str, by_day: Mapping[int, str], from_source: PriceSource | None = None) -> None:
    """Add units of a currency for one euro by day offset."""
    from_source = from_source or source("ECB")
    ExchangeRate.objects.bulk_create(
        ExchangeRate(source=from_source, date=day(offset), currency=currency, rate=D(rate))
        for offset, rate in by_day.items()
    )


def portfolio(
    unit: Unit | None = None, number: str = "P-1", currency: str = "EUR", **fields: Any
) -> Portfolio:
    fields.setdefault("opened_on", MONDAY)
    fields.setdefault("name", f"Portfolio {number}")
    return Portfolio.objects.create(number=number, currency=currency, unit=unit, **fields)


def deposit(into: Portfolio, amount: str | int, offset: int = 0, **fields: Any) -> Transaction:
    fields.setdefault("currency", into.currency)
    return _entry(into, "deposit", offset, gross_amount=D(amount), net_amount=D(amount), **fields)


def withdrawal(out_of: Portfolio, amount: str | int, offset: int = 0, **fields: Any) -> Transaction:
    return _entry(
        out_of, "withdrawal", offset, gross_amount=D(amount), net_amount=-D(amount), currency=out_of.currency,
        **fields,
    )  # fmt: skip


def fee(of: Portfolio, amount: str | int, offset: int = 0) -> Transaction:
    return _entry(of, "fee", offset, gross_amount=D(amount), net_amount=-D(amount), currency=of.currency)


def buy(
    for_: Portfolio,
    what: Security,
    quantity: str | int,
    price: str | int,
    offset: int = 0,
    fees: str | int = 0,
    **fields: Any,
) -> Transaction:
    gross = D(quantity) * D(price)
    return _entry(
        for_, "buy", offset, security=what, quantity=D(quantity), price=D(price), currency=what.currency,
        gross_amount=gross, fees=D(fees), net_amount=-gross - D(fees), **fields,
    )  # fmt: skip


def sell(
    from_: Portfolio,
    what: Security,
    quantity: str | int,
    price: str | int,
    offset: int = 0,
    fees: str | int = 0,
    **fields: Any,
) -> Transaction:
    gross = D(quantity) * D(price)
    return _entry(
        from_, "sell", offset, security=what, quantity=-D(quantity), price=D(price), currency=what.currency,
        gross_amount=gross, fees=D(fees), net_amount=gross - D(fees), **fields,
    )  # fmt: skip


def split(of: Portfolio, what: Security, ratio: str | int, offset: int = 0) -> Transaction:
    return _entry(of, "split", offset, security=what, ratio=D(ratio), currency=what.currency)


def _entry(portfolio: Portfolio, kind: str, offset: int, **fields: Any) -> Transaction:
    fields.setdefault("trade_date", day(offset))
    fields.setdefault("settlement_date", fields["trade_date"])
    return Transaction(portfolio=portfolio, type=kind, **fields)


def today() -> datetime.date:
    return timezone.now().date()
