"""What each role may do, and over which units: the one place that knows.

A right is a role (what one may do), a unit (over whose clients and portfolios) and, for single
clients and portfolios, a grant (django-guardian). Default is deny.

Who reaches what, as the querysets ask it (``reached_by``; ``visible_to`` with all roles, ``with_right`` with those that
carry a right):

- A client is *served* by the advisors, operations and compliance of its unit, by its own advisor, and by whom it was
  granted. Who serves a client reaches all of its mandates and portfolios, whoever manages them.
- A mandate is *managed* by the portfolio managers of its portfolio's unit; one that was submitted and no desk has taken
  on, by all. Who manages a mandate sees its client too, and nothing else that the client has.
- A portfolio is reached by the portfolio managers, operations and compliance of its own unit, and by whom it was granted.
- An instruction is reached with its mandate; a transaction, an order, a report and what else a portfolio has, with it.

Each reason stands by itself: two roles, or a role and a grant, reach what one or the other reaches, and nothing more.
"""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from django.db import connection
from django.db.models import Model, Q, QuerySet, UUIDField
from django.db.models.functions import Cast
from guardian.models import UserObjectPermission

from accounts.models import Role, User

RIGHTS: dict[str, frozenset[str]] = {
    Role.PORTFOLIO_MANAGER: frozenset(
        {
            "mandate.decide",
            "portfolio.manage",
            "model.edit",
            "proposal.make",
            "proposal.approve",
            "order.send",
        }
        | {"report.make", "instruction.answer", "security.edit", "price.import"}
    ),
    Role.ADVISOR: frozenset(
        {"client.edit", "mandate.edit", "mandate.submit", "instruction.send", "report.release", "note.edit"}
    ),
    Role.OPERATIONS: frozenset(
        {
            "cash.match",
            "settlement.edit",
            "order.follow",
            "instruction.answer",
            "price.import",
            "security.edit",
        }
        | {"kyc.edit", "payout.verify", "report.make"}
    ),
    Role.ADMINISTRATOR: frozenset(
        {"agreement.edit", "mirror.control", "people.edit", "token.edit", "institution.edit", "sealed.hold"}
    ),
    Role.COMPLIANCE: frozenset(
        {"disclosure.read", "audit.read", "agreement.read", "people.read", "sealed.hold", "sealed.open"}
    ),
}

ALL_ROLES: frozenset[str] = frozenset(Role.values)
# Roles that see clients, mandates and portfolios at all. Administrators configure, they do not look.
CLIENT_ROLES: frozenset[str] = frozenset({Role.ADVISOR, Role.OPERATIONS, Role.COMPLIANCE})
PORTFOLIO_ROLES: frozenset[str] = frozenset({Role.PORTFOLIO_MANAGER, Role.OPERATIONS, Role.COMPLIANCE})


@dataclass(frozen=True)
class Reach:
    """Over which units a person holds some roles: everything, or the subtrees below ``paths``."""

    everything: bool
    paths: tuple[str, ...]

    def __bool__(self) -> bool:
        return self.everything or bool(self.paths)

    def q(self, unit_field: str) -> Q:
        """Return the condition that a row's ``unit_field`` lies within reach."""
        if self.everything:
            return Q(pk__isnull=False)
        condition = Q(pk__in=[])
        for path in self.paths:
            condition |= Q(**{f"{unit_field}__path__startswith": path})
        return condition


# Asked once by nearly every request; composed by Django they would be two queries, each ten times as long.
_HELD = """
SELECT true, assignment.role, unit.path
FROM accounts_roleassignment assignment LEFT JOIN accounts_unit unit ON unit.id = assignment.unit_id
WHERE assignment.user_id = %(user)s
UNION ALL
SELECT DISTINCT false, kind.app_label, kind.model
FROM guardian_userobjectpermission permission JOIN django_content_type kind ON kind.id = permission.content_type_id
WHERE permission.user_id = %(user)s
"""


class _Held(NamedTuple):
    """What a person has: roles with the paths of their units, and the kinds of which something was granted."""

    roles: list[tuple[str, str | None]]
    kinds: set[tuple[str, str]]


def _held(user: User) -> _Held:
    # One query per request: the user object lives as long as the request. Who grants something has it forgotten.
    known: _Held | None = user.__dict__.get("_held")
    if known is None:
        with connection.cursor() as cursor:
            cursor.execute(_HELD, {"user": user.pk})
            rows = cursor.fetchall()
        roles = [(role, path) for is_role, role, path in rows if is_role]
        kinds = {(app, kind) for is_role, app, kind in rows if not is_role}
        known = user.__dict__["_held"] = _Held(roles, kinds)
    return known


def _assignments(user: User) -> list[tuple[str, str | None]]:
    return _held(user).roles if user.is_active else []


def roles_of(user: User) -> frozenset[str]:
    """Return the roles that ``user`` has anywhere in the institution."""
    return frozenset(role for role, _path in _assignments(user))


def can(user: User, right: str) -> bool:
    """Say whether one of the user's roles carries ``right``."""
    return any(right in RIGHTS.get(role, frozenset()) for role in roles_of(user))


def can_everywhere(user: User, right: str) -> bool:
    """Say whether one of the user's roles carries ``right`` for the whole institution."""
    return can(user, right) and reach(user, roles_with(right)).everything


def reach(user: User, roles: Iterable[str]) -> Reach:
    """Return over which units ``user`` holds any of ``roles``."""
    wanted = set(roles)
    held = [path for role, path in _assignments(user) if role in wanted]
    return Reach(everything=None in held, paths=tuple(sorted({path for path in held if path is not None})))


def roles_with(*rights: str) -> frozenset[str]:
    """Return the roles that carry any of ``rights``."""
    return frozenset(role for role, carried in RIGHTS.items() if carried.intersection(rights))


def may(user: User, right: str, record: Model) -> bool:
    """Say whether one of the user's roles carries ``right`` and reaches this record, by itself."""
    if not can(user, right):
        return False
    rows = type(record)._default_manager.with_right(user, right)  # type: ignore[attr-defined]
    return bool(rows.filter(pk=record.pk).exists())


def granted(user: User, model: type[Model], roles: frozenset[str] = ALL_ROLES) -> Q:
    """Return the condition that a row of ``model`` was granted to ``user`` by itself.

    A grant says over what, a role what one may do: where only some roles count, it takes one of them.
    """
    counts = has_granted(user, model) and (roles >= ALL_ROLES or bool(roles & roles_of(user)))
    return Q(pk__in=_granted_ids(user, model) if counts else [])


def has_granted(user: User, model: type[Model]) -> bool:
    """Say whether any row of ``model`` was granted to ``user`` by itself."""
    # Hardly anybody has one, and lists are read faster without the question.
    return (model._meta.app_label, str(model._meta.model_name)) in _held(user).kinds


def forget_granted(user: User) -> None:
    """Have what ``user`` was granted read anew: somebody has just changed it."""
    user.__dict__.pop("_held", None)


def _granted_ids(user: User, model: type[Model]) -> QuerySet[UserObjectPermission, uuid.UUID]:
    return (
        UserObjectPermission.objects.filter(
            user=user,
            permission__codename=f"view_{model._meta.model_name}",
            # By name: a process that serves several databases' schemas must not remember ids of one of them.
            content_type__app_label=model._meta.app_label,
            content_type__model=model._meta.model_name,
        )
        .annotate(record_id=Cast("object_pk", UUIDField()))
        .values_list("record_id", flat=True)
    )
