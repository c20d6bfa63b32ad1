"""The dispatcher: from a commit to a hint, and the sweeps that find what was missed.

What it costs follows from who writes, not from how many institutions there are: a wake leads to the
streams of one log; the quick sweep looks at streams that were asked for and have not been seen in step,
and at those that have something to do anyway; the slow one goes round all of them.
"""

import logging
import math
import time
import uuid
from dataclasses import dataclass, field

from django.db import connection
from django.db.models import Q
from psycopg import sql

from federation.mirror import dispatch, upgrade
from federation.mirror.cursors import plain_cursor
from federation.mirror.keys import Snapshot
from federation.mirror.outcome import Outcome
from federation.mirror.waking import STREAMS_CHANGED
from federation.models import Stream
from federation.scope import agreements_touched, by_label, schema_identifier

logger = logging.getLogger(__name__)

# Above this many keys it costs more to find out whose they are than to look.
RESOLVED_KEYS = 2_000
# All streams of somebody who wrote are compared after this time: those that are not concerned move on too.
STIRRED_SECONDS = 30.0
# Every stream is looked at within this time, whatever was missed, and all of them at the start.
ROUND_SECONDS = 3_600.0
# The round goes on in steps of this time: some streams together cost less than one now and then.
STEP_SECONDS = 10.0
# Whether an institution whose tables were locked can be prepared for an update is asked again after this time.
PREPARED_AGAIN_SECONDS = 30.0
# Which streams an institution has is asked again after this time.
KNOWN_SECONDS = 1.0
# After so many wakes their table is cleaned: a poll reads what is left of deleted rows, many times a second.
CLEANED_WAKES = 10_000

_Asked = tuple[float, str | None]


@dataclass
class Dispatcher:
    """Turns wakes into hints. ``seen`` has, by schema, the snapshot up to which the log was looked at.

    ``asked`` has the streams that somebody was asked to look at, with when, and the cursor they stood
    at; ``stirred`` the schemas that were written in, with when all their streams are to be compared.
    One thread may poll while another one sweeps.
    """

    seen: dict[str, Snapshot] = field(default_factory=dict)
    asked: dict[uuid.UUID, _Asked] = field(default_factory=dict)
    stirred: dict[str, float] = field(default_factory=dict)
    _known: dict[str, tuple[float, list[Stream]]] = field(default_factory=dict)
    _round: list[uuid.UUID] = field(default_factory=list)
    _length: int = 0
    _swept_at: float | None = None
    _has_due: bool = False
    # Filled under another scope than this code's, with its fingerprint; when that is looked for next.
    _outdated: dict[uuid.UUID, str] = field(default_factory=dict)
    _compares_at: float = 0.0
    # Asked for since the sweep began: what it finds of them may be from before.
    _fresh: set[uuid.UUID] = field(default_factory=set)
    _wakes: int = 0

    @property
    def is_resting(self) -> bool:
        """Say whether nothing is asked for, due or stirred, and nothing has to be looked at anew."""
        if self._swept_at is None or self._compares_at <= time.monotonic():
            return False
        return not (self.asked or self.stirred or self._has_due or self._outdated)

    def poll(self) -> int:
        """Hint at the streams of those who wrote since the last time; return how many wakes they left."""
        wakes = _take_wakes()
        if not wakes:
            return 0
        self._wakes += len(wakes)
        schemas = set(wakes)
        if STREAMS_CHANGED in schemas:
            schemas.remove(STREAMS_CHANGED)
            self._known.clear()
            # One that is resumed may be from before an update.
            self._compares_at = 0.0
        now = time.monotonic()
        for schema, candidates in self._streams_of(schemas, now).items():
            # Before the hint: what is noted here, a sweep looks after.
            self.stirred.setdefault(schema, now + STIRRED_SECONDS)
            for stream, is_load in self._with_work(schema, candidates):
                self.asked.setdefault(stream.pk, (now, stream.cursor))
                self._fresh.add(stream.pk)
                dispatch.hint(stream.pk, is_load=is_load)
        return len(wakes)

    def _streams_of(self, schemas: set[str], now: float) -> dict[str, list[Stream]]:
        """Return the live streams by owner's schema, as they were a moment ago: this only says whom to ask."""
        # The thread that sweeps may forget them at any moment.
        known = {schema: self._known.get(schema, (-math.inf, [])) for schema in sorted(schemas)}
        new: dict[str, tuple[float, list[Stream]]] = {
            schema: (now, []) for schema, (asked_at, _) in known.items() if asked_at < now - KNOWN_SECONDS
        }
        if new:
            for stream in dispatch.live_streams().filter(owner__schema_name__in=new):
                new[str(stream.owner.schema_name)][1].append(stream)
            self._known.update(new)
        return {schema: streams for schema, (_, streams) in (known | new).items()}

    def _with_work(self, schema: str, candidates: list[Stream]) -> list[tuple[Stream, bool]]:
        """Return the streams that the new rows of a log concern, and whether they are many rows."""
        since = self.seen.get(schema)
        with plain_cursor() as cursor:
            cursor.execute(
                sql.SQL(
                    "SELECT pg_current_snapshot()::text, kind, operations, count FROM (SELECT) one LEFT JOIN"
                    " (SELECT kind, bit_or(operation) AS operations, sum(cardinality(keys)) AS count"
                    " FROM {}.mirror_log WHERE {} GROUP BY kind) found ON true"
                ).format(schema_identifier(schema), since.is_past() if since else sql.SQL("false"))
            )
            found_rows = cursor.fetchall()
            self.seen[schema] = Snapshot(found_rows[0][0])
            rows = [row[1:] for row in found_rows if row[1] is not None]
            if since is None or not candidates:
                return [(stream, False) for stream in candidates]
            everybody = [(stream, sum(row[2] for row in rows) > dispatch.QUICK_KEYS) for stream in candidates]
            if len(candidates) == 1:
                return everybody
            found: set[uuid.UUID] = set()
            for label, operations, count in rows:
                if label not in by_label() or count > RESOLVED_KEYS or operations & 4:
                    return everybody
                keys = sql.SQL("ARRAY(SELECT unnest(keys) FROM {}.mirror_log WHERE kind = {} AND {})").format(
                    schema_identifier(schema), sql.Literal(label), since.is_past()
                )
                query = agreements_touched(by_label()[label], schema, keys)
                if query is None:
                    return everybody
                cursor.execute(query)
                found |= {row[0] for row in cursor.fetchall()}
        return [(stream, is_load) for stream, is_load in everybody if stream.agreement_id in found]

    def sweep(self) -> None:
        """Ask for streams that are behind; apply those that were asked for and that nobody took.

        Only those that can be: asked for before, with something to do anyway, of somebody who wrote a
        while ago, and the next of the round.
        """
        dispatch.note_tick()
        self._fresh.clear()
        now = time.monotonic()
        self._refill_outdated(now)
        stirred = [schema for schema, at in list(self.stirred.items()) if at <= now]
        due = dispatch.due_ids()
        # A list: the thread that polls may add to what was asked.
        pks = due.union(list(self.asked), self._next_of_round(now))
        streams: dict[uuid.UUID, Stream] = {}
        if pks or stirred:
            suspects = dispatch.live_streams().filter(Q(pk__in=pks) | Q(owner__schema_name__in=stirred))
            streams = {stream.pk: stream for stream in dispatch.behind(suspects, known=due)}
        self._has_due = bool(due)
        for schema in stirred:
            self.stirred.pop(schema, None)
        for pk in [pk for pk in list(self.asked) if pk not in streams and pk not in self._fresh]:
            self.asked.pop(pk, None)
        for stream in streams.values():
            self._ask(stream, now)
        if self._wakes >= CLEANED_WAKES:
            self._wakes = 0
            with plain_cursor() as cursor:
                # To give pages back it would take a lock that everybody who writes waits for.
                cursor.execute("VACUUM (TRUNCATE false) public.federation_wake")

    def _refill_outdated(self, now: float) -> None:
        """Have the streams begin anew whose scope an update of the platform has changed: few at a time.

        Looked for at the start, when something is resumed, and now and then: a worker from before the update may
        have filled one meanwhile.
        """
        if self._compares_at <= now:
            # First: the thread that polls may ask for another look meanwhile.
            self._compares_at = now + ROUND_SECONDS
            found = upgrade.outdated()
            unready = upgrade.prepare(found)
            if unready:
                self._compares_at = min(self._compares_at, now + PREPARED_AGAIN_SECONDS)
            self._outdated = {pk: scope for pk, scope in found.items() if pk not in unready}
        if self._outdated:
            self._outdated = upgrade.refill(self._outdated)

    def _ask(self, stream: Stream, now: float) -> None:
        since, cursor = self.asked.get(stream.pk, (now, stream.cursor))
        is_waiting = stream.state == Stream.State.WAITING
        if cursor == stream.cursor and now - since > dispatch.HINT_SECONDS and not is_waiting:
            logger.warning("no worker took stream %s: applying it here", stream.pk)
            # Who is at it may not know of this: it is asked for again.
            if dispatch.apply(stream.pk, seconds=5) != Outcome.BUSY:
                self.asked.pop(stream.pk, None)
            return
        self.asked[stream.pk] = (since if cursor == stream.cursor else now, stream.cursor)
        dispatch.hint(stream.pk, is_load=is_waiting or stream.state == Stream.State.FILLING)

    def _next_of_round(self, now: float) -> list[uuid.UUID]:
        """Return the streams whose turn it is: all at first, then evenly so that a round takes its time."""
        if not self._round:
            # Those of one owner together, so that its log is read once.
            self._round = list(dispatch.live_streams().order_by("owner", "pk").values_list("pk", flat=True))
            self._length = len(self._round)
        count = len(self._round)
        if self._swept_at is not None:
            if now - self._swept_at < STEP_SECONDS:
                return []
            count = min(count, -int(-self._length * (now - self._swept_at) // ROUND_SECONDS))
        self._swept_at = now
        taken, self._round = self._round[:count], self._round[count:]
        return taken

    def start_over(self) -> None:
        """Trust nothing that was noted: the server went away, and wakes with it."""
        self.seen.clear()
        self._known.clear()
        self._round, self._swept_at, self._compares_at = [], None, 0.0


def _take_wakes() -> list[str]:
    connection.ensure_connection()
    with connection.wrap_database_errors:
        # Asked all the time, and mostly for nothing: past all that Django does for a cursor.
        driver = connection.connection
        if not driver.execute("SELECT FROM public.federation_wake LIMIT 1").rowcount:
            return []
        # Delete what was read, never TRUNCATE: that would wait for every open writer.
        taken = driver.execute("DELETE FROM public.federation_wake RETURNING schema_name")
        return [row[0] for row in taken.fetchall()]
