"""Find the securities that rows of a file name, and say which could be new ones."""

import uuid
from collections import defaultdict
from typing import Any

from django.utils.translation import gettext as _
from stdnum import isin

from portfolios.models import ImportBatch, Listing, Security
from portfolios.services.imports.parsing import Parsed, Row

PRICES, RATES = "prices", "rates"
ISIN_LENGTH, TICKER_LENGTH = 12, 20

# What a row belongs to: the security's id with the currency of the price, or for a rate the currency.
Owner = tuple[uuid.UUID | None, str]


def resolve(
    batch: ImportBatch, parsed: Parsed
) -> tuple[list[tuple[Owner | None, Row]], list[dict[str, Any]]]:
    """Find each row's security; return the keys that no security has, with what is known of them.

    A row whose key can name no security is refused and leaves ``parsed``.
    """
    if batch.kind == RATES:
        return [((None, row.key), row) for row in parsed.rows], []
    securities = {
        security.pk: security for security in Security.objects.current().only("isin", "ticker", "currency")
    }
    by_key: dict[str, set[uuid.UUID]] = defaultdict(set)
    for security in securities.values():
        for key in (security.isin, security.ticker):
            if key:
                by_key[key.upper()].add(security.pk)
    for ticker, security_id in (
        Listing.objects.current().exclude(ticker="").values_list("ticker", "security_id")
    ):
        if security_id in securities:
            by_key[ticker.upper()].add(security_id)
    keyed: list[tuple[Owner | None, Row]] = []
    unknown: dict[str, dict[str, Any]] = {}
    refused: set[str] = set()
    for row in parsed.rows:
        found = by_key.get(row.key, set())
        if len(found) == 1:
            [pk] = found
            keyed.append(((pk, row.currency or securities[pk].currency), row))
            continue
        if not found and (wrong := _wrong_key(row)):
            parsed.refuse(row.number, *wrong)
            continue
        keyed.append((None, row))
        if not found:
            entry = unknown.setdefault(
                row.key,
                {"key": row.key, "rows": 0, "currency": row.currency or batch.options.get("currency", "")},
            )
            entry["rows"] += 1
        elif row.key not in refused:
            refused.add(row.key)
            parsed.refuse(
                row.number,
                _("%(count)s securities have the ticker %(key)s.") % {"count": len(found), "key": row.key},
                _("Use the ISIN instead."),
            )
    parsed.rows = [row for _owner, row in keyed]
    return keyed, list(unknown.values())


def _wrong_key(row: Row) -> tuple[str, str] | None:
    """Return what is wrong with a key and what to do; None where it could be that of a new security."""
    if row.is_isin or len(row.key) == ISIN_LENGTH:
        if len(row.key) == ISIN_LENGTH and isin.is_valid(row.key):
            return None
        return _("%(key)s is not an ISIN.") % {"key": row.key[:40]}, _("Compare its twelve characters.")
    if len(row.key) > TICKER_LENGTH:
        return _("%(key)s is too long for a ticker.") % {"key": row.key[:40]}, _("Use the ISIN instead.")
    return None
