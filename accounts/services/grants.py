"""Single grants: one client or portfolio that a person may see beside their units'.

The records belong to apps further left, so they are named by label, not imported.
"""

from dataclasses import dataclass

from django.apps import apps
from django.db import transaction
from django.db.models import Model, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from guardian.models import UserObjectPermission
from guardian.shortcuts import assign_perm, remove_perm

from accounts.errors import DomainError
from accounts.models import User, audit
from accounts.origins import origin_name
from accounts.rights import forget_granted
from accounts.services.people import require_somebody_else

# Kind → model and label. Administrators know records by number: they grant, they do not look.
GRANTABLE = {
    "client": ("clients.Client", gettext_lazy("Client")),
    "portfolio": ("portfolios.Portfolio", gettext_lazy("Portfolio")),
}


@dataclass(frozen=True)
class Grant:
    """One record that one person was granted."""

    pk: int
    kind: str
    kind_label: str
    label: str


def _model(kind: str) -> type[Model]:
    if kind not in GRANTABLE:
        raise DomainError("not_grantable", _("Grants are for single clients and portfolios."), field="kind")
    return apps.get_model(GRANTABLE[kind][0])


def candidates(kind: str, number: str) -> QuerySet[Model]:
    """Return the records that have exactly this number; partners' may have the same."""
    numbered = _model(kind)._default_manager.filter(number=number, retired_at=None)
    return numbered.exclude(number="").order_by("pk")


def label_of(record: Model) -> str:
    """Return a record's number, and its owner where it was received; never whom it is about."""
    return " · ".join(filter(None, [record.number or str(record.pk), origin_name(record.origin)]))  # type: ignore[attr-defined]


def grants_of(user: User) -> list[Grant]:
    """Return what ``user`` was granted one by one; two queries for each kind."""
    found = []
    for kind, (_label, kind_label) in GRANTABLE.items():
        model = _model(kind)
        rows = UserObjectPermission.objects.filter(
            user=user, permission__codename=f"view_{kind}", content_type__model=model._meta.model_name
        )
        by_record = {row.object_pk: row.pk for row in rows}
        for record in model._default_manager.filter(pk__in=list(by_record)):
            found.append(Grant(by_record[str(record.pk)], kind, str(kind_label), label_of(record)))
    return found


@transaction.atomic
def grant(*, user: User, kind: str, record_id: object, by: User) -> None:
    """Let a person see one client or portfolio; never oneself."""
    require_somebody_else(user, by)
    record = _model(kind)._default_manager.filter(pk=record_id, retired_at=None).first()
    if record is None:
        raise DomainError("record_unknown", _("There is no such record. Search again."), field="record")
    assign_perm(f"view_{kind}", user, record)
    forget_granted(user)
    audit("grant.added", user, by=by, kind=kind, granted=str(record.pk))


@transaction.atomic
def revoke_grant(*, user: User, grant_id: int, by: User) -> None:
    """Take a single grant away, never one's own."""
    require_somebody_else(user, by)
    row = UserObjectPermission.objects.filter(pk=grant_id, user=user).select_related("permission").first()
    if row is None:
        raise DomainError("grant_unknown", _("This grant is gone already. Reload the page."))
    kind = row.permission.codename.removeprefix("view_")
    record = _model(kind)._default_manager.filter(pk=row.object_pk).first()
    if record is None:
        row.delete()
    else:
        remove_perm(row.permission.codename, user, record)
    forget_granted(user)
    audit("grant.removed", user, by=by, kind=kind, granted=str(row.object_pk))
