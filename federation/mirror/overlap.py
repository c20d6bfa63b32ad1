"""Rows that more than one agreement between the same two brought: what each of the others lets through."""

import uuid
from collections.abc import Iterable
from typing import Any

from django.db.models import Q
from psycopg import sql

from accounts.services.grants import GRANTABLE
from federation.mirror.capture import ANYTHING
from federation.mirror.keys import WITH_BRANCHES, Keys
from federation.mirror.plan import DELETE, Plan
from federation.mirror.write import blank
from federation.models import Agreement, SealedRecords, Stream
from federation.scope import Flow, Kind, branches, by_label, in_scope_order, parent_of

# Answers to the receiver's own records: they stay beside what they answer when an agreement has ended.
ANSWERS = {"clients.MandateDecision", "clients.InstructionOutcome", "reporting.ReportRelease"}


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


def sealed_flows(flow: Flow) -> list[tuple[Flow, uuid.UUID]]:
    """Return what the same owner shared with the same receiver under agreements whose records are kept sealed, and the set."""
    kept = (
        SealedRecords.objects.kept()
        .filter(owner=flow.owner, receiver=flow.receiver)
        .exclude(agreement=flow.agreement)
        .select_related("agreement__manager", "agreement__channel", "agreement__version")
    )
    return [(Flow.of(each.agreement, each.agreement.side_of(flow.owner)), each.pk) for each in kept]


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
        elsewhere = [sql.SQL(" AND NOT ({})").format(listed[index].stands(kind, "t")) for index in sharers]
        columns = [(sql.Identifier(kind.column(name)), blank(kind.field(name))) for name in names]
        # What never leaves the mirror may not even read.
        changes: list[sql.Composable] = [sql.SQL("true")]
        if set(names) <= set(kind.shared_fields):
            changes = [sql.SQL("t.{} IS DISTINCT FROM {}").format(*each) for each in columns]
        cursor.execute(
            sql.SQL("UPDATE {target}.{table} t SET {blanked} WHERE {rows} AND ({changes}){elsewhere}").format(
                target=flow.target,
                table=sql.Identifier(kind.table),
                blanked=sql.SQL(", ").join(sql.SQL("{} = {}").format(*each) for each in columns),
                changes=sql.SQL(" OR ").join(changes),
                rows=rows,
                elsewhere=sql.SQL("").join(elsewhere),
            )
        )


def left_out_by_some(kind: Kind, fields: Iterable[str], others: Iterable[Flow]) -> list[str]:
    """Return those of ``fields`` that some other agreement, which shares the kind, does not share."""
    also = [other.shares[kind.label].fields for other in others if kind.label in other.shares]
    return [name for name in fields if any(name not in shared for shared in also)]


def held_by(kind: Kind, others: Iterable[Flow]) -> sql.Composable:
    """Return the condition for: a row ``t`` at the receiver is there under one of the other agreements."""
    held = [sql.SQL("({})").format(other.stands(kind, "t")) for other in others if kind.label in other.shares]
    return sql.SQL("({})").format(sql.SQL(" OR ").join(held)) if held else sql.SQL("false")


def left_behind(flow: Flow, kind: Kind, others: Iterable[Flow]) -> sql.Composable:
    """Return the condition for: a row ``t`` at the receiver stands under no agreement, neither this nor another.

    Another one's stream has moved it or what it hangs off, and this one's has not followed.
    """
    if kind.function is None or kind.label in ANSWERS:
        return sql.SQL("false")
    return sql.SQL("t.origin = {} AND t.retired_at IS NULL AND NOT ({}) AND NOT {}").format(
        sql.Literal(flow.owner.pk), flow.received(kind, "t"), held_by(kind, others)
    )


def sweep(cursor: Any, flow: Flow, keys: Keys) -> None:
    """Take what no root of a fill leads to: rows, and fields, that were left behind. Call it as the mirror."""
    others = other_flows(flow)
    for share in flow.shares.values() if others else ():
        kind = share.kind
        keys.add(
            kind.label,
            sql.SQL("SELECT t.id FROM {}.{} t WHERE {}").format(
                flow.target, sql.Identifier(kind.table), left_behind(flow, kind, others)
            ),
        )
        left_out = left_out_by_some(kind, share.fields, others)
        if left_out:
            rows = sql.SQL("NOT ({}) AND {}").format(flow.received(kind, "t"), held_by(kind, others))
            blank_what_is_left_out(cursor, flow, kind, rows, left_out, others)


def settle(cursor: Any, flow: Flow, plan: Plan) -> None:
    """Decide with all agreements in force between the same two what becomes of the rows that leave this one.

    A row stays where another one covers it at the owner and holds it at the receiver, in the same place; of
    its fields those that are shared by whoever holds it. What this agreement does not hold is left to those
    that do. What leaves takes along all that hangs off it, and whoever held it looks at it again, as do those
    that share what has come or moved. What only an ended agreement covers goes back among its sealed
    records, and what answered under one stays. Call it as the mirror.
    """
    _leave_answers(cursor, flow, plan)
    leaving = [label for label in plan.counts if plan.actions(label, DELETE)]
    if not leaving and not plan.moved:
        return
    others = plan.others
    for label in leaving if others else ():
        _keep(cursor, flow, plan, by_label()[label], [other for other in others if label in other.shares])
    if others and leaving:
        _take_along(cursor, flow, plan)
    for other, stream in _streams_of(others, flow):
        for label in plan.counts:
            if label in other.shares:
                _tell(cursor, flow, plan, by_label()[label], other, stream)
    seal_again(cursor, flow, plan)


def _leave_answers(cursor: Any, flow: Flow, plan: Plan) -> None:
    """Take out of the plan what answers the receiver's records under agreements that have ended: it is theirs to keep."""
    leaving = [label for label in sorted(ANSWERS) if plan.actions(label, DELETE)]
    ended = _ended_flows(flow) if leaving else []
    for label in leaving if ended else ():
        kind = by_label()[label]
        cursor.execute(
            sql.SQL(
                "DELETE FROM pg_temp.mirror_plan p USING {target}.{table} t"
                " WHERE p.kind = {kind} AND p.action = 'delete' AND t.id = p.id AND ({answered})"
            ).format(
                target=flow.target,
                table=sql.Identifier(kind.table),
                kind=sql.Literal(label),
                answered=sql.SQL(" OR ").join(each.received(kind, "t") for each in ended),
            )
        )
        plan.counts[label][DELETE] -= cursor.rowcount


def _ended_flows(flow: Flow) -> list[Flow]:
    pair = {flow.owner.pk, flow.receiver.pk}
    ended = (
        Agreement.objects.select_related("manager", "channel", "version")
        .filter(
            Q(manager__in=pair, channel__in=pair), state=Agreement.State.TERMINATED, version__isnull=False
        )
        .exclude(pk=flow.agreement.pk)
    )
    return [Flow.of(each, each.side_of(flow.owner)) for each in ended]


def _keep(cursor: Any, flow: Flow, plan: Plan, kind: Kind, others: list[Flow]) -> None:
    """Take out of the plan what others keep, and blank in it what none of them shares."""
    if not others:
        return
    covered = [
        sql.SQL("({} AND {})").format(other.stands(kind, "t"), other.in_scope(kind, "s")) for other in others
    ]
    parts = {
        "source": flow.source,
        "target": flow.target,
        "table": sql.Identifier(kind.table),
        "kind": sql.Literal(kind.label),
        "left": _left_to_others(flow, kind, others),
        "covered": sql.SQL(" OR ").join(covered),
        "place": sql.SQL(""),
        "parent": sql.SQL(""),
    }
    parent = parent_of(kind)
    if kind.via or kind.root:
        parts["place"] = sql.SQL("s.{0} IS NOT DISTINCT FROM t.{0} AND ").format(
            sql.Identifier(kind.column(kind.via or kind.root))
        )
    if parent is not None and plan.actions(parent.label, DELETE):
        parts["parent"] = sql.SQL(
            " AND NOT EXISTS (SELECT 1 FROM pg_temp.mirror_plan q WHERE q.kind = {parent}"
            " AND q.action = 'delete' AND q.id = t.{via})"
        ).format(parent=sql.Literal(parent.label), via=sql.Identifier(kind.column(kind.via)))
    cursor.execute(
        sql.SQL(
            "UPDATE pg_temp.mirror_plan p SET action = 'kept' FROM {target}.{table} t"
            " LEFT JOIN {source}.{table} s ON s.id = t.id"
            " WHERE p.kind = {kind} AND p.action = 'delete' AND t.id = p.id"
            " AND (({left}) OR ({place}({covered}))){parent}"
        ).format(**parts)
    )
    kept = cursor.rowcount
    if not kept:
        return
    plan.counts[kind.label][DELETE] -= kept
    rows = sql.SQL("t.id IN (SELECT id FROM pg_temp.mirror_plan WHERE kind = {} AND action = 'kept')").format(
        sql.Literal(kind.label)
    )
    fields = left_out_by_some(kind, flow.shares[kind.label].fields, others)
    blank_what_is_left_out(cursor, flow, kind, rows, fields, others)
    cursor.execute("DELETE FROM pg_temp.mirror_plan WHERE kind = %s AND action = 'kept'", [kind.label])


def _left_to_others(flow: Flow, kind: Kind, others: list[Flow]) -> sql.Composable:
    """Return the condition for: it is for the others to take the row ``t`` away.

    That is what this agreement does not hold. What several rows may name is theirs as long as one of these,
    which this batch leaves as it is, stands under another agreement.
    """
    if not kind.through:
        return sql.SQL("NOT ({}) AND {}").format(flow.received(kind, "t"), held_by(kind, others))
    label, _, field = kind.through.rpartition(".")
    naming = by_label()[label]
    stands = sql.SQL(" OR ").join(sql.SQL("({})").format(other.stands(naming, "n")) for other in others)
    return sql.SQL(
        "EXISTS (SELECT 1 FROM {target}.{table} n WHERE n.{field} = t.id AND ({stands}) AND NOT EXISTS ("
        "SELECT 1 FROM pg_temp.mirror_plan q WHERE q.kind = {naming} AND q.id = n.id"
        " AND q.action IN ('relink', 'replace')))"
    ).format(
        target=flow.target,
        table=sql.Identifier(naming.table),
        field=sql.Identifier(naming.column(field)),
        stands=stands,
        naming=sql.Literal(label),
    )


def _take_along(cursor: Any, flow: Flow, plan: Plan) -> None:
    """Have what only others share leave with the rows that it hangs off."""
    for kind in in_scope_order():
        parent = parent_of(kind)
        if parent is None or kind.label in flow.shares or not plan.actions(parent.label, DELETE):
            continue
        cursor.execute(
            sql.SQL(
                "INSERT INTO pg_temp.mirror_plan (kind, id, action, moved)"
                " SELECT {kind}, t.id, 'delete', false FROM {target}.{table} t"
                " JOIN pg_temp.mirror_plan p ON p.id = t.{via} AND p.kind = {parent} AND p.action = 'delete'"
                " WHERE t.origin = {owner} AND t.retired_at IS NULL"
            ).format(
                kind=sql.Literal(kind.label),
                target=flow.target,
                table=sql.Identifier(kind.table),
                via=sql.Identifier(kind.column(kind.via)),
                parent=sql.Literal(parent.label),
                owner=sql.Literal(flow.owner.pk),
            )
        )
        if cursor.rowcount:
            plan.counts.setdefault(kind.label, type(plan).no_counts())[DELETE] += cursor.rowcount


def _streams_of(others: Iterable[Flow], flow: Flow) -> list[tuple[Flow, Any]]:
    by_agreement = {other.agreement.pk: other for other in others}
    streams = Stream.objects.filter(agreement__in=by_agreement, owner=flow.owner).exclude(
        state=Stream.State.ENDED
    )
    return [(by_agreement[agreement], pk) for agreement, pk in streams.values_list("agreement", "pk")]


def _tell(cursor: Any, flow: Flow, plan: Plan, kind: Kind, other: Flow, stream: Any) -> None:
    """Leave as work of another stream what it can not see by comparing.

    That is what was taken from under it, and what is there already when it comes: something may hang off
    that which it alone shares.
    """
    conditions = []
    if plan.actions(kind.label, DELETE):
        conditions.append(sql.SQL("(p.action = 'delete' AND {})").format(other.stands(kind, "t")))
    if kind.label in plan.moved and branches(kind.label):
        conditions.append(
            sql.SQL("(p.moved AND p.action IN ('insert', 'update', 'relink', 'replace') AND {})").format(
                other.in_scope(kind, "s")
            )
        )
    if not conditions:
        return
    cursor.execute(
        sql.SQL(
            "INSERT INTO public.federation_streamwork (stream_id, kind, operations, keys)"
            " SELECT {stream}, {kind}, {operations}, array_agg(p.id) FROM pg_temp.mirror_plan p"
            " LEFT JOIN {target}.{table} t ON t.id = p.id LEFT JOIN {source}.{table} s ON s.id = p.id"
            " WHERE p.kind = {kind} AND ({conditions}) HAVING count(*) > 0"
        ).format(
            stream=sql.Literal(stream),
            kind=sql.Literal(kind.label),
            operations=sql.Literal(ANYTHING | WITH_BRANCHES),
            target=flow.target,
            source=flow.source,
            table=sql.Identifier(kind.table),
            conditions=sql.SQL(" OR ").join(conditions),
        )
    )


def drop_grants_on_sealed(cursor: Any, flow: Flow) -> None:
    """Take back single grants on what is sealed: who is to see it once it comes alive again is decided anew."""
    for label, _name in GRANTABLE.values():
        if label not in flow.shares:
            continue
        kind = by_label()[label]
        cursor.execute(
            sql.SQL(
                "DELETE FROM {target}.guardian_userobjectpermission g"
                " USING {target}.django_content_type c, {target}.{table} t"
                " WHERE c.id = g.content_type_id AND c.app_label = {app} AND c.model = {model}"
                " AND t.id::text = g.object_pk AND t.origin = {owner} AND t.retired_at IS NOT NULL"
            ).format(
                target=flow.target,
                table=sql.Identifier(kind.table),
                app=sql.Literal(kind.model._meta.app_label),
                model=sql.Literal(kind.model._meta.model_name),
                owner=sql.Literal(flow.owner.pk),
            )
        )


def seal_again(cursor: Any, flow: Flow, plan: Plan) -> None:
    """Put rows that leave, but are kept under an ended agreement, back among the sealed ones. Call it as the mirror.

    A sealed set does not grow: rows that were not there when it was sealed leave, and fields that the ended
    agreement did not share are blanked. What has been sealed all along keeps its date.
    """
    leaving = [label for label in plan.counts if plan.actions(label, DELETE)]
    sealed = sealed_flows(flow) if leaving else []
    for label in leaving:
        kind = by_label()[label]
        held = [
            (
                each.shares[label].fields,
                sql.SQL(
                    "({received} AND (t.id IN (SELECT unnest(k.keys) FROM public.federation_sealedkeys k"
                    " WHERE k.sealed_id = {sealed} AND k.kind = {kind})"
                    # A set from before keys were written down.
                    " OR NOT EXISTS (SELECT 1 FROM public.federation_sealedkeys k WHERE k.sealed_id = {sealed})"
                    " AND t.created_at <= (SELECT s.sealed_at FROM public.federation_sealedrecords s WHERE s.id = {sealed})))"
                ).format(received=each.received(kind, "t"), sealed=sql.Literal(pk), kind=sql.Literal(label)),
            )
            for each, pk in sealed
            if label in each.shares
        ]
        if not held:
            continue
        changes: list[sql.Composable] = [
            sql.SQL("retired_at = coalesce(t.retired_at, statement_timestamp())")
        ]
        for name in kind.shared_fields:
            sharers = [condition for fields, condition in held if name in fields]
            if len(sharers) < len(held):
                changes.append(
                    sql.SQL("{column} = CASE WHEN {shared} THEN t.{column} ELSE {blank} END").format(
                        column=sql.Identifier(kind.column(name)),
                        shared=sql.SQL(" OR ").join(sharers) if sharers else sql.SQL("false"),
                        blank=blank(kind.field(name)),
                    )
                )
        cursor.execute(
            sql.SQL(
                "WITH sealed AS (UPDATE {target}.{table} t SET {changes}"
                " FROM pg_temp.mirror_plan p WHERE p.kind = {kind} AND p.action = 'delete' AND p.id = t.id"
                " AND ({held}) RETURNING t.id)"
                " DELETE FROM pg_temp.mirror_plan p USING sealed WHERE p.kind = {kind}"
                " AND p.action = 'delete' AND p.id = sealed.id"
            ).format(
                target=flow.target,
                table=sql.Identifier(kind.table),
                changes=sql.SQL(", ").join(changes),
                kind=sql.Literal(label),
                held=sql.SQL(" OR ").join(condition for _fields, condition in held),
            )
        )
        plan.counts[label][DELETE] -= cursor.rowcount
    if sealed:
        drop_grants_on_sealed(cursor, flow)
