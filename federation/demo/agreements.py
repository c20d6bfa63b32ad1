"""The demonstration's agreements, as if they had been made three years ago."""

import datetime

from federation.agreements.presets import PRESETS
from federation.demo.cast import INSTITUTIONS
from federation.demo.plans import at_nine
from federation.models import Acceptance, Agreement, AgreementEvent, AgreementVersion, Institution, Side

TERMS = "Demonstration terms. Both parties are fictitious; nothing here binds anybody."


def administrator_of(institution: Institution) -> str:
    """Return the name of a demo institution's administrator."""
    cast = next(cast for cast in INSTITUTIONS if cast.schema == institution.schema_name)
    return next(person.name for person in cast.people if person.role == "administrator")


def create_agreement(
    manager: Institution, channel: Institution, preset: str, *, started: datetime.date
) -> Agreement:
    """Create an active agreement that both accepted on ``started``."""
    at = at_nine(started)
    agreement = Agreement.objects.create(
        manager=manager,
        channel=channel,
        name=f"{manager.short_name} – {channel.short_name}",
        preset=preset,
        state=Agreement.State.ACTIVE,
        drafted_by=manager,
        started_at=at,
        created_at=at - datetime.timedelta(days=3),
        is_listed_by_manager=True,
        is_listed_by_channel=True,
    )
    version = AgreementVersion.objects.create(
        agreement=agreement,
        number=1,
        division=dict(PRESETS[preset].division),
        private=list(PRESETS[preset].private),
        terms=TERMS,
        proposed_by=manager,
        proposed_at=at - datetime.timedelta(days=2),
        in_force_from=at,
    )
    Agreement.objects.filter(pk=agreement.pk).update(version=version)
    agreement.version = version
    for side in Side:
        party = agreement.party(side)
        Acceptance.objects.create(
            version=version,
            institution=party,
            answer=Acceptance.Answer.ACCEPTED,
            by_name=administrator_of(party),
            at=at - datetime.timedelta(days=2 if side == Side.MANAGER else 0),
        )
    for kind, party, before in (
        ("drafted", manager, 3),
        ("proposed", manager, 2),
        ("accepted", channel, 0),
        ("in_force", channel, 0),
    ):
        AgreementEvent.objects.create(
            agreement=agreement,
            institution=party,
            kind=kind,
            by_name=administrator_of(party),
            at=at - datetime.timedelta(days=before),
            data={"version": 1},
        )
    return agreement
