"""The details of the audit trail in the words that forms and pages use: they are kept as codes."""

import datetime
import re
from typing import Any

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist

from accounts import formatting
from accounts.models import Role

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_CODE = re.compile(r"[a-z]+(_[a-z0-9]+)+")
# Their values are names of fields.
_OF_FIELDS = {"fields"}
_OF_ROLES = {"role", "roles"}


def detail_words(kind: str, name: str) -> str:
    """Return what people call a detail: the name of that field of the record, else its key in words."""
    return str(getattr(_field(kind, name), "verbose_name", "")) or name.replace("_", " ")


def detail_value(kind: str, name: str, value: Any) -> Any:
    """Return what a detail says as pages write it: labels of choices, names of fields, days."""
    if isinstance(value, list):
        return [detail_value(kind, name, each) for each in value]
    if not isinstance(value, str):
        return value
    if name in _OF_FIELDS:
        return detail_words(kind, value)
    choices = Role.choices if name in _OF_ROLES else getattr(_field(kind, name), "flatchoices", [])
    label = dict(choices).get(value)
    if label is not None:
        return str(label)
    if _DAY.fullmatch(value):
        return formatting.day(datetime.date.fromisoformat(value))
    return value.replace("_", " ") if _CODE.fullmatch(value) else value


def _field(kind: str, name: str) -> Any:
    try:
        return apps.get_model(kind)._meta.get_field(name)
    except (LookupError, ValueError, FieldDoesNotExist):
        return None
