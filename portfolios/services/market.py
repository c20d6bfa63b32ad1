"""Read prices and exchange rates as the preference among sources has them.

The newest day counts, whoever sends its price: a partner's of today comes before one's own of yesterday.
Of several prices for one day the own sources come first, by their order of preference, then what
partners sent. Prices in the security's own currency come before others.
"""

import datetime
import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from decimal import Decimal

from django.db import connection
from django.db.models import Case, F, OuterRef, Subquery, When

from portfolios.calculations.valuation import EURO, RateQuote, cross_rate
from portfolios.models import Price

# Five business days, whatever the weekday: an older price is still used, and flagged.
STALE_AFTER_DAYS = 7


@dataclass(frozen=True, slots=True)
class ClosingPrice:
    """A closing price as of its day, with where it comes from."""

    date: datetime.date
    close: Decimal
    currency: str
    source_name: str
    is_simulated: bool


_PRICE_COLUMNS = "p.security_id, p.date, p.close, p.currency, src.name, src.is_simulated"
_PRICE_FROM = """
    FROM portfolios_price p
    JOIN portfolios_pricesource src ON src.id = p.source_id
    JOIN portfolios_security sec ON sec.id = p.security_id
"""
_PRICE_ORDER = "(p.currency <> sec.currency), (src.origin IS NOT NULL), src.preference, src.code"


def last_price_day(until: datetime.date) -> datetime.date | None:
    """Return the last day up to ``until`` for which there is any price."""
    with connection.cursor() as cursor:
        # Asked per security, since the index of prices starts with it.
        cursor.execute(
            """
            SELECT max(last.date)
            FROM portfolios_security sec
            CROSS JOIN LATERAL (
                SELECT p.date FROM portfolios_price p
                WHERE p.security_id = sec.id AND p.date <= %s AND p.retired_at IS NULL
                ORDER BY p.date DESC LIMIT 1
            ) last
            """,
            [until],
        )
        row = cursor.fetchone()
    return row[0] if row else None


def load_prices(
    security_ids: Collection[uuid.UUID], *, since: datetime.date, until: datetime.date
) -> dict[uuid.UUID, list[ClosingPrice]]:
    """Return prices by day in order, from the last one before ``since`` on: one per security and day."""
    prices: dict[uuid.UUID, list[ClosingPrice]] = {}
    if not security_ids:
        return prices
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT DISTINCT ON (p.security_id, p.date) {_PRICE_COLUMNS}
            FROM unnest(%s::uuid[]) AS wanted(id)
            CROSS JOIN LATERAL (
                SELECT coalesce(max(earlier.date), %s) AS date FROM portfolios_price earlier
                WHERE earlier.security_id = wanted.id AND earlier.date < %s AND earlier.retired_at IS NULL
            ) start
            JOIN portfolios_price p ON p.security_id = wanted.id AND p.date >= start.date AND p.date <= %s
                AND p.retired_at IS NULL
            JOIN portfolios_pricesource src ON src.id = p.source_id
            JOIN portfolios_security sec ON sec.id = p.security_id
            ORDER BY p.security_id, p.date, {_PRICE_ORDER}
            """,  # noqa: S608  (constants of this module)
            [list(security_ids), since, since, until],
        )
        for security_id, *values in cursor.fetchall():
            prices.setdefault(security_id, []).append(ClosingPrice(*values))
    return prices


def prices_as_of(
    security_ids: Collection[uuid.UUID], day: datetime.date, *, only_redistributable: bool = False
) -> dict[uuid.UUID, ClosingPrice]:
    """Return each security's last price up to ``day``, however old.

    ``only_redistributable`` takes own sources that may be passed on, and no others.
    """
    if not security_ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT last.* FROM unnest(%s::uuid[]) AS wanted(id)
            CROSS JOIN LATERAL (
                SELECT {_PRICE_COLUMNS} {_PRICE_FROM}
                WHERE p.security_id = wanted.id AND p.date <= %s AND p.retired_at IS NULL
                    AND (NOT %s OR src.is_redistributable AND src.origin IS NULL)
                ORDER BY p.date DESC, {_PRICE_ORDER} LIMIT 1
            ) last
            """,  # noqa: S608  (constants of this module)
            [list(security_ids), day, only_redistributable],
        )
        return {security_id: ClosingPrice(*values) for security_id, *values in cursor.fetchall()}


def newest_price(day: datetime.date, field: str) -> Subquery:
    """Return one field of a security's last price up to ``day``, the price that ``prices_as_of`` gives."""
    prices = Price.objects.current().filter(security=OuterRef("pk"), date__lte=day)
    return Subquery(
        prices.order_by(
            "-date",
            Case(When(currency=F("security__currency"), then=0), default=1),
            Case(When(source__origin=None, then=0), default=1),
            "source__preference",
            "source__code",
        ).values(field)[:1]
    )


def load_rates(
    currencies: Iterable[str], *, since: datetime.date, until: datetime.date
) -> dict[str, list[tuple[datetime.date, Decimal]]]:
    """Return units of each currency for one euro by day, from the last one before ``since`` on."""
    rates: dict[str, list[tuple[datetime.date, Decimal]]] = {}
    wanted = sorted(set(currencies) - {EURO})
    if not wanted:
        return rates
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT DISTINCT ON (r.currency, r.date) r.currency, r.date, r.rate
            FROM unnest(%s::varchar[]) AS wanted(currency)
            CROSS JOIN LATERAL (
                SELECT coalesce(max(earlier.date), %s) AS date FROM portfolios_exchangerate earlier
                WHERE earlier.currency = wanted.currency AND earlier.date < %s AND earlier.retired_at IS NULL
            ) start
            JOIN portfolios_exchangerate r ON r.currency = wanted.currency AND r.date >= start.date
                AND r.date <= %s AND r.retired_at IS NULL
            JOIN portfolios_pricesource src ON src.id = r.source_id
            ORDER BY r.currency, r.date, (src.origin IS NOT NULL), src.preference, src.code
            """,
            [wanted, since, since, until],
        )
        for currency, date, rate in cursor.fetchall():
            rates.setdefault(currency, []).append((date, rate))
    return rates


def rates_as_of(currencies: Iterable[str], day: datetime.date) -> dict[str, RateQuote]:
    """Return the last rate of each currency up to ``day``."""
    wanted = sorted(set(currencies) - {EURO})
    if not wanted:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT last.* FROM unnest(%s::varchar[]) AS wanted(currency)
            CROSS JOIN LATERAL (
                SELECT r.currency, r.rate, r.date FROM portfolios_exchangerate r
                JOIN portfolios_pricesource src ON src.id = r.source_id
                WHERE r.currency = wanted.currency AND r.date <= %s AND r.retired_at IS NULL
                ORDER BY r.date DESC, (src.origin IS NOT NULL), src.preference, src.code LIMIT 1
            ) last
            """,
            [wanted, day],
        )
        return {currency: RateQuote(per_euro=rate, as_of=date) for currency, rate, date in cursor.fetchall()}


def rate_between(from_currency: str, to_currency: str, day: datetime.date) -> Decimal | None:
    """Return units of ``to_currency`` for one of ``from_currency`` on ``day``, crossed over the euro."""
    quotes = rates_as_of([from_currency, to_currency], day)
    per_euro = {currency: quote.per_euro for currency, quote in quotes.items()}
    return cross_rate(per_euro, from_currency=from_currency, to_currency=to_currency)
