"""How the records are named that the audit trail is about and speaks of: each app registers its own.

In ``AppConfig.ready``, by the label of their model and the keys under which details have their ids; what has no name of
its own is called, and linked, by what it belongs to::

    from accounts.named import register
    register(visible_portfolios, "portfolios:portfolio_detail", "portfolios.portfolio", "portfolio")
    register(visible_settlements, "trading:order_detail", "trading.settlement", through="allocation__order")

Records of clients and portfolios belong to a unit (``within_units``): who reads the audit trail for some units alone
finds there what was done to those of these units, and to what is the whole institution's.
"""

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from django.db.models import Q, QuerySet
from django.urls import reverse

from accounts.models import AuditEntry, User
from accounts.rights import can, can_everywhere

Visible = Callable[[User], "QuerySet[Any]"]


@dataclass(frozen=True)
class Named:
    """A record's name, and its page; "" where it has none."""

    label: str
    url: str


# A model's label or the key of a detail → what a person may see of such records, their page, "" where they have none,
# and the way to what names them, "" where they do so themselves.
_kinds: dict[str, tuple[Visible, str, str]] = {}


# The labels of models whose records belong to a unit.
_within_units: set[str] = set()


def register(visible: Visible, page: str, *keys: str, through: str = "", within_units: bool = False) -> None:
    """Name the records that stand under one of the keys, for those who may see them."""
    for key in keys:
        _kinds[key] = (visible, page, through)
    if within_units:
        _within_units.update(key for key in keys if "." in key)


def entries_for(user: User) -> QuerySet[AuditEntry]:
    """Return the entries of the audit trail that a person reads: all, or for some units those within reach."""
    if can(user, "people.edit") or can_everywhere(user, "audit.read"):
        # Administrators read of every act; the records stay ids to them.
        return AuditEntry.objects.all()
    condition = ~Q(kind__in=_within_units) | Q(record_id=None)
    for label in _within_units:
        condition |= Q(kind=label, record_id__in=_kinds[label][0](user).order_by().values("pk"))
    return AuditEntry.objects.filter(condition)


def named(user: User, details: Iterable[Mapping[str, Any]]) -> dict[str, Named]:
    """Return by id what details speak of under registered keys, as far as ``user`` may see it: a query for each kind."""
    ids: dict[tuple[Visible, str, str], set[str]] = defaultdict(set)
    for each in details:
        for key in _kinds.keys() & each.keys():
            if is_id(each[key]):
                ids[_kinds[key]].add(each[key])
    found = {}
    for (visible, page, through), wanted in ids.items():
        records = visible(user).filter(pk__in=wanted)
        for record in records.select_related(through) if through else records:
            shown = attrgetter(through.replace("__", "."))(record) if through else record
            found[str(record.pk)] = Named(str(shown), reverse(page, args=[shown.pk]) if page else "")
    return found


def is_id(value: object) -> bool:
    """Say whether a detail is the id of a record."""
    try:
        return isinstance(value, str) and str(uuid.UUID(value)) == value
    except ValueError:
        return False
