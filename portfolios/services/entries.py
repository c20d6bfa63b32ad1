"""Read the ledger as the pure calculations want it."""

import datetime
import uuid
from collections.abc import Collection

from portfolios.calculations.entries import Entry, EntryType
from portfolios.models import Transaction

_FIELDS = (
    "id", "type", "trade_date", "settlement_date", "currency", "security_id", "quantity", "price",
    "gross_amount", "fees", "taxes", "net_amount", "exchange_rate", "counter_currency",
    "counter_amount", "ratio", "reverses_id",
)  # fmt: skip
_NAMES = (
    "id", "type", "trade_date", "settlement_date", "currency", "security", "quantity", "price",
    "gross_amount", "fees", "taxes", "net_amount", "rate_to_portfolio", "counter_currency",
    "counter_amount", "ratio", "reverses",
)  # fmt: skip


def load_entries(
    portfolio_ids: Collection[uuid.UUID], *, until: datetime.date | None = None
) -> dict[uuid.UUID, list[Entry]]:
    """Return each portfolio's ledger in the order of booking, in one query."""
    entries: dict[uuid.UUID, list[Entry]] = {portfolio_id: [] for portfolio_id in portfolio_ids}
    rows = Transaction.objects.current().filter(portfolio__in=list(portfolio_ids))
    if until is not None:
        rows = rows.filter(trade_date__lte=until)
    for portfolio_id, *values in (
        rows.order_by("created_at", "id").values_list("portfolio_id", *_FIELDS).iterator(10_000)
    ):
        named = dict(zip(_NAMES, values, strict=True))
        named["type"] = EntryType(named["type"])
        entries[portfolio_id].append(Entry(**named))
    return entries


def as_entry(transaction: Transaction) -> Entry:
    """Return one ledger row as the calculations want it."""
    values = (getattr(transaction, name) for name in _FIELDS)
    named = dict(zip(_NAMES, values, strict=True))
    named["type"] = EntryType(named["type"])
    return Entry(**named)
