"""People and their roles; an institution never loses its last administrator."""

from collections.abc import Iterable
from functools import partial

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.errors import DomainError, refusing
from accounts.models import AuditEntry, Invitation, Role, RoleAssignment, Unit, User, audit
from accounts.services.invitations import issue
from accounts.tasks import tell_of_rights, tell_of_second_factor


@transaction.atomic
def invite_person(
    *,
    email: str,
    full_name: str,
    job_title: str = "",
    language: str = "en",
    assignments: Iterable[tuple[str, Unit | None]] = (),
    by: User | None,
) -> tuple[Invitation, str]:
    """Create a person who may come in by invitation; return the invitation and its secret.

    ``assignments`` are roles, each with its unit or None for the whole institution.
    """
    email = User.objects.normalize_email(email.strip())
    if User.objects.filter(email__iexact=email).exists():
        raise DomainError(
            "email_taken", _("There is already a person with this e-mail address."), field="email"
        )
    user = User(
        email=email,
        full_name=full_name.strip(),
        job_title=job_title.strip(),
        language=language,
        is_active=False,
    )
    user.set_unusable_password()
    user.full_clean(exclude=["password"])
    user.save()
    held = list(assignments)
    for role, unit in held:
        RoleAssignment.objects.create(user=user, role=role, unit=unit)
    invitation, secret = issue(user=user, by=by)
    _tell(audit("person.invited", user, by=by, roles=[role for role, _unit in held]))
    return invitation, secret


@transaction.atomic
def change_person(*, user: User, full_name: str, job_title: str, by: User) -> User:
    """Change how a person is named."""
    user = User.objects.select_for_update().get(pk=user.pk)
    user.full_name, user.job_title = full_name.strip(), job_title.strip()
    user.full_clean(exclude=["password"])
    user.save(update_fields=["full_name", "job_title"])
    audit("person.changed", user, by=by)
    return user


@transaction.atomic
def assign_role(*, user: User, role: str, unit: Unit | None, by: User) -> RoleAssignment:
    """Give a person a role in a unit and all below it, or in the whole institution; never oneself."""
    require_somebody_else(user, by)
    assignment = RoleAssignment(user=user, role=role, unit=unit)
    with refusing("role_not_assigned", field="role"):
        assignment.full_clean()
    assignment.save()
    _tell(audit("role.assigned", user, by=by, role=role, unit=str(unit.pk) if unit else None))
    return assignment


def _tell(entry: AuditEntry) -> None:
    if entry.actor_id is not None:
        # Where it cannot be told, the audit trail has it all the same.
        transaction.on_commit(partial(tell_of_rights.delay, str(entry.pk)), robust=True)


@transaction.atomic
def remove_role(*, assignment: RoleAssignment, by: User) -> None:
    """Take a role away, never one's own; the last administrator keeps it."""
    if assignment.role == Role.ADMINISTRATOR:
        _require_another_administrator(without=assignment)
    require_somebody_else(assignment.user, by)
    audit(
        "role.removed",
        assignment.user,
        by=by,
        role=assignment.role,
        unit=str(assignment.unit_id) if assignment.unit_id else None,
    )
    assignment.delete()


@transaction.atomic
def deactivate_person(*, user: User, by: User) -> User:
    """Shut a person out at once: no sign-in, no open page, no token, no invitation."""
    if user.role_assignments.filter(role=Role.ADMINISTRATOR).exists():
        _require_another_administrator(without=user)
    user = User.objects.select_for_update().get(pk=user.pk)
    now = timezone.now()
    user.is_active = False
    user.save(update_fields=["is_active"])
    user.api_tokens.filter(revoked_at=None).update(revoked_at=now)
    user.invitations.filter(accepted_at=None, expires_at__gt=now).update(expires_at=now)
    audit("person.deactivated", user, by=by)
    return user


@transaction.atomic
def reactivate_person(*, user: User, by: User) -> User:
    """Let a person in again who had been shut out, to sign in anew with what they have."""
    user = User.objects.select_for_update().get(pk=user.pk)
    if not user.has_credentials:
        raise DomainError("never_came", _("This person never accepted an invitation. Invite them again."))
    user.is_active, user.signed_out_at = True, timezone.now()
    user.save(update_fields=["is_active", "signed_out_at"])
    audit("person.reactivated", user, by=by)
    return user


@transaction.atomic
def remove_second_factor(*, user: User, by: User) -> User:
    """Remove the second factor that a person has lost, recovery codes too; their sessions end, and they are told.

    Never one's own: who has it removes it by showing it.
    """
    if user.pk == by.pk:
        raise DomainError(
            "own_second_factor",
            _(
                "You switch your own second factor off in your profile. If you have lost it, ask another administrator."
            ),
        )
    user = User.objects.select_for_update().get(pk=user.pk)
    if not user.has_second_factor:
        raise DomainError("no_second_factor", _("This person has no second factor. Nothing was changed."))
    user.authenticator_set.all().delete()  # type: ignore[attr-defined]
    user.signed_out_at = timezone.now()
    user.save(update_fields=["signed_out_at"])
    entry = audit("second_factor.removed", user, by=by)
    transaction.on_commit(partial(tell_of_second_factor.delay, str(entry.pk)), robust=True)
    return user


def require_somebody_else(user: User, by: User) -> None:
    """Keep administrators from widening their own reach: another one has to."""
    if user.pk == by.pk:
        raise DomainError(
            "own_roles", _("Nobody changes their own roles and grants. Ask another administrator.")
        )


def _require_another_administrator(*, without: RoleAssignment | User) -> None:
    # Both of two administrators could leave at once: the rows are locked, in one order, before they are counted.
    held = list(
        RoleAssignment.objects.select_for_update()
        .filter(role=Role.ADMINISTRATOR, user__is_active=True)
        .order_by("pk")
    )
    if isinstance(without, User):
        left = [each for each in held if each.user_id != without.pk]
    else:
        left = [each for each in held if each.pk != without.pk]
    if not left:
        raise DomainError(
            "last_administrator",
            _("This is the institution's last administrator. Make somebody else administrator first."),
        )
