"""The statements that make a schema like another one: read from the catalog, replayed under another name.

A general copier asks the catalog anew for every table, and more slowly the more schemas there are. Here
a few queries read everything, however many schemas there are, and what follows is plain DDL. What the
mirror keeps in a schema is left out: `federation.mirror.capture` installs it.
"""

from typing import Any

from django.db import connection, transaction
from psycopg import sql

# Every query gives (name, statement); names in the statements are found by the search path. Each catalog is
# asked for the relations by themselves, so that an index leads there whatever the planner has heard of it.
_SEQUENCES = """
SELECT c.relname, format('CREATE SEQUENCE %%I AS %%s START %%s INCREMENT %%s MINVALUE %%s MAXVALUE %%s CACHE %%s%%s',
    c.relname, format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache,
    CASE WHEN s.seqcycle THEN ' CYCLE' ELSE '' END)
FROM pg_class c JOIN pg_sequence s ON s.seqrelid = c.oid
WHERE c.oid = ANY(%(relations)s) AND s.seqrelid = ANY(%(relations)s)
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'i')
ORDER BY c.relname
"""

_COLUMNS = """
SELECT c.relname, string_agg(
    format('%%I %%s', a.attname, format_type(a.atttypid, a.atttypmod))
    || CASE WHEN a.attcollation <> t.typcollation THEN format(' COLLATE %%I.%%I', n.nspname, l.collname) ELSE '' END
    || CASE
        WHEN a.attidentity <> '' THEN format(' GENERATED %%s AS IDENTITY (SEQUENCE NAME %%I)',
            CASE a.attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END,
            (SELECT s.relname FROM pg_depend i JOIN pg_class s ON s.oid = i.objid
                WHERE i.classid = 'pg_class'::regclass AND i.refclassid = 'pg_class'::regclass
                AND i.refobjid = c.oid AND i.refobjsubid = a.attnum AND i.deptype = 'i'))
        WHEN a.attgenerated <> '' THEN format(' GENERATED ALWAYS AS (%%s) %%s', pg_get_expr(d.adbin, d.adrelid),
            CASE a.attgenerated WHEN 's' THEN 'STORED' ELSE 'VIRTUAL' END)
        WHEN d.adbin IS NOT NULL THEN ' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid)
        ELSE '' END
    || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END, E',\\n' ORDER BY a.attnum),
    c.relpersistence = 'u', array_to_string(c.reloptions, ', '), pg_relation_size(c.oid) > 0
FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
LEFT JOIN pg_collation l ON l.oid = a.attcollation
LEFT JOIN pg_namespace n ON n.oid = l.collnamespace
WHERE c.oid = ANY(%(relations)s) AND a.attrelid = ANY(%(relations)s) AND c.relkind = 'r'
GROUP BY c.oid ORDER BY c.relname
"""

_CONSTRAINTS = """
SELECT c.relname, format('CONSTRAINT %%I %%s', k.conname, pg_get_constraintdef(k.oid)),
    CASE WHEN k.contype = 'f' AND k.confrelid <> k.conrelid THEN f.relname END
FROM pg_class c
JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype IN ('p', 'u', 'c', 'x', 'f')
LEFT JOIN pg_class f ON f.oid = k.confrelid AND f.relnamespace = c.relnamespace
WHERE c.oid = ANY(%(relations)s) AND k.conrelid = ANY(%(relations)s)
ORDER BY c.relname, k.contype = 'f', k.contype <> 'p', k.conname
"""

_INDEXES = """
SELECT c.relname, pg_get_indexdef(i.indexrelid, 0, true)
FROM pg_class c
JOIN pg_index i ON i.indrelid = c.oid
WHERE c.oid = ANY(%(relations)s) AND i.indrelid = ANY(%(relations)s) AND c.relkind = 'r'
    AND i.indexrelid <> ALL(ARRAY(SELECT k.conindid FROM pg_constraint k
        WHERE k.conrelid = ANY(%(relations)s) AND k.contype IN ('p', 'u', 'x')))
ORDER BY c.relname, i.indexrelid
"""

_FUNCTIONS = """
SELECT p.proname, replace(pg_get_functiondef(p.oid), format(' FUNCTION %%I.', n.nspname), ' FUNCTION ')
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE p.oid = ANY(%(functions)s)
ORDER BY p.proname
"""

_TRIGGERS = """
SELECT c.relname, pg_get_triggerdef(t.oid, true)
FROM pg_class c
JOIN pg_trigger t ON t.tgrelid = c.oid AND NOT t.tgisinternal
WHERE c.oid = ANY(%(relations)s) AND t.tgrelid = ANY(%(relations)s) AND t.tgname NOT LIKE 'mirror\\_%%'
ORDER BY c.relname, t.tgname
"""

_NUMBERS = """
SELECT relname, format('SELECT setval(%%L, %%s)', quote_ident(relname), last) FROM (
    SELECT c.relname, CASE WHEN c.relkind = 'S' THEN pg_sequence_last_value(c.oid) END AS last
    FROM pg_class c WHERE c.oid = ANY(%(relations)s)
) sequence WHERE last IS NOT NULL ORDER BY relname
"""

# What is in a schema, by an index: the columns that name the schema have none that begins with them.
_CONTENTS = """
SELECT coalesce(array_agg(c.oid) FILTER (WHERE c.relname NOT LIKE 'mirror\\_%%'), '{}'),
    coalesce(array_agg(p.oid) FILTER (WHERE p.proname NOT LIKE 'mirror\\_%%'), '{}')
FROM pg_depend d
LEFT JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
LEFT JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = %(schema)s::regnamespace
"""


def replay(source: str, target: str) -> None:
    """Create the schema ``target`` with tables, constraints, functions, triggers and rows like those of ``source``."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SHOW search_path")
        before = cursor.fetchone()[0]
        statements = _read(cursor, source)
        name = sql.Identifier(target)
        cursor.execute(
            sql.SQL(
                "CREATE SCHEMA {name}; SET LOCAL search_path = {name}; SET LOCAL check_function_bodies = off"
            ).format(name=name)
        )
        # One message for all: without parameters, PostgreSQL takes many statements at once.
        cursor.execute(sql.SQL(";\n".join(statements)))
        # The transaction may go on with something else.
        cursor.execute(
            "SELECT set_config('check_function_bodies', 'on', true), set_config('search_path', %s, true)",
            [before],
        )


def _read(cursor: Any, source: str) -> list[str]:
    """Return the statements in the order in which they can run."""
    # Names of the schema itself come without it, all others with theirs.
    cursor.execute(sql.SQL("SET LOCAL search_path = {}").format(sql.Identifier(source)))

    cursor.execute(_CONTENTS, {"schema": _quoted(source)})
    relations, functions = cursor.fetchone()

    def ask(query: str) -> list[tuple[Any, ...]]:
        cursor.execute(query, {"relations": relations, "functions": functions})
        return list(cursor.fetchall())

    tables = {name: rest for name, *rest in ask(_COLUMNS)}
    constraints: dict[str, list[tuple[str, str | None]]] = {name: [] for name in tables}
    for table, definition, refers_to in ask(_CONSTRAINTS):
        constraints[table].append((definition, refers_to))
    order = _parents_first({table: {to for _, to in found if to} for table, found in constraints.items()})
    statements = [statement for _, statement in ask(_SEQUENCES)] + [text for _, text in ask(_FUNCTIONS)]
    later, filled, made = [], [], set()
    for table in order:
        columns, is_unlogged, options, has_rows = tables[table]
        parts = [columns]
        made.add(table)
        for definition, refers_to in constraints[table]:
            # As part of its table a foreign key need not be checked.
            if refers_to is None or refers_to in made:
                parts.append(definition)
            else:
                later.append(f"ALTER TABLE {_quoted(table)} ADD {definition}")
        statements.append(
            f"CREATE {'UNLOGGED ' if is_unlogged else ''}TABLE {_quoted(table)} (\n"
            + ",\n".join(parts)
            + (f"\n) WITH ({options})" if options else "\n)")
        )
        if has_rows:
            filled.append(
                sql.SQL("INSERT INTO {} OVERRIDING SYSTEM VALUE SELECT * FROM {}")
                .format(sql.Identifier(table), sql.Identifier(source, table))
                .as_string(None)
            )
    return [
        *statements,
        *[text for _, text in ask(_INDEXES)],
        *later,
        *filled,
        *[text for _, text in ask(_NUMBERS)],
        *[text for _, text in ask(_TRIGGERS)],
        # Rows were written in this transaction: their checks must not be left to whoever commits.
        "SET CONSTRAINTS ALL IMMEDIATE",
    ]


def _parents_first(parents: dict[str, set[str]]) -> list[str]:
    """Return the tables so that each comes after those it refers to, as far as there is no circle."""
    order: dict[str, None] = {}

    def visit(table: str, path: frozenset[str]) -> None:
        if table in order or table in path:
            return
        for parent in sorted(parents[table]):
            visit(parent, path | {table})
        order[table] = None

    for table in sorted(parents):
        visit(table, frozenset())
    return list(order)


def _quoted(name: str) -> str:
    return sql.Identifier(name).as_string(None)
