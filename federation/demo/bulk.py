"""Write many rows at once."""

from collections.abc import Iterable
from typing import Any

from django.db import connection, models


def copy_rows(rows: Iterable[models.Model]) -> int:
    """Write new rows of one model by COPY; returns how many. Constraints and triggers hold as ever."""
    rows = list(rows)
    if not rows:
        return 0
    model = type(rows[0])
    fields = model._meta.concrete_fields
    quote = connection.ops.quote_name
    columns = ", ".join(quote(field.column) for field in fields)
    statement = f"COPY {quote(model._meta.db_table)} ({columns}) FROM STDIN"
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row([_value(field, row) for field in fields])
    return len(rows)


def _value(field: "models.Field[Any, Any]", row: models.Model) -> Any:
    return field.get_db_prep_save(field.pre_save(row, add=True), connection)
