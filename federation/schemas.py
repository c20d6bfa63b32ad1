"""Create an institution's schema as a copy of a blank one that was migrated once."""

from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django_tenants.clone import CloneSchema
from django_tenants.signals import schema_migrated
from django_tenants.utils import schema_context, schema_exists
from psycopg import sql

BLANK = "blank_institution"


def create(schema_name: str) -> None:
    """Create the schema of a new institution; ValidationError where one of this name is there.

    Copying the blank schema takes a fraction of migrating a new one. The blank schema holds nothing
    but the migrations' own rows and is made anew whenever it is not at the migrations of this code.
    """
    # Two institutions created at once must not both make the blank schema. The lock has a connection
    # of its own, since migrating closes the usual one.
    locking = connection.copy()
    try:
        with locking.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(hashtext(%s))", [BLANK])
        if not _is_current():
            _make_blank()
        CloneSchema().clone_schema(BLANK, schema_name, "DATA")
    finally:
        locking.close()
    schema_migrated.send(sender=create, schema_name=schema_name)


def _make_blank() -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(BLANK)))
        cursor.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(BLANK)))
    call_command("migrate_schemas", tenant=True, schema_name=BLANK, interactive=False, verbosity=0)


def _is_current() -> bool:
    """Say whether the blank schema is there and has exactly the migrations of this code."""
    if not schema_exists(BLANK):
        return False
    with schema_context(BLANK):
        loader = MigrationLoader(connection)
        return set(loader.applied_migrations) == set(loader.disk_migrations)
