"""Values of records as people read them, in full."""

import datetime
import json
import uuid
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from django.db.models import JSONField
from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import formatting
from accounts.fields import WeightField
from federation.scope import by_label

# What stands in JSON fields that are shared, in the order in which it is read.
WORDS: dict[str, str | Promise] = {
    "offer": gettext_lazy("Offer"),
    "model": gettext_lazy("Model"),
    "risk_level": gettext_lazy("Risk level"),
    "currency": gettext_lazy("Currency"),
    "minimum_amount": gettext_lazy("Minimum"),
    "management_fee": gettext_lazy("Management fee a year"),
    "custody_fee": gettext_lazy("Custody fee a year"),
    "product_cost": gettext_lazy("Cost of the funds a year"),
    "total_cost": gettext_lazy("Cost a year"),
    "horizon_years": gettext_lazy("Horizon in years"),
    "summary": gettext_lazy("In plain words"),
    "documents": gettext_lazy("Documents"),
    "event": gettext_lazy("What"),
    "submission": gettext_lazy("Submission"),
    "at": gettext_lazy("When"),
    "by": gettext_lazy("By"),
    "text": gettext_lazy("Text"),
}
_FRACTIONS = frozenset({"management_fee", "custody_fee", "product_cost", "total_cost"})
_NOBODY: Mapping[uuid.UUID, str] = MappingProxyType({})


def text_of(label: str, name: str, value: Any, names: Mapping[uuid.UUID, str] = _NOBODY) -> str:
    """Return a value of a field of a kind in words; ``names`` holds what linked records are called."""
    field = by_label()[label].field(name)
    if value is None or value == "":
        return formatting.UNKNOWN
    choices = dict(getattr(field, "flatchoices", None) or [])
    if value in choices:
        return str(choices[value])
    if isinstance(field, JSONField):
        # A cursor returns JSON as text.
        return _in_words(json.loads(value) if isinstance(value, str) else value)
    if isinstance(field, WeightField):
        return formatting.percent(value)
    match value:
        case bool():
            return _("yes") if value else _("no")
        case Decimal():
            return formatting.quantity(value)
        case datetime.datetime():
            return formatting.moment(value)
        case datetime.date():
            return formatting.day(value)
        case uuid.UUID():
            return names.get(value) or f"→ {value.hex[-6:]}"
        case bytes() | memoryview():
            return _("%(count)s bytes") % {"count": formatting.number(len(value))}
    return str(value)


def _in_words(value: Any, joint: str = "\n") -> str:
    """Return JSON as "Label: value", what is nested on one line each."""
    if isinstance(value, list):
        return "\n".join(_in_words(each, ", ") for each in value) or formatting.UNKNOWN
    if not isinstance(value, dict):
        return str(value)
    order = {key: place for place, key in enumerate(WORDS)}
    keys = sorted(value, key=lambda key: order.get(key, len(order)))
    lines = [f"{WORDS.get(key, capfirst(key.replace('_', ' ')))}: {_member(key, value[key])}" for key in keys]
    return joint.join(lines) or formatting.UNKNOWN


def _member(key: str, value: Any) -> str:
    if value is None or value in ("", [], {}):
        return formatting.UNKNOWN
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if key in _FRACTIONS:
        return formatting.percent(value)
    if key == "minimum_amount":
        return formatting.quantity(value)
    if key == "at" and isinstance(value, str):
        return formatting.moment(datetime.datetime.fromisoformat(value))
    return _in_words(value, ", ")
