"""Lists: declared as a table, a filter and a few texts; the URL holds the whole view."""

import csv
import datetime
import html
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import django_tables2 as tables
from django import forms
from django.core.paginator import EmptyPage
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils.cache import patch_vary_headers
from django.utils.functional import cached_property
from django.utils.html import strip_tags
from django.utils.safestring import SafeString
from django.utils.text import slugify
from django.utils.translation import gettext_lazy as _
from django_tables2 import RequestConfig, SingleTableView
from django_tables2.export import ExportMixin, TableExport

from accounts.columns import MomentColumn, MoneyColumn
from accounts.models import audit_export
from accounts.views_base import SignedIn

PAGE_SIZES = (25, 50, 100, 250)
# A cell that begins like this is a formula to a spreadsheet (OWASP, CSV injection).
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
# Some split at these instead of the comma, and a cell begins within the text.
_BEFORE_A_FORMULA = re.compile(r"([;\t\r\n][ \"]*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])")
# No workbook can hold these (XML 1.0, 2.2), and one in a partner's record would keep whoever has it from exporting.
_UNWRITABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def harmless(value: Any) -> Any:
    """Return a cell that a spreadsheet can hold and reads as text, never as a formula, wherever it splits it."""
    if not isinstance(value, str):
        return value
    text = _BEFORE_A_FORMULA.sub(r"\1'", _UNWRITABLE.sub("", value))
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA_STARTS) else text


def plain(value: Any) -> Any:
    """Return a cell without markup: the words of what was made for a page, anything else as it is."""
    if not isinstance(value, SafeString):
        return value
    # Words of neighbouring elements stay apart.
    return html.unescape(" ".join(strip_tags(value.replace("<", " <")).split()))


def in_spreadsheet(moment: datetime.datetime) -> datetime.datetime:
    """Return an instant as a spreadsheet knows it: without a time zone, here in UTC, which the heading says."""
    return moment.astimezone(datetime.UTC).replace(tzinfo=None, microsecond=0)


def export_bare_values(table: tables.Table) -> None:
    """Have each column export its bare value, however the table shows it, unless ``value_NAME`` says otherwise."""
    for bound in table.columns.iterall():
        is_typed = type(bound.column).value is not tables.Column.value
        if is_typed and not hasattr(table, f"value_{bound.name}"):
            bound.value = bound.column.value


class Export(TableExport):
    """Write the rows of a table: bare values, no markup, harmless formulas, an amount's currency in its header."""

    FORMATS = {key: TableExport.FORMATS[key] for key in (TableExport.CSV, TableExport.XLSX)}

    @classmethod
    def is_valid_format(cls, export_format: str | None) -> bool:
        return export_format in cls.FORMATS

    def table_to_dataset(self, table: tables.Table, exclude_columns: Any, dataset_kwargs: Any = None) -> Any:
        export_bare_values(table)
        dataset = super().table_to_dataset(table, exclude_columns, dataset_kwargs)
        rows = [[self._written(harmless(plain(cell))) for cell in row] for row in dataset]
        headers = [harmless(plain(header)) for header in self._headers(table, exclude_columns)]
        dataset.wipe()
        dataset.headers = headers
        for row in rows:
            dataset.append(row)
        return dataset

    def _written(self, value: Any) -> Any:
        if isinstance(value, datetime.datetime):
            return value.isoformat(timespec="seconds") if self.format == self.CSV else in_spreadsheet(value)
        # Text has all digits: of eight places zero would else be 0E-8.
        return f"{value:f}" if self.format == self.CSV and isinstance(value, Decimal) else value

    def export(self) -> Any:
        if self.format != self.CSV:
            return super().export()
        # Excel takes a CSV without a byte order mark for Latin-1.
        return f"\ufeff{self.dataset.export(self.CSV, quoting=csv.QUOTE_ALL)}"

    def _headers(self, table: tables.Table, exclude_columns: Any) -> list[str]:
        left_out = set(exclude_columns or ())
        shown = [
            column
            for column in table.columns.iterall()
            if column.name not in left_out and not column.column.exclude_from_export
        ]
        return [self._header(table, column) for column in shown]

    def _header(self, table: tables.Table, column: Any) -> str:
        text = header_text(table, column)
        is_moment = isinstance(column.column, MomentColumn)
        return f"{text} (UTC)" if is_moment and self.format == self.XLSX else text


def header_text(table: tables.Table, bound: Any) -> str:
    """Return a column's heading with its currency."""
    unit = bound.column.unit(table, bound.name) if isinstance(bound.column, MoneyColumn) else ""
    return f"{bound.header} ({unit})" if unit else str(bound.header)


class RowFilter:
    """The filter of computed rows, with the interface of a filterset: a form, and what passes it."""

    def __init__(self, data: Any, rows: list[Any]) -> None:
        self.data, self.rows = data, rows

    def get_form(self) -> forms.Form:
        """Return the form bound to ``data``."""
        raise NotImplementedError

    def passes(self, row: Any, wanted: dict[str, Any]) -> bool:
        """Say whether a row is among what the form's clean data asks for."""
        raise NotImplementedError

    @cached_property
    def form(self) -> forms.Form:
        """Return the bound form."""
        return self.get_form()

    @property
    def qs(self) -> list[Any]:
        """Return the rows that pass; while the form has errors, those that pass an empty one."""
        if self.form.is_valid():
            wanted = self.form.cleaned_data
        else:
            wanted = {name: field.to_python(None) for name, field in self.form.fields.items()}
        return [row for row in self.rows if self.passes(row, wanted)]


@dataclass(frozen=True)
class Chip:
    """One filter in force, with the query string that lifts it."""

    label: str
    value: str
    without: str


def chips_of(filterset: Any, parameters: QueryDict) -> list[Chip]:
    """Return what is filtered by, as a person reads it."""
    form = filterset.form
    if not form.is_valid():
        return []
    chips = []
    for name, field in form.fields.items():
        value = form.cleaned_data.get(name)
        if value in (None, "", []) or (isinstance(value, QuerySet) and not value):
            continue
        keys = _keys_of(name, parameters)
        if not any(parameters.get(key) for key in keys):
            continue
        rest = parameters.copy()
        for key in [*keys, "page"]:
            rest.pop(key, None)
        chips.append(Chip(str(field.label or name), _shown(field, value), f"?{rest.urlencode()}"))
    return chips


def _keys_of(name: str, parameters: QueryDict) -> list[str]:
    """Return the parameters that a filter's field reads: its own, or those of its parts."""
    return [key for key in parameters if key == name or key.startswith(f"{name}_")]


def beside_filters(filterset: Any, parameters: QueryDict) -> QueryDict:
    """Return what a list is asked for beside its filters: order, rows per page, period; not the page."""
    rest = parameters.copy()
    filters = [key for name in filterset.form.fields for key in _keys_of(name, parameters)]
    for key in {*filters, "page", "_export"}:
        rest.pop(key, None)
    return rest


def _shown(field: Any, value: Any) -> str:
    choices = {str(key): str(label) for key, label in getattr(field, "choices", [])}
    if isinstance(value, bool):
        return str(_("yes") if value else _("no"))
    if isinstance(value, slice):
        return f"{value.start or '…'} – {value.stop or '…'}"
    many = value if isinstance(value, list | tuple | QuerySet) else [value]
    keys = [str(getattr(each, "pk", each)) for each in many]
    return ", ".join(choices.get(key, str(each)) for key, each in zip(keys, many, strict=True))


def whole_number(text: str, otherwise: int) -> int:
    """Return the number that ``text`` writes in up to nine plain digits, else ``otherwise``."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else otherwise


def table_for(
    request: HttpRequest, table_class: type[tables.Table], data: Any, **kwargs: Any
) -> tables.Table:
    """Return a table for part of a page: sorted by the URL, all rows on it.

    Give each table of a page its own ``prefix`` ("holdings-").
    """
    table = table_class(data=data, **kwargs)
    return RequestConfig(request, paginate=False).configure(table)


class ListView(SignedIn, ExportMixin, SingleTableView):
    """Show rows: sorted and filtered on the server, paged, totalled, exported, updated in part.

    Queries: one for the count, one for the rows, one for totals where there are any; give the
    queryset its ``select_related``.
    """

    template_name = "components/list.html"
    # What stands above the list and depends on its filters, order, page or period.
    head_template = ""
    paginate_by = 50
    export_class = Export
    export_formats = ("csv", "xlsx")
    filterset_class: Any = None
    title: Any = ""
    subtitle: Any = ""
    empty_title: Any = _("Nothing here yet")
    empty_text: Any = ""
    # (label, URL) of the first step
    empty_action: tuple[Any, Any] | None = None

    def get_filterset(self, queryset: QuerySet[Any]) -> Any:
        """Return the filter bound to the URL, or None."""
        if self.filterset_class is None:
            return None
        return self.filterset_class(self.request.GET, queryset=queryset, request=self.request)

    def get_table_data(self) -> Any:
        if not hasattr(self, "filterset"):
            self.filterset = self.get_filterset(self.object_list)
        return self.object_list if self.filterset is None else self.filterset.qs

    def get_table(self, **kwargs: Any) -> tables.Table:
        table = self.get_table_class()(data=self.get_table_data(), **kwargs)
        RequestConfig(self.request, paginate=False).configure(table)
        rows = table.data.data
        if isinstance(rows, QuerySet) and not rows.query.is_sliced:
            # Equal values would otherwise come in any order, and a row could be on two pages or none.
            table.data.data = rows.order_by(*(rows.query.order_by or rows.model._meta.ordering), "pk")
        page = self.request.GET.get(table.page_field, "")
        try:
            table.paginate(page=whole_number(page, 1), per_page=self.get_paginate_by(None))
        except EmptyPage:
            table.page = table.paginator.page(table.paginator.num_pages)
        return table

    def get_paginate_by(self, table_data: Any) -> int:
        asked = whole_number(self.request.GET.get("per_page", ""), self.paginate_by)
        return asked if asked in PAGE_SIZES else self.paginate_by

    @property
    def exports(self) -> bool:
        """Say whether all rows are asked for as a file, and not a page of them."""
        return self.export_class.is_valid_format(self.request.GET.get("_export"))

    def paginate_queryset(self, queryset: Any, page_size: int) -> tuple[None, None, Any, bool]:
        # The table pages; Django's own paginator would count a second time.
        return None, None, queryset, False

    def create_export(self, export_format: str) -> HttpResponse:
        table = self.get_table(**self.get_table_kwargs())
        exporter = self.export_class(
            export_format=export_format,
            table=table,
            exclude_columns=self.exclude_columns,
            dataset_kwargs=self.get_dataset_kwargs(),
        )
        # The rows were read for the export.
        audit_export(table.data, by=self.request.user)
        response: HttpResponse = exporter.response(filename=self.get_export_filename(export_format))
        return response

    def get_export_filename(self, export_format: str) -> str:
        return f"{slugify(str(self.title)) or 'list'}.{export_format}"

    def get_dataset_kwargs(self) -> dict[str, Any]:
        return {"title": slugify(str(self.title))[:30] or "list"}

    def get_empty_action(self) -> tuple[Any, Any] | None:
        """Return the label and URL of the first step, where there is one."""
        return self.empty_action

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        has_filter = self.filterset is not None
        chips = chips_of(self.filterset, self.request.GET) if has_filter else []
        kept = beside_filters(self.filterset, self.request.GET) if has_filter else None
        return {
            **context,
            "head_template": self.head_template,
            "brings_head": self.head_template and self._changes_view(),
            "title": self.title,
            "subtitle": self.subtitle,
            "filterset": self.filterset,
            "chips": chips,
            "is_filtered": bool(chips),
            "beside_filters": kept,
            "reset_url": f"{self.request.path}?{kept.urlencode()}" if kept else self.request.path,
            "page_sizes": PAGE_SIZES,
            "empty_title": self.empty_title,
            "empty_text": self.empty_text,
            "empty_action": self.get_empty_action(),
        }

    def get_template_names(self) -> list[str]:
        if self._is_partial():
            return [
                "components/list_rows.html"
                if self.request.htmx.target == "list-rows"
                else "components/list_body.html"
            ]
        return super().get_template_names()

    def _is_partial(self) -> bool:
        htmx = getattr(self.request, "htmx", None)
        return (
            htmx is not None
            and bool(htmx)
            and not htmx.history_restore_request
            and htmx.target in {"list", "list-rows"}
        )

    def _changes_view(self) -> bool:
        """Say whether a part is asked for that makes the page another view, and not news of the one it shows."""
        if not self._is_partial():
            return False
        shown = (self.request.htmx.current_url_abs_path or "").partition("#")[0]
        return bool(shown != self.request.get_full_path())

    def render_to_response(self, context: dict[str, Any], **kwargs: Any) -> HttpResponse:
        response = super().render_to_response(context, **kwargs)
        patch_vary_headers(response, ["HX-Request", "HX-Target"])
        if self._is_partial() and not self._changes_view():
            # Back would else lead from a view to itself.
            response["HX-Push-Url"] = "false"
        return response
