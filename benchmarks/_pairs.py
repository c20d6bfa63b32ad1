"""Pairs of institutions that work together, with what they share."""

import datetime

from django.db import transaction
from django.utils import timezone
from django_tenants.utils import tenant_context

from clients.models import Client, Mandate
from federation.mirror import arrivals, control
from federation.mirror.batch import run_batch
from federation.mirror.outcome import Outcome
from federation.models import Agreement, AgreementVersion, Institution, Stream
from federation.scope import PRESETS
from portfolios.models import Portfolio


def create_institution(name: str) -> Institution:
    """Create an institution with its schema."""
    institution = Institution(schema_name=name, name=name.title(), short_name=name.title())
    institution.save(verbosity=0)
    return institution


@transaction.atomic
def agree(manager: Institution, channel: Institution) -> Agreement:
    """Create an agreement in force, by which the channel has the clients and the manager does the rest."""
    agreement = Agreement.objects.create(
        manager=manager,
        channel=channel,
        name="Benchmark",
        preset=Agreement.Preset.CLOSED,
        drafted_by=manager,
        state=Agreement.State.ACTIVE,
        started_at=timezone.now(),
    )
    preset = PRESETS[Agreement.Preset.CLOSED]
    version = AgreementVersion.objects.create(
        agreement=agreement, number=1, division=dict(preset.division), proposed_by=manager
    )
    agreement.version = version
    agreement.save()
    control.agreement_changed(agreement)
    return agreement


def create_records(
    manager: Institution,
    channel: Institution,
    agreement: Agreement,
    *,
    covered: int,
    portfolios: int,
    mark: str = "",
) -> None:
    """Create portfolios at the manager, of which the first ``covered`` have mandates of the channel's.

    ``mark`` begins the numbers of all of them, where others have the plain ones.
    """
    today = datetime.date.today()  # noqa: DTZ011
    with tenant_context(channel):
        clients = Client.objects.bulk_create(
            Client(number=f"{mark}C-{n}", name=f"Client {n}") for n in range(covered)
        )
        mandates = Mandate.objects.bulk_create(
            Mandate(
                number=f"{mark}M-{n}",
                client=client,
                agreement=agreement.pk,
                status=Mandate.Status.SUBMITTED,
                submission=1,
                signed_on=today,
                submitted_at=timezone.now(),
                disclosure_authorised_on=today,
            )
            for n, client in enumerate(clients)
        )
    drain()
    with tenant_context(manager):
        Portfolio.objects.bulk_create(
            Portfolio(
                number=f"{mark}P-{n}",
                name=f"Portfolio {n}",
                currency="EUR",
                opened_on=today,
                mandate_id=mandates[n].pk if n < covered else None,
            )
            for n in range(portfolios)
        )
    drain()
    # What the receivers' apps do because of all that is not to be measured.
    arrivals.deliver_all()
    drain()


def drain() -> None:
    """Apply what waits; RuntimeError where a problem stops a stream."""
    streams = list(Stream.objects.values_list("pk", flat=True))
    while outcomes := {run_batch(stream) for stream in streams} - {Outcome.IDLE}:
        if Outcome.BROKEN in outcomes:
            raise RuntimeError("a stream is stopped by a problem")
