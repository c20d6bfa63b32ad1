"""Opened sealed records as texts for the page, and as a workbook with a sheet per kind."""

import datetime
import uuid
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import tablib
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from accounts.lists import harmless, in_spreadsheet
from federation.models import SealedRecords
from federation.sealed import SealedKind, names_in
from federation.values import text_of

# What a cell of a spreadsheet holds at most.
LONGEST = 32_767


def texts_of(kind: SealedKind, names: Mapping[uuid.UUID, str]) -> Iterator[list[str]]:
    """Yield each row in words, in full."""
    for row in kind.rows:
        yield [
            text_of(kind.label, name, value, names)
            for (name, _label), value in zip(kind.fields, row, strict=True)
        ]


def workbook(sealed: SealedRecords, kinds: list[SealedKind]) -> bytes:
    """Return an XLSX with a sheet per kind: each record by its name, its id, and its fields."""
    names = names_in(sealed, kinds)
    sheets = [_sheet(kind, names) for kind in kinds]
    content: bytes = tablib.Databook(sheets or [tablib.Dataset(title="–")]).export("xlsx")
    return content


def _sheet(kind: SealedKind, names: Mapping[uuid.UUID, str]) -> tablib.Dataset:
    heads = [_("Record"), _("Id"), *(_head(kind, at) for at in range(len(kind.fields)))]
    sheet = tablib.Dataset(headers=heads, title=str(capfirst(kind.title))[:31])
    for key, name, row, texts in zip(kind.keys, kind.names, kind.rows, texts_of(kind, names), strict=True):
        cells = (_cell(value, text) for value, text in zip(row, texts, strict=True))
        sheet.append([_cell(name, name), str(key), *cells])
    return sheet


def _head(kind: SealedKind, at: int) -> str:
    _name, label = kind.fields[at]
    is_moment = any(isinstance(row[at], datetime.datetime) for row in kind.rows)
    return f"{label} (UTC)" if is_moment else label


def _cell(value: Any, text: str) -> Any:
    """Return numbers and days as such and all else in words, never as a formula."""
    match value:
        case None | "":
            return ""
        case bool():
            return text
        case int() | Decimal():
            return value
        case datetime.datetime():
            return in_spreadsheet(value)
        case datetime.date():
            return value
        case uuid.UUID() if text.startswith("→"):
            return str(value)
    return harmless(text)[:LONGEST]
