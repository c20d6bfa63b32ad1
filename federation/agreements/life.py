"""The life of an agreement in force: its switches, winding down and its end.

Each change locks the agreement's row, so it waits for a batch of the mirror that is under way; the
mirror is told in the same transaction, so nothing more becomes visible after its commit.
"""

import datetime

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django_tenants.utils import tenant_context

from accounts.errors import DomainError
from accounts.models import User
from federation.agreements import sealing, timeline
from federation.agreements.access import State, locked, require_state, save
from federation.agreements.open_work import OpenWork, open_work
from federation.mirror import control
from federation.mirror.undelivered import undelivered
from federation.models import Agreement, Institution, Suspension

EventKind = timeline.EventKind
What = Suspension.What


@transaction.atomic
def suspend(
    agreement: Agreement, *, by: User, institution: Institution, what: str = What.EVERYTHING, reason: str = ""
) -> Agreement:
    """Stop new mandates, or everything, with effect at this commit; the party that stops it resumes it."""
    agreement = locked(agreement, institution)
    require_state(agreement, State.ACTIVE, State.WINDING_DOWN)
    if agreement.suspensions.filter(institution=institution, what=what, resumed_at=None).exists():
        raise DomainError("suspended_already", _("You have suspended this already."))
    stranded = open_work(agreement).counts if what == What.EVERYTHING else {}
    Suspension.objects.create(
        agreement=agreement, institution=institution, what=what, reason=reason, suspended_by_name=by.full_name
    )
    kind = EventKind.SUSPENDED if what == What.EVERYTHING else EventKind.MANDATES_SUSPENDED
    _apply_switches(agreement)
    timeline.record(kind, agreement, by=by, institution=institution, note=reason, **stranded)
    return agreement


@transaction.atomic
def resume(
    agreement: Agreement, *, by: User, institution: Institution, what: str = What.EVERYTHING
) -> Agreement:
    """Lift one's own suspension; the partner's, if there is one, goes on."""
    agreement = locked(agreement, institution)
    own = agreement.suspensions.filter(institution=institution, what=what, resumed_at=None).first()
    if own is None:
        raise DomainError("not_suspended_here", _("You have not suspended this. Ask your partner to resume."))
    save(own, resumed_at=timezone.now(), resumed_by_name=by.full_name)
    kind = EventKind.RESUMED if what == What.EVERYTHING else EventKind.MANDATES_RESUMED
    _apply_switches(agreement)
    timeline.record(kind, agreement, by=by, institution=institution)
    return agreement


def _apply_switches(agreement: Agreement) -> None:
    """Keep the two columns that say whether anybody has suspended, and tell the mirror."""
    since: dict[str, datetime.datetime] = {}
    for suspension in agreement.suspensions.filter(resumed_at=None):
        since.setdefault(suspension.what, suspension.suspended_at)
    if agreement.is_suspended and What.EVERYTHING not in since:
        agreement.resumed_at = timezone.now()
    save(
        agreement,
        resumed_at=agreement.resumed_at,
        suspended_at=since.get(What.EVERYTHING),
        new_mandates_suspended_at=since.get(What.NEW_MANDATES),
    )
    control.agreement_changed(agreement)


@transaction.atomic
def wind_down(agreement: Agreement, *, by: User, institution: Institution, reason: str = "") -> Agreement:
    """Take no new mandates from now on; trading to close, settlement and reporting go on."""
    agreement = locked(agreement, institution)
    require_state(agreement, State.ACTIVE)
    save(agreement, state=State.WINDING_DOWN)
    _drop_proposals(agreement)
    control.agreement_changed(agreement)
    timeline.record(EventKind.WINDING_DOWN, agreement, by=by, institution=institution, note=reason)
    return agreement


def open_anywhere(agreement: Agreement, institution: Institution) -> tuple[OpenWork, bool]:
    """Return what is open here, and whether the partner's side has something open that is not known here."""
    here = open_work(agreement)
    partner = agreement.partner_of(institution)
    if not partner.is_hosted:
        return here, False
    with tenant_context(partner):
        return here, bool(open_work(agreement)) and not here


@transaction.atomic
def terminate(agreement: Agreement, *, by: User, institution: Institution, reason: str = "") -> Agreement:
    """End an agreement that has nothing open any more."""
    agreement = locked(agreement, institution)
    require_state(agreement, State.ACTIVE, State.WINDING_DOWN)
    here, elsewhere = open_anywhere(agreement, institution)
    if here:
        raise DomainError(
            "still_open",
            _("Something is still open under this agreement. Wind it down and close that first."),
            data=here.counts,
        )
    if elsewhere:
        raise DomainError(
            "still_open_there",
            _("Your partner still has something open under this agreement. Ask them to close it."),
        )
    _end(agreement)
    timeline.record(EventKind.TERMINATED, agreement, by=by, institution=institution, note=reason)
    sealing.record_sealed(agreement, by=by, institution=institution)
    return agreement


@transaction.atomic
def cut(agreement: Agreement, *, by: User, institution: Institution, reason: str) -> Agreement:
    """End an agreement at once in an emergency; both parties read what was left open and not delivered."""
    if not reason.strip():
        raise DomainError(
            "reason_missing", _("Say why you cut this agreement off; your partner reads it."), field="reason"
        )
    agreement = locked(agreement, institution)
    require_state(agreement, State.ACTIVE, State.WINDING_DOWN)
    left = open_work(agreement).counts
    not_delivered = undelivered(agreement)
    _end(agreement)
    timeline.record(
        EventKind.CUT,
        agreement,
        by=by,
        institution=institution,
        note=reason.strip(),
        undelivered=not_delivered,
        is_uncounted=not_delivered is None,
        **left,
    )
    sealing.record_sealed(agreement, by=by, institution=institution)
    return agreement


def _end(agreement: Agreement) -> None:
    now = timezone.now()
    _drop_proposals(agreement)
    agreement.tokens.filter(revoked_at=None).update(revoked_at=now)
    agreement.suspensions.filter(resumed_at=None).update(resumed_at=now)
    if agreement.version is not None:
        save(agreement.version, in_force_to=now)
    save(agreement, state=State.TERMINATED, ended_at=now, suspended_at=None, new_mandates_suspended_at=None)
    control.agreement_changed(agreement)


def _drop_proposals(agreement: Agreement) -> None:
    agreement.versions.awaiting_answer().update(dropped_at=timezone.now())
    agreement.versions.drafts().delete()


@transaction.atomic
def list_publicly(agreement: Agreement, *, by: User, institution: Institution, agreed: bool) -> Agreement:
    """Agree, or no longer agree, that the platform's front page names both parties as working together."""
    agreement = locked(agreement, institution)
    side = agreement.side_of(institution)
    save(agreement, **{f"is_listed_by_{side.value}": agreed})
    kind = EventKind.LISTED if agreed else EventKind.UNLISTED
    timeline.record(kind, agreement, by=by, institution=institution)
    return agreement
