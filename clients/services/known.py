"""Recognise a client who is here already, in whatever unit."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import connection

from accounts.models import User, audit
from clients.models import Client
from clients.querysets import Person


@dataclass(frozen=True, slots=True)
class Known:
    """Own clients who may be the same: those that the person who asks sees, and the others."""

    seen: Sequence[Client]
    hidden: Sequence[Client]


def who_may_be(
    people: Iterable[Person], *, by: User, registration_number: str = "", but_not: Client | None = None
) -> Known:
    """Return who may be the same; call it in the transaction that enters them.

    Whoever enters one of these at the same time waits until it ends, and is recognised then.
    """
    people = list(people)
    _take_turns(people, registration_number)
    same = Client.objects.like(
        people, registration_number=registration_number, but_not=but_not.pk if but_not else None
    )
    visible = Client.objects.visible_to(by).filter(pk__in=same.values("pk"))
    seen = set(visible.values_list("pk", flat=True))
    found = list(same.order_by("pk"))
    return Known(
        [client for client in found if client.pk in seen],
        [client for client in found if client.pk not in seen],
    )


def note_known(client: Client, known: Known, *, by: User) -> None:
    """Write into the audit trail whom a client was entered beside: compliance reads of it."""
    others = [other.number for other in (*known.seen, *known.hidden)]
    if others:
        audit("client.may_be_known", client, by=by, clients=others)


def _take_turns(people: Sequence[Person], registration_number: str) -> None:
    """Wait for whoever enters somebody with one of these names and dates, or numbers."""
    keys = {f"number {each}" for each in (registration_number, *(p.national_id for p in people)) if each}
    keys |= {f"person {each.first_name} {each.last_name} {each.birth_date}" for each in people}
    with connection.cursor() as cursor:
        # All in one order: two who wait for each other would wait for ever.
        for key in sorted(each.casefold() for each in keys):
            cursor.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || %s, 0))",
                [f" client {key}"],
            )
