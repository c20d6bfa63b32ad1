"""What a partner will see of the real data, computed by the conditions that the mirror applies."""

from dataclasses import dataclass
from typing import Any

from django.db import connection
from psycopg import sql

from federation.models.agreements import AgreementVersion, Function, Side
from federation.scope.division import Share
from federation.scope.flow import Flow

SAMPLES = 3


@dataclass(frozen=True)
class PreviewField:
    """One field of a kind: its name in the model, and the words for it."""

    name: str
    label: str
    is_personal: bool


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
    return [_preview_kind(flow, share) for share in flow.shares.values()]


def _preview_kind(flow: Flow, share: Share) -> PreviewKind:
    kind = share.kind
    fields = tuple(
        PreviewField(name, str(kind.field(name).verbose_name), name in kind.personal_fields)
        for name in share.fields
    )
    total: int | None = None
    samples: list[tuple[Any, ...]] = []
    if flow.owner.is_hosted:
        where = sql.SQL(" FROM {schema}.{table} t WHERE {scope}").format(
            schema=flow.source, table=sql.Identifier(kind.table), scope=flow.in_scope(kind, "t")
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
