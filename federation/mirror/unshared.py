"""Fields that an agreement does not share: in the rows that it brought they are blank, and stay so."""

import uuid

from django.db import connection, transaction
from psycopg import sql

from federation.mirror import roles
from federation.mirror.acting import become_the_mirror, stop_being_the_mirror
from federation.mirror.overlap import blank_what_is_left_out, other_flows
from federation.mirror.write import blank
from federation.models import Agreement, Stream
from federation.scope import MANAGED, Flow, Share


def unshared_fields(share: Share) -> list[str]:
    """Return the fields of a kind that are not shared; without those whose default is another every time."""
    shared = {*share.columns, *MANAGED}
    return [
        field.name
        for field in share.kind.model._meta.concrete_fields
        if field.column not in shared and (field.null or field.get_default() == field.get_default())
    ]


def filled(flow: Flow, share: Share, others: list[Flow]) -> sql.Composed | None:
    """Return the condition for: a received row ``t`` has a value in a field that nothing shares; None if none can."""
    kind = share.kind
    listed = [other for other in others if kind.label in other.shares]
    found = []
    for name in unshared_fields(share):
        elsewhere = [
            sql.SQL(" AND NOT ({})").format(other.received(kind, "t"))
            for other in listed
            if name in other.shares[kind.label].fields
        ]
        found.append(
            sql.SQL("({} IS DISTINCT FROM {}{})").format(
                sql.Identifier("t", kind.column(name)), blank(kind.field(name)), sql.SQL("").join(elsewhere)
            )
        )
    return sql.SQL("({})").format(sql.SQL(" OR ").join(found)) if found else None


def received_rows(flow: Flow, share: Share) -> sql.Composed:
    """Return what follows FROM for the rows ``t`` that the receiver has of a kind under this agreement."""
    return sql.SQL("{}.{} t WHERE t.origin = {} AND t.retired_at IS NULL AND {}").format(
        flow.target,
        sql.Identifier(share.kind.table),
        sql.Literal(flow.owner.pk),
        flow.received(share.kind, "t"),
    )


@transaction.atomic
def blank_unshared(stream_id: uuid.UUID) -> None:
    """Blank what stands in unshared fields of a stream's received rows, as part of a repair."""
    stream = Stream.objects.get(pk=stream_id)
    # As a batch does: whoever changes the agreement waits, and then finds it done.
    Agreement.objects.select_for_update(no_key=True).get(pk=stream.agreement_id)
    agreement = Agreement.objects.select_related("manager", "channel", "version").get(pk=stream.agreement_id)
    if not agreement.is_live:
        return
    blank_in(Flow.of(agreement, agreement.side_of(stream.owner)))


def blank_in(flow: Flow) -> None:
    """Blank what stands in unshared fields of the received rows, in the caller's transaction."""
    others = other_flows(flow)
    with connection.cursor() as cursor:
        wrong = []
        for share in flow.shares.values():
            condition = filled(flow, share, others)
            if condition is None:
                continue
            # The mirror's role may not even read fields that never leave: the rows are found without it.
            cursor.execute(
                sql.SQL("SELECT t.id FROM {} AND {} FOR UPDATE OF t").format(
                    received_rows(flow, share), condition
                )
            )
            ids = [row[0] for row in cursor.fetchall()]
            if ids:
                wrong.append((share, ids))
        if not wrong:
            return
        become_the_mirror(cursor, only_advice=roles.shares_only_models(flow.version.private))
        for share, ids in wrong:
            rows = sql.SQL("t.id = ANY({})").format(sql.Literal(ids))
            blank_what_is_left_out(cursor, flow, share.kind, rows, unshared_fields(share), others)
        stop_being_the_mirror(cursor)
