"""Read the ledger as the pure calculations want it."""

import datetime
import uuid
from collections.abc import Collection, Mapping
from dataclasses import replace

from django.db.models import F, Q

from portfolios.calculations.entries import Entry, EntryType
from portfolios.models import Portfolio, Transaction

_FIELDS = (
    "id", "type", "trade_date", "settlement_date", "currency", "security_id", "quantity", "price",
    "gross_amount", "fees", "taxes", "net_amount", "exchange_rate", "counter_currency",
    "counter_amount", "ratio", "reverses_id", "original_date", "original_cost", "original_cost_portfolio",
)  # fmt: skip
_NAMES = (
    "id", "type", "trade_date", "settlement_date", "currency", "security", "quantity", "price",
    "gross_amount", "fees", "taxes", "net_amount", "rate_to_portfolio", "counter_currency",
    "counter_amount", "ratio", "reverses", "original_date", "original_cost", "original_cost_portfolio",
)  # fmt: skip


def load_entries(
    portfolio_ids: Collection[uuid.UUID], *, until: datetime.date | None = None
) -> dict[uuid.UUID, list[Entry]]:
    """Return each portfolio's ledger in the order of booking, in one query."""
    entries: dict[uuid.UUID, list[Entry]] = {portfolio_id: [] for portfolio_id in portfolio_ids}
    rows = Transaction.objects.current().filter(portfolio__in=list(portfolio_ids))
    if until is not None:
        rows = rows.filter(trade_date__lte=until)
    found = rows.order_by("created_at", "id").values_list("portfolio_id", *_FIELDS)
    # A cursor of the server's takes three statements, which only the ledgers of many are worth.
    for portfolio_id, *values in found if len(entries) == 1 else found.iterator(10_000):
        named = dict(zip(_NAMES, values, strict=True))
        named["type"] = EntryType(named["type"])
        entries[portfolio_id].append(Entry(**named))
    return entries


def as_settled(ledgers: Mapping[uuid.UUID, list[Entry]]) -> dict[uuid.UUID, list[Entry]]:
    """Return ledgers with the day on which each trade really settled in place of the agreed one.

    A trade that is not delivered, or failed to be, has not settled on any day.
    """
    # Settlements stand to the left of this app, hence the reverse accessor.
    agreed = F("settlements__allocation__settlement_date")
    differing = Portfolio.objects.filter(
        Q(settlements__state__in=["pending", "failed"])
        | Q(settlements__settled_on__gt=agreed)
        | Q(settlements__settled_on__lt=agreed),
        pk__in=list(ledgers),
    )
    days: dict[uuid.UUID, datetime.date] = {}
    for allocation, settled_on in differing.order_by().values_list(
        "settlements__allocation", "settlements__settled_on"
    ):
        days[allocation] = settled_on or datetime.date.max
    caused = Transaction.objects.current().filter(portfolio__in=list(ledgers), reference__in=list(days))
    settled = {pk: days[reference] for pk, reference in caused.values_list("pk", "reference")} if days else {}
    return {
        key: [
            replace(entry, settlement_date=settled[entry.id]) if entry.id in settled else entry
            for entry in entries
        ]
        for key, entries in ledgers.items()
    }
