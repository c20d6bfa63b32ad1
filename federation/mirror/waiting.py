"""What waits of an owner's changes as far as an agreement shares it: asked through the scope.

The log holds the changes of other clients too: the receiver is to learn nothing of them, not even when.
"""

import datetime

from django.db import connection
from psycopg import sql

from federation.mirror.keys import Snapshot
from federation.models import Stream
from federation.scope import Flow, Share, schema_identifier

# Of more keys than these the scope is not asked: what is found among the first says enough.
MOST_KEYS = 20_000


def concerned(flow: Flow, share: Share, keys: sql.Composable) -> sql.Composed:
    """Return a query for those of the rows under a condition on ``t`` that are shared, or held by the receiver."""
    return sql.SQL(
        "SELECT t.id FROM {source}.{table} t WHERE {keys} AND {in_scope}"
        " UNION SELECT t.id FROM {target}.{table} t WHERE {keys} AND t.retired_at IS NULL"
        " AND t.origin = {owner} AND {received}"
    ).format(
        source=flow.source,
        target=flow.target,
        table=sql.Identifier(share.kind.table),
        keys=keys,
        in_scope=flow.in_scope(share.kind, "t"),
        owner=sql.Literal(flow.owner.pk),
        received=flow.received(share.kind, "t"),
    )


def waits_since(stream: Stream) -> datetime.datetime | None:
    """Return since when the oldest change has waited that concerns a stream that follows its log; None without any."""
    flow = Flow.of(stream.agreement, stream.agreement.side_of(stream.owner))
    shares = list(flow.shares.values())
    if not shares:
        return None
    changes = sql.SQL(
        "SELECT kind, unnest(keys) AS id, at FROM public.federation_streamwork WHERE stream_id = {stream}"
        " UNION ALL SELECT kind, unnest(keys), at FROM {schema}.mirror_log WHERE {past} AND kind = ANY({kinds})"
        " LIMIT {most}"
    ).format(
        stream=sql.Literal(stream.pk),
        schema=schema_identifier(stream.owner.schema_name),
        past=Snapshot(str(stream.cursor)).is_past(),
        kinds=sql.Literal([share.kind.label for share in shares]),
        most=sql.Literal(MOST_KEYS),
    )
    each = sql.SQL(" UNION ALL ").join(
        sql.SQL("SELECT min(w.at) AS at FROM waiting w WHERE w.kind = {kind} AND w.id IN ({rows})").format(
            kind=sql.Literal(share.kind.label),
            rows=concerned(
                flow,
                share,
                sql.SQL("t.id IN (SELECT id FROM waiting WHERE kind = {})").format(
                    sql.Literal(share.kind.label)
                ),
            ),
        )
        for share in shares
    )
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL("WITH waiting AS MATERIALIZED ({}) SELECT min(at) FROM ({}) oldest").format(changes, each)
        )
        found: datetime.datetime | None = cursor.fetchone()[0]
    return found
