"""Tell the domain apps about the other sides of agreements: names, and whether they take mandates now."""

import uuid
from collections.abc import Iterable, Mapping

from django.db import connection, models
from django.utils.translation import gettext as _

from clients.partners import Partner, SharedKind
from federation import scope
from federation.agreements.sharing import field_name, kind_name
from federation.models import Agreement, Function, Institution


def current_institution() -> Institution:
    """Return the institution whose schema is current."""
    institution: Institution = Institution.objects.get(schema_name=getattr(connection, "schema_name", ""))
    return institution


def why_not(agreement: Agreement) -> str:
    """Return in a sentence why no new mandate can go to the partner now; "" where one can."""
    if agreement.state == Agreement.State.WINDING_DOWN:
        return _("The agreement with this manager is ending and takes no new mandates. Choose another plan.")
    if agreement.state != Agreement.State.ACTIVE:
        return _(
            "The agreement with this manager is not in force. Ask your administrator, or choose another plan."
        )
    if agreement.is_suspended:
        return _("The agreement with this manager is suspended. Try again once it is resumed.")
    if agreement.new_mandates_suspended_at is not None:
        return _("New mandates for this manager are suspended. Try again once they are resumed.")
    return ""


def partners(agreements: Iterable[uuid.UUID]) -> Mapping[uuid.UUID, Partner]:
    """Return the partner of each of the current institution's agreements, in two queries."""
    institution = current_institution()
    rows = (
        Agreement.objects.visible_to(institution)
        .filter(pk__in=list(agreements), version__isnull=False)
        .select_related("manager", "channel", "version")
    )
    return {agreement.pk: _partner(agreement, institution) for agreement in rows}


def _partner(agreement: Agreement, institution: Institution) -> Partner:
    version, side = agreement.version, agreement.side_of(institution)
    assert version is not None
    shared = scope.shares(version, side)
    manages = version.division.get(Function.MANAGEMENT) != side and any(
        share.kind.label == "clients.Mandate" for share in shared
    )
    reason = why_not(agreement)
    return Partner(
        name=agreement.partner_of(institution).name,
        manages=manages,
        takes_mandates=manages and not reason,
        why_not=reason,
        is_suspended=agreement.is_suspended,
        is_ending=agreement.state == Agreement.State.WINDING_DOWN,
        has_ended=agreement.state == Agreement.State.TERMINATED,
        shared=tuple(
            SharedKind(
                name=kind_name(share.kind.label),
                # What a record belongs to, and opaque ids, say nothing to a client.
                fields=tuple(
                    field_name(share.kind, name)
                    for name in share.fields
                    if not isinstance(share.kind.field(name), models.ForeignKey | models.UUIDField)
                ),
            )
            for share in shared
            if share.kind.function == Function.RELATIONSHIP
        ),
    )
