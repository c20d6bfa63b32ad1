"""One batch of a stream: read the log, write the mirror, move the cursor, in one transaction."""

import datetime
import logging
import random
import time
import uuid
from decimal import Decimal
from typing import Any

import psycopg
from django.db import DataError, Error, IntegrityError, connection, transaction
from django.utils import timezone
from psycopg import sql

from federation.mirror import ending, figures, fill, lease, parking, reference, roles, statistics, unshared
from federation.mirror.acting import becoming_the_mirror, no_longer_the_mirror
from federation.mirror.cursors import plain_cursor
from federation.mirror.failpoints import failpoint
from federation.mirror.keys import Keys, Snapshot, prepare_again, prepare_connection
from federation.mirror.lease import Lease, SiblingAtWork
from federation.mirror.outcome import Outcome
from federation.mirror.overlap import settle
from federation.mirror.plan import DELETE, FOREIGN, INSERT, RELINK, REPLACE, RETIRE, UPDATE, Plan
from federation.mirror.proving import check_parents, look_again
from federation.mirror.refusals import OwnRowsAppeared, RowsRefused, reason_of
from federation.mirror.waking import wake
from federation.mirror.write import Writer
from federation.models import Stream
from federation.scope import by_label, kind_of

logger = logging.getLogger(__name__)

TRIES = 12
# So often it looks whether another stream of the same two is done, for some hundredths of a second: as long as
# most batches take. Who waits for a load, or for a batch of its own stream, comes again and holds no worker.
_PATIENCE = 5
# Up to this many keys are visible before they have reached the disk. Rows and cursor are lost together in
# a crash, and applied again; whatever is committed because of them, or ends them, takes them to the disk.
PROMPT_KEYS = 2_000
# After these a row says less, or something else, of the one that it named before.
_CHANGING = [DELETE, UPDATE, RELINK, REPLACE]
# After these it is there or not, or may name another one.
_MOVING = [INSERT, DELETE, RETIRE, RELINK, REPLACE]
# An idle stream's cursor moves this often, so that the log can be trimmed.
TICK = datetime.timedelta(seconds=30)

# serialization failure, deadlock, lock not available, statement timeout, admin shutdown, crash, starting up
_LOCKED = "55P03"
_RETRIED = {"40001", "40P01", _LOCKED, "57014", "57P01", "57P02", "57P03"}
_DENIED = "42501"
_UNDEFINED_TABLE = "42P01"
_BROKEN_RETRY = datetime.timedelta(minutes=1)


def run_batch(stream_id: uuid.UUID, *, most: int | None = None) -> Outcome:
    """Apply one batch of a stream, trying again where the database asks for it.

    With ``most`` leave it alone, and say so, where it would take more than that many keys, or a fill.
    Rows that it refuses are parked; a problem with the structure stops the stream and says why.
    """
    prepare_connection()
    refused: dict[tuple[str, Any], str] = {}
    careful = plain = by_keys = False
    state = None
    attempt = 0
    while attempt < TRIES:
        attempt += 1
        try:
            with transaction.atomic():
                outcome = _attempt(
                    stream_id, refused, careful=careful, by_keys=by_keys, plain=plain, most=most
                )
                failpoint("before_commit")
        except (RowsRefused, OwnRowsAppeared) as problem:
            # What was refused is told by its key.
            by_keys = True
            if isinstance(problem, RowsRefused):
                # One leads to the next, as in a chain of swapped numbers: each is a step forward.
                attempt -= bool(problem.rows.keys() - refused.keys())
                refused.update(problem.rows)
        except SiblingAtWork:
            if attempt >= _PATIENCE:
                return Outcome.SIBLING
            _pause(attempt)
        except Error as error:
            state = getattr(error.__cause__, "sqlstate", None)
            if state in _RETRIED or isinstance(
                error.__cause__, psycopg.OperationalError | psycopg.InterfaceError
            ):
                # A misjudged plan may have run into the timeout: next time without nested loops.
                plain = plain or state == "57014"
                _pause(attempt)
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


def _pause(attempt: int) -> None:
    """Wait a little longer each time, and connect again where the connection is lost."""
    time.sleep(random.uniform(0, 0.005) * 2 ** min(attempt - 1, 7))
    if connection.connection is None or connection.connection.closed:
        connection.close()
        prepare_connection()


def _attempt(
    stream_id: uuid.UUID,
    refused: dict[tuple[str, Any], str],
    *,
    careful: bool,
    by_keys: bool,
    plain: bool,
    most: int | None,
) -> Outcome:
    started = time.monotonic()
    with plain_cursor() as cursor:
        failpoint("before_lease")
        leased = lease.take(cursor, stream_id)
        if isinstance(leased, Outcome):
            return leased
        failpoint("after_lease")
        stream, snapshot = leased.stream, leased.snapshot
        stood = stream.cursor, stream.state
        keys = Keys(cursor)
        problem = _position(cursor, leased, most)
        if problem is not None:
            lease.move_cursor(cursor, stream, snapshot, started)
            return problem
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
            plan = Plan(
                cursor,
                leased.flow,
                keys,
                excluded=refused,
                is_exact=careful,
                by_keys=by_keys,
                others=leased.others,
            )
            rows = _apply(cursor, leased, plan, refused, careful=careful, announces=not roots)
            fill.adapt_chunk(stream, roots, keys.count)
            more = more or keys.has_left
        failpoint("before_cursor")
        has_moved = bool(
            keys.count or keys.has_passed or more or was_filling or (stream.cursor, stream.state) != stood
        )
        _close(cursor, leased, keys, started, rows, has_moved=has_moved, is_fill=was_filling)
        if keys.count >= statistics.MANY:
            statistics.gather(cursor, leased.flow, keys.kinds | plan.beneath.keys())
        if more:
            return Outcome.MORE
        return Outcome.DONE if keys.count else Outcome.IDLE


def _close(
    cursor: Any, batch: Lease, keys: Keys, started: float, rows: int, *, has_moved: bool, is_fill: bool
) -> None:
    """Be the mirror no longer, and move the cursor where something was read, or where it has stood for long."""
    stream = batch.stream
    closing: list[lease.Statement] = [(no_longer_the_mirror(), ())]
    if keys.count:
        closing += lease.mark(batch)
    if keys.count <= PROMPT_KEYS and not is_fill:
        closing.append(("SET LOCAL synchronous_commit = off", ()))
    if not has_moved and stream.last_tick_at is not None and timezone.now() - stream.last_tick_at <= TICK:
        lease.send(cursor, *closing)
        return
    if rows:
        stream.rows_written += rows
        stream.batches += 1
        stream.last_applied_at = timezone.now()
        waited = keys.waited_that_led_to_rows(stream, batch.flow, rows)
        closing.append(figures.recording(stream, waited, rows, batch.resumed_at))
    lease.move_cursor(cursor, stream, batch.snapshot, started, *closing)


def _take_log(batch: Lease, keys: Keys, most: int | None) -> bool:
    """Take what is new in the log, as the mirror; return False where that, or a fill, is more than was asked for."""
    stream = batch.stream
    if most is not None and stream.state == Stream.State.FILLING:
        return False
    becoming = becoming_the_mirror(only_advice=roles.shares_only_models(batch.flow.version.private))
    return keys.take_log(
        stream, batch.flow, Snapshot(stream.cursor or batch.snapshot.text), most, before=becoming
    )


def _position(cursor: Any, batch: Lease, most: int | None) -> Outcome | None:
    """Check that the cursor means something here, and start a fill where it does not; None to go on."""
    stream, snapshot = batch.stream, batch.snapshot
    if stream.cursor is not None:
        moved = stream.identity != batch.identity or snapshot.xmax < Snapshot(stream.cursor).xmax
        if moved:
            refill(stream, Stream.FillReason.RESTORED)
            # Nothing here can have been written by a transaction that has not begun: ids of another
            # cluster would be read again and again until this one comes to count as far.
            cursor.execute(
                sql.SQL("DELETE FROM {}.mirror_log WHERE xid >= {}::xid8").format(
                    batch.flow.source, sql.Literal(str(snapshot.xmax))
                )
            )
    if stream.fill_kind and fill.is_of_another_scope(stream, batch.flow):
        # A worker from before an update of the platform has begun it, or one from after it.
        refill(stream, stream.fill_reason)
        stream.wait_for = Decimal(0)
    if stream.cursor is None:
        # Every change from now on is logged; who wrote before that may still be running.
        # At most: what was noted in another cluster may never come.
        wait_for = snapshot.xmax if stream.wait_for is None else min(int(stream.wait_for), snapshot.xmax)
        stream.wait_for = Decimal(wait_for)
        if snapshot.xmin < wait_for:
            stream.state = Stream.State.WAITING
            return Outcome.WAITING
        if stream.rows_written and fill.is_of_another_scope(stream, batch.flow):
            if most is not None:
                return Outcome.LARGE
            _narrow(cursor, batch)
        stream.cursor, stream.identity, stream.wait_for = snapshot.text, batch.identity, None
        fill.begin(cursor, stream, batch.flow)
    elif stream.state == Stream.State.BROKEN:
        stream.state = Stream.State.FILLING if stream.fill_kind else Stream.State.RUNNING
    stream.problem, stream.problem_at, stream.attempts, stream.retry_at = "", None, 0, None
    return None


def _narrow(cursor: Any, batch: Lease) -> None:
    """Take from the receiver what came under another scope and is shared no longer: rows, and what fields held."""
    ending.narrow_to_scope(batch.flow)
    unshared.blank_in(batch.flow)
    if marks := lease.mark(batch):
        lease.send(cursor, *marks)


def refill(stream: Stream, reason: str) -> None:
    """Have the stream start over with a fill; what is there already stays and is compared."""
    stream.cursor, stream.wait_for = None, None
    stream.fill_kind, stream.fill_after, stream.fill_reason = "", None, reason
    stream.state = Stream.State.WAITING


def _apply(
    cursor: Any,
    batch: Lease,
    plan: Plan,
    refused: dict[tuple[str, Any], str],
    *,
    careful: bool,
    announces: bool,
) -> int:
    """Reconcile the keys of a plan; return the number of rows written."""
    stream, flow, keys = batch.stream, batch.flow, plan.keys
    plan.build()
    settle(cursor, flow, plan)
    _tell_whom_it_answered(cursor, batch, plan)
    writer = Writer(cursor, plan, careful=careful)
    writer.write()
    reference.follow(cursor, stream, plan, writer, keys)
    check_parents(cursor, flow, writer.written.named)
    look_again(flow, writer.deleted)
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


def _tell_whom_it_answered(cursor: Any, batch: Lease, plan: Plan) -> None:
    """Note in the receiver's log the own rows whose conditions ask for what leaves or changes; before it has."""
    flow = batch.flow
    for label in plan.counts:
        kind = by_label()[label]
        if not kind.wakes or not plan.actions(label, *_CHANGING):
            continue
        woken = kind_of(kind.named_by(kind.wakes))
        if woken is None or woken.label not in batch.reverse.listens:
            continue
        cursor.execute(
            sql.SQL(
                "INSERT INTO {target}.mirror_log (kind, operation, keys)"
                " SELECT {woken}, 7, array_agg(d.{column}) FROM {target}.{table} d"
                " JOIN pg_temp.mirror_plan p ON p.id = d.id WHERE p.kind = {kind} AND p.action = ANY({changing})"
                " AND d.{column} IS NOT NULL HAVING count(*) > 0"
            ).format(
                target=flow.target,
                woken=sql.Literal(woken.label),
                column=sql.Identifier(kind.column(kind.wakes)),
                table=sql.Identifier(kind.table),
                kind=sql.Literal(label),
                changing=sql.Literal(_CHANGING),
            )
        )
        if cursor.rowcount:
            wake(cursor, str(flow.receiver.schema_name))


def _tell_the_way_back(cursor: Any, batch: Lease, plan: Plan) -> None:
    """Note in the receiver's log what came, went or moved on the way from its own rows to a root."""
    flow, back = batch.flow, batch.reverse
    labels = [
        label
        for label in plan.counts
        if label in back.listens
        and label not in back.shares
        and (label in plan.moved or plan.actions(label, *_MOVING))
    ]
    if not labels:
        return
    cursor.execute(
        sql.SQL(
            "INSERT INTO {target}.mirror_log (kind, operation, keys)"
            " SELECT kind, 7, array_agg(id) FROM pg_temp.mirror_plan WHERE kind = ANY({labels})"
            " AND (moved OR action = ANY({moving})) GROUP BY kind"
        ).format(target=flow.target, labels=sql.Literal(labels), moving=sql.Literal(_MOVING))
    )
    if cursor.rowcount:
        wake(cursor, str(flow.receiver.schema_name))


def _announce(cursor: Any, batch: Lease, plan: Plan) -> None:
    """Leave a durable note of new rows of the kinds that the receiver listens for."""
    labels = [
        label
        for label in plan.counts
        if batch.flow.announces(by_label()[label]) and plan.actions(label, INSERT)
    ]
    if labels:
        # Ids are ordered by time: of two answers the later one is told last.
        cursor.execute(
            "INSERT INTO public.federation_arrival (institution_id, agreement_id, kind, key, at)"
            " SELECT %s, %s, kind, id, statement_timestamp() FROM pg_temp.mirror_plan"
            " WHERE kind = ANY(%s) AND action = 'insert' ORDER BY id",
            [batch.flow.receiver.pk, batch.flow.agreement.pk, labels],
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
