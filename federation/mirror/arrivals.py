"""Tell the domain apps of rows that arrived: signals do not run while the mirror applies."""

import time
import uuid
from itertools import takewhile
from typing import Any

from celery import current_app
from django.apps import apps
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone
from django_tenants.utils import tenant_context
from kombu.exceptions import OperationalError as BrokerError

from accounts.records import record_arrived, records_arrived
from federation.models import Arrival, Institution, Stream

# So many are delivered beside edits, and so many of a kind together.
AT_ONCE = 20


def hint(stream_id: uuid.UUID) -> None:
    """Ask for the delivery of what a stream has just brought, if it brought anything to tell."""
    arrived = Arrival.objects.filter(handled_at=None, institution=OuterRef("receiver"))
    receiver = Stream.objects.filter(Exists(arrived), pk=stream_id).values_list("receiver", flat=True).first()
    if receiver:
        try:
            current_app.send_task(
                "federation.tasks.deliver_arrivals", args=[str(receiver)], headers={"_schema_name": "public"}
            )
        except BrokerError:
            # The sweep delivers it.
            return


def deliver(institution: Institution, *, seconds: float = 0) -> int:
    """Send `record_arrived` for rows that arrived, in the institution's schema; return how many.

    At least once: a listener that fails leaves the rest for the next delivery. After some rows, or the time,
    the rest is left as well.
    """
    until, delivered = time.monotonic() + seconds, 0
    while delivered < AT_ONCE or time.monotonic() < until:
        count = _deliver_next(institution)
        if not count:
            break
        delivered += count
    return delivered


@transaction.atomic
def _deliver_next(institution: Institution) -> int:
    """Deliver the next row, or several of a kind where nobody listens to each.

    A listener locks what it follows until the end, and edits that the partner sends meanwhile wait for that.
    """
    waiting = Arrival.objects.select_for_update(skip_locked=True).filter(
        institution=institution, handled_at=None
    )
    found = list(waiting.order_by("pk")[:AT_ONCE])
    if not found:
        return 0
    kind: Any = apps.get_model(found[0].kind)
    if record_arrived.has_listeners(kind):
        del found[1:]
    found = list(takewhile(lambda arrival: arrival.kind == found[0].kind, found))
    with tenant_context(institution):
        for arrival in found:
            record_arrived.send(sender=kind, key=arrival.key)
        records_arrived.send(sender=kind, keys=[arrival.key for arrival in found])
    Arrival.objects.filter(pk__in=[arrival.pk for arrival in found]).update(handled_at=timezone.now())
    return len(found)


def waiting_institutions() -> QuerySet[Institution]:
    """Return the institutions in which rows have arrived that nobody has been told of."""
    return Institution.objects.filter(
        pk__in=Arrival.objects.filter(handled_at=None).values("institution").distinct()
    )


def deliver_all() -> None:
    """Deliver what is left anywhere."""
    for institution in waiting_institutions():
        while deliver(institution):
            pass
