"""Answer the domain apps who is on the other side of an agreement, and what a mandate discloses to it."""

import uuid
from collections.abc import Iterable

from django.db import connection
from django.utils.translation import gettext as _

from clients.partners import Partner, SharedKind
from federation import scope
from federation.agreements.sharing import field_name, kind_name
from federation.models import Agreement, Function, Side


def partners(agreements: Iterable[uuid.UUID]) -> dict[uuid.UUID, Partner]:
    """Return the partner of each agreement that the current institution is a party to, in one query."""
    rows = Agreement.objects.filter(pk__in=list(agreements)).select_related("manager", "channel", "version")
    found = {}
    for agreement in rows:
        parties = {Side.MANAGER: agreement.manager, Side.CHANNEL: agreement.channel}
        here = next(
            (side for side, party in parties.items() if party.schema_name == connection.schema_name), None
        )
        if here is not None:
            there = Side.CHANNEL if here == Side.MANAGER else Side.MANAGER
            found[agreement.pk] = _partner(agreement, parties[there].name, here, there)
    return found


def _partner(agreement: Agreement, name: str, here: Side, there: Side) -> Partner:
    version = agreement.version
    shared = scope.shares(version, here) if version is not None else ()
    relationship = tuple(
        SharedKind(
            name=kind_name(share.kind.label), fields=tuple(field_name(share.kind, each) for each in share.fields)
        )
        for share in shared
        if share.kind.function == Function.RELATIONSHIP
    )
    manages = (
        version is not None
        and scope.performer(version, Function.MANAGEMENT) == there
        and any(share.kind.label == "clients.Mandate" for share in shared)
    )
    why_not = _why_not(agreement)
    return Partner(
        name=name,
        manages=manages,
        takes_mandates=manages and not why_not,
        why_not=why_not,
        shared=relationship,
    )


def _why_not(agreement: Agreement) -> str:
    if agreement.state != Agreement.State.ACTIVE:
        return _("The agreement is not in force.")
    if agreement.is_suspended or agreement.new_mandates_suspended_at is not None:
        return _("New mandates are suspended. Ask your administrator when they go on.")
    return ""
