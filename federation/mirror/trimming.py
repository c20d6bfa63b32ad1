"""Keep the logs bounded: what all streams have read goes, and no pause holds more than a cap."""

import time

from django.db import connection, transaction
from django.db.models import F, Q
from psycopg import sql

from federation.mirror.batch import refill
from federation.mirror.keys import Snapshot
from federation.models import Institution, Stream
from federation.scope import schema_identifier

# A stream that rests holds at most this many rows of the log; beyond, it is compared anew on return.
LOG_CAP = 100_000
# The counters are lost with a crash: every log gets its turn within this time.
_ROUND_MINUTES = 360


def trim() -> int:
    """Trim the logs that have rows, and each a few times a day whatever they seem to have; return the rows deleted."""
    everybody = Institution.objects.order_by("pk").values_list("pk", "schema_name")
    with_rows, turn = filled(), int(time.time() // 60) % _ROUND_MINUTES
    due = [
        pk
        for number, (pk, schema_name) in enumerate(everybody)
        if schema_name in with_rows or number % _ROUND_MINUTES == turn
    ]
    return sum(trim_log(institution) for institution in Institution.objects.filter(pk__in=due))


def filled() -> set[str]:
    """Return the schemas whose log has rows, as far as the server has counted them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT n.nspname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relname = 'mirror_log' AND c.relkind = 'r' AND pg_stat_get_live_tuples(c.oid) > 0"
        )
        return {row[0] for row in cursor.fetchall()}


def trim_log(institution: Institution) -> int:
    """Delete the rows of one log that no stream will read again."""
    log = sql.SQL("{}.mirror_log").format(schema_identifier(institution.schema_name))
    with transaction.atomic(), connection.cursor() as cursor:
        # Before looking for streams: one that comes to be meanwhile begins above this.
        cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text")
        oldest = int(cursor.fetchone()[0])
        _let_go(institution, log)
        if not _begin_above(institution):
            return 0
        followed = Stream.objects.filter(owner=institution, cursor__isnull=False)
        cursors = [Snapshot(str(text)) for text in followed.values_list("cursor", flat=True)]
        # Below the oldest xmin nothing is unread, whatever was in progress.
        oldest = min([oldest, *(cursor.xmin for cursor in cursors)])
        cursor.execute(sql.SQL("DELETE FROM {} WHERE xid < {}::xid8").format(log, sql.Literal(str(oldest))))
        return int(cursor.rowcount)


def _begin_above(institution: Institution) -> bool:
    """Have the streams without a place in the log take it by a snapshot from now on; False where one is taking it."""
    beginning = Stream.objects.filter(owner=institution, cursor=None).exclude(state=Stream.State.ENDED)
    pks = set(beginning.values_list("pk", flat=True))
    if not pks:
        return True
    free = beginning.filter(pk__in=pks).select_for_update(skip_locked=True, no_key=True)
    if {stream.pk for stream in free} != pks:
        return False
    # A batch that has its snapshot already, and waits for a lock still, finds the row changed and begins again.
    Stream.objects.filter(pk__in=pks).update(attempts=F("attempts"))
    return True


def _let_go(institution: Institution, log: sql.Composed) -> None:
    """Give up the place of streams that have more than the cap unread."""
    with connection.cursor() as counting:
        for stream in (
            Stream.objects.select_for_update(skip_locked=True)
            .filter(owner=institution, cursor__isnull=False)
            .filter(Q(agreement__suspended_at__isnull=False) | Q(state=Stream.State.BROKEN))
        ):
            counting.execute(
                sql.SQL("SELECT count(*) FROM (SELECT 1 FROM {} WHERE {} LIMIT {}) unread").format(
                    log, Snapshot(str(stream.cursor)).is_past(), sql.Literal(LOG_CAP + 1)
                )
            )
            if counting.fetchone()[0] > LOG_CAP:
                refill(stream, Stream.FillReason.PAUSED)
                stream.save()
