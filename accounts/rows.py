"""Rows of tables, with what is the same for a whole column found out once per page.

django-tables2 asks for the field that a column shows, the signature of its rendering method and its attributes
again for each cell, which takes half the time of a page of fifty rows.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import django_tables2 as tables
from django.db.models import Model
from django.utils.safestring import SafeString

from accounts.formatting import escaped, shown

_OFFERED = ("value", "record", "bound_row", "column", "bound_column", "table")


@cache
def _wanted(render: Callable[..., Any]) -> frozenset[str]:
    """Return which of the arguments that are offered a rendering function takes."""
    parameters = inspect.signature(render).parameters.values()
    takes_all = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters)
    return frozenset(_OFFERED if takes_all else (each.name for each in parameters)).intersection(_OFFERED)


class _Cells:
    """The cells of one column."""

    def __init__(self, table: tables.Table, bound: Any, label: str) -> None:
        self.start = f"<td {escaped(bound.attrs['td'].as_html())}{label}>"
        self.accessor, self.default = bound.accessor, bound.default
        self.empty_values = bound.column.empty_values
        self.render = bound.render
        self.wanted = _wanted(getattr(bound.render, "__func__", bound.render))
        offered = {"column": bound.column, "bound_column": bound, "table": table}
        self.given = {name: value for name, value in offered.items() if name in self.wanted}
        self.displays: dict[type, str] = {}

    def value(self, record: Any) -> Any:
        """Return what the column shows of ``record``: of a field with choices its label."""
        display = self.displays.get(type(record))
        if display is None:
            display = self.displays[type(record)] = self._display(record)
        if not display:
            return self.accessor.resolve(record, quiet=True)
        holder, _name = self.accessor.penultimate(record)
        return getattr(holder, display)() if isinstance(holder, Model) else None

    def _display(self, record: Any) -> str:
        field = self.accessor.get_field(record)
        name = str(self.accessor).rpartition("__")[2]
        return f"get_{name}_display" if getattr(field, "choices", ()) else ""

    def cell(self, row: Any) -> str:
        """Return what stands in this column of a row."""
        value = self.value(row.record)
        if value in self.empty_values:
            return self.start + shown(self.default)
        given = self.given
        if "value" in self.wanted:
            given["value"] = value
        if "record" in self.wanted:
            given["record"] = row.record
        if "bound_row" in self.wanted:
            given["bound_row"] = row
        return self.start + shown(self.render(**given))


def rows_of(table: tables.Table, labels: Mapping[str, str]) -> Iterator[SafeString]:
    """Yield the rows of the table's page; ``labels`` are attributes that the cells of a column have besides their own."""
    columns = [_Cells(table, bound, labels.get(bound.name, "")) for bound in table.columns]
    for row in table.paginated_rows:
        yield SafeString(f"<tr>{''.join([f'{column.cell(row)}</td>' for column in columns])}</tr>")
