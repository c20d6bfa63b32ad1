"""Who may do what while the mirror works: two roles of PostgreSQL, with privileges drawn from the scope table.

The *advice* role can do what an agreement needs that shares only models: read what may leave of models
and reference data, write their mirrors, and keep the mirror's books. It has no privilege on any
client's table. The *mirror* role can besides do the same with all other kinds of the scope table.
Neither can read what never leaves, so that a mistake ends in "permission denied" and not in a leak.

Roles are the cluster's, so they are named after the owner of the database and serve all its databases;
what they may do is granted in each, goes with it, and is copied with it. Where the owner may neither
create nor use them, everything runs as the owner; ``shortcoming`` then says what to do.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from django.db import Error, connection, transaction
from psycopg import sql

from federation.mirror import references
from federation.models import Function
from federation.schemas import BLANK
from federation.scope import ALWAYS, KINDS, MANAGED, Kind, schema_identifier

# Django's connection, which knows its server.
_postgres: Any = connection


class Grant(NamedTuple):
    """One privilege of a role; ``column`` is empty for the whole object, ``object`` for the schema."""

    role: str
    object: str
    column: str
    privilege: str


@dataclass(frozen=True)
class Names:
    """The names of the two roles."""

    mirror: str
    advice: str


# What the mirror itself keeps: in each institution's schema, and once for all.
_OF_SCHEMAS = {
    "mirror_log": "SELECT INSERT",
    "django_content_type": "SELECT",
    "guardian_userobjectpermission": "SELECT DELETE",
    "guardian_groupobjectpermission": "SELECT DELETE",
}
_OF_PUBLIC = {
    "federation_agreement": "SELECT",
    "federation_agreementversion": "SELECT",
    "federation_institution": "SELECT",
    "federation_stream": "SELECT",
    "federation_streamwork": "SELECT INSERT DELETE",
    "federation_parkedrow": "SELECT INSERT UPDATE DELETE",
    "federation_arrival": "INSERT",
    "federation_sealedrecords": "SELECT",
    "federation_sealedkeys": "SELECT INSERT",
    "federation_recordshold": "SELECT",
    "federation_wake": "INSERT",
    "federation_bell": "SELECT",
    "federation_sharedsecurity": "SELECT INSERT",
    "federation_sharedcurrency": "SELECT INSERT",
}


def is_client_free(kind: Kind) -> bool:
    """Say whether rows of a kind tell nothing of any client: models, and reference data."""
    return kind.function in {None, Function.MODELS}


def shares_only_models(private: Iterable[str]) -> bool:
    """Say whether an agreement that keeps these functions private is an exchange of advice."""
    return set(Function) - {Function.MODELS} <= set(private)


def names() -> Names:
    """Return the names of the roles, whether they are there or not."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_get_userbyid(datdba) FROM pg_catalog.pg_database WHERE datname = current_database()"
        )
        owner = cursor.fetchone()[0]
    # Names in PostgreSQL hold 63 bytes.
    return Names(f"{owner[:56]}_mirror", f"{owner[:56]}_advice")


def usable() -> Names | None:
    """Return the roles if this user may take them on in this database, else None."""
    roles = names()
    with connection.cursor() as cursor:
        # Being a member was enough before PostgreSQL 16 told the two apart.
        may = "SET" if _postgres.pg_version >= 160_000 else "MEMBER"
        cursor.execute(
            "SELECT count(*) FROM pg_catalog.pg_roles WHERE rolname IN (%s, %s) AND pg_has_role(oid, %s)",
            [roles.mirror, roles.advice, may],
        )
        return roles if cursor.fetchone()[0] == 2 else None


def shortcoming() -> str | None:
    """Return in a sentence what keeps the mirror from using roles of its own; None where nothing does."""
    if usable() is not None:
        return None
    roles = names()
    return (
        f"The mirror runs with all privileges of the platform's role, which may not use the roles {roles.mirror}"
        f" and {roles.advice}: have an administrator of the server create and grant them"
        " (README.md, Run it in production), then run check_mirror --repair."
    )


def prepare() -> None:
    """Make the roles where the platform's role may, and grant what they need of the public schema."""
    if usable() is None:
        _create(names())
    roles = usable()
    references.install(roles.advice if roles else None)
    install("public")


def _create(roles: Names) -> None:
    # Members before PostgreSQL 16 inherit what their own attribute says.
    only_set = sql.SQL(" WITH INHERIT FALSE, SET TRUE" if _postgres.pg_version >= 160_000 else "")
    mirror, advice = sql.Identifier(roles.mirror), sql.Identifier(roles.advice)
    steps = [
        sql.SQL("CREATE ROLE {} NOLOGIN").format(advice),
        sql.SQL("CREATE ROLE {} NOLOGIN").format(mirror),
        # The one holds what both may, so that it is granted once.
        sql.SQL("GRANT {} TO {}").format(advice, mirror),
        sql.SQL("GRANT {}, {} TO CURRENT_USER").format(mirror, advice) + only_set,
    ]
    for step in steps:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(step)
        except Error:
            # There already, made at the same time for another database, or not allowed:
            # `usable` says which.
            continue


@cache
def _wanted(schema_is_public: bool) -> frozenset[tuple[bool, str, str, str]]:
    """Return (whether without clients, object, column, privilege) for everything that is granted in a schema."""
    objects = _OF_PUBLIC if schema_is_public else _OF_SCHEMAS
    found = {(True, name, "", privilege) for name, text in objects.items() for privilege in text.split()}
    found.add((True, "", "", "USAGE"))
    if not schema_is_public:
        for kind in KINDS:
            free = is_client_free(kind)
            found |= {(free, kind.table, "", privilege) for privilege in ("INSERT", "UPDATE", "DELETE")}
            found |= {(free, kind.table, column, "SELECT") for column in _readable(kind)}
    return frozenset(found)


def _readable(kind: Kind) -> list[str]:
    """Return the columns of a kind that may be read: all that may leave; [""] where nothing stays."""
    may_leave = {kind.column(name) for name in (*ALWAYS, *MANAGED, *kind.shared_fields)}
    everything = {str(field.column) for field in kind.model._meta.concrete_fields}
    return [""] if may_leave == everything else sorted(may_leave)


def digest() -> str:
    """Return a short name of everything that is granted in an institution's schema, to notice when it changes."""
    return hashlib.sha256(repr(sorted(_wanted(False))).encode()).hexdigest()[:8]


def _expected(schema: str, roles: Names) -> set[Grant]:
    return {
        Grant(roles.advice if free else roles.mirror, name, column, privilege)
        for free, name, column, privilege in _wanted(schema == "public")
    }


def _existing(cursor: Any, schema: str, roles: Names) -> set[Grant]:
    """Return what the roles have been granted in a schema, on whatever is in it."""
    cursor.execute(
        """
        WITH n AS (SELECT oid, nspacl FROM pg_catalog.pg_namespace WHERE nspname = %s),
        -- What depends on the schema: indexes lead there, however many schemas there are and
        -- whatever the planner has heard of them.
        c AS MATERIALIZED (
            SELECT c.oid, relname, relacl FROM pg_catalog.pg_class c WHERE c.oid = ANY(ARRAY(
                SELECT d.objid FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_class'::regclass
                    AND d.refclassid = 'pg_namespace'::regclass AND d.refobjid = (SELECT oid FROM n)
            ))
        ),
        granted AS (
            SELECT '' AS object, '' AS column, acl.* FROM n, aclexplode(nspacl) acl
            UNION ALL
            SELECT relname, '', acl.* FROM c, aclexplode(relacl) acl
            UNION ALL
            SELECT relname, attname, acl.* FROM c
            JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND NOT attisdropped, aclexplode(attacl) acl
        )
        SELECT rolname, object, "column", privilege_type FROM granted
        JOIN pg_catalog.pg_roles r ON r.oid = grantee WHERE rolname IN (%s, %s)
        """,
        [schema, roles.mirror, roles.advice],
    )
    return {Grant(*row) for row in cursor.fetchall()}


def differences(schema: str) -> list[str]:
    """Return in sentences what the roles may do in a schema beyond or short of what they should."""
    roles = usable()
    if roles is None:
        return []
    with connection.cursor() as cursor:
        expected, existing = _expected(schema, roles), _existing(cursor, schema, roles)
    return [
        f"{'.'.join(filter(None, (schema, grant.object, grant.column)))}: {grant.role} {verb} {grant.privilege}"
        for verb, grants in (("lacks", expected - existing), ("has", existing - expected))
        for grant in sorted(grants)
    ]


def install(schema: str) -> bool:
    """Bring what the roles may do in a schema in line with the scope table; say whether anything was to do."""
    roles = usable()
    # Nothing is applied in the blank schema, and copying privileges takes longer than granting them.
    if roles is None or schema == BLANK:
        return False
    with connection.cursor() as cursor:
        expected, existing = _expected(schema, roles), _existing(cursor, schema, roles)
        if expected == existing:
            return False
        there = _columns(cursor, schema)
        # An app that is migrated later has no table yet; its migration comes by here again.
        missing = {grant for grant in expected - existing if (grant.object, grant.column) in there}
        statements = [
            *_statements("REVOKE {} ON {} FROM {};", schema, existing - expected),
            *_statements("GRANT {} ON {} TO {};", schema, missing),
        ]
        if statements:
            cursor.execute(sql.SQL("\n").join(statements))
        return bool(statements)


def _columns(cursor: Any, schema: str) -> set[tuple[str, str]]:
    """Return the tables and sequences of a schema and their columns, the schema itself as ("", "")."""
    cursor.execute(
        """
        SELECT c.relname, a.attname FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE c.relkind IN ('r', 'S') AND c.oid = ANY(ARRAY(
            SELECT d.objid FROM pg_catalog.pg_depend d
            WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_namespace'::regclass
                AND d.refobjid = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = %s)
        ))
        """,
        [schema],
    )
    columns = set(cursor.fetchall())
    return columns | {(table, "") for table, _column in columns} | {("", "")}


def _statements(text: str, schema: str, grants: set[Grant]) -> Iterator[sql.Composed]:
    """Return one statement for each role and object."""
    name = sql.Identifier("public") if schema == "public" else schema_identifier(schema)
    by_object: dict[tuple[str, str], dict[str, list[str]]] = {}
    for grant in sorted(grants):
        columns = by_object.setdefault((grant.role, grant.object), {}).setdefault(grant.privilege, [])
        columns.extend(filter(None, [grant.column]))
    for (role, of), privileges in by_object.items():
        what = sql.SQL(", ").join(
            sql.SQL(privilege)
            + (
                sql.SQL(" ({})").format(sql.SQL(", ").join(map(sql.Identifier, columns)))
                if columns
                else sql.SQL("")
            )
            for privilege, columns in privileges.items()
        )
        where = sql.SQL("TABLE {}.{}").format(name, sql.Identifier(of)) if of else sql.SQL("SCHEMA ") + name
        yield sql.SQL(text).format(what, where, sql.Identifier(role))
