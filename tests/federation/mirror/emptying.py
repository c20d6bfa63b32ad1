"""Give the standing institutions back as they were."""

from typing import Any

import psycopg
from django.apps import apps
from django.db import OperationalError, connection

from federation.models import Agreement, Arrival, Institution, SharedCurrency, SharedSecurity, Stream
from federation.scope import KINDS, PRIVATE
from tests import factories

TABLES = [kind.table for kind in KINDS] + [apps.get_model(kind.label)._meta.db_table for kind in PRIVATE]
TABLES += ["guardian_userobjectpermission", "mirror_log", "trading_proposalline"]
# In public: as a batch locks them.
FIRST = [model._meta.db_table for model in (Stream, Agreement)]
# From this size on a table is vacuumed, so that what one test has left slows no other one down.
LARGE = 2_000_000


def empty() -> None:
    """Remove what a test left: its records, agreements, logs."""
    written = _written()
    # Rather an error than a teardown that waits for ever for a lock that a test has left.
    statements = ["SET lock_timeout = '20s'", "SET session_replication_role = replica"]
    statements += [f"DELETE FROM {table}" for table in written]
    statements += [f"SELECT setval('{schema}.mirror_switch', 1, false)" for schema in factories.STANDING]
    statements += ["SET session_replication_role = origin", "DELETE FROM public.federation_wake"]
    statements += ["SELECT setval('public.federation_bell', 1, false)", "RESET lock_timeout"]
    _execute_beside_workers(";".join(statements))
    for table, size in written.items():
        if size >= LARGE:
            with connection.cursor() as cursor:
                cursor.execute(f"VACUUM ANALYZE {table}")


def _of_agreements() -> list[str]:
    """Return the tables of all that names an agreement, itself or by what it names."""
    found: set[Any] = {Agreement, Arrival, SharedCurrency, SharedSecurity}
    models, size = apps.get_app_config("federation").get_models, 0
    while len(found) > size:
        size = len(found)
        found |= {model for model in models() if any(of.related_model in found for of in model._meta.fields)}
    assert Institution not in found
    return [model._meta.db_table for model in found]


OF_AGREEMENTS = _of_agreements()


def _written() -> dict[str, int]:
    """Return the tables that have ever held a row, with their size: to go over all of them takes longer."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT format('%%I.%%I', n.nspname, c.relname), pg_relation_size(c.oid) FROM pg_class c"
            " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE pg_relation_size(c.oid) > 0 AND"
            " (n.nspname = ANY(%s) AND c.relname = ANY(%s) OR n.nspname = 'public' AND c.relname = ANY(%s))"
            " ORDER BY n.nspname <> 'public', array_position(%s, c.relname::text)",
            [list(factories.STANDING), TABLES, OF_AGREEMENTS, FIRST],
        )
        return dict(cursor.fetchall())


def _execute_beside_workers(statements: str) -> None:
    """Run statements that may meet a batch of a living worker in a deadlock."""
    for _ in range(5):
        try:
            with connection.cursor() as cursor:
                cursor.execute(statements)
        except OperationalError as error:
            if not isinstance(error.__cause__, psycopg.errors.DeadlockDetected):
                raise
        else:
            return
    raise AssertionError("the workers do not let go")
