"""What an agreement covers and its receivers have not been given yet: counted through the scope."""

from django.db import connection
from psycopg import sql

from federation.mirror.keys import Snapshot
from federation.mirror.status import is_read, streams
from federation.mirror.waiting import concerned
from federation.models import Agreement, Stream
from federation.scope import Flow, schema_identifier

# Counting asks the scope about every key that waits; of more than these it is not asked.
MOST_KEYS = 100_000


def undelivered(agreement: Agreement) -> int | None:
    """Return how many records both parties have changed under an agreement and the other has not been given.

    The logs hold the changes of other clients too: of a record that is neither shared under this agreement
    nor held by its receiver nothing is told. None where too much waits to be counted.
    """
    counts = [
        _of(stream) for stream in streams().filter(agreement=agreement).exclude(state=Stream.State.ENDED)
    ]
    return None if None in counts else sum(count or 0 for count in counts)


def _of(stream: Stream) -> int | None:
    flow = Flow.of(stream.agreement, stream.agreement.side_of(stream.owner))
    shares = list(flow.shares.values())
    if not shares:
        return 0
    waiting = _waiting(stream)
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("SELECT count(*) FROM ({} LIMIT {}) w").format(waiting, MOST_KEYS + 1))
        if cursor.fetchone()[0] > MOST_KEYS:
            return None
        each = sql.SQL(" UNION ALL ").join(
            sql.SQL("SELECT count(*) AS n FROM ({}) rows").format(
                concerned(
                    flow,
                    share,
                    sql.SQL("t.id IN (SELECT id FROM waiting WHERE kind = {})").format(
                        sql.Literal(share.kind.label)
                    ),
                )
            )
            for share in shares
        )
        cursor.execute(
            sql.SQL("WITH waiting AS MATERIALIZED ({}) SELECT sum(n) FROM ({}) counted").format(waiting, each)
        )
        return int(cursor.fetchone()[0])


def _waiting(stream: Stream) -> sql.Composed:
    """Return a query for the keys (kind, id) that wait in the owner's log, as left work, or parked."""
    parts = [
        sql.SQL("SELECT kind, unnest(keys) AS id FROM public.federation_streamwork WHERE stream_id = {}"),
        sql.SQL("SELECT kind, key FROM public.federation_parkedrow WHERE stream_id = {}"),
    ]
    queries = [part.format(sql.Literal(stream.pk)) for part in parts]
    if is_read(stream):
        queries.append(
            sql.SQL("SELECT kind, unnest(keys) FROM {}.mirror_log WHERE {}").format(
                schema_identifier(stream.owner.schema_name), Snapshot(str(stream.cursor)).is_past()
            )
        )
    return sql.SQL(" UNION ").join(queries)
