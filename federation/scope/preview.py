"""What a partner will see of the real data, computed by the conditions that the mirror applies."""

from dataclasses import dataclass
from typing import Any

from django.db import connection
from psycopg import sql

from federation.models.agreements import AgreementVersion, Function, Side
from federation.scope.division import Share
from federation.scope.flow import Flow
from federation.scope.table import WITH_RATES

SAMPLES = 3
_SECURITY = "portfolios.Security"


@dataclass(frozen=True)
class PreviewField:
    """One field of a kind: its name in the model, and the words for it."""

    name: str
    label: str


@dataclass(frozen=True)
class PreviewKind:
    """One kind as the partner will see it.

    ``count`` is the number of rows now, None for an external owner, whose rows are not here.
    ``samples`` are up to three rows, values in the order of ``fields``.
    """

    label: str
    title: str
    function: Function | None
    fields: tuple[PreviewField, ...]
    count: int | None
    samples: tuple[tuple[Any, ...], ...]


def preview(version: AgreementVersion, side: Side) -> list[PreviewKind]:
    """Return what the party on ``side`` shares with the other one under ``version``, with real rows."""
    flow = Flow.of(version.agreement, side, version)
    following = _following(flow) if flow.owner.is_hosted else {}
    return [_preview_kind(flow, share, following) for share in flow.shares.values()]


def _following(flow: Flow) -> dict[str, sql.Composed]:
    """Return which reference data will follow the rows in scope, also before anything has crossed."""
    securities, currencies = [], []
    for share in flow.shares.values():
        kind = share.kind
        if kind.function is None:
            continue
        named = [key.column for key in share.foreign_keys if key.related_model._meta.label == _SECURITY]
        where = sql.SQL(" FROM {}.{} t WHERE {}").format(
            flow.source, sql.Identifier(kind.table), flow.in_scope(kind, "t")
        )
        securities += [sql.SQL("SELECT {}").format(sql.Identifier("t", column)) + where for column in named]
        if kind.label in WITH_RATES and "currency" in share.fields:
            currencies.append(sql.SQL("SELECT t.currency") + where)
    known = sql.SQL("SELECT {what} FROM public.{table} WHERE owner_id = {owner} AND receiver_id = {receiver}")
    pair = {"owner": sql.Literal(flow.owner.pk), "receiver": sql.Literal(flow.receiver.pk)}
    with connection.cursor() as cursor:

        def values(asked: list[sql.Composed], what: str) -> list[Any]:
            before = known.format(
                what=sql.Identifier(what), table=sql.Identifier(f"federation_shared{what}"), **pair
            )
            cursor.execute(sql.SQL(" UNION ").join([before, *asked]))
            return [row[0] for row in cursor.fetchall() if row[0] is not None]

        keys = sql.SQL("{}::uuid[]").format(sql.Literal(values(securities, "security")))
        own = sql.SQL("SELECT currency FROM {}.portfolios_security WHERE id = ANY({})").format(
            flow.source, keys
        )
        codes = sql.SQL("{}::text[]").format(sql.Literal(values([*currencies, own], "currency")))
    is_open = sql.SQL(
        "EXISTS (SELECT 1 FROM {}.portfolios_pricesource s WHERE s.id = t.source_id"
        " AND s.is_redistributable AND s.origin IS NULL)"
    ).format(flow.source)
    return {
        _SECURITY: sql.SQL("t.id = ANY({})").format(keys),
        "portfolios.Listing": sql.SQL("t.security_id = ANY({})").format(keys),
        "portfolios.Price": sql.SQL("t.security_id = ANY({}) AND {}").format(keys, is_open),
        "portfolios.ExchangeRate": sql.SQL("t.currency = ANY({}) AND {}").format(codes, is_open),
    }


def _preview_kind(flow: Flow, share: Share, following: dict[str, sql.Composed]) -> PreviewKind:
    kind = share.kind
    fields = tuple(PreviewField(name, str(kind.field(name).verbose_name)) for name in share.fields)
    total: int | None = None
    samples: list[tuple[Any, ...]] = []
    if flow.owner.is_hosted:
        where = sql.SQL(" FROM {schema}.{table} t WHERE {scope}").format(
            schema=flow.source,
            table=sql.Identifier(kind.table),
            scope=following.get(kind.label) or flow.in_scope(kind, "t"),
        )
        columns = sql.SQL(", ").join(sql.Identifier("t", kind.column(field.name)) for field in fields)
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL("SELECT count(*)") + where)
            total = cursor.fetchone()[0]
            if total:
                newest = sql.SQL(" ORDER BY t.id DESC LIMIT {}").format(sql.Literal(SAMPLES))
                cursor.execute(sql.SQL("SELECT ") + columns + where + newest)
                samples = cursor.fetchall()
    return PreviewKind(
        label=kind.label,
        title=str(kind.model._meta.verbose_name_plural),
        function=kind.function,
        fields=fields,
        count=total,
        samples=tuple(samples),
    )
