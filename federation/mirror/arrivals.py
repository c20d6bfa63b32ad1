"""Tell the domain apps of rows that arrived: signals do not run while the mirror applies."""

import uuid

from celery import current_app
from django.apps import apps
from django.db import transaction
from django.utils import timezone
from django_tenants.utils import tenant_context
from kombu.exceptions import OperationalError as BrokerError

from accounts.records import record_arrived, records_arrived
from federation.models import Arrival, Institution, Stream

_AT_ONCE = 500


def hint(stream_id: uuid.UUID) -> None:
    """Ask for the delivery of what a stream has just brought, if it brought anything to tell."""
    receiver = Stream.objects.filter(pk=stream_id).values_list("receiver_id", flat=True).first()
    if receiver and Arrival.objects.filter(institution_id=receiver, handled_at=None).exists():
        try:
            current_app.send_task(
                "federation.tasks.deliver_arrivals", args=[str(receiver)], headers={"_schema_name": "public"}
            )
        except BrokerError:
            # The sweep delivers it.
            return


def deliver(institution: Institution) -> int:
    """Send `record_arrived` for each row that arrived, in the institution's schema; return how many.

    At least once: a listener that fails leaves the rest for the next delivery.
    """
    with transaction.atomic():
        found = list(
            Arrival.objects.select_for_update(skip_locked=True)
            .filter(institution=institution, handled_at=None)
            .order_by("pk")[:_AT_ONCE]
        )
        with tenant_context(institution):
            keys: dict[str, list[uuid.UUID]] = {}
            for arrival in found:
                keys.setdefault(arrival.kind, []).append(arrival.key)
                record_arrived.send(sender=apps.get_model(arrival.kind), key=arrival.key)
            for kind, arrived in keys.items():
                records_arrived.send(sender=apps.get_model(kind), keys=arrived)
        Arrival.objects.filter(pk__in=[arrival.pk for arrival in found]).update(handled_at=timezone.now())
    return len(found)


def deliver_all() -> None:
    """Deliver what is left anywhere."""
    waiting = Arrival.objects.filter(handled_at=None).values("institution").distinct()
    for institution in Institution.objects.filter(pk__in=waiting):
        deliver(institution)
