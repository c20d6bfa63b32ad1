"""Capture in each institution's schema: which rows changed, by statement-level triggers.

One function per schema serves all its tables. It also guards received rows: whoever is not the
mirror cannot change them, by whatever means. While the mirror applies, the triggers do not fire
(``session_replication_role = replica``), or return at once where that setting is not granted: they
know the mirror by its role, or by a setting of its own where it can have no role.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.db import connection
from psycopg import sql

from federation.mirror import roles
from federation.scope import KINDS, schema_identifier

INSERTED, UPDATED, DELETED = 1, 2, 4
ANYTHING = INSERTED | UPDATED | DELETED

# Bump it when the text below changes, so that `install` replaces what is there.
_VERSION = "4"

_OBJECTS = """
CREATE TABLE IF NOT EXISTS {schema}.mirror_log (
    id bigint GENERATED ALWAYS AS IDENTITY,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    kind text NOT NULL,
    operation smallint NOT NULL,
    keys uuid[] NOT NULL
);
ALTER TABLE {schema}.mirror_log ALTER COLUMN keys SET STORAGE EXTERNAL;
CREATE INDEX IF NOT EXISTS mirror_log_xid ON {schema}.mirror_log (xid);
-- A sequence, since its value is seen at once by every transaction, whatever its snapshot.
CREATE SEQUENCE IF NOT EXISTS {schema}.mirror_switch;
CREATE OR REPLACE FUNCTION {schema}.mirror_capture() RETURNS trigger LANGUAGE plpgsql AS $capture$
DECLARE
    changed uuid[];
    former uuid[];
    received boolean;
    is_logged boolean;
    operation smallint;
    woken text;
    is_heard boolean;
BEGIN
    IF {is_mirror} THEN
        RETURN NULL;
    END IF;
    -- What has to be known is asked for at once: each statement costs more here than what it reads.
    IF TG_OP = 'INSERT' THEN
        operation := 1;
        SELECT array_agg(id), bool_or(origin IS NOT NULL), (SELECT is_called FROM {schema}.mirror_switch)
            INTO changed, received, is_logged FROM new_rows;
    ELSIF TG_OP = 'UPDATE' THEN
        operation := 2;
        SELECT array_agg(id) FILTER (WHERE is_new), array_agg(id) FILTER (WHERE NOT is_new),
            bool_or(origin IS NOT NULL), (SELECT is_called FROM {schema}.mirror_switch)
            INTO changed, former, received, is_logged
            FROM (SELECT id, origin, true AS is_new FROM new_rows
                UNION ALL SELECT id, origin, false FROM old_rows) states;
    ELSIF TG_OP = 'DELETE' THEN
        operation := 4;
        SELECT array_agg(id), bool_or(origin IS NOT NULL), (SELECT is_called FROM {schema}.mirror_switch)
            INTO changed, received, is_logged FROM old_rows;
    ELSE
        operation := 4;
        EXECUTE pg_catalog.format('SELECT array_agg(id), bool_or(origin IS NOT NULL) FROM %I.%I',
            TG_TABLE_SCHEMA, TG_TABLE_NAME) INTO changed, received;
        is_logged := (SELECT is_called FROM {schema}.mirror_switch);
    END IF;
    IF received THEN
        RAISE EXCEPTION 'received rows are read-only: their owner changes them'
            USING ERRCODE = 'insufficient_privilege', SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME;
    END IF;
    IF changed IS NULL OR NOT is_logged THEN
        RETURN NULL;
    END IF;
    INSERT INTO {schema}.mirror_log (kind, operation, keys) VALUES (TG_ARGV[0], operation, changed);
    -- A changed key is a row that went and another that came.
    IF former <> changed THEN
        INSERT INTO {schema}.mirror_log (kind, operation, keys) VALUES (TG_ARGV[0], 7, former || changed);
    END IF;
    -- Once in a transaction: the setting ends with it, and with the savepoint that the wake goes with.
    IF pg_catalog.current_setting('roboblock.woken', true) IS DISTINCT FROM {name} THEN
        INSERT INTO public.federation_wake (schema_name) VALUES ({name});
        SELECT pg_catalog.set_config('roboblock.woken', {name}, true), is_called
            INTO woken, is_heard FROM public.federation_bell;
        IF is_heard THEN
            PERFORM pg_catalog.pg_notify('federation_wake', '');
        END IF;
    END IF;
    RETURN NULL;
END
$capture$;
COMMENT ON FUNCTION {schema}.mirror_capture() IS {version};
"""

# name → when it fires, and the transition tables it sees
_TRIGGERS = {
    "mirror_insert": ("AFTER INSERT", "REFERENCING NEW TABLE AS new_rows"),
    "mirror_update": ("AFTER UPDATE", "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows"),
    "mirror_delete": ("AFTER DELETE", "REFERENCING OLD TABLE AS old_rows"),
    "mirror_truncate": ("BEFORE TRUNCATE", ""),
}


@dataclass(frozen=True)
class Difference:
    """A trigger that is not as the scope table wants it: missing, disabled, changed or left over."""

    schema: str
    table: str
    trigger: str
    problem: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.table}: {self.trigger} is {self.problem}"


def _expected() -> dict[tuple[str, str], str]:
    """Return (table, trigger) → the kind it logs."""
    return {(kind.table, name): kind.label for kind in KINDS for name in _TRIGGERS}


def _existing(cursor: Any, schema: str) -> dict[tuple[str, str], tuple[str, str]]:
    """Return (table, trigger) → (the kind it logs, whether it is enabled) as the database has it."""
    cursor.execute(
        # By what depends on the function: indexes lead there, however many schemas there are and
        # whatever the planner has heard of them.
        """
        SELECT c.relname, t.tgname, encode(t.tgargs, 'escape'), t.tgenabled
        FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
        WHERE t.oid = ANY(ARRAY(
            SELECT d.objid FROM pg_catalog.pg_depend d
            WHERE d.classid = 'pg_catalog.pg_trigger'::regclass
                AND d.refclassid = 'pg_catalog.pg_proc'::regclass AND d.refobjid = (
                    SELECT p.oid FROM pg_catalog.pg_proc p WHERE p.proname = 'mirror_capture'
                    AND p.pronamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = %s)
                )
        ))
        """,
        [schema],
    )
    return {
        (table, trigger): (arguments.removesuffix("\\000"), enabled)
        for table, trigger, arguments, enabled in cursor.fetchall()
    }


def _tables(cursor: Any, schema: str) -> set[str]:
    """Return those tables of the scope table that a schema has, and its log."""
    cursor.execute(
        "SELECT relname FROM pg_catalog.pg_class WHERE relname = ANY(%s)"
        " AND relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = %s)",
        [["mirror_log", *(kind.table for kind in KINDS)], schema],
    )
    return {row[0] for row in cursor.fetchall()}


def _mark(schema: str) -> str:
    """Return what a current function says of itself; a copy from another schema still says the other's name."""
    return f"{_edition()} of {schema}"


def _edition() -> str:
    """Return what a current function of any schema says of itself: its text, and the privileges beside it."""
    mirror = roles.usable()
    return _VERSION + (f" for {mirror.mirror} {roles.digest()}" if mirror else "")


def _is_mirror(mirror: roles.Names | None) -> sql.Composable:
    if mirror is None:
        return sql.SQL("current_setting('roboblock.mirror', true) = 'apply'")
    return sql.SQL("current_user IN ({}, {})").format(*map(sql.Literal, (mirror.mirror, mirror.advice)))


def _version(cursor: Any, schema: str) -> str | None:
    cursor.execute(
        """
        SELECT pg_catalog.obj_description(p.oid, 'pg_proc') FROM pg_catalog.pg_proc p
        JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname = %s AND p.proname = 'mirror_capture'
        """,
        [schema],
    )
    row = cursor.fetchone()
    return row[0] if row else None


def differences(schema: str) -> list[Difference]:
    """Return how the triggers of a schema differ from what the scope table wants."""
    with connection.cursor() as cursor:
        expected, existing = _expected(), _existing(cursor, schema)
        version = _version(cursor, schema)
    found = []
    if version != _mark(schema):
        found.append(
            Difference(schema, "*", "mirror_capture", "missing" if version is None else "out of date")
        )
    for (table, trigger), kind in expected.items():
        there = existing.get((table, trigger))
        if there is None:
            found.append(Difference(schema, table, trigger, "missing"))
        elif there[0] != kind:
            found.append(Difference(schema, table, trigger, "changed"))
        elif there[1] != "O":
            found.append(Difference(schema, table, trigger, "disabled"))
    found += [
        Difference(schema, table, trigger, "left over")
        for table, trigger in existing
        if (table, trigger) not in expected
    ]
    return found


def install(schema: str) -> None:
    """Bring log, function, triggers and privileges of a schema in line with the scope table."""
    name = schema_identifier(schema)
    with connection.cursor() as cursor:
        tables, mirror = _tables(cursor, schema), roles.usable()
        statements = []
        if _version(cursor, schema) != _mark(schema) or "mirror_log" not in tables:
            statements.append(
                sql.SQL(_OBJECTS).format(
                    schema=name,
                    name=sql.Literal(schema),
                    version=sql.Literal(_mark(schema)),
                    is_mirror=_is_mirror(mirror),
                )
            )
        expected, existing = _expected(), _existing(cursor, schema)
        for table, trigger in existing:
            if (table, trigger) not in expected:
                statements.append(
                    sql.SQL("DROP TRIGGER {} ON {};").format(
                        sql.Identifier(trigger), sql.Identifier(schema, table)
                    )
                )
        for (table, trigger), kind in expected.items():
            # An app that is migrated later has no table yet; its migration comes by here again.
            if table in tables and existing.get((table, trigger)) != (kind, "O"):
                statements.append(_create(schema, table, trigger, kind))
                if (table, trigger) in existing:
                    statements.append(
                        sql.SQL("ALTER TABLE {} ENABLE TRIGGER {};").format(
                            sql.Identifier(schema, table), sql.Identifier(trigger)
                        )
                    )
        if statements:
            cursor.execute(sql.SQL("\n").join(statements))
    roles.install(schema)


def _create(schema: str, table: str, trigger: str, kind: str) -> sql.Composed:
    when, referencing = _TRIGGERS[trigger]
    return sql.SQL(
        "CREATE OR REPLACE TRIGGER {trigger} {when} ON {table} {referencing} FOR EACH STATEMENT"
        " EXECUTE FUNCTION {function}({kind});"
    ).format(
        trigger=sql.Identifier(trigger),
        when=sql.SQL(when),
        table=sql.Identifier(schema, table),
        referencing=sql.SQL(referencing),
        function=sql.Identifier(schema, "mirror_capture"),
        kind=sql.Literal(kind),
    )


def switch(schema: str, *, on: bool) -> None:
    """Have the triggers of a schema log, or only guard; seen by every transaction from now on."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_catalog.setval(%s::regclass, 1, %s)", [f'"{schema}".mirror_switch', on])


def is_on(schema: str) -> bool:
    """Say whether the triggers of a schema log."""
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("SELECT is_called FROM {}.mirror_switch").format(schema_identifier(schema)))
        return bool(cursor.fetchone()[0])


def drifted(schemas: Collection[str]) -> list[str]:
    """Return those schemas whose log, function or triggers are not as the scope table wants them, by one query."""
    expected = sorted(f"{table} {trigger} {kind}" for (table, trigger), kind in _expected().items())
    edition = _edition()
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT n.nspname FROM pg_catalog.pg_namespace n
            LEFT JOIN (
                SELECT relnamespace, array_agg(what COLLATE "C" ORDER BY what COLLATE "C") AS triggers
                FROM (
                    SELECT c.relnamespace, format('%%s %%s %%s', c.relname, t.tgname,
                        rtrim(encode(t.tgargs, 'escape'), E'\\\\000')) AS what
                    FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
                    WHERE NOT t.tgisinternal AND t.tgname LIKE 'mirror\\_%%' AND t.tgenabled = 'O'
                ) trigger GROUP BY relnamespace
            ) there ON there.relnamespace = n.oid
            LEFT JOIN pg_catalog.pg_proc p ON p.pronamespace = n.oid AND p.proname = 'mirror_capture'
            WHERE n.nspname = ANY(%s) AND (
                there.triggers IS DISTINCT FROM %s
                OR pg_catalog.obj_description(p.oid, 'pg_proc') IS DISTINCT FROM format('%%s of %%s', %s::text, n.nspname)
                OR to_regclass(format('%%I.mirror_log', n.nspname)) IS NULL
            ) ORDER BY n.nspname
            """,
            [list(schemas), expected, edition],
        )
        return [row[0] for row in cursor.fetchall()]
