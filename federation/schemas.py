"""Create an institution's schema like a blank one that was migrated once."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django_tenants.signals import schema_migrated
from django_tenants.utils import schema_exists
from psycopg import sql

from federation import blueprint

BLANK = "blank_institution"


def create(schema_name: str) -> None:
    """Create the schema of a new institution; ValidationError where one of this name is there.

    Called where `blank_is_current`.
    Replaying the blank schema takes a fraction of migrating a new one. The blank schema holds nothing
    but the migrations' own rows and is made anew whenever it is not at the migrations of this code.
    """
    if schema_exists(schema_name):
        raise ValidationError(f"There is already a schema {schema_name}. Choose another name.")
    blueprint.replay(BLANK, schema_name)
    schema_migrated.send(sender=create, schema_name=schema_name)


@contextmanager
def blank_is_current() -> Iterator[None]:
    """Have the blank schema at this code's migrations, and nobody make it anew meanwhile.

    Before a transaction: what makes it anew commits.
    """
    # The lock has a connection of its own, since migrating closes the usual one.
    locking = connection.copy()
    try:
        with locking.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock_shared(hashtext(%s))", [BLANK])
            if not _is_current():
                cursor.execute("SELECT pg_advisory_unlock_shared(hashtext(%s))", [BLANK])
                cursor.execute("SELECT pg_advisory_lock(hashtext(%s))", [BLANK])
                if not _is_current():
                    _make_blank()
        yield
    finally:
        locking.close()


def _make_blank() -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(BLANK)))
        cursor.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(BLANK)))
    call_command("migrate_schemas", tenant=True, schema_name=BLANK, interactive=False, verbosity=0)


def _is_current() -> bool:
    """Say whether the blank schema is there and has exactly the migrations of this code."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [f"{BLANK}.django_migrations"])
        if not cursor.fetchone()[0]:
            return False
        cursor.execute(sql.SQL("SELECT app, name FROM {}.django_migrations").format(sql.Identifier(BLANK)))
        return set(cursor.fetchall()) == _migrations()


@cache
def _migrations() -> frozenset[tuple[str, str]]:
    """Return the migrations of this code."""
    return frozenset(MigrationLoader(None).disk_migrations)
