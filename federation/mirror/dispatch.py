"""From a commit to a worker: who wrote, which streams have work, and hints that carry ids only.

Nothing here is needed for correctness but the sweep: a hint that is lost costs latency.
"""

import logging
import time
import uuid
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache

import redis
from celery import current_app
from django.conf import settings
from django.db import connection
from django.db.models import Q
from django.db.models.functions import Now
from kombu.exceptions import OperationalError as BrokerError
from psycopg import sql

from federation.mirror.batch import Outcome, run_batch
from federation.mirror.keys import Snapshot
from federation.models import Agreement, Stream
from federation.scope import agreements_touched, by_label, schema_identifier

logger = logging.getLogger(__name__)

TASK = "federation.tasks.apply_stream"
# A hint that nobody took after this time is sent again.
HINT_SECONDS = 5
_TICK = "mirror:dispatcher:tick"
# Above this many keys it costs more to find out whose they are than to look.
RESOLVED_KEYS = 2_000


@cache
def _redis() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2)


def flag(stream_id: uuid.UUID) -> str:
    """Return the Redis key that says: a worker has been asked and has not looked yet."""
    return f"mirror:hint:{stream_id}"


def hint(stream_id: uuid.UUID) -> None:
    """Ask a worker to look at a stream, unless one has been asked and has not looked yet."""
    try:
        if _redis().set(flag(stream_id), 1, nx=True, ex=HINT_SECONDS):
            current_app.send_task(TASK, args=[str(stream_id)], headers={"_schema_name": "public"})
    except (redis.RedisError, BrokerError):
        # The sweep finds the work.
        logger.warning("a hint could not be sent: Redis is away")


def _note_tick() -> None:
    """Leave when the dispatcher last swept, for the monitor."""
    with suppress(redis.RedisError):
        _redis().set(_TICK, time.time())


def last_tick() -> float | None:
    """Return when a dispatcher last swept, as seconds since 1970; None where none did, or Redis is away."""
    try:
        found = _redis().get(_TICK)
    except redis.RedisError:
        return None
    return float(found) if isinstance(found, bytes) else None


def is_asked_again(stream_id: uuid.UUID) -> bool:
    """Say whether somebody asked since the last look, and take the question as answered by the next."""
    try:
        return _redis().getdel(flag(stream_id)) is not None
    except redis.RedisError:
        return False


def apply(stream_id: uuid.UUID, *, seconds: float) -> Outcome:
    """Apply batches of a stream until nothing is left or the time is over; then ask for more."""
    until = time.monotonic() + seconds
    while True:
        outcome = run_batch(stream_id)
        if outcome == Outcome.MORE:
            if time.monotonic() < until:
                continue
            is_asked_again(stream_id)
            hint(stream_id)
            return outcome
        if outcome == Outcome.BUSY:
            # The question stays: whoever holds the stream finds it after the commit.
            return outcome
        if not is_asked_again(stream_id) or not _has_news(stream_id):
            return outcome


def _has_news(stream_id: uuid.UUID) -> bool:
    """Look, without a lock, whether there is anything beyond the cursor."""
    return any(stream.pk == stream_id for stream in behind(Stream.objects.filter(pk=stream_id)))


def live_streams() -> "list[Stream]":
    """Return the streams that may run now."""
    return list(
        Stream.objects.select_related("owner")
        .filter(
            agreement__suspended_at=None,
            agreement__state__in=[Agreement.State.ACTIVE, Agreement.State.WINDING_DOWN],
        )
        .exclude(state=Stream.State.ENDED)
        .order_by("pk")
    )


def behind(streams: Iterable[Stream]) -> list[Stream]:
    """Return the streams that have something to do: unread log, queued work, a fill, a retry that is due."""
    streams = list(streams)
    if not streams:
        return []
    waiting = {Stream.State.WAITING, Stream.State.FILLING}
    due = set(
        Stream.objects.filter(
            Q(work__isnull=False)
            | Q(parked__retry_at__lte=Now())
            | Q(state=Stream.State.BROKEN, retry_at__lte=Now()),
            pk__in=[stream.pk for stream in streams],
        ).values_list("pk", flat=True)
    )
    found = []
    for stream in streams:
        if stream.state == Stream.State.BROKEN and stream.pk not in due:
            continue
        if stream.state in waiting or stream.cursor is None or stream.pk in due or _has_log(stream):
            found.append(stream)
    return found


def _has_log(stream: Stream) -> bool:
    assert stream.cursor is not None
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL("SELECT EXISTS (SELECT 1 FROM {}.mirror_log WHERE {})").format(
                schema_identifier(stream.owner.schema_name), Snapshot(stream.cursor).is_past()
            )
        )
        return bool(cursor.fetchone()[0])


@dataclass
class Dispatcher:
    """Turns wakes into hints. ``seen`` has, by schema, the snapshot up to which the log was looked at."""

    seen: dict[str, Snapshot] = field(default_factory=dict)
    asked: dict[uuid.UUID, tuple[float, str | None]] = field(default_factory=dict)

    def poll(self) -> bool:
        """Hint at the streams of those who wrote since the last time; say whether anybody did."""
        with connection.cursor() as cursor:
            # Delete what was read, never TRUNCATE: that would wait for every open writer.
            cursor.execute("DELETE FROM public.federation_wake RETURNING schema_name")
            schemas = {row[0] for row in cursor.fetchall()}
        for schema in sorted(schemas):
            for stream_id in self._streams_with_work(schema):
                hint(stream_id)
        return bool(schemas)

    def _streams_with_work(self, schema: str) -> set[uuid.UUID]:
        """Return the streams that the new rows of a log concern."""
        candidates = {
            stream.agreement_id: stream.pk for stream in live_streams() if stream.owner.schema_name == schema
        }
        since = self.seen.get(schema)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_current_snapshot()::text")
            self.seen[schema] = Snapshot(cursor.fetchone()[0])
            if len(candidates) <= 1 or since is None:
                return set(candidates.values())
            cursor.execute(
                sql.SQL(
                    "SELECT kind, bit_or(operation), sum(cardinality(keys)) FROM {}.mirror_log WHERE {} GROUP BY kind"
                ).format(schema_identifier(schema), since.is_past())
            )
            found: set[uuid.UUID] = set()
            for label, operations, count in cursor.fetchall():
                if label not in by_label() or count > RESOLVED_KEYS or operations & 4:
                    return set(candidates.values())
                keys = sql.SQL("ARRAY(SELECT unnest(keys) FROM {}.mirror_log WHERE kind = {} AND {})").format(
                    schema_identifier(schema), sql.Literal(label), since.is_past()
                )
                query = agreements_touched(by_label()[label], schema, keys)
                if query is None:
                    return set(candidates.values())
                cursor.execute(query)
                found |= {row[0] for row in cursor.fetchall()}
        return {stream for agreement, stream in candidates.items() if agreement in found}

    def sweep(self) -> None:
        """Ask for every stream that is behind; apply those that were asked for and that nobody took."""
        _note_tick()
        now = time.monotonic()
        streams = behind(live_streams())
        for stream in streams:
            since, cursor = self.asked.get(stream.pk, (now, stream.cursor))
            if (
                cursor == stream.cursor
                and now - since > HINT_SECONDS
                and stream.state != Stream.State.WAITING
            ):
                logger.warning("no worker took stream %s: applying it here", stream.pk)
                apply(stream.pk, seconds=5)
                self.asked.pop(stream.pk, None)
            else:
                self.asked[stream.pk] = (since if cursor == stream.cursor else now, stream.cursor)
                hint(stream.pk)
        self.asked = {
            pk: asked for pk, asked in self.asked.items() if pk in {stream.pk for stream in streams}
        }
