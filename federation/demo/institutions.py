"""The demonstration's institutions, with their schemas, addresses, people and units."""

import functools
from collections.abc import Iterable

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.db import transaction
from django_tenants.utils import tenant_context

from accounts.models import RoleAssignment, Unit, User
from federation.demo.cast import INSTITUTIONS, DemoInstitution, DemoPerson
from federation.models import Domain, Institution

# Known to everybody: `make run` prints it, and demo mode is refused outside development.
PASSWORD = "roboblock-demo-only"  # noqa: S105


@functools.cache
def _password() -> str:
    return make_password(PASSWORD)


def create_institution(cast: DemoInstitution) -> Institution:
    """Create one institution with its schema and its people."""
    institution = Institution(
        schema_name=cast.schema,
        name=cast.name,
        short_name=cast.short_name,
        country=cast.country,
        currency=cast.currency,
        language=cast.language,
        colour=cast.colour,
        address=cast.address,
        contact=f"office@{cast.schema}.example",
        footer="Demonstration: institutions, people and prices are fictitious.",
        is_demo=True,
    )
    institution.save(verbosity=0)
    with transaction.atomic(), tenant_context(institution):
        units = {
            name: Unit.objects.create(name=name, kind=Unit.Kind.DESK if "desk" in name else Unit.Kind.BRANCH)
            for name in cast.units
        }
        for person in cast.people:
            create_person(cast, person, units)
    return institution


def create_person(cast: DemoInstitution, person: DemoPerson, units: dict[str, Unit]) -> User:
    """Create one person with a role."""
    user = User.objects.create(
        email=f"{person.name.split()[0].lower()}@{cast.schema}.example",
        full_name=person.name,
        job_title=person.title,
        language=cast.language,
        password=_password(),
    )
    RoleAssignment.objects.create(
        user=user, role=person.role, unit=units[person.unit] if person.unit else None
    )
    return user


def open_doors(institutions: Iterable[Institution]) -> None:
    """Give institutions the addresses under which they are found: what was interrupted before has none."""
    Domain.objects.bulk_create(
        Domain(
            domain=f"{institution.schema_name}.{settings.PLATFORM_HOST}", tenant=institution, is_primary=True
        )
        for institution in institutions
    )


def missing() -> list[DemoInstitution]:
    """Return the demonstration's institutions that do not exist yet, or not as a whole."""
    there = set(Domain.objects.filter(is_primary=True).values_list("tenant__schema_name", flat=True))
    return [cast for cast in INSTITUTIONS if cast.schema not in there]
