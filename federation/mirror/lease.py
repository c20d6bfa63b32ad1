"""The lease of a stream: its transaction, who may have it, and how its cursor moves on."""

import datetime
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.db import models
from django.utils import timezone
from psycopg import sql

from federation.mirror.keys import Snapshot
from federation.mirror.outcome import Outcome
from federation.models import Agreement, Side, Stream
from federation.scope import Flow

STATEMENT_TIMEOUT = "50s"
# Shorter than PostgreSQL waits before it looks for a deadlock (one second): in one with a user it is
# the batch that gives way.
LOCK_TIMEOUT = "700ms"

# Keys need few statistics: how many there are, and of which kinds.
_BEGIN = (
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;"
    f" SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}'; SET LOCAL lock_timeout = '{LOCK_TIMEOUT}';"
    " SET LOCAL default_statistics_target = 10;"
)
# What has to be known of the agreements in force between the same two.
_IN_FORCE = ("id", "version_id", "new_mandates_suspended_at", "manager_id")

# A statement and its parameters.
Statement = tuple[str, Sequence[Any]]


@dataclass
class Lease:
    """A stream under lock, and what was found with it; ends with the transaction."""

    stream: Stream
    flow: Flow
    reverse: Flow
    # What the same two share this way under their other agreements in force.
    others: list[Flow]
    snapshot: Snapshot
    identity: str
    has_work: bool
    has_parked: bool
    resumed_at: datetime.datetime | None
    # The stream that all of the same owner to the same receiver lock: one of them is at work at a time.
    lead: uuid.UUID


class SiblingAtWork(Exception):
    """Another stream of the same owner to the same receiver has a batch in hand, or this one."""


def take(cursor: Any, stream_id: uuid.UUID) -> "Lease | Outcome":
    """Lock the agreement against change and the stream against others.

    All locks end with the connection. The agreement first: whoever changes it goes on to its streams. With
    it those in force between the same two: a batch keeps what they cover, and must not find out too late
    that one of them has ended.

    With the stream the first one of the same owner to the same receiver, which every batch of them changes:
    each decides what stays against what the one before has left, never against what it was. Raise
    SiblingAtWork where another has it.
    """
    # In one message: most of a small batch is waiting for the server's answers.
    cursor.execute(_lease_statement(), [stream_id, stream_id])
    while cursor.statusmessage == "SET":
        cursor.nextset()
    agreements = [Agreement(**dict(zip(_IN_FORCE, values, strict=True))) for values in cursor.fetchall()]
    cursor.nextset()
    row = cursor.fetchone()
    if row is None:
        if len(agreements) > 1:
            raise SiblingAtWork
        return Outcome.BUSY if agreements else Outcome.STOPPED
    snapshot, identity, has_work, has_parked, lead, *values = row
    names = _attnames(Stream)
    stream = Stream.from_db("default", names, values[: len(names)])
    agreement = Agreement.from_db("default", _attnames(Agreement), values[len(names) :])
    if not agreement.is_live or stream.state == Stream.State.ENDED:
        return Outcome.STOPPED
    side = Side.MANAGER if agreement.manager_id == stream.owner_id else Side.CHANNEL
    other = Side.CHANNEL if side == Side.MANAGER else Side.MANAGER
    flow = _flow(agreement, side)
    if (flow.owner.pk, flow.receiver.pk) != (stream.owner_id, stream.receiver_id):
        raise ValueError("the stream does not belong to the parties of its agreement")
    others = [
        _flow(each, Side.MANAGER if each.manager_id == stream.owner_id else Side.CHANNEL)
        for each in agreements
        if each.pk != agreement.pk and each.version_id
    ]
    return Lease(
        stream,
        flow,
        _flow(agreement, other),
        others,
        Snapshot(snapshot),
        identity,
        has_work,
        has_parked,
        agreement.resumed_at,
        lead,
    )


def _attnames(model: type[models.Model]) -> tuple[str, ...]:
    return tuple(field.attname for field in model._meta.concrete_fields)


@cache
def _lease_statement() -> sql.Composed:
    """Return what begins a batch: its settings, the lock of the agreements, and the stream under lock.

    With the stream comes its agreement, what it finds, and where: all in one.

    Where: the transaction's snapshot, and what identifies the cluster, the database and the two logs.
    The lock lets through what names the stream, as a proof that somebody asks for meanwhile.
    """
    return sql.SQL(
        """
        {begin}
        SELECT {in_force} FROM public.federation_stream s JOIN public.federation_agreement a
            ON a.manager_id = ANY(ARRAY[s.owner_id, s.receiver_id])
            AND a.channel_id = ANY(ARRAY[s.owner_id, s.receiver_id])
            AND (a.id = s.agreement_id OR a.state IN ('active', 'winding_down'))
            WHERE s.id = %s ORDER BY a.id FOR SHARE OF a;
        SELECT pg_current_snapshot()::text,
            concat_ws('.', (SELECT system_identifier FROM pg_control_system()),
                (SELECT oid FROM pg_database WHERE datname = current_database()),
                to_regclass(format('%%I.mirror_log', o.schema_name))::oid,
                to_regclass(format('%%I.mirror_log', r.schema_name))::oid),
            EXISTS (SELECT 1 FROM public.federation_streamwork w WHERE w.stream_id = s.id),
            EXISTS (SELECT 1 FROM public.federation_parkedrow p WHERE p.stream_id = s.id),
            lead.id,
            {columns}
        FROM public.federation_stream s
        JOIN public.federation_stream lead ON lead.id = (
            SELECT x.id FROM public.federation_stream x
            WHERE x.owner_id = s.owner_id AND x.receiver_id = s.receiver_id AND (x.state <> 'ended' OR x.id = s.id)
            ORDER BY x.id LIMIT 1
        )
        JOIN public.federation_agreement a ON a.id = s.agreement_id
        JOIN public.federation_institution o ON o.id = s.owner_id
        JOIN public.federation_institution r ON r.id = s.receiver_id
        WHERE s.id = %s FOR NO KEY UPDATE OF s, lead SKIP LOCKED
        """
    ).format(
        begin=sql.SQL(_BEGIN),
        in_force=sql.SQL(", ").join(sql.Identifier("a", name) for name in _IN_FORCE),
        columns=sql.SQL(", ").join(
            sql.Identifier(alias, str(field.column))
            for alias, model in (("s", Stream), ("a", Agreement))
            for field in model._meta.concrete_fields
        ),
    )


_FLOWS: dict[tuple[Any, ...], Flow] = {}


def _flow(agreement: Agreement, side: Side) -> Flow:
    """Return a direction as derived before, if its version and cut are the same: versions do not change."""
    key = (agreement.version_id, agreement.new_mandates_suspended_at, side)
    if key not in _FLOWS:
        if len(_FLOWS) >= 200:
            _FLOWS.clear()
        agreement = Agreement.objects.select_related("manager", "channel", "version").get(pk=agreement.pk)
        _FLOWS[key] = Flow.of(agreement, side)
    return _FLOWS[key]


def move_cursor(cursor: Any, stream: Stream, snapshot: Snapshot, started: float, *before: Statement) -> None:
    """Move the cursor and keep the figures; part of the batch's transaction, in one message with what is due before."""
    if stream.cursor is not None:
        stream.cursor = snapshot.text
    stream.last_tick_at = timezone.now()
    stream.last_duration_ms = (time.monotonic() - started) * 1000
    moving = (_save_statement(), [getattr(stream, name) for name in (*_attnames(Stream), "pk")])
    send(cursor, *before, moving)


def mark(batch: Lease) -> list[Statement]:
    """Return what lets a batch of another stream of the same two, begun before this one ends, begin again."""
    if batch.lead == batch.stream.pk:
        return []
    return [("UPDATE public.federation_stream SET attempts = attempts WHERE id = %s", [batch.lead])]


def send(cursor: Any, *statements: Statement) -> None:
    """Send statements that give nothing back, with their parameters, in one message."""
    cursor.execute(
        ";".join(statement for statement, _parameters in statements),
        [each for _statement, parameters in statements for each in parameters],
    )


@cache
def _save_statement() -> str:
    names = [str(field.column) for field in Stream._meta.concrete_fields]
    return "UPDATE public.federation_stream SET {} WHERE id = %s".format(
        ", ".join(f'"{name}" = %s' for name in names)
    )
