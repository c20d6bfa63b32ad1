"""Prove that both sides of a mirror are equal: count and hash of each kind under one snapshot; and repair."""

import datetime
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from celery import current_app
from celery.exceptions import SoftTimeLimitExceeded
from django.db import DatabaseError, IntegrityError, connection, models, transaction
from django.db.models import Q
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerError
from psycopg import sql

from accounts.models import User
from federation.agreements.timeline import EventKind, record_of_mirror
from federation.mirror import control, dispatch, unshared
from federation.mirror.outcome import Outcome
from federation.mirror.overlap import other_flows
from federation.mirror.status import is_read, left, streams, unread
from federation.models import Agreement, Institution, ParkedRow, Proof, Stream
from federation.scope import Flow, Share

TASK = "federation.tasks.prove_stream"
# How often both sides are brought together before pending changes are stated instead.
TRIES = 3
APPLY_SECONDS = 20.0
BUSY_SECONDS = 0.05
STATEMENT_TIMEOUT = "200s"
# An unfinished proof that has not moved for this long is taken up by another worker.
FORSAKEN = datetime.timedelta(minutes=6)
# The nightly proofs are spread over this many looks, and skip what was proven on demand.
NIGHTLY_LOOKS = 36
PROVEN_LATELY = datetime.timedelta(hours=12)
KEPT = datetime.timedelta(days=90)


def ask(
    stream: Stream, *, by: User | None = None, institution: Institution | None = None, repairs: bool = False
) -> Proof:
    """Have a worker prove a stream, after comparing everything again where it ``repairs``.

    Where one is under way already it is returned. Waits for no batch: the worker does.
    """
    try:
        with transaction.atomic():
            proof = Proof.objects.create(
                stream=stream, institution=institution, by_name=by.full_name if by else "", repairs=repairs
            )
            if repairs:
                record_of_mirror(EventKind.REPAIR_ASKED, stream, by=by, institution=institution)
            transaction.on_commit(lambda: _send(proof.pk))
    except IntegrityError:
        return Proof.objects.get(stream=stream, finished_at=None)
    return proof


def _send(proof_id: uuid.UUID, *, seconds: int = 0) -> None:
    # What could not be sent, the watch takes up.
    with suppress(BrokerError):
        current_app.send_task(
            TASK, args=[str(proof_id)], headers={"_schema_name": "public"}, queue="work", countdown=seconds
        )


def run(proof_id: uuid.UUID) -> Proof | None:
    """Bring a proof forward; it may have to be sent again. Returns None where it is over already."""
    proof = Proof.objects.filter(pk=proof_id, finished_at=None).first()
    if proof is None:
        return None
    try:
        if proof.repairs and not _is_repaired(proof):
            return proof
        _prove(proof)
    except SoftTimeLimitExceeded:
        _finish(proof, problem="it took too long")
    except (psycopg.Error, DatabaseError) as error:
        cause = error if isinstance(error, psycopg.Error) else error.__cause__
        _finish(proof, problem=getattr(cause, "sqlstate", None) or type(error).__name__)
    return proof


def _apply(stream_id: uuid.UUID, seconds: float) -> Outcome:
    """Apply what waits, as a worker would, but wait for one who is at it: where there is much to do they take turns."""
    until = time.monotonic() + seconds
    while True:
        outcome = dispatch.apply(stream_id, seconds=until - time.monotonic())
        if outcome != Outcome.BUSY or time.monotonic() > until:
            return outcome
        time.sleep(BUSY_SECONDS)


def _is_repaired(proof: Proof) -> bool:
    """Apply until everything has been compared; say whether it has, else ask for another turn."""
    if proof.state == Proof.State.QUEUED:
        with transaction.atomic():
            # Waits for the batch in hand.
            control.refill(proof.stream)
            _move(proof, state=Proof.State.REPAIRING)
    else:
        _move(proof)
    outcome = _apply(proof.stream_id, APPLY_SECONDS)
    stream = streams().get(pk=proof.stream_id)
    if not stream.agreement.is_live or stream.state == Stream.State.ENDED:
        _finish(proof, problem="nothing crosses under this agreement now")
        return False
    if outcome == Outcome.BROKEN:
        _finish(proof, problem=stream.problem)
        return False
    if stream.state == Stream.State.RUNNING:
        unshared.blank_unshared(stream.pk)
        return True
    _move(proof, total=stream.fill_total, done=stream.fill_done)
    transaction.on_commit(lambda: _send(proof.pk, seconds=1))
    return False


def _prove(proof: Proof) -> None:
    _move(proof, state=Proof.State.RUNNING, done=0)
    for attempt in range(1, TRIES + 1):
        _apply(proof.stream_id, APPLY_SECONDS / TRIES)
        stream = streams().get(pk=proof.stream_id)
        if not stream.agreement.is_live or stream.state == Stream.State.ENDED:
            # Even that something waits would tell what the owner has done since a suspension.
            _finish(proof, problem="nothing crosses under this agreement now")
            return
        with _snapshot() as cursor:
            if not _is_as_read(cursor, stream):
                continue
            proof.pending = _pending(cursor, stream)
            if proof.pending and attempt < TRIES:
                continue
            cursor.execute("SELECT now()")
            (proof.at,) = cursor.fetchone()
            _compare(cursor, proof, stream)
        _finish(proof)
        return
    _finish(proof, problem="the agreement keeps changing")


@contextmanager
def _snapshot() -> Iterator[Any]:
    """Read under one snapshot on a connection of its own, so that progress can be seen meanwhile."""
    parameters = connection.get_connection_params()
    parameters.pop("cursor_factory", None)
    parameters.pop("context", None)
    with psycopg.connect(**parameters) as reading:
        reading.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        reading.read_only = True
        with reading.cursor() as cursor:
            cursor.execute(sql.SQL("SET LOCAL statement_timeout = {}").format(sql.Literal(STATEMENT_TIMEOUT)))
            yield cursor


def _is_as_read(cursor: Any, stream: Stream) -> bool:
    """Take the stream's place from the snapshot; False where the agreement was changed in between."""
    cursor.execute(
        "SELECT s.cursor, s.state, a.version_id, a.new_mandates_suspended_at, a.suspended_at, a.state"
        " FROM public.federation_stream s"
        " JOIN public.federation_agreement a ON a.id = s.agreement_id WHERE s.id = %s",
        [stream.pk],
    )
    stream.cursor, stream.state, *found = cursor.fetchone()
    agreement = stream.agreement
    return found == [
        agreement.version_id,
        agreement.new_mandates_suspended_at,
        agreement.suspended_at,
        agreement.state,
    ]


def _pending(cursor: Any, stream: Stream) -> int:
    """Return how many changes the mirror has not been given in this snapshot."""
    queries = [left([stream.pk]), *([unread(stream)] if is_read(stream) else [])]
    cursor.execute(sql.SQL(" UNION ALL ").join(queries))
    return sum(row[1] for row in cursor.fetchall())


def _compare(cursor: Any, proof: Proof, stream: Stream) -> None:
    flow = Flow.of(stream.agreement, stream.agreement.side_of(stream.owner))
    shares = list(flow.shares.values())
    parked: dict[str, list[uuid.UUID]] = {}
    for kind, key in ParkedRow.objects.filter(stream=stream).values_list("kind", "key"):
        parked.setdefault(kind, []).append(key)
    others = other_flows(flow)
    kinds = []
    for number, share in enumerate(shares):
        _move(proof, total=len(shares), done=number)
        found = _compare_kind(cursor, flow, share, parked.get(share.kind.label, []))
        kinds.append(found | {"unshared": _count_unshared(cursor, flow, share, others)})
    proof.kinds, proof.done = kinds, len(shares)
    if any(each["unshared"] for each in kinds):
        # Nothing that still waits would have brought it.
        proof.result = Proof.Result.UNEQUAL
    elif all(each["is_equal"] for each in kinds):
        proof.result = Proof.Result.EQUAL
    elif not any(each["missing"] or each["extra"] or each["different"] for each in kinds):
        proof.result = Proof.Result.PARKED
    elif proof.pending or stream.state != Stream.State.RUNNING:
        proof.result = Proof.Result.UNDECIDED
    else:
        proof.result = Proof.Result.UNEQUAL


def _compare_kind(cursor: Any, flow: Flow, share: Share, parked: list[uuid.UUID]) -> dict[str, Any]:
    """Compare one kind: the owner's rows in the scope with what the receiver has of them."""
    ours, theirs = _sides(flow, share)
    summed = "SELECT count(*), coalesce(sum(hashtextextended(v, 0)::numeric), 0) FROM ({}) rows"
    cursor.execute(
        sql.SQL(f"SELECT * FROM ({summed}) o (n, h), ({summed}) r (n, h)").format(ours, theirs)  # noqa: S608
    )
    count, own_hash, received, received_hash = cursor.fetchone()
    found = {
        "kind": share.kind.label, "ours": count, "theirs": received,
        "is_equal": (count, own_hash) == (received, received_hash),
        "missing": 0, "extra": 0, "different": 0, "parked": 0,
    }  # fmt: skip
    if not found["is_equal"]:
        cursor.execute(
            sql.SQL(
                "SELECT count(*) FILTER (WHERE r.id IS NULL AND NOT parked),"
                " count(*) FILTER (WHERE o.id IS NULL AND NOT parked),"
                " count(*) FILTER (WHERE o.id = r.id AND NOT parked), count(*) FILTER (WHERE parked)"
                " FROM ({ours}) o FULL JOIN ({theirs}) r ON r.id = o.id,"
                " LATERAL (SELECT coalesce(o.id, r.id) = ANY({parked}::uuid[]) AS parked) p"
                " WHERE o.v IS DISTINCT FROM r.v"
            ).format(ours=ours, theirs=theirs, parked=sql.Literal(parked))
        )
        found["missing"], found["extra"], found["different"], found["parked"] = cursor.fetchone()
    return found


def _count_unshared(cursor: Any, flow: Flow, share: Share, others: list[Flow]) -> int:
    """Count the received rows of a kind with a value in a field that is not shared."""
    condition = unshared.filled(flow, share, others)
    if condition is None:
        return 0
    cursor.execute(
        sql.SQL("SELECT count(*) FROM {} AND {}").format(unshared.received_rows(flow, share), condition)
    )
    return int(cursor.fetchone()[0])


def _sides(flow: Flow, share: Share) -> tuple[sql.Composed, sql.Composed]:
    """Return queries for the id and the shared columns as text: at the owner, and at the receiver."""
    kind = share.kind
    columns = [
        sql.SQL("md5({})" if isinstance(field, models.BinaryField) else "{}").format(
            sql.Identifier("t", str(field.column))
        )
        for field in kind.model._meta.concrete_fields
        if field.column in share.columns
    ]
    value = sql.SQL("SELECT t.id, ROW({})::text AS v FROM ").format(sql.SQL(", ").join(columns))
    table = sql.Identifier(kind.table)
    ours = sql.SQL("{}.{} t WHERE {}").format(flow.source, table, flow.in_scope(kind, "t"))
    return value + ours, value + unshared.received_rows(flow, share)


def _move(proof: Proof, **changes: Any) -> None:
    """Write down how far it is."""
    changes["moved_at"] = timezone.now()
    for name, value in changes.items():
        setattr(proof, name, value)
    Proof.objects.filter(pk=proof.pk).update(**changes)


@transaction.atomic
def _finish(proof: Proof, *, problem: str = "") -> None:
    before = (
        Proof.objects.filter(stream=proof.stream_id, state=Proof.State.DONE)
        .order_by("-finished_at")
        .values_list("result", flat=True)
        .first()
    )
    proof.state = Proof.State.FAILED if problem else Proof.State.DONE
    proof.problem, proof.finished_at, proof.moved_at = problem[:200], timezone.now(), timezone.now()
    proof.save()
    if problem and proof.institution_id:
        record_of_mirror(
            EventKind.NOT_PROVEN, proof.stream, institution=proof.institution, note=proof.problem
        )
    # What is proven every night is worth a line when somebody asked, or when it comes out otherwise.
    if not problem and (proof.institution_id or proof.result != before):
        record_of_mirror(
            EventKind.PROVEN,
            proof.stream,
            institution=proof.institution,
            at=proof.at,
            result=proof.result,
            differing=proof.differing,
        )


def take_up() -> None:
    """Send proofs again that a worker was given and forsook, or that could not be sent."""
    for proof in Proof.objects.filter(finished_at=None, moved_at__lt=timezone.now() - FORSAKEN):
        _move(proof)
        _send(proof.pk)


def nightly() -> int:
    """Ask for the next share of the streams that were not proven lately; return how many."""
    live = Stream.objects.filter(
        agreement__in=Agreement.objects.live().values("pk"), state=Stream.State.RUNNING
    )
    share = live.count() // NIGHTLY_LOOKS + 1
    lately = Proof.objects.filter(
        Q(finished_at=None) | Q(state=Proof.State.DONE, finished_at__gt=timezone.now() - PROVEN_LATELY)
    )
    due = list(live.exclude(pk__in=lately.values("stream")).order_by("pk")[:share])
    for stream in due:
        ask(stream)
    Proof.objects.filter(finished_at__lt=timezone.now() - KEPT).delete()
    return len(due)


__all__ = ["ask", "nightly", "run", "take_up"]
