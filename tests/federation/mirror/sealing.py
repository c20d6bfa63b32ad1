"""Ends of agreements, and what they leave sealed."""

import datetime

from clients.models import Mandate
from federation.agreements import life, sealing
from federation.models import (
    Agreement,
    SealedRecords,
)
from portfolios.models import Valuation
from tests import factories
from tests.federation.mirror.world import TODAY, World

LATER = datetime.date(2040, 1, 1)


def ended(world: World, *mandates: Mandate, agreement: Agreement | None = None) -> Agreement:
    """Accept mandates under an agreement, give each a portfolio with a ledger, and cut the agreement off."""
    agreement = agreement or world.agree()
    listed = mandates or (world.mandate(agreement),)
    world.drain()
    for mandate in listed:
        world.decide(mandate, "accepted")
        portfolio = world.portfolio(mandate, transactions=3)
        with world.within("aurora"):
            Valuation.objects.create(
                portfolio=portfolio, date=TODAY, currency="EUR", market_value=777_123, is_latest=True
            )
    world.drain()
    return cut(world, agreement)


def cut(world: World, agreement: Agreement, schema: str = "harbour") -> Agreement:
    with world.within(schema):
        life.cut(
            agreement,
            by=factories.cast().administrator,
            institution=world.institution(schema),
            reason="As a test.",
        )
    return Agreement.objects.get(pk=agreement.pk)


def ended_and_begun_anew(world: World) -> tuple[Agreement, Mandate, Mandate]:
    """Cut an agreement off, and submit another mandate of its client under a second one.

    Returns the second agreement, the sealed mandate and the new one.
    """
    first = world.agree()
    old = world.mandate(first)
    ended(world, old, agreement=first)
    second, new = begun_anew(world, old)
    return second, old, new


def begun_anew(world: World, old: Mandate) -> tuple[Agreement, Mandate]:
    """Submit another mandate of a client under another agreement; return both."""
    second = world.agree()
    new = world.mandate(second, client=old.client)
    world.drain()
    return second, new


def sealed_at(agreement: Agreement, schema: str) -> SealedRecords:
    return SealedRecords.objects.get(agreement=agreement, receiver__schema_name=schema)


def erase(today: datetime.date = LATER) -> None:
    assert sealing.erase_due(today=today, seconds=60) is False
