"""How the records are named that details of the audit trail speak of: each app registers its own.

In ``AppConfig.ready``::

    from accounts.named import register
    register("portfolio", visible_portfolios, "portfolios:portfolio_detail")
"""

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.urls import reverse

from accounts.models import User

Visible = Callable[[User], "QuerySet[Any]"]


@dataclass(frozen=True)
class Named:
    """A record's name, and its page; "" where it has none."""

    label: str
    url: str


# The key of a detail → what a person may see of such records, and their page.
_kinds: dict[str, tuple[Visible, str]] = {}


def register(key: str, visible: Visible, page: str = "") -> None:
    """Name the records whose ids stand in details under ``key``, for those who may see them."""
    _kinds[key] = (visible, page)


def named(user: User, details: Iterable[Mapping[str, Any]]) -> dict[str, Named]:
    """Return by id the records that details speak of and ``user`` may see, in a query for each key."""
    ids: dict[str, set[str]] = defaultdict(set)
    for each in details:
        for key in _kinds.keys() & each.keys():
            if is_id(each[key]):
                ids[key].add(each[key])
    found = {}
    for key, wanted in ids.items():
        visible, page = _kinds[key]
        for record in visible(user).filter(pk__in=wanted):
            found[str(record.pk)] = Named(str(record), reverse(page, args=[record.pk]) if page else "")
    return found


def is_id(value: object) -> bool:
    """Say whether a detail is the id of a record."""
    try:
        return isinstance(value, str) and str(uuid.UUID(value)) == value
    except ValueError:
        return False
