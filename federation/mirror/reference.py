"""Reference data follows the rows that name it: securities, currencies, and what is known of them."""

from typing import Any

from psycopg import sql

from federation.mirror.keys import WITH_BRANCHES, Keys
from federation.mirror.plan import Plan
from federation.mirror.write import Writer, blank
from federation.models import Stream
from federation.scope import ALWAYS, Flow, Kind, by_label

_SECURITY, _LISTING = "portfolios.Security", "portfolios.Listing"
_PRICE, _RATE = "portfolios.Price", "portfolios.ExchangeRate"


def follow(cursor: Any, stream: Stream, plan: Plan, writer: Writer, keys: Keys) -> None:
    """Share what the written rows name for the first time, and queue its prices and rates."""
    flow, written = plan.flow, writer.written
    if _SECURITY not in flow.shares:
        return
    securities = _newly_shared(cursor, flow, "security", written.securities)
    if securities:
        _add_own(cursor, flow, securities)
        _mirror_those_without_isin(plan, writer, keys, securities)
        written.currencies |= _currencies_of(cursor, flow, securities)
    currencies = _newly_shared(cursor, flow, "currency", written.currencies)
    if securities and _PRICE in flow.shares:
        keys.has_left |= _queue(cursor, stream, flow, by_label()[_PRICE], "security_id", securities)
    if currencies and _RATE in flow.shares:
        keys.has_left |= _queue(cursor, stream, flow, by_label()[_RATE], "currency", currencies)


def _newly_shared(cursor: Any, flow: Flow, what: str, values: set[Any]) -> list[Any]:
    """Add to the set of what is shared with the receiver; return what was not in it."""
    if not values:
        return []
    cursor.execute(
        sql.SQL(
            """
            WITH new AS (
                SELECT value FROM unnest({values}::{type}[]) AS named (value)
                WHERE NOT EXISTS (
                    SELECT 1 FROM public.{table} WHERE owner_id = {owner} AND receiver_id = {receiver} AND {what} = value
                )
            )
            INSERT INTO public.{table} (owner_id, receiver_id, {what})
            SELECT {owner}, {receiver}, value FROM new ON CONFLICT DO NOTHING RETURNING {what}
            """
        ).format(
            values=sql.Literal(sorted(values)),
            type=sql.SQL("uuid" if what == "security" else "text"),
            table=sql.Identifier(f"federation_shared{what}"),
            what=sql.Identifier(what),
            owner=sql.Literal(flow.owner.pk),
            receiver=sql.Literal(flow.receiver.pk),
        )
    )
    return [row[0] for row in cursor.fetchall()]


def _add_own(cursor: Any, flow: Flow, securities: list[Any]) -> None:
    """Add missing securities with an ISIN, and their listings, as the receiver's own; change none."""
    where = {
        _SECURITY: "s.id = ANY({ids}) AND s.isin IS NOT NULL",
        _LISTING: "s.security_id = ANY({ids}) AND s.origin IS NULL AND EXISTS"
        " (SELECT 1 FROM {target}.portfolios_security o WHERE o.id = s.security_id AND o.origin IS NULL)",
    }
    for label, condition in where.items():
        kind = by_label()[label]
        columns = [kind.column(name) for name in (*ALWAYS, *kind.shared_fields)]
        rest = [
            of
            for of in kind.model._meta.concrete_fields
            if of.column not in {*columns, "origin", "retired_at"} and not of.null
        ]
        cursor.execute(
            sql.SQL(
                "INSERT INTO {target}.{table} ({columns}{more}) SELECT {values}{defaults} FROM {source}.{table} s WHERE "
                + condition
                + " AND NOT EXISTS (SELECT 1 FROM {target}.{table} d WHERE d.id = s.id) ON CONFLICT DO NOTHING"
            ).format(
                source=flow.source,
                target=flow.target,
                table=sql.Identifier(kind.table),
                columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
                values=sql.SQL(", ").join(sql.Identifier("s", name) for name in columns),
                more=sql.SQL("").join(sql.SQL(", ") + sql.Identifier(str(of.column)) for of in rest),
                defaults=sql.SQL("").join(sql.SQL(", ") + blank(of) for of in rest),
                ids=sql.Literal(securities),
            )
        )


def _mirror_those_without_isin(plan: Plan, writer: Writer, keys: Keys, securities: list[Any]) -> None:
    """Mirror newly shared securities that have no ISIN, with their listings, like any record."""
    flow = plan.flow
    plan.forget([_SECURITY, _LISTING])
    keys.forget([_SECURITY, _LISTING])
    found = keys.add(
        _SECURITY,
        sql.SQL("SELECT id FROM {}.portfolios_security WHERE id = ANY({}) AND isin IS NULL").format(
            flow.source, sql.Literal(securities)
        ),
        WITH_BRANCHES,
    )
    if not found:
        return
    keys.add(
        _LISTING,
        sql.SQL(
            "SELECT l.id FROM {0}.portfolios_listing l JOIN {0}.portfolios_security s ON s.id = l.security_id"
            " WHERE s.id = ANY({1}) AND s.isin IS NULL"
        ).format(flow.source, sql.Literal(securities)),
        WITH_BRANCHES,
    )
    for label in (_SECURITY, _LISTING):
        if label in flow.shares:
            plan.classify(flow.shares[label])
            writer.write_only(flow.shares[label])


def _currencies_of(cursor: Any, flow: Flow, securities: list[Any]) -> set[str]:
    cursor.execute(
        sql.SQL("SELECT DISTINCT currency FROM {}.portfolios_security WHERE id = ANY(%s)").format(
            flow.source
        ),
        [securities],
    )
    return {row[0] for row in cursor.fetchall()}


def _queue(cursor: Any, stream: Stream, flow: Flow, kind: Kind, column: str, values: list[Any]) -> bool:
    """Leave what is known of newly shared securities or currencies to the next batches; say whether anything is."""
    cursor.execute(
        sql.SQL(
            "INSERT INTO public.federation_streamwork (stream_id, kind, operations, keys)"
            " SELECT {stream}, {kind}, 7, array_agg(t.id) FROM {source}.{table} t"
            " WHERE t.{column} = ANY({values}) AND {in_scope} GROUP BY t.{column}"
        ).format(
            stream=sql.Literal(stream.pk),
            kind=sql.Literal(kind.label),
            source=flow.source,
            table=sql.Identifier(kind.table),
            column=sql.Identifier(column),
            values=sql.Literal(values),
            in_scope=flow.in_scope(kind, "t"),
        )
    )
    return bool(cursor.rowcount)
