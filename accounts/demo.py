"""The demo's people, for one-click sign-in; nobody where demo mode is off."""

from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet

from accounts.models import Role, User


@dataclass(frozen=True)
class DemoPerson:
    """Who can be signed in by one click."""

    pk: UUID
    email: str
    full_name: str
    initials: str
    roles: str


def demo_users() -> QuerySet[User]:
    """Return whom one click may sign in: active people without a share in Django's admin."""
    if not settings.DEMO:
        return User.objects.none()
    return User.objects.filter(is_active=True, is_staff=False, is_superuser=False)


def demo_people() -> list[DemoPerson]:
    """Return the demo's people with their roles, in the order of the roles."""
    order = list(Role.values)
    people = []
    for user in demo_users().prefetch_related("role_assignments"):
        held = sorted({each.role for each in user.role_assignments.all()}, key=order.index)
        if held:
            labels = ", ".join(str(Role(role).label) for role in held)
            person = DemoPerson(user.pk, user.email, user.full_name, user.initials, labels)
            people.append((order.index(held[0]), user.full_name, person))
    return [person for _rank, _name, person in sorted(people, key=lambda each: each[:2])]
