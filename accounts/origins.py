"""The institutions that own received rows, without knowing where institutions are kept."""

import datetime
import uuid
from collections.abc import Mapping
from functools import cache

from django.conf import settings
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _


@cache
def _names() -> dict[uuid.UUID, str]:
    # One dictionary per process. Institutions are seldom added and their ids never reused, so an
    # unknown id is the only reason to read again.
    return {}


def origin_name(origin: uuid.UUID | str | None) -> str:
    """Return the short name of the institution that owns a received row; "" for an own row."""
    if not origin:
        return ""
    key = origin if isinstance(origin, uuid.UUID) else uuid.UUID(origin)
    names = _names()
    if key not in names:
        names.update(_resolve())
    return names.get(key) or _("Former partner")


def held_back_since(origin: uuid.UUID) -> datetime.datetime | None:
    """Return since when nothing of this owner arrives, because it is suspended; None where it does."""
    path = getattr(settings, "ORIGIN_HELD_BACK_RESOLVER", None)
    since: datetime.datetime | None = import_string(path)(origin) if path else None
    return since


def _resolve() -> Mapping[uuid.UUID, str]:
    path = getattr(settings, "ORIGIN_NAMES_RESOLVER", None)
    return import_string(path)() if path else {}
