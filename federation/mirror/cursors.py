"""Cursors for statements that name their schemas."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection


@contextmanager
def plain_cursor() -> Iterator[Any]:
    """Give a cursor that does not set the search path first: what it runs names its schemas."""
    connection.ensure_connection()
    with connection.wrap_database_errors:
        # What django-tenants calls for a cursor, before it sets the path.
        cursor = connection._prepare_cursor(connection.create_cursor())  # type: ignore[attr-defined]
    with cursor:
        yield cursor
