"""Take stubs away: what stayed of rows that left, since others named them, once nothing does any more."""

import time
import uuid
from typing import Any

from django.db import Error, connection, transaction
from django.db.models import Exists, OuterRef
from psycopg import sql

from federation.mirror import roles
from federation.mirror.acting import become_the_mirror, stop_being_the_mirror
from federation.mirror.ending import is_sealed
from federation.mirror.keys import Keys, prepare_connection
from federation.mirror.plan import DELETE, Plan
from federation.mirror.proving import look_again
from federation.mirror.references import named
from federation.mirror.refusals import OwnRowsAppeared
from federation.mirror.write import Writer
from federation.models import AgreementVersion, Function, Institution, SealedRecords, Stream
from federation.scope import Flow, Kind, in_foreign_key_order


def clear_away(*, after: uuid.UUID | None = None, seconds: float = 20.0) -> uuid.UUID | None:
    """Take away what nothing names any more, pair by pair; return where to go on, None once all are done.

    A pair in which something is locked, or comes to be named meanwhile, is left to another night.
    """
    end = time.monotonic() + seconds
    sibling = Stream.objects.filter(
        owner=OuterRef("owner"), receiver=OuterRef("receiver"), pk__lt=OuterRef("pk")
    )
    streams = (
        Stream.objects.filter(~Exists(sibling), owner__schema_name__isnull=False)
        .exclude(receiver__schema_name=None)
        .select_related("owner", "receiver")
        .order_by("pk")
    )
    for stream in streams.filter(pk__gt=after) if after else streams:
        try:
            clear(stream.owner, stream.receiver)
        except (OwnRowsAppeared, Error):
            connection.close_if_unusable_or_obsolete()
        if time.monotonic() > end:
            return stream.pk
    return None


def clear(owner: Institution, receiver: Institution) -> int:
    """Delete the stubs of one owner at one receiver that no row names and no sealed set holds; return how many."""
    between = (
        Stream.objects.filter(owner=owner, receiver=receiver)
        .select_related("agreement__manager", "agreement__channel", "agreement__version")
        .exclude(agreement__version=None)
    )
    agreements = [stream.agreement for stream in between]
    if not agreements:
        return 0
    versions = AgreementVersion.objects.filter(agreement__in=agreements)
    only_advice = all(
        roles.shares_only_models(private) for private in versions.values_list("private", flat=True)
    )
    flow = Flow.of(agreements[0], agreements[0].side_of(owner))
    prepare_connection()
    with transaction.atomic(), connection.cursor() as cursor:
        # Sets and rows as they were at one moment: what is sealed meanwhile has changed, and stops this.
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        kept = [
            Flow.of(sealed.agreement, sealed.agreement.side_of(owner))
            for sealed in SealedRecords.objects.kept()
            .filter(owner=owner, receiver=receiver)
            .select_related("agreement__manager", "agreement__channel", "agreement__version")
        ]
        become_the_mirror(cursor, only_advice=only_advice)
        cursor.execute("SET LOCAL lock_timeout = '700ms'")
        plan = Plan(cursor, flow, Keys(cursor))
        writer = Writer(cursor, plan)
        for kind in reversed(in_foreign_key_order()):
            if not only_advice or kind.function in {None, Function.MODELS}:
                _clear_kind(cursor, plan, writer, kind, kept)
        look_again(flow, writer.deleted)
        cursor.execute("DELETE FROM pg_temp.mirror_plan")
        stop_being_the_mirror(cursor)
        return writer.written.rows


def _clear_kind(cursor: Any, plan: Plan, writer: Writer, kind: Kind, kept: list[Flow]) -> None:
    flow = plan.flow
    held = [
        sql.SQL(" AND NOT ({})").format(each.received(kind, "t"))
        for each in kept
        if kind.label in each.shares and is_sealed(kind)
    ]
    parts = {
        "kind": sql.Literal(kind.label),
        "target": flow.target,
        "table": sql.Identifier(kind.table),
        "owner": sql.Literal(flow.owner.pk),
    }
    cursor.execute(
        sql.SQL(
            "SELECT array_agg(t.id) FROM {target}.{table} t"
            " WHERE t.origin = {owner} AND t.retired_at IS NOT NULL{held}"
        ).format(held=sql.SQL("").join(held), **parts)
    )
    stubs = cursor.fetchone()[0]
    if not stubs:
        return
    # Under lock: a batch to which one of them comes alive meanwhile waits, or is seen.
    cursor.execute(
        sql.SQL(
            "INSERT INTO pg_temp.mirror_plan (kind, id, action, moved)"
            " SELECT {kind}, t.id, 'delete', false FROM {target}.{table} t"
            " WHERE t.id = ANY({stubs}) AND t.retired_at IS NOT NULL AND t.id NOT IN (SELECT {named}) FOR UPDATE OF t"
        ).format(
            stubs=sql.Literal(stubs),
            named=named(flow.target, kind.table, sql.Literal(stubs)),
            **parts,
        )
    )
    plan.counts[kind.label] = type(plan).no_counts()
    plan.counts[kind.label][DELETE] = cursor.rowcount
    writer.delete_only([kind.label])
