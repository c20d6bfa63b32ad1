"""The keys of a batch: read from the owner's log by the difference of two snapshots."""

import time
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any
from weakref import WeakSet

from django.db import connection
from psycopg import sql

from federation.mirror.acting import as_its_role
from federation.mirror.capture import ANYTHING
from federation.models import Stream
from federation.scope import Flow

# A batch takes about this many keys; what is left waits as StreamWork.
BATCH_KEYS = 100_000
_SLICE = 10_000
_AGE = sql.SQL("extract(epoch FROM clock_timestamp() - at)::float8")
# A small batch is planned well enough without statistics.
ANALYSE_FROM = 500
# Statements that wrote within so many seconds are as good as one: not worth another question to the server.
ALIKE = 0.05

# An operation beside those of the log: whatever hangs off this key is looked at too.
WITH_BRANCHES = 8

# With texts of any length each would have a table and an index for long ones, and to empty these at every
# commit takes longer than a small batch.
_TEMPORARY = """
CREATE TEMP TABLE IF NOT EXISTS mirror_keys (
    kind varchar(60) NOT NULL, id uuid NOT NULL, operations smallint NOT NULL
) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE IF NOT EXISTS mirror_plan (
    kind varchar(60) NOT NULL, id uuid NOT NULL, action varchar(10) NOT NULL, moved boolean NOT NULL
) ON COMMIT DELETE ROWS;
"""

_PREPARED: WeakSet[Any] = WeakSet()


def prepare_connection() -> None:
    """Give this connection its temporary tables; before the transaction this costs nothing the next time."""
    connection.ensure_connection()
    if connection.connection not in _PREPARED:
        with connection.cursor() as cursor:
            cursor.execute(as_its_role(_TEMPORARY))
        # Inside a transaction they may go with it.
        if not connection.in_atomic_block:
            _PREPARED.add(connection.connection)


def prepare_again() -> bool:
    """Give a connection that took a broken one's place unnoticed its temporary tables; say whether it did."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('pg_temp.mirror_plan') IS NULL")
        if not cursor.fetchone()[0]:
            return False
        cursor.execute(as_its_role(_TEMPORARY))
    return True


@dataclass(frozen=True)
class Snapshot:
    """A ``pg_snapshot``: the transactions that were visible at a moment."""

    text: str

    @property
    def xmin(self) -> int:
        """Return the oldest transaction that was running."""
        return int(self.text.split(":")[0])

    @property
    def xmax(self) -> int:
        """Return the first transaction that had not begun."""
        return int(self.text.split(":")[1])

    def is_past(self) -> sql.Composed:
        """Return the condition under which a row of the log was written by none that it could see.

        Of the rows that the reading transaction sees, these are the new ones.
        """
        running = self.text.split(":")[2]
        condition = sql.SQL("xid >= {}::xid8").format(sql.Literal(str(self.xmax)))
        if running:
            condition += sql.SQL(" OR xid = ANY({}::xid8[])").format(sql.Literal("{" + running + "}"))
        return sql.SQL("({})").format(condition)


class Keys:
    """The keys of one batch, in a temporary table with the kinds and operations they came with."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor
        self.count = 0
        self.kinds: set[str] = set()
        # Something is left to the next batch, or may be.
        self.has_left = False
        self.has_parked = False
        # Whether the log had anything new, also of kinds that nobody here listens to.
        self.has_passed = False
        self._analysed = 0
        # Kinds all of whose keys came with one statement, and so once each.
        self._once: set[str] = set()
        self._since: list[float] = []

    def take_log(
        self, stream: Stream, flow: Flow, cursor: Snapshot, most: int | None, before: sql.Composable
    ) -> bool:
        """Take what the log has beyond ``cursor``; too much of it becomes work of the stream first.

        Take nothing, and return False, where that are more than ``most`` keys. The settings ``before`` it
        are sent in the same message.
        """
        is_listened = sql.SQL("kind = ANY({})").format(sql.Literal(sorted(flow.listens)))
        past = sql.SQL("FROM {log} WHERE {past}").format(
            log=sql.SQL("{}.mirror_log").format(flow.source), past=cursor.is_past()
        )
        where = sql.SQL("{} AND {}").format(past, is_listened)
        self._cursor.execute(
            sql.SQL(
                """
                {before}
                WITH passed AS MATERIALIZED (SELECT kind, operation, keys, at {past}),
                fresh AS (SELECT * FROM passed WHERE {kinds}),
                counted AS (SELECT coalesce(sum(cardinality(keys)), 0) AS count FROM fresh),
                taken AS (
                    INSERT INTO pg_temp.mirror_keys (kind, id, operations)
                    SELECT kind, unnest(keys), operation FROM fresh WHERE (SELECT count FROM counted) <= {room}
                )
                SELECT (SELECT count FROM counted), array_agg(kind), array_agg({age}), EXISTS (SELECT FROM passed),
                    array_agg(DISTINCT kind) FILTER (WHERE operation = {anything})
                FROM fresh
                """
            ).format(
                before=before,
                past=past,
                kinds=is_listened,
                room=sql.Literal(most or BATCH_KEYS),
                age=_AGE,
                anything=sql.Literal(ANYTHING),
            )
        )
        while self._cursor.nextset():
            pass
        count, kinds, ages, self.has_passed, mixed = self._cursor.fetchone()
        if most is not None and count > most:
            return False
        if count <= BATCH_KEYS:
            if count:
                self._took(count, kinds)
                self._once = {kind for kind, rows in Counter(kinds).items() if rows == 1} - set(mixed or ())
                self._aged(ages)
            return True
        self._cursor.execute(
            sql.SQL(
                "INSERT INTO public.federation_streamwork (stream_id, kind, operations, keys, at)"
                " SELECT {stream}, kind, operation, keys[first : first + {slice} - 1], at"
                " FROM (SELECT id, kind, operation, keys, at {where}) log,"
                " generate_series(1, cardinality(keys), {slice}) first ORDER BY id, first"
            ).format(stream=sql.Literal(stream.pk), slice=sql.Literal(_SLICE), where=where)
        )
        self.has_left = True
        return True

    def take_work(self, stream: Stream, most: int | None = None) -> bool:
        """Take up to a batch, or about ``most``, of what earlier ones left, deletions first and whole; say whether any is left."""
        self._cursor.execute(
            """
            WITH taken AS (
                DELETE FROM public.federation_streamwork WHERE id IN (
                    SELECT id FROM (
                        SELECT id, operations,
                            sum(cardinality(keys)) OVER (ORDER BY operations <> 4, id) - cardinality(keys) AS before
                        FROM public.federation_streamwork WHERE stream_id = %(stream)s
                    ) work
                    WHERE before < %(room)s OR operations = 4
                ) RETURNING kind, operations, keys, at
            ), added AS (
                INSERT INTO pg_temp.mirror_keys (kind, id, operations)
                SELECT kind, unnest(keys), operations FROM taken
            )
            SELECT coalesce(sum(cardinality(keys)), 0), array_agg(DISTINCT kind),
                array_agg(DISTINCT extract(epoch FROM clock_timestamp() - at)::float8) FILTER (WHERE at IS NOT NULL)
            FROM taken
            """,
            {"stream": stream.pk, "room": max((most or BATCH_KEYS) - self.count, 1)},
        )
        count, kinds, ages = self._cursor.fetchone()
        if not count:
            return False
        self._took(count, kinds)
        self._aged(ages or ())
        self._cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM public.federation_streamwork WHERE stream_id = %s)", [stream.pk]
        )
        return bool(self._cursor.fetchone()[0])

    def take_parked(self, stream: Stream) -> None:
        """Take parked rows whose time to be tried again has come."""
        self._cursor.execute(
            """
            WITH due AS (
                SELECT kind, key FROM public.federation_parkedrow
                WHERE stream_id = %s AND retry_at <= statement_timestamp() LIMIT %s
            ), added AS (
                INSERT INTO pg_temp.mirror_keys (kind, id, operations) SELECT kind, key, 7 FROM due
            )
            SELECT count(*), array_agg(DISTINCT kind),
                EXISTS (SELECT 1 FROM public.federation_parkedrow WHERE stream_id = %s)
            FROM due
            """,
            [stream.pk, BATCH_KEYS, stream.pk],
        )
        count, kinds, self.has_parked = self._cursor.fetchone()
        if count:
            self._took(count, kinds)

    def add(self, kind: str, rows: sql.Composable, operations: int = ANYTHING) -> int:
        """Add the ids that a query gives; return how many."""
        self._cursor.execute(
            sql.SQL(
                "INSERT INTO pg_temp.mirror_keys (kind, id, operations) SELECT {kind}, id, {operations} FROM ({rows}) added"
            ).format(kind=sql.Literal(kind), operations=sql.Literal(operations), rows=rows)
        )
        count = int(self._cursor.rowcount)
        if count:
            self._took(count, [kind])
        return count

    def add_few(self, kind: str, rows: sql.Composable) -> bool:
        """Add the ids that a query gives, to be looked at with all that hangs off them; none, and False, where they are many."""
        self._cursor.execute(
            sql.SQL(
                "WITH few AS MATERIALIZED (SELECT id FROM ({rows}) added LIMIT {many}), taken AS ("
                "INSERT INTO pg_temp.mirror_keys (kind, id, operations) SELECT {kind}, id, {operations} FROM few"
                " WHERE (SELECT count(*) FROM few) < {many}) SELECT count(*) FROM few"
            ).format(
                rows=rows,
                many=sql.Literal(ANALYSE_FROM),
                kind=sql.Literal(kind),
                operations=sql.Literal(ANYTHING | WITH_BRANCHES),
            )
        )
        count = int(self._cursor.fetchone()[0])
        if count == ANALYSE_FROM:
            return False
        if count:
            self._took(count, [kind])
        return True

    def come_once(self, kind: str) -> bool:
        """Say whether no key of a kind is there twice."""
        return kind in self._once

    def analyse(self) -> None:
        """Let the planner know what it deals with, where that has changed much."""
        if self.count >= ANALYSE_FROM and self.count >= 2 * self._analysed:
            self._cursor.execute("ANALYZE pg_temp.mirror_keys")
            self._analysed = self.count

    def forget(self, kinds: Collection[str]) -> None:
        """Drop the keys of these kinds, which have been dealt with."""
        self._cursor.execute("DELETE FROM pg_temp.mirror_keys WHERE kind = ANY(%s)", [list(kinds)])
        self.kinds -= set(kinds)

    def waited(self) -> list[float]:
        """Return for each statement that the log and the work came from how many seconds ago it wrote."""
        now = time.monotonic()
        return [now - since for since in self._since]

    def waited_that_led_to_rows(self, stream: Stream, flow: Flow, rows: int) -> list[float]:
        """Return how many seconds ago those statements wrote that led to the ``rows`` written.

        The log has other clients' statements too, and the receiver reads this. They are told apart by the
        plan where they are few and their times differ; else no more than rows count, the shortest first.
        """
        waited = sorted(self.waited())
        if self.count < ANALYSE_FROM and waited and waited[-1] - waited[0] > ALIKE:
            self._cursor.execute(
                sql.SQL(
                    "SELECT {age} FROM {log} l WHERE {past} AND EXISTS (SELECT FROM pg_temp.mirror_plan p"
                    " WHERE p.kind = l.kind AND p.id = ANY(l.keys) AND p.action <> ALL({unwritten}))"
                ).format(
                    age=_AGE,
                    log=sql.SQL("{}.mirror_log").format(flow.source),
                    past=Snapshot(str(stream.cursor)).is_past(),
                    unwritten=sql.Literal(["same", "gone", "foreign"]),
                )
            )
            waited = [age for (age,) in self._cursor.fetchall()] or waited
        return sorted(waited)[:rows]

    def _aged(self, ages: Iterable[float]) -> None:
        now = time.monotonic()
        self._since += [now - age for age in ages]

    def _took(self, count: int, kinds: Collection[str]) -> None:
        self.count += count
        self.kinds |= set(kinds)
        self._once -= set(kinds)
