"""Rows that more than one agreement between the same two brought: what each of the others lets through."""

from collections.abc import Iterable
from typing import Any

from django.db.models import Q
from psycopg import sql

from federation.mirror.plan import DELETE, Plan
from federation.mirror.write import blank
from federation.models import Agreement, SealedRecords
from federation.scope import Flow, Kind, by_label


def other_flows(flow: Flow) -> list[Flow]:
    """Return what the same owner shares with the same receiver under their other agreements in force."""
    pair = {flow.owner.pk, flow.receiver.pk}
    others = (
        Agreement.objects.select_related("manager", "channel", "version")
        .filter(
            Q(manager__in=pair, channel__in=pair),
            state__in=[Agreement.State.ACTIVE, Agreement.State.WINDING_DOWN],
            version__isnull=False,
        )
        .exclude(pk=flow.agreement.pk)
    )
    return [Flow.of(other, other.side_of(flow.owner)) for other in others]


def sealed_flows(flow: Flow) -> list[Flow]:
    """Return what the same owner shared with the same receiver under agreements whose records are kept sealed."""
    kept = (
        SealedRecords.objects.kept()
        .filter(owner=flow.owner, receiver=flow.receiver)
        .exclude(agreement=flow.agreement)
        .select_related("agreement__manager", "agreement__channel", "agreement__version")
    )
    return [Flow.of(each.agreement, each.agreement.side_of(flow.owner)) for each in kept]


def blank_what_is_left_out(
    cursor: Any, flow: Flow, kind: Kind, rows: sql.Composable, fields: Iterable[str], others: Iterable[Flow]
) -> None:
    """Blank ``fields`` in the receiver's rows ``t``, except where another agreement shares that very field.

    Call it as the mirror.
    """
    by_sharers: dict[tuple[int, ...], list[str]] = {}
    listed = [other for other in others if kind.label in other.shares]
    for name in fields:
        sharers = tuple(i for i, other in enumerate(listed) if name in other.shares[kind.label].fields)
        by_sharers.setdefault(sharers, []).append(name)
    for sharers, names in by_sharers.items():
        elsewhere = [sql.SQL(" AND NOT ({})").format(listed[index].received(kind, "t")) for index in sharers]
        cursor.execute(
            sql.SQL("UPDATE {target}.{table} t SET {blanked} WHERE {rows}{elsewhere}").format(
                target=flow.target,
                table=sql.Identifier(kind.table),
                blanked=sql.SQL(", ").join(
                    sql.SQL("{} = {}").format(sql.Identifier(kind.column(name)), blank(kind.field(name)))
                    for name in names
                ),
                rows=rows,
                elsewhere=sql.SQL("").join(elsewhere),
            )
        )


def left_out_by_some(kind: Kind, fields: Iterable[str], others: Iterable[Flow]) -> list[str]:
    """Return those of ``fields`` that some other agreement, which shares the kind, does not share."""
    also = [other.shares[kind.label].fields for other in others if kind.label in other.shares]
    return [name for name in fields if any(name not in shared for shared in also)]


def keep_what_others_cover(cursor: Any, flow: Flow, plan: Plan) -> None:
    """Keep rows that leave this agreement's scope but are covered by another one, with what that one shares.

    Rows that only an ended agreement covers go back among its sealed records. Call it as the mirror.
    """
    leaving = [label for label in plan.counts if plan.actions(label, DELETE)]
    if not leaving:
        return
    others = other_flows(flow)
    for label in leaving:
        kind = by_label()[label]
        covering = [other for other in others if label in other.shares]
        if not covering:
            continue
        covered = sql.SQL(" OR ").join(
            sql.SQL("({})").format(other.in_scope(kind, "s")) for other in covering
        )
        planned = sql.SQL(
            "t.id IN (SELECT s.id FROM pg_temp.mirror_plan p JOIN {source}.{table} s ON s.id = p.id"
            " WHERE p.kind = {kind} AND p.action = 'delete' AND ({covered}))"
        ).format(
            source=flow.source,
            table=sql.Identifier(kind.table),
            kind=sql.Literal(label),
            covered=covered,
        )
        gone = left_out_by_some(kind, flow.shares[label].fields, covering)
        if gone:
            _blank_kept(cursor, flow, kind, planned, gone, covering)
        cursor.execute(
            sql.SQL(
                "DELETE FROM pg_temp.mirror_plan p USING {source}.{table} s"
                " WHERE p.kind = {kind} AND p.action = 'delete' AND s.id = p.id AND ({covered})"
            ).format(
                source=flow.source,
                table=sql.Identifier(kind.table),
                kind=sql.Literal(label),
                covered=covered,
            )
        )
        plan.counts[label][DELETE] -= cursor.rowcount
    seal_again(cursor, flow, plan)


def _blank_kept(
    cursor: Any, flow: Flow, kind: Kind, rows: sql.Composable, fields: list[str], covering: list[Flow]
) -> None:
    """Blank fields of rows that stay; what covers them is asked of the source, which the receiver may lag behind."""
    for name in fields:
        sharing = [other for other in covering if name in other.shares[kind.label].fields]
        still = [
            sql.SQL(
                " AND NOT EXISTS (SELECT 1 FROM {source}.{table} s WHERE s.id = t.id AND {covered})"
            ).format(source=flow.source, table=sql.Identifier(kind.table), covered=other.in_scope(kind, "s"))
            for other in sharing
        ]
        cursor.execute(
            sql.SQL(
                "UPDATE {target}.{table} t SET {column} = {value} WHERE {rows} AND t.origin = {owner}{still}"
            ).format(
                target=flow.target,
                table=sql.Identifier(kind.table),
                column=sql.Identifier(kind.column(name)),
                value=blank(kind.field(name)),
                rows=rows,
                owner=sql.Literal(flow.owner.pk),
                still=sql.SQL("").join(still),
            )
        )


def seal_again(cursor: Any, flow: Flow, plan: Plan) -> None:
    """Put rows that leave, but are kept under an ended agreement, back among the sealed ones. Call it as the mirror."""
    leaving = [label for label in plan.counts if plan.actions(label, DELETE)]
    sealed = sealed_flows(flow) if leaving else []
    for label in leaving if sealed else ():
        kind = by_label()[label]
        held = [each.received(kind, "t") for each in sealed if label in each.shares]
        if not held:
            continue
        cursor.execute(
            sql.SQL(
                "WITH sealed AS (UPDATE {target}.{table} t SET retired_at = statement_timestamp()"
                " FROM pg_temp.mirror_plan p WHERE p.kind = {kind} AND p.action = 'delete' AND p.id = t.id"
                " AND ({held}) RETURNING t.id)"
                " DELETE FROM pg_temp.mirror_plan p USING sealed WHERE p.kind = {kind}"
                " AND p.action = 'delete' AND p.id = sealed.id"
            ).format(
                target=flow.target,
                table=sql.Identifier(kind.table),
                kind=sql.Literal(label),
                held=sql.SQL(" OR ").join(sql.SQL("({})").format(each) for each in held),
            )
        )
        plan.counts[label][DELETE] -= cursor.rowcount
