"""Which columns of a kind decide what: those that are unique, those that lead to a root, those that name others."""

from collections.abc import Iterable
from functools import cache

from django.db import models
from django.db.models import Q

from federation.scope import Share, branches, by_label
from federation.scope.table import WITH_RATES


@cache
def alternate_key(label: str) -> tuple[str, ...]:
    """Return the fields that unique constraints of a kind ask for, besides the id.

    A row in which one of them changes is deleted and inserted anew, so that rows can swap them.
    """
    model = by_label()[label].model
    found: set[str] = set()
    for constraint in model._meta.constraints:
        if isinstance(constraint, models.UniqueConstraint):
            asked_of = set(_fields_of(constraint.condition))
            # One that asks for the origin is about own rows.
            found |= set() if "origin" in asked_of else {*constraint.fields, *asked_of}
    found |= {field.name for field in model._meta.concrete_fields if field.unique and not field.primary_key}
    return tuple(sorted(found - {"origin"}))


def _fields_of(condition: Q | None) -> Iterable[str]:
    for child in condition.children if condition is not None else ():
        if isinstance(child, Q):
            yield from _fields_of(child)
        elif isinstance(child, tuple):
            yield str(child[0]).partition("__")[0]


@cache
def path_fields(label: str) -> tuple[str, ...]:
    """Return the fields of a kind that decide what is in scope because of a row of it."""
    kind = by_label()[label]
    steps = branches(label)
    if not steps:
        return ()
    return tuple({kind.via or kind.root, *(step.field for step in steps if step.is_up)} - {""})


@cache
def named_columns(share: Share) -> tuple[str, ...]:
    """Return the shared columns that name other rows, and the currency whose rates a receiver needs."""
    named = [str(key.column) for key in share.foreign_keys]
    if share.kind.label in WITH_RATES and "currency" in share.fields:
        named.append("currency")
    return tuple(named)
