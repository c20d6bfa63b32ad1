"""Tell the domain apps of rows that arrived: signals do not run while the mirror applies."""

import logging
import time
import uuid
from itertools import takewhile
from typing import Any

from celery import current_app
from django.apps import apps
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from django_tenants.utils import tenant_context
from kombu.exceptions import OperationalError as BrokerError

from accounts.records import record_arrived, records_arrived
from federation.mirror.parking import FIRST_RETRY, LAST_RETRY
from federation.models import Arrival, Institution, Stream

logger = logging.getLogger(__name__)

# So many are delivered beside edits, and so many of a kind together.
AT_ONCE = 20


def _waiting() -> QuerySet[Arrival]:
    """Return what nobody has been told of, and what is to be tried again by now."""
    return Arrival.objects.filter(Q(retry_at=None) | Q(retry_at__lte=Now()), handled_at=None)


def hint(stream_id: uuid.UUID) -> None:
    """Ask for the delivery of what a stream has just brought, if it brought anything to tell."""
    arrived = _waiting().filter(institution=OuterRef("receiver"))
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
    """Send `record_arrived` for rows that arrived, in the institution's schema; return how many were tried.

    At least once: where a listener fails, the row is tried again later, and the others go on. After some rows,
    or the time, the rest is left as well.
    """
    until, delivered = time.monotonic() + seconds, 0
    while delivered < AT_ONCE or time.monotonic() < until:
        count = _deliver_next(institution)
        if not count:
            break
        delivered += count
    return delivered


def _deliver_next(institution: Institution) -> int:
    """Deliver the next row, or several of a kind where nobody listens to each.

    A listener locks what it follows until the end, and edits that the partner sends meanwhile wait for that.
    """
    found: list[Arrival] = []
    try:
        with transaction.atomic():
            found += _take_next(institution)
            if found:
                _tell(institution, found)
    except Exception:
        if not found:
            raise
        logger.exception("the arrival of %s is told again later: a listener failed", found[0].kind)
        for arrival in found:
            _put_off(arrival)
    return len(found)


def _take_next(institution: Institution) -> list[Arrival]:
    waiting = _waiting().select_for_update(skip_locked=True).filter(institution=institution)
    found = list(waiting.order_by("pk")[:AT_ONCE])
    # What has failed is told alone: the others it came with may be well.
    if found and (record_arrived.has_listeners(apps.get_model(found[0].kind)) or found[0].attempts):
        return found[:1]
    return list(takewhile(lambda arrival: arrival.kind == found[0].kind and not arrival.attempts, found))


def _tell(institution: Institution, found: list[Arrival]) -> None:
    kind: Any = apps.get_model(found[0].kind)
    with tenant_context(institution):
        for arrival in found:
            record_arrived.send(sender=kind, key=arrival.key)
        records_arrived.send(sender=kind, keys=[arrival.key for arrival in found])
    Arrival.objects.filter(pk__in=[arrival.pk for arrival in found]).update(handled_at=timezone.now())


def _put_off(arrival: Arrival) -> None:
    pause = min(FIRST_RETRY * 2 ** min(arrival.attempts, 10), LAST_RETRY)
    Arrival.objects.filter(pk=arrival.pk, handled_at=None).update(
        attempts=F("attempts") + 1, retry_at=Now() + pause
    )


def waiting_institutions() -> QuerySet[Institution]:
    """Return the institutions in which rows have arrived that are to be told now."""
    return Institution.objects.filter(pk__in=_waiting().values("institution").distinct())


def deliver_all() -> None:
    """Deliver what is left anywhere."""
    for institution in waiting_institutions():
        while deliver(institution):
            pass
