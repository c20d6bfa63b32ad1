"""The other sides of agreements, as far as a mandate needs to know them.

For one institution on its own there are none. Where institutions share the work,
``settings.PARTNERS_RESOLVER`` names the function that knows the agreements.
"""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.conf import settings
from django.utils.module_loading import import_string

from clients.models import ClientInstruction


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedKind:
    """A kind of record that a partner sees of a client, with the fields it sees, in words."""

    name: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Partner:
    """The other side of an agreement.

    ``manages`` says whether it takes clients' mandates at all, ``takes_mandates`` whether it does
    so now, else ``why_not`` is a sentence. ``is_suspended`` says that nothing reaches it now, ``is_ending``
    that the agreement is being wound down, ``has_ended`` that it is over.
    ``shared`` is what it sees once a mandate is submitted.
    """

    name: str
    manages: bool
    takes_mandates: bool
    why_not: str = ""
    is_suspended: bool = False
    is_ending: bool = False
    has_ended: bool = False
    shared: tuple[SharedKind, ...] = ()


def partners(agreements: Iterable[uuid.UUID]) -> Mapping[uuid.UUID, Partner]:
    """Return the partner of each agreement that is known, in a fixed number of queries."""
    wanted = set(agreements)
    resolver = getattr(settings, "PARTNERS_RESOLVER", None)
    if not wanted or not resolver:
        return {}
    found: Mapping[uuid.UUID, Partner] = import_string(resolver)(wanted)
    return found


def suspended(agreements: Iterable[uuid.UUID | None]) -> set[uuid.UUID]:
    """Return those of the agreements under which nothing crosses now, in a fixed number of queries."""
    known = partners(agreement for agreement in agreements if agreement is not None)
    return {agreement for agreement, partner in known.items() if partner.is_suspended}


def held_up(instructions: Iterable[ClientInstruction]) -> set[uuid.UUID]:
    """Return which of a partner's instructions wait, since their withdrawal would not be heard while suspended."""
    received = [each for each in instructions if each.is_received]
    stopped = suspended(each.mandate.agreement for each in received)
    return {each.pk for each in received if each.mandate.agreement in stopped}
