"""The standing institutions of the tests, each with the same cast."""

import datetime
from dataclasses import dataclass

from django.db import transaction
from django_tenants.utils import tenant_context

from accounts.models import ApiToken, Role, RoleAssignment, Unit, User
from accounts.services import permit_token, show_token
from federation.models import Domain, Institution

# schema → name; two managers and three channels. No agreement stands between them at the start.
STANDING = {
    "aurora": "Aurora Asset Management",
    "borealis": "Borealis Capital",
    "harbour": "Harbour Bank",
    "lakeside": "Lakeside Advisors",
    "meadow": "Meadow Bank",
}


@dataclass(frozen=True)
class Cast:
    """The people of one institution; all but the stranger hold their role over the main unit."""

    manager: User
    second_manager: User
    advisor: User
    operations: User
    administrator: User
    compliance: User
    stranger: User
    unit: Unit
    other_unit: Unit


def create_standing_institutions() -> None:
    """Create the standing institutions with their schemas, domains and cast."""
    for schema, name in STANDING.items():
        institution = Institution(schema_name=schema, name=name, short_name=name.split()[0])
        institution.save(verbosity=0)
        Domain.objects.create(domain=f"{schema}.localhost", tenant=institution, is_primary=True)
        with tenant_context(institution):
            create_cast()


def create_cast() -> None:
    """Create the main and another unit, a person of each role, and a stranger without any."""
    unit = Unit.objects.create(name="Main", kind=Unit.Kind.BRANCH)
    Unit.objects.create(name="Elsewhere", kind=Unit.Kind.BRANCH)
    people = [
        ("manager", Role.PORTFOLIO_MANAGER, unit),
        ("second_manager", Role.PORTFOLIO_MANAGER, unit),
        ("advisor", Role.ADVISOR, unit),
        ("operations", Role.OPERATIONS, None),
        ("administrator", Role.ADMINISTRATOR, None),
        ("compliance", Role.COMPLIANCE, None),
        ("stranger", None, None),
    ]
    for name, role, over in people:
        user = User.objects.create(
            email=f"{name}@example.test", full_name=name.replace("_", " ").title(), password="!"
        )
        if role is not None:
            RoleAssignment.objects.create(user=user, role=role, unit=over)


def cast() -> Cast:
    """Return the cast of the institution whose schema is current."""
    people = {user.email.partition("@")[0]: user for user in User.objects.all()}
    units = {unit.name: unit for unit in Unit.objects.all()}
    names = ("manager", "second_manager", "advisor", "operations", "administrator", "compliance", "stranger")
    return Cast(**{name: people[name] for name in names}, unit=units["Main"], other_unit=units["Elsewhere"])


@transaction.atomic
def create_token(
    *, user: User, name: str, expires_at: datetime.datetime, may_write: bool, by: User
) -> tuple[ApiToken, str]:
    """Permit a token and show it: return it with the text that proves it."""
    token = permit_token(user=user, name=name, expires_at=expires_at, may_write=may_write, by=by)
    text = show_token(token=token, by=by)
    token.refresh_from_db()
    return token, text
