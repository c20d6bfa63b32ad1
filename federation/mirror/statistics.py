"""What the server knows of tables that many rows have just come into."""

from collections.abc import Collection
from typing import Any

from psycopg import sql

from federation.scope import Flow, by_label

# Up to so many rows it does not matter how a table is read.
MANY = 100


def gather(cursor: Any, flow: Flow, labels: Collection[str]) -> None:
    """Have the server look at tables of these kinds, at both parties, that it has never looked at.

    Knowing nothing, it expects the conditions of the scope to leave no more than a row, and compares each mandate with
    each portfolio to find what one edit concerns. Of itself it looks minutes later. Call it as the login, who owns them.
    """
    cursor.execute(
        "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = ANY(%s) AND c.relname = ANY(%s) AND c.relkind = 'r' AND c.reltuples < 0",
        [
            [flow.owner.schema_name, flow.receiver.schema_name],
            [by_label()[label].table for label in sorted(labels)],
        ],
    )
    for schema, table in cursor.fetchall():
        # Who holds it, as autovacuum may, looks at it already.
        cursor.execute(
            sql.SQL("ANALYZE (SKIP_LOCKED) {}.{}").format(sql.Identifier(schema), sql.Identifier(table))
        )
