"""Which rows still name a row: asked by the mirror, answered with ids only.

Rows of any table may name a row that is to leave, also those of private tables, which the mirror's
roles cannot read. One function with its owner's privileges answers for all schemas: of the ids that
it is given, those that rows of the same schema name by a foreign key.
"""

from django.db import connection
from psycopg import sql

# Bump it when the text below changes, so that `install` replaces what is there.
_VERSION = "2"

_SIGNATURE = "public.mirror_named(regclass, uuid[], boolean)"
_NAMED = """
CREATE OR REPLACE FUNCTION public.mirror_named(named regclass, ids uuid[], only_own boolean)
RETURNS SETOF uuid LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $named$
DECLARE
    reference record;
    which text;
BEGIN
    FOR reference IN
        SELECT c.conrelid, c.conrelid::regclass AS referencing, a.attname, EXISTS (
            SELECT FROM pg_attribute o WHERE o.attrelid = c.conrelid AND o.attname = 'origin' AND NOT o.attisdropped
        ) AS is_record
        FROM pg_depend d JOIN pg_constraint c ON c.oid = d.objid
        JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
        -- Temporary ones are whoever's asks: with rules of their own, which this must not run.
        JOIN pg_class r ON r.oid = c.conrelid AND r.relpersistence <> 't'
        -- By what depends on the table: constraints have no index by the table that they name.
        WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = named AND d.classid = 'pg_constraint'::regclass
        AND c.contype = 'f' AND c.confrelid = named
        GROUP BY c.oid, c.conrelid, a.attname
    LOOP
        which := '';
        IF only_own AND reference.is_record THEN
            which := ' AND c.origin IS NULL';
        END IF;
        IF reference.conrelid = named THEN
            -- What leaves together does not keep itself.
            which := which || ' AND NOT EXISTS (SELECT FROM unnest($1) gone WHERE gone = c.id)';
        END IF;
        RETURN QUERY EXECUTE format(
            'SELECT asked FROM unnest($1) asked WHERE EXISTS (SELECT FROM %s c WHERE c.%I = asked%s)',
            reference.referencing, reference.attname, which
        ) USING ids;
    END LOOP;
END
$named$;
REVOKE EXECUTE ON FUNCTION {signature} FROM PUBLIC;
COMMENT ON FUNCTION {signature} IS {version};
"""


def install(role: str | None) -> None:
    """Bring the function in line with this code, and let ``role`` call it."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT obj_description(to_regprocedure('{_SIGNATURE}'), 'pg_proc')")
        if cursor.fetchone()[0] != _VERSION:
            cursor.execute(
                sql.SQL(_NAMED).format(signature=sql.SQL(_SIGNATURE), version=sql.Literal(_VERSION))
            )
        if role is not None:
            cursor.execute("SELECT has_function_privilege(%s, %s, 'EXECUTE')", [role, _SIGNATURE])
            if not cursor.fetchone()[0]:
                cursor.execute(
                    sql.SQL("GRANT EXECUTE ON FUNCTION {} TO {}").format(
                        sql.SQL(_SIGNATURE), sql.Identifier(role)
                    )
                )


def named(schema: sql.Identifier, table: str, ids: sql.Composable, *, only_own: bool = False) -> sql.Composed:
    """Return the expression for those of ``ids``, an array, that other rows of the schema name."""
    of = sql.SQL("{}.{}").format(schema, sql.Identifier(table)).as_string()
    return sql.SQL("public.mirror_named({}::regclass, {}, {})").format(
        sql.Literal(of), ids, sql.Literal(only_own)
    )
