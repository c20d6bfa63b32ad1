"""One batch of a stream: read the log, write the mirror, move the cursor, in one transaction."""

import datetime
import logging
import random
import time
import uuid
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Any

import psycopg
from django.db import DataError, Error, IntegrityError, connection, models, transaction
from django.utils import timezone
from psycopg import sql

from federation.mirror import figures, fill, parking, reference, roles
from federation.mirror.acting import become_the_mirror, stop_being_the_mirror
from federation.mirror.failpoints import failpoint
from federation.mirror.keys import Keys, Snapshot, prepare_again, prepare_connection
from federation.mirror.overlap import keep_what_others_cover
from federation.mirror.plan import DELETE, FOREIGN, INSERT, RETIRE, Plan
from federation.mirror.write import OwnRowsAppeared, RowsRefused, Writer, reason_of
from federation.models import Agreement, Side, Stream
from federation.scope import Flow, by_label

logger = logging.getLogger(__name__)

TRIES = 12
STATEMENT_TIMEOUT = "50s"
# Shorter than PostgreSQL waits before it looks for a deadlock (one second): in one with a user it is
# the batch that gives way.
LOCK_TIMEOUT = "700ms"
# An idle stream's cursor moves this often, so that the log can be trimmed.
TICK = datetime.timedelta(seconds=30)

# Keys need few statistics: how many there are, and of which kinds.
_BEGIN = (
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;"
    f" SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}'; SET LOCAL lock_timeout = '{LOCK_TIMEOUT}';"
    " SET LOCAL default_statistics_target = 10"
)

# serialization failure, deadlock, lock not available, statement timeout, admin shutdown, crash, starting up
_LOCKED = "55P03"
_RETRIED = {"40001", "40P01", _LOCKED, "57014", "57P01", "57P02", "57P03"}
_DENIED = "42501"
_UNDEFINED_TABLE = "42P01"
_BROKEN_RETRY = datetime.timedelta(minutes=1)


class Outcome(Enum):
    """How a batch ended."""

    BUSY = "somebody else holds the stream"
    STOPPED = "records do not flow under this agreement now"
    IDLE = "there was nothing to do"
    DONE = "all there was has been applied"
    MORE = "there is more to do"
    LARGE = "there is more to do than was asked for"
    WAITING = "older transactions have to end first"
    BROKEN = "a problem stops the stream"


@dataclass
class _Batch:
    """What one attempt needs to know."""

    stream: Stream
    flow: Flow
    reverse: Flow
    snapshot: Snapshot
    identity: str
    has_work: bool
    has_parked: bool


def run_batch(stream_id: uuid.UUID, *, most: int | None = None) -> Outcome:
    """Apply one batch of a stream, trying again where the database asks for it.

    With ``most`` leave it alone, and say so, where it would take more than that many keys, or a fill.
    Rows that it refuses are parked; a problem with the structure stops the stream and says why.
    """
    prepare_connection()
    refused: dict[tuple[str, Any], str] = {}
    careful = plain = False
    state = None
    for attempt in range(TRIES):
        try:
            with transaction.atomic():
                outcome = _attempt(stream_id, refused, careful=careful, plain=plain, most=most)
                failpoint("before_commit")
        except (RowsRefused, OwnRowsAppeared) as problem:
            if isinstance(problem, RowsRefused):
                refused.update(problem.rows)
        except Error as error:
            state = getattr(error.__cause__, "sqlstate", None)
            if state in _RETRIED or isinstance(
                error.__cause__, psycopg.OperationalError | psycopg.InterfaceError
            ):
                # A misjudged plan may have run into the timeout: next time without nested loops.
                plain = plain or state == "57014"
                time.sleep(random.uniform(0, 0.005) * 2 ** min(attempt, 7))
                if connection.connection is None or connection.connection.closed:
                    connection.close()
                    prepare_connection()
            elif isinstance(error, DataError | IntegrityError):
                careful = True
            elif (state == _DENIED and _lacked_privileges(stream_id)) or (
                state == _UNDEFINED_TABLE and prepare_again()
            ):
                continue
            else:
                _break(stream_id, reason_of(error))
                return Outcome.BROKEN
        else:
            failpoint("after_commit")
            return outcome
    if state == _LOCKED:
        # A user keeps a row for long: the sweep comes back to it.
        return Outcome.BUSY
    _break(stream_id, "gave up after several tries")
    return Outcome.BROKEN


def _attempt(
    stream_id: uuid.UUID,
    refused: dict[tuple[str, Any], str],
    *,
    careful: bool,
    plain: bool,
    most: int | None,
) -> Outcome:
    started = time.monotonic()
    with connection.cursor() as cursor:
        cursor.execute(_BEGIN)
        failpoint("before_lease")
        leased = _lease(cursor, stream_id)
        if isinstance(leased, Outcome):
            return leased
        failpoint("after_lease")
        stream, snapshot = leased.stream, leased.snapshot
        keys = Keys(cursor)
        problem = _position(cursor, leased)
        if problem is not None:
            _save(cursor, stream, snapshot, started)
            return problem
        only_advice = roles.shares_only_models(leased.flow.version.private)
        become_the_mirror(cursor, only_advice=only_advice)
        if not _take_log(leased, keys, most):
            return Outcome.LARGE
        more = leased.has_work or keys.has_left
        more = more and keys.take_work(stream, most)
        if leased.has_parked:
            keys.take_parked(stream)
        roots, was_filling = 0, stream.state == Stream.State.FILLING
        if was_filling and not more:
            roots = fill.take_roots(cursor, stream, leased.flow, keys)
            more = stream.state == Stream.State.FILLING
        failpoint("after_keys")
        rows = 0
        if keys.count:
            if plain:
                cursor.execute("SET LOCAL enable_nestloop = off")
            rows = _apply(cursor, leased, keys, refused, careful=careful, announces=not roots)
            fill.adapt_chunk(stream, roots, keys.count)
            more = more or keys.has_left
        stop_being_the_mirror(cursor)
        failpoint("before_cursor")
        if (
            keys.count
            or keys.has_passed
            or more
            or was_filling
            or stream.last_tick_at is None
            or timezone.now() - stream.last_tick_at > TICK
        ):
            stream.rows_written += rows
            stream.batches += 1
            if rows:
                stream.last_applied_at = timezone.now()
            if keys.count:
                figures.record(cursor, stream, keys.waited(), rows)
            _save(cursor, stream, snapshot, started)
        if more:
            return Outcome.MORE
        return Outcome.DONE if keys.count else Outcome.IDLE


def _take_log(batch: _Batch, keys: Keys, most: int | None) -> bool:
    """Take what is new in the log; return False where that, or a fill, is more than was asked for."""
    stream = batch.stream
    if most is not None and stream.state == Stream.State.FILLING:
        return False
    return keys.take_log(stream, batch.flow, Snapshot(stream.cursor or batch.snapshot.text), most)


def _lease(cursor: Any, stream_id: uuid.UUID) -> "_Batch | Outcome":
    """Lock the agreement against change and the stream against others; both end with the connection.

    The agreement first: whoever changes it goes on to its streams.
    """
    cursor.execute(
        "SELECT id FROM public.federation_agreement WHERE id ="
        " (SELECT agreement_id FROM public.federation_stream WHERE id = %s) FOR SHARE",
        [stream_id],
    )
    if cursor.fetchone() is None:
        return Outcome.STOPPED
    cursor.execute(_lease_statement(), [stream_id])
    row = cursor.fetchone()
    if row is None:
        return Outcome.BUSY
    snapshot, identity, has_work, has_parked, *values = row
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
    return _Batch(stream, flow, _flow(agreement, other), Snapshot(snapshot), identity, has_work, has_parked)


@cache
def _attnames(model: type[models.Model]) -> tuple[str, ...]:
    return tuple(field.attname for field in model._meta.concrete_fields)


@cache
def _lease_statement() -> sql.Composed:
    """Return the query for a stream under lock with its agreement, what it finds, and where: all in one.

    Where: the transaction's snapshot, and what identifies the cluster, the database and the two logs.
    """
    return sql.SQL(
        """
        SELECT pg_current_snapshot()::text,
            concat_ws('.', (SELECT system_identifier FROM pg_control_system()),
                (SELECT oid FROM pg_database WHERE datname = current_database()),
                to_regclass(format('%%I.mirror_log', o.schema_name))::oid,
                to_regclass(format('%%I.mirror_log', r.schema_name))::oid),
            EXISTS (SELECT 1 FROM public.federation_streamwork w WHERE w.stream_id = s.id),
            EXISTS (SELECT 1 FROM public.federation_parkedrow p WHERE p.stream_id = s.id),
            {columns}
        FROM public.federation_stream s
        JOIN public.federation_agreement a ON a.id = s.agreement_id
        JOIN public.federation_institution o ON o.id = s.owner_id
        JOIN public.federation_institution r ON r.id = s.receiver_id
        WHERE s.id = %s FOR UPDATE OF s SKIP LOCKED
        """
    ).format(
        columns=sql.SQL(", ").join(
            sql.Identifier(alias, str(field.column))
            for alias, model in (("s", Stream), ("a", Agreement))
            for field in model._meta.concrete_fields
        )
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


def _position(cursor: Any, batch: _Batch) -> Outcome | None:
    """Check that the cursor means something here, and start a fill where it does not; None to go on."""
    stream, snapshot = batch.stream, batch.snapshot
    if stream.cursor is not None:
        moved = stream.identity != batch.identity or snapshot.xmax < Snapshot(stream.cursor).xmax
        if moved:
            refill(stream, "the database is not the one that was followed")
            # Nothing here can have been written by a transaction that has not begun: ids of another
            # cluster would be read again and again until this one comes to count as far.
            cursor.execute(
                sql.SQL("DELETE FROM {}.mirror_log WHERE xid >= {}::xid8").format(
                    batch.flow.source, sql.Literal(str(snapshot.xmax))
                )
            )
    if stream.cursor is None:
        # Every change from now on is logged; who wrote before that may still be running.
        # At most: what was noted in another cluster may never come.
        wait_for = snapshot.xmax if stream.wait_for is None else min(int(stream.wait_for), snapshot.xmax)
        stream.wait_for = Decimal(wait_for)
        if snapshot.xmin < wait_for:
            stream.state = Stream.State.WAITING
            return Outcome.WAITING
        stream.cursor, stream.identity, stream.wait_for = snapshot.text, batch.identity, None
        fill.begin(cursor, stream, batch.flow)
    elif stream.state == Stream.State.BROKEN:
        stream.state = Stream.State.FILLING if stream.fill_kind else Stream.State.RUNNING
    stream.problem, stream.problem_at, stream.attempts, stream.retry_at = "", None, 0, None
    return None


def refill(stream: Stream, reason: str) -> None:
    """Have the stream start over with a fill; what is there already stays and is compared."""
    stream.cursor, stream.wait_for = None, None
    stream.fill_kind, stream.fill_after, stream.fill_reason = "", None, reason[:60]
    stream.state = Stream.State.WAITING


def _apply(
    cursor: Any,
    batch: _Batch,
    keys: Keys,
    refused: dict[tuple[str, Any], str],
    *,
    careful: bool,
    announces: bool,
) -> int:
    """Reconcile the keys; return the number of rows written."""
    stream, flow = batch.stream, batch.flow
    plan = Plan(cursor, flow, keys, excluded=refused, is_exact=careful)
    plan.build()
    keep_what_others_cover(cursor, flow, plan)
    writer = Writer(cursor, plan, careful=careful)
    writer.write()
    reference.follow(cursor, stream, plan, writer, keys)
    writer.check_parents()
    writer.look_again()
    if keys.has_parked:
        parking.clear_tried(cursor, stream, refused | writer.refused)
    parking.park(cursor, stream, refused | writer.refused)
    if any(counts[FOREIGN] for counts in plan.counts.values()):
        parking.park_foreign(cursor, stream)
    _tell_the_way_back(cursor, batch, plan)
    if announces:
        _announce(cursor, batch, plan)
    return writer.written.rows


def _lacked_privileges(stream_id: uuid.UUID) -> bool:
    """Grant what a schema lacks, as after a dump was restored into it; False where the denial was right."""
    stream = Stream.objects.select_related("owner", "receiver").get(pk=stream_id)
    schemas = ("public", str(stream.owner.schema_name), str(stream.receiver.schema_name))
    try:
        with transaction.atomic():
            changed = [roles.install(schema) for schema in schemas]
            return any(changed)
    except Error:
        # Somebody else is granting the same.
        return True


def _tell_the_way_back(cursor: Any, batch: _Batch, plan: Plan) -> None:
    """Note in the receiver's log what came, went or moved on the way from its own rows to a root."""
    flow, back = batch.flow, batch.reverse
    labels = [
        label
        for label in plan.counts
        if label in back.listens
        and label not in back.shares
        and (label in plan.moved or plan.actions(label, INSERT, DELETE, RETIRE))
    ]
    if not labels:
        return
    cursor.execute(
        sql.SQL(
            "INSERT INTO {target}.mirror_log (kind, operation, keys)"
            " SELECT kind, 7, array_agg(id) FROM pg_temp.mirror_plan WHERE kind = ANY({labels})"
            " AND (moved OR action IN ('insert', 'delete', 'retire')) GROUP BY kind"
        ).format(target=flow.target, labels=sql.Literal(labels))
    )
    if cursor.rowcount:
        cursor.execute(
            "INSERT INTO public.federation_wake (schema_name) VALUES (%s)", [flow.receiver.schema_name]
        )


def _announce(cursor: Any, batch: _Batch, plan: Plan) -> None:
    """Leave a durable note of new rows of the kinds that the receiver listens for."""
    labels = [
        label
        for label in plan.counts
        if batch.flow.announces(by_label()[label]) and plan.actions(label, INSERT)
    ]
    if labels:
        cursor.execute(
            "INSERT INTO public.federation_arrival (institution_id, agreement_id, kind, key, at)"
            " SELECT %s, %s, kind, id, statement_timestamp() FROM pg_temp.mirror_plan"
            " WHERE kind = ANY(%s) AND action = 'insert'",
            [batch.flow.receiver.pk, batch.flow.agreement.pk, labels],
        )


def _save(cursor: Any, stream: Stream, snapshot: Snapshot, started: float) -> None:
    """Move the cursor and keep the figures; part of the batch's transaction."""
    if stream.cursor is not None:
        stream.cursor = snapshot.text
    stream.last_tick_at = timezone.now()
    stream.last_duration_ms = (time.monotonic() - started) * 1000
    cursor.execute(_save_statement(), [getattr(stream, name) for name in (*_attnames(Stream), "pk")])


@cache
def _save_statement() -> sql.Composed:
    return sql.SQL("UPDATE public.federation_stream SET {} WHERE id = %s").format(
        sql.SQL(", ").join(
            sql.SQL("{} = %s").format(sql.Identifier(str(field.column)))
            for field in Stream._meta.concrete_fields
        )
    )


def _break(stream_id: uuid.UUID, reason: str) -> None:
    """Stop a stream with a reason, and try again later."""
    logger.error("stream %s is stopped: %s", stream_id, reason)
    stream = Stream.objects.get(pk=stream_id)
    Stream.objects.filter(pk=stream_id).exclude(state=Stream.State.ENDED).update(
        state=Stream.State.BROKEN,
        problem=reason[:200],
        problem_at=timezone.now(),
        attempts=stream.attempts + 1,
        retry_at=timezone.now() + _BROKEN_RETRY,
    )
