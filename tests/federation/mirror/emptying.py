"""Give the standing institutions back as they were."""

import psycopg
from django.apps import apps
from django.db import OperationalError, connection

from federation.models import Agreement, Arrival, SharedCurrency, SharedSecurity
from federation.scope import KINDS, PRIVATE
from tests import factories


def empty() -> None:
    """Remove what a test left: its records, agreements, logs."""
    tables = [kind.table for kind in KINDS] + [apps.get_model(kind.label)._meta.db_table for kind in PRIVATE]
    # Rather an error than a teardown that waits for ever for a lock that a test has left.
    statements = ["SET lock_timeout = '20s'", "SET session_replication_role = replica"]
    for schema in factories.STANDING:
        statements += [f'DELETE FROM "{schema}"."{table}"' for table in tables]
        statements += [
            f'DELETE FROM "{schema}".guardian_userobjectpermission',
            f'DELETE FROM "{schema}".mirror_log',
            f"SELECT setval('{schema}.mirror_switch', 1, false)",
        ]
    statements += ["SET session_replication_role = origin", "DELETE FROM public.federation_wake"]
    statements.append("SELECT setval('public.federation_bell', 1, false)")
    _execute_beside_workers(";".join(statements))
    Agreement.objects.update(version=None)
    for model in (Arrival, SharedSecurity, SharedCurrency, Agreement):
        model.objects.all().delete()


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
