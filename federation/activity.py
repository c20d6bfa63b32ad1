"""Which institutions have had something to do lately: read from the server's own counters, not from their tables.

Some tasks come every few minutes: they settle what is due, release orders, send again what a message
was lost for. Asking thousands of institutions each time whether they have any of that costs more than
all that is ever done. PostgreSQL counts the writes to every table; who has had none to the tables of
these tasks for a week is left to the round that goes to everybody once a day.
"""

import time
from typing import Any

import redis
from django.conf import settings
from django.db import connection

from accounts.models import ApiRequest
from federation.models import Institution
from reporting.models import Report
from trading.models import Block, Order, Settlement

# Longer than markets close over holidays, so that no waiting order is forgotten.
ACTIVE_SECONDS = 7 * 86_400
_LOOKED_AT = [model._meta.db_table for model in (ApiRequest, Block, Order, Report, Settlement)]
_KEY = "institutions:activity"


def active_institutions() -> list[str]:
    """Return the schemas in which any of the tables that frequent tasks look at was written to within a week."""
    client: Any = redis.Redis.from_url(settings.REDIS_URL, decode_responses=True)
    now = int(time.time())
    known = {schema: noted.split() for schema, noted in client.hgetall(_KEY).items()}
    active, changed = [], {}
    hosted = set(Institution.objects.values_list("schema_name", flat=True))
    for schema, writes in _writes():
        if schema not in hosted:
            continue
        before, since = known.get(schema, ("0", "0"))
        # Also fewer than before: a server that crashed has begun to count anew.
        if str(writes) != before:
            since = str(now)
            changed[schema] = f"{writes} {since}"
        if now - int(since) < ACTIVE_SECONDS:
            active.append(schema)
    if changed:
        client.hset(_KEY, mapping=changed)
    return sorted(active)


def _writes() -> list[tuple[str, int]]:
    """Return how many rows of these tables were written since the server began to count, by schema."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT n.nspname, sum(pg_stat_get_tuples_inserted(c.oid) + pg_stat_get_tuples_updated(c.oid)
                + pg_stat_get_tuples_deleted(c.oid))::bigint
            FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relname = ANY(%s) AND c.relkind = 'r' GROUP BY n.nspname
            """,
            [_LOOKED_AT],
        )
        return list(cursor.fetchall())
