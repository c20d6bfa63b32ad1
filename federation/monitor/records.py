"""Which of the owner's records a parked row is, by the number that people know it by."""

import uuid
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from django.urls import reverse

from accounts.models import User
from federation.agreements.sharing import kind_name
from federation.models import ParkedRow
from federation.scope import Kind, by_label, kind_of

# Kinds with a number and a page of their own; others are named by the one of these that they hang off.
_NUMBERED = {
    "clients.Client": ("number", "clients:client_detail"),
    "clients.Mandate": ("number", "clients:mandate_detail"),
    "portfolios.Portfolio": ("number", "portfolios:portfolio_detail"),
    "trading.Order": ("number", "trading:order_detail"),
    "models_portfolio.ModelPortfolio": ("code", "models_portfolio:model_detail"),
    "portfolios.Security": ("isin", "portfolios:security_detail"),
}


@dataclass(frozen=True)
class NamedRecord:
    """A record as its owner knows it; ``url`` is empty for who may not see it."""

    words: str
    url: str


def named(rows: Iterable[ParkedRow], *, by: User) -> dict[tuple[str, uuid.UUID], NamedRecord]:
    """Return the records of parked rows by kind and key, in the owner's schema; what is gone is left out."""
    keys: dict[str, list[uuid.UUID]] = defaultdict(list)
    for row in rows:
        keys[row.kind].append(row.key)
    found = {}
    for label, ids in keys.items():
        way = _way(by_label().get(label))
        if way is None:
            continue
        kind, steps = way
        field, page = _NUMBERED[kind.label]
        known = by_label()[label].model._default_manager.filter(pk__in=ids)
        rows_known = list(known.values_list("pk", "__".join([*steps, "pk"]), "__".join([*steps, field])))
        visible = set(
            kind.model._default_manager.visible_to(by)  # type: ignore[attr-defined]
            .filter(pk__in=[pk for _key, pk, _number in rows_known])
            .values_list("pk", flat=True)
        )
        for key, pk, number in rows_known:
            if number:
                url = reverse(page, args=[pk]) if pk in visible else ""
                found[label, key] = NamedRecord(f"{kind_name(kind.label)} {number}", url)
    return found


def _way(kind: Kind | None) -> tuple[Kind, list[str]] | None:
    """Return the kind with a number that a kind is or hangs off, and the foreign keys that lead there."""
    steps: list[str] = []
    while kind is not None and kind.label not in _NUMBERED:
        if not kind.via:
            return None
        steps.append(kind.via)
        kind = kind_of(kind.named_by(kind.via))
    return (kind, steps) if kind is not None else None
