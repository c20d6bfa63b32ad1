"""Short ways to write ledger entries in tests."""

from datetime import date, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from portfolios.calculations.entries import Entry, EntryType, signed_net_amount

START = date(2024, 1, 1)
_ids = count(1)


def day(offset: int) -> date:
    return START + timedelta(days=offset)


def entry(kind: str, at: int = 0, **values: Any) -> Entry:
    """Make an entry on a day; quantities are given positive, amounts as text or number."""
    security = values.pop("security", None)
    settles = values.pop("settles", at)
    identity = values.pop("id", None) or next(_ids)
    for name in list(values):
        if name not in ("currency", "reverses", "counter_currency", "original_date"):
            values[name] = Decimal(str(values[name]))
    quantity, price = values.get("quantity", Decimal(0)), values.get("price", Decimal(0))
    values.setdefault("gross_amount", abs(quantity) * price)
    entry_type = EntryType(kind)
    if entry_type in (EntryType.SELL, EntryType.TRANSFER_OUT):
        values["quantity"] = -quantity
    if entry_type not in (EntryType.CURRENCY_EXCHANGE, EntryType.REVERSAL):
        values.setdefault(
            "net_amount",
            signed_net_amount(
                entry_type,
                values["gross_amount"],
                fees=values.get("fees", Decimal(0)),
                taxes=values.get("taxes", Decimal(0)),
            ),
        )
    values.setdefault("currency", "EUR")
    return Entry(
        id=identity,
        type=entry_type,
        trade_date=day(at),
        settlement_date=day(settles),
        security=security,
        **values,
    )


def buy(quantity: Any, price: Any, at: int = 0, **values: Any) -> Entry:
    values.setdefault("security", "A")
    return entry("buy", at, quantity=quantity, price=price, **values)


def sell(quantity: Any, price: Any, at: int = 0, **values: Any) -> Entry:
    values.setdefault("security", "A")
    return entry("sell", at, quantity=quantity, price=price, **values)
