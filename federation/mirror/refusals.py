"""What refuses a batch or rows of it."""

from typing import Any

import psycopg


class RowsRefused(Exception):
    """Some rows cannot be written now: by (kind, key), the constraint or field that stands in the way."""

    def __init__(self, rows: dict[tuple[str, Any], str]) -> None:
        super().__init__(f"{len(rows)} rows")
        self.rows = rows


class OwnRowsAppeared(Exception):
    """A row of the receiver's own, committed after the snapshot, names a row that was to go."""


def reason_of(error: BaseException) -> str:
    """Return what refused a row by name, never a value: PostgreSQL's details repeat the row."""
    cause = error.__cause__
    if not isinstance(cause, psycopg.Error):
        return type(error).__name__
    named = cause.diag.constraint_name or cause.diag.column_name
    if not named and (cause.sqlstate or "").startswith("42"):
        # Errors of this class are about names in a statement, not about values.
        named = cause.diag.message_primary
    return named or f"SQLSTATE {cause.sqlstate}"
