"""After an update of the platform: fill again what was filled under another scope.

What the scope table newly lets through, or no longer does, may have been there long before, and no change of it
comes. So each stream keeps the fingerprint of the scope that it was filled with.
"""

import uuid
from collections.abc import Collection, Sequence

from django.contrib.postgres.aggregates import ArrayAgg
from django.db import connection, transaction
from django.db.models import BooleanField, ExpressionWrapper, F, Q

from federation.agreements.timeline import EventKind, record_of_mirror
from federation.mirror import capture, control
from federation.models import AgreementVersion, Side, Stream
from federation.scope import fingerprint


def outdated() -> list[uuid.UUID]:
    """Return the streams that were filled under another scope than this code's, by one query for all of them.

    One that has yet to begin its fill is none of them: it begins under the scope of whoever fills it.
    """
    following = Stream.objects.exclude(state=Stream.State.ENDED).filter(
        cursor__isnull=False, agreement__version__isnull=False
    )
    wordings = following.values_list(
        "agreement__version__division",
        "agreement__version__private",
        "agreement__version__withheld",
        ExpressionWrapper(Q(owner=F("agreement__manager")), BooleanField()),
        "scope",
    ).annotate(pks=ArrayAgg("pk"))
    found: list[uuid.UUID] = []
    for division, private, withheld, is_managers, scope, pks in wordings.order_by():
        version = AgreementVersion(division=division, private=private, withheld=withheld)
        if fingerprint(version, Side.MANAGER if is_managers else Side.CHANNEL) != scope:
            found += pks
    return sorted(found)


def prepare(streams: Collection[uuid.UUID]) -> None:
    """Have the institutions of streams note changes of what the scope now has, before anything is read."""
    if not streams:
        return
    named = Stream.objects.filter(pk__in=streams).values_list("owner__schema_name", "receiver__schema_name")
    for schema in capture.drifted({str(schema) for pair in named for schema in pair}):
        capture.install(schema)


@transaction.atomic
def refill(streams: Sequence[uuid.UUID]) -> list[uuid.UUID]:
    """Have streams begin anew, and say so in the timelines; return those that somebody else has in hand."""
    with connection.cursor() as cursor:
        # It waits for nobody. The agreement too: a line of its timeline locks it, in whatever order.
        cursor.execute(
            "SELECT s.id FROM federation_stream s JOIN federation_agreement a ON a.id = s.agreement_id"
            " WHERE s.id = ANY(%s) ORDER BY s.id"
            " FOR UPDATE OF s SKIP LOCKED FOR KEY SHARE OF a SKIP LOCKED",
            [list(streams)],
        )
        free = {row[0] for row in cursor.fetchall()}
    beginning = Stream.objects.filter(pk__in=free, cursor__isnull=False).exclude(state=Stream.State.ENDED)
    for stream in beginning.select_related("owner"):
        control.refill(stream, "the platform was updated")
        record_of_mirror(EventKind.UPGRADED, stream)
    return [pk for pk in streams if pk not in free]
