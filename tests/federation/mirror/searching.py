"""All that an institution holds, as text, to search it for what it must not know."""

import uuid
from collections.abc import Collection

from django.db import connection
from psycopg import sql

# In public, of an agreement: what its streams left, were refused, and told of.
_OF_STREAMS = ("federation_parkedrow", "federation_streamwork")
_OF_AGREEMENTS = ("federation_arrival", "federation_agreementevent", "federation_stream")


def held_in(schema: str, agreements: Collection[uuid.UUID] = ()) -> str:
    """Return all rows of a schema's tables, its log among them, and what is kept in public of these agreements."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = %s AND c.relkind = 'r' AND pg_relation_size(c.oid) > 0",
            [schema],
        )
        tables = [(sql.Identifier(schema, table), sql.SQL("true")) for (table,) in cursor.fetchall()]
        ours = sql.SQL("t.agreement_id = ANY ({})").format(sql.Literal(list(agreements)))
        streams = sql.SQL("t.stream_id IN (SELECT id FROM public.federation_stream t WHERE {})").format(ours)
        tables += [(sql.Identifier("public", table), streams) for table in _OF_STREAMS]
        tables += [(sql.Identifier("public", table), ours) for table in _OF_AGREEMENTS]
        query = sql.SQL(" UNION ALL ").join(
            sql.SQL("SELECT string_agg(t::text, E'\\n') FROM {} t WHERE {}").format(table, where)
            for table, where in tables
        )
        cursor.execute(query)
        return "\n".join(text for (text,) in cursor.fetchall() if text)
