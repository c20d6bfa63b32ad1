"""Received rows for tests that do not want to run a mirror."""

import contextlib
from collections.abc import Iterator

from django.db import connection, transaction


@contextlib.contextmanager
def as_mirror() -> Iterator[None]:
    """Write received rows as the mirror does: neither guarded nor captured, foreign keys unchecked."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        try:
            yield
        finally:
            if not connection.needs_rollback:
                cursor.execute("SET LOCAL session_replication_role = origin")
