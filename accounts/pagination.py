"""Pages by cursor: a page says where the next one begins, so new rows neither repeat nor hide others."""

import base64
import binascii
import datetime
import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError as ModelValidationError
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _
from rest_framework import exceptions
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

PAGE_SIZE, LARGEST = 100, 500


@dataclass(frozen=True)
class Cursor:
    """The row a page begins after: its value in the order, its id, and which way to read."""

    ordering: str
    value: str
    key: str
    is_backwards: bool

    def __str__(self) -> str:
        text = json.dumps([self.ordering, self.value, self.key, self.is_backwards])
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def read(cls, text: str) -> "Cursor":
        """Return the cursor that ``text`` holds; ValueError where it holds none."""
        padded = text + "=" * (-len(text) % 4)
        parts = json.loads(base64.urlsafe_b64decode(padded.encode("ascii")))
        if not isinstance(parts, list) or [type(part) for part in parts] != [str, str, str, bool]:
            raise ValueError("not a cursor")
        # Neither half of a surrogate pair nor a NUL is anything to compare with.
        if any("\0" in part for part in parts[:3]):
            raise ValueError("not a cursor")
        "".join(parts[:3]).encode()
        return cls(*parts)


class KeysetPagination(BasePagination):
    """Page through rows ordered by one field and the id, however many share a value.

    The view's ``orderings`` lists the fields that ``ordering`` may name, the first is the default; all
    are filled in on every row.
    """

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        self.request = request
        self.ordering = self._ordering(request, view)
        size = self._size(request)
        text = request.query_params.get("cursor", "")
        cursor = self._cursor(text, queryset) if text else None
        field, is_descending = self.ordering.lstrip("-"), self.ordering.startswith("-")
        is_backwards = bool(cursor and cursor.is_backwards)
        is_falling = is_descending != is_backwards
        if cursor is not None:
            queryset = queryset.filter(_after(cursor, field, is_falling))
        sign = "-" if is_falling else ""
        rows = list(queryset.order_by(f"{sign}{field}", f"{sign}pk")[: size + 1])
        has_more = len(rows) > size
        rows = rows[:size]
        if is_backwards:
            rows.reverse()
        has_next = bool(rows) and (has_more or is_backwards)
        has_previous = bool(rows) and (has_more if is_backwards else cursor is not None)
        self.next = self._link(rows[-1], field, is_backwards=False) if has_next else None
        self.previous = self._link(rows[0], field, is_backwards=True) if has_previous else None
        return rows

    def _ordering(self, request: Request, view: Any) -> str:
        allowed = orderings_of(view)
        asked = request.query_params.get("ordering", "") or allowed[0]
        if asked.lstrip("-") not in {each.lstrip("-") for each in allowed} or asked.startswith("--"):
            raise exceptions.ValidationError(
                {"ordering": [_("Order by one of: %(fields)s.") % {"fields": ", ".join(choices_of(view))}]}
            )
        return asked

    def _size(self, request: Request) -> int:
        text = request.query_params.get("page_size", "")
        if not text:
            return PAGE_SIZE
        if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= LARGEST):
            raise exceptions.ValidationError(
                {"page_size": [_("Send a number from 1 to %(largest)s.") % {"largest": LARGEST}]}
            )
        return int(text)

    def _cursor(self, text: str, queryset: QuerySet[Any]) -> Cursor:
        try:
            cursor = Cursor.read(text)
            if cursor.ordering != self.ordering:
                raise ValueError("a cursor of another order")
            # They are checked by the fields themselves, before the database sees them.
            queryset.model._meta.pk.to_python(cursor.key)
            queryset.model._meta.get_field(self.ordering.lstrip("-")).to_python(cursor.value)
        except (ValueError, binascii.Error, ModelValidationError) as error:
            message = _("This cursor is not one of this list. Begin again without it.")
            raise exceptions.ValidationError({"cursor": [message]}) from error
        return cursor

    def _link(self, row: Any, field: str, *, is_backwards: bool) -> str:
        cursor = Cursor(self.ordering, _text(getattr(row, field)), str(row.pk), is_backwards)
        return replace_query_param(self.request.build_absolute_uri(), "cursor", str(cursor))

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"next": self.next, "previous": self.previous, "results": data})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": "string", "format": "uri", "nullable": True}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {"next": link, "previous": link, "results": schema},
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        fields = choices_of(view)
        return [
            _parameter(
                "cursor", "Where the page begins; take it from `next` or `previous`.", {"type": "string"}
            ),
            _parameter(
                "page_size",
                f"Rows of a page, {PAGE_SIZE} unless said.",
                {"type": "integer", "minimum": 1, "maximum": LARGEST},
            ),
            _parameter(
                "ordering",
                f"Field to order by, with - for descending; {orderings_of(view)[0]} unless said.",
                {"type": "string", "enum": [sign + field for field in fields for sign in ("", "-")]},
            ),
        ]


def orderings_of(view: Any) -> tuple[str, ...]:
    """Return the orders a view offers, the default first."""
    return tuple(getattr(view, "orderings", ("-id",)))


def choices_of(view: Any) -> list[str]:
    """Return the fields a view's rows can be ordered by."""
    return [each.lstrip("-") for each in orderings_of(view)]


def _parameter(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}


def _after(cursor: Cursor, field: str, is_falling: bool) -> Q:
    beyond = "lt" if is_falling else "gt"
    if field in {"id", "pk"}:
        return Q(**{f"pk__{beyond}": cursor.key})
    same = Q(**{field: cursor.value, f"pk__{beyond}": cursor.key})
    return Q(**{f"{field}__{beyond}": cursor.value}) | same


def _text(value: Any) -> str:
    if isinstance(value, datetime.date):
        return value.isoformat()
    return format(value, "f") if isinstance(value, Decimal) else str(value)
