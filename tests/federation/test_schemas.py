"""A new institution's schema is the blank one in everything but its name."""

import re

import pytest
from django.db import connection

from federation.models import Institution
from federation.schemas import BLANK

# What a schema is made of. Names of NOT NULL constraints follow from the columns.
QUERIES = {
    "columns": """
        SELECT c.relname, c.relkind::text, c.relpersistence::text, coalesce(c.reloptions::text, ''), a.attname,
            format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity::text, a.attgenerated::text,
            coalesce(pg_get_expr(d.adbin, d.adrelid), ''), a.attcollation, a.attstorage::text, a.attcompression::text
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE c.relnamespace = %(schema)s::regnamespace""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, contype::text, pg_get_constraintdef(oid), convalidated
        FROM pg_constraint WHERE connamespace = %(schema)s::regnamespace AND contype <> 'n'""",
    "indexes": "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = %(schema)s",
    "triggers": """
        SELECT tgrelid::regclass::text, tgname, pg_get_triggerdef(t.oid), tgenabled::text
        FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
        WHERE relnamespace = %(schema)s::regnamespace AND NOT tgisinternal""",
    "functions": """
        SELECT proname, pg_get_functiondef(oid), coalesce(obj_description(oid, 'pg_proc'), '')
        FROM pg_proc WHERE pronamespace = %(schema)s::regnamespace""",
    "sequences": """
        SELECT sequencename, data_type::text, start_value, min_value, max_value, increment_by, cycle, cache_size,
            last_value
        FROM pg_sequences WHERE schemaname = %(schema)s AND sequencename <> 'mirror_log_id_seq'""",
    "owned sequences": """
        SELECT s.relname, t.relname, d.refobjsubid::int FROM pg_depend d
        JOIN pg_class s ON s.oid = d.objid JOIN pg_class t ON t.oid = d.refobjid
        WHERE d.deptype IN ('i', 'a') AND s.relkind = 'S' AND s.relnamespace = %(schema)s::regnamespace""",
    "kinds of objects that are not copied": """
        SELECT c.relname FROM pg_class c WHERE c.relnamespace = %(schema)s::regnamespace AND c.relkind NOT IN ('r', 'i', 'S')
        UNION ALL SELECT typname FROM pg_type WHERE typnamespace = %(schema)s::regnamespace AND typtype IN ('e', 'd')
        UNION ALL SELECT polname FROM pg_policy JOIN pg_class c ON c.oid = polrelid
            WHERE c.relnamespace = %(schema)s::regnamespace""",
}


def read(what: str, schema: str) -> list[str]:
    """Return what a schema has of a kind of QUERIES, without its name."""
    with connection.cursor() as cursor:
        cursor.execute(QUERIES[what], {"schema": schema})
        # A condition that is read again comes with its casts elsewhere: (a, b)::text[] or (a::text, b::text).
        return sorted(
            re.sub(r"::(character varying|text)(\[\])?|[()]", "", str(row)).replace(schema, "…")
            for row in cursor.fetchall()
        )


@pytest.fixture
def fresh_copy(db: None) -> str:
    Institution(schema_name="quay", name="Quay Bank", short_name="Quay").save(verbosity=0)
    return "quay"


def test_a_copy_differs_from_the_blank_schema_in_nothing(fresh_copy: str) -> None:
    for what in QUERIES:
        assert read(what, fresh_copy) == read(what, BLANK), what
    assert read("kinds of objects that are not copied", BLANK) == []


def test_a_copy_has_the_rows_of_the_migrations(fresh_copy: str) -> None:
    with connection.cursor() as cursor:
        for table in ("django_migrations", "django_content_type", "auth_permission"):
            cursor.execute(
                f"SELECT count(*), md5(string_agg(t::text, '' ORDER BY id)) FROM {BLANK}.{table} t"
            )
            expected = cursor.fetchone()
            cursor.execute(
                f"SELECT count(*), md5(string_agg(t::text, '' ORDER BY id)) FROM {fresh_copy}.{table} t"
            )
            assert cursor.fetchone() == expected
            assert expected[0] > 0
