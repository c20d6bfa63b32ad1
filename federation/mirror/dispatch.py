"""Ask workers to look at a stream, and find out which streams have something to do.

Hints carry ids only. Nothing here is needed for correctness but `behind`: a hint that is lost costs latency.
"""

import logging
import time
import uuid
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from functools import cache
from typing import Any

import redis
from celery import current_app
from django.conf import settings
from django.db import ProgrammingError, connection, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from kombu.exceptions import OperationalError as BrokerError
from psycopg import sql
from redis.backoff import NoBackoff
from redis.retry import Retry

from federation.mirror import arrivals
from federation.mirror.batch import run_batch
from federation.mirror.keys import Snapshot
from federation.mirror.outcome import Outcome
from federation.models import Agreement, ParkedRow, Stream, StreamWork
from federation.scope import schema_identifier

logger = logging.getLogger(__name__)

TASK, LOAD_TASK = "federation.tasks.apply_stream", "federation.tasks.apply_load"
# A hint that nobody took after this time is sent again; loads wait for each other.
HINT_SECONDS, LOAD_HINT_SECONDS = 5, 30
# A question to whoever holds a stream, which the sweep asks again.
HELD_SECONDS = 1
# Whoever holds another stream of the same two is not asked: the question comes again after this time.
SIBLING_SECONDS = 0.2
# Batches that took longer than this, one or several, may have kept another stream of the same two waiting.
LONG_SECONDS = 0.1
# Then that one may work for so long, or for as long as it may have waited.
TURN_SECONDS = 1
# A stream with more keys than this goes to the workers for loads, so that edits do not wait behind it.
QUICK_KEYS = 2_000
# So many logs are looked at in one query.
_AT_ONCE = 50
# A dispatcher that has not swept for this long is gone.
_SILENT_SECONDS = 45
_TICK = "mirror:dispatcher:tick"


@cache
def _redis() -> redis.Redis:
    # Of itself it would try for four seconds, and whoever asks would wait as long: a hint may be lost.
    return redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2, retry=Retry(NoBackoff(), 1)
    )


def flag(stream_id: uuid.UUID) -> str:
    """Return the Redis key that says: a worker has been asked and has not looked yet."""
    return f"mirror:hint:{stream_id}"


def hint(stream_id: uuid.UUID, *, is_load: bool = False) -> None:
    """Ask a worker to look at a stream, unless one has been asked and has not looked yet."""
    try:
        if _redis().set(flag(stream_id), 1, nx=True, ex=LOAD_HINT_SECONDS if is_load else HINT_SECONDS):
            name = LOAD_TASK if is_load else TASK
            current_app.send_task(name, args=[str(stream_id)], headers={"_schema_name": "public"})
    except (redis.RedisError, BrokerError):
        # The sweep finds the work.
        logger.warning("a hint could not be sent: Redis is away")


def note_tick() -> None:
    """Leave when the dispatcher last swept, for the monitor and for beat."""
    with suppress(redis.RedisError):
        _redis().set(_TICK, time.time())


def last_tick() -> float | None:
    """Return when a dispatcher last swept, as seconds since 1970; None where none did, or Redis is away."""
    try:
        found = _redis().get(_TICK)
    except redis.RedisError:
        return None
    return float(found) if isinstance(found, bytes) else None


def is_dispatching() -> bool:
    """Say whether a dispatcher has swept lately."""
    tick = last_tick()
    return tick is not None and time.time() - tick < _SILENT_SECONDS


def is_asked_again(stream_id: uuid.UUID) -> bool:
    """Say whether somebody asked since the last look, and take the question as answered by the next."""
    try:
        return _redis().getdel(flag(stream_id)) is not None
    except redis.RedisError:
        return False


def _put_back(stream_id: uuid.UUID) -> None:
    """Ask whoever holds the stream what was asked here; not for long, for it may be no worker."""
    with suppress(redis.RedisError):
        _redis().set(flag(stream_id), 1, nx=True, ex=HELD_SECONDS)


def _ask_later(stream_id: uuid.UUID) -> None:
    """Have a worker look again when another stream of the same two may be done."""
    with suppress(redis.RedisError, BrokerError):
        current_app.send_task(
            TASK, args=[str(stream_id)], headers={"_schema_name": "public"}, countdown=SIBLING_SECONDS
        )


def apply(stream_id: uuid.UUID, *, seconds: float, most: int | None = None) -> Outcome:
    """Apply batches of a stream until nothing is left or the time is over; then ask for more.

    With ``most``, hand over to the workers for loads what is larger.
    """
    until = time.monotonic() + seconds
    # Before looking: what is asked from now on, another look has to answer.
    has_taken = is_asked_again(stream_id)
    served_at = time.monotonic()
    while True:
        outcome = _run_batch(stream_id, most=most)
        if outcome == Outcome.MORE or (
            outcome == Outcome.DONE and time.monotonic() - served_at > LONG_SECONDS
        ):
            _serve_siblings(stream_id, most=most, until=until, waited=time.monotonic() - served_at)
            served_at = time.monotonic()
        is_over = time.monotonic() >= until
        if outcome == Outcome.LARGE or (outcome == Outcome.MORE and is_over):
            is_asked_again(stream_id)
            hint(stream_id, is_load=True)
            return outcome
        if outcome == Outcome.MORE:
            # Who has to stop from here on has something left to ask for.
            has_taken = True
        elif outcome == Outcome.SIBLING:
            if has_taken:
                _put_back(stream_id)
                _ask_later(stream_id)
            return Outcome.BUSY
        elif outcome == Outcome.BUSY and has_taken:
            # The question goes to whoever holds the stream, who asks after the commit; and then another look: the
            # holder may have gone without having found it.
            _put_back(stream_id)
            has_taken = False
        elif outcome == Outcome.BUSY or not is_asked_again(stream_id):
            return outcome
        elif is_over:
            # Edits may come for ever.
            hint(stream_id)
            return outcome
        else:
            has_taken = True


def _run_batch(stream_id: uuid.UUID, *, most: int | None) -> Outcome:
    """Apply a batch; ask for the delivery of what it brought at once, for the next look may find nothing to do."""
    outcome = run_batch(stream_id, most=most)
    if outcome == Outcome.DONE:
        arrivals.hint(stream_id)
    return outcome


def _serve_siblings(stream_id: uuid.UUID, *, most: int | None, until: float, waited: float = 0) -> None:
    """After a long batch, give each other stream of the same two a turn.

    They would find the stream held again and again: the next batch may begin before they look. An edit of theirs
    may come behind the load in their log too, of which they take nothing. Whether one was asked for does not say
    all: a worker that finds this one at work has the question in hand for a moment.
    """
    this = Stream.objects.filter(pk=stream_id)
    siblings = Stream.objects.filter(owner__in=this.values("owner"), receiver__in=this.values("receiver"))
    resting = {Stream.State.BROKEN, Stream.State.ENDED}
    for pk in siblings.exclude(pk=stream_id).exclude(state__in=resting).values_list("pk", flat=True):
        if time.monotonic() >= until:
            # What is left waits for the next task: a question that was taken has to be answered.
            return
        is_asked = is_asked_again(pk)
        turn_ends = time.monotonic() + max(TURN_SECONDS, waited)
        while (outcome := _run_batch(pk, most=most)) == Outcome.MORE and time.monotonic() < turn_ends:
            pass
        if outcome in {Outcome.MORE, Outcome.LARGE} or (
            is_asked and outcome in {Outcome.BUSY, Outcome.SIBLING}
        ):
            hint(pk, is_load=outcome in {Outcome.MORE, Outcome.LARGE})


def _running() -> QuerySet[Stream]:
    return Stream.objects.filter(
        agreement__suspended_at=None,
        agreement__state__in=[Agreement.State.ACTIVE, Agreement.State.WINDING_DOWN],
    ).exclude(state=Stream.State.ENDED)


def live_streams() -> QuerySet[Stream]:
    """Return the streams that may run now."""
    return _running().select_related("owner").order_by("pk")


def due() -> QuerySet[Stream]:
    """Return the streams that have something to do now whatever their log says: a fill, left work, a retry."""
    waiting = Q(state__in=[Stream.State.WAITING, Stream.State.FILLING]) | Q(cursor=None)
    retries = Q(state=Stream.State.BROKEN, retry_at__lte=Now())
    left = Q(pk__in=StreamWork.objects.values("stream"))
    parked = Q(pk__in=ParkedRow.objects.filter(retry_at__lte=Now()).values("stream"))
    return _running().filter(
        (waiting & ~Q(state=Stream.State.BROKEN))
        | retries
        | ((left | parked) & ~Q(state=Stream.State.BROKEN))
    )


@cache
def _due_statement() -> tuple[str, tuple[Any, ...]]:
    return due().values("pk").query.sql_with_params()


def due_ids() -> set[uuid.UUID]:
    """Return the streams that are `due`, by a statement that is composed once: the sweep asks all the time."""
    with connection.cursor() as cursor:
        cursor.execute(*_due_statement())
        return {row[0] for row in cursor.fetchall()}


def behind(streams: Iterable[Stream], *, known: Collection[uuid.UUID] | None = None) -> list[Stream]:
    """Return the streams that have something to do: unread log, queued work, a fill, a retry that is due.

    With ``known`` the caller has asked for `due_ids` already.
    """
    streams = list(streams)
    if not streams:
        return []
    pks = [stream.pk for stream in streams]
    ready = set(due().filter(pk__in=pks).values_list("pk", flat=True) if known is None else known)
    # One that has ended has no place in a log any more.
    resting = {Stream.State.BROKEN, Stream.State.ENDED}
    asleep = {stream.pk for stream in streams if stream.state in resting} - ready
    # It has begun anew since `due_ids` was asked, and has no place in a log to compare with.
    ready |= {stream.pk for stream in streams if stream.cursor is None} - asleep
    unsure = [stream for stream in streams if stream.pk not in ready | asleep]
    ready |= set(_with_log(unsure))
    return [stream for stream in streams if stream.pk in ready]


def _with_log(streams: Collection[Stream]) -> Iterator[uuid.UUID]:
    """Yield those that have anything in their owner's log beyond the cursor, with one query for many."""
    ordered = list(streams)
    for start in range(0, len(ordered), _AT_ONCE):
        some = ordered[start : start + _AT_ONCE]
        query = sql.SQL(" UNION ALL ").join(
            sql.SQL("SELECT {}::uuid WHERE EXISTS (SELECT 1 FROM {}.mirror_log WHERE {})").format(
                sql.Literal(stream.pk),
                schema_identifier(stream.owner.schema_name),
                Snapshot(str(stream.cursor)).is_past(),
            )
            for stream in some
        )
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(query)
                found = [row[0] for row in cursor.fetchall()]
        except ProgrammingError:
            # A log is not there. Its stream is to find that out and say so; the others are asked about alone.
            found = [some[0].pk] if len(some) == 1 else [pk for each in some for pk in _with_log([each])]
        yield from found
