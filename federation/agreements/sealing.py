"""What an institution keeps sealed after an agreement: look into it, hold it back, erase it when due."""

import datetime
import time
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django_tenants.utils import tenant_context

from accounts.errors import DomainError
from accounts.models import User, audit
from clients.models import Mandate
from federation.agreements import timeline
from federation.agreements.access import save
from federation.mirror import erasing
from federation.mirror.refusals import OwnRowsAppeared
from federation.models import Agreement, Institution, RecordsHold, SealedAccess, SealedRecords

EventKind = timeline.EventKind


def record_sealed(agreement: Agreement, *, by: User, institution: Institution) -> None:
    """Write into the timeline of an agreement that ``institution`` has just ended what each party keeps, until when."""
    kept = SealedRecords.objects.filter(agreement=agreement).select_related("agreement", "owner", "receiver")
    for sealed in kept:
        _tell(
            EventKind.SEALED,
            sealed,
            by=by,
            of=sealed.owner.short_name,
            kept_at=sealed.receiver.short_name,
            acting=institution.short_name,
            until=sealed.retain_until.isoformat(),
        )


def _said(reason: str, refusal: str) -> str:
    """Return a reason without the blanks around it; refuse where there is none."""
    if not reason.strip():
        raise DomainError("reason_missing", refusal, field="reason")
    return reason.strip()


def _tell(kind: EventKind, sealed: SealedRecords, *, by: User | None, **more: Any) -> None:
    """Write into the agreement's timeline what happened to a set, on the side of who keeps it."""
    timeline.record(kind, sealed.agreement, by=by, institution=sealed.receiver, **more)


@transaction.atomic
def open_records(
    sealed: SealedRecords, mandate: Mandate, *, by: User, institution: Institution, reason: str
) -> SealedAccess:
    """Open what is kept of one mandate for a while; both parties read who did, and why."""
    sealed = _own(sealed, institution)
    reason = _said(reason, _("Say why you open sealed records; it is written down."))
    _require_kept(sealed, mandate)
    access = SealedAccess.objects.create(
        sealed=sealed,
        mandate=mandate.pk,
        mandate_number=mandate.number,
        reason=reason,
        by=by.pk,
        by_name=by.full_name,
    )
    _tell(EventKind.SEALED_OPENED, sealed, by=by, note=access.reason, mandate=mandate.number)
    audit("sealed.opened", mandate, by=by, access=str(access.pk))
    return access


def _require_kept(sealed: SealedRecords, mandate: Mandate) -> None:
    """Raise DomainError once the last day is over: what has not been erased yet is nobody's to read, unless it is held."""
    today = timezone.localdate()
    holds = sealed.holds.in_force(today).filter(Q(mandate=None) | Q(mandate=mandate.pk))
    if sealed.retain_until < today and not holds.exists():
        raise DomainError(
            "past_retention",
            _(
                "The last day of these records is over: they are being erased. Who still needs them puts a hold on them first."
            ),
        )


@transaction.atomic
def place_hold(
    sealed: SealedRecords,
    *,
    by: User,
    institution: Institution,
    reason: str,
    mandate: Mandate | None = None,
    until: datetime.date | None = None,
) -> RecordsHold:
    """Keep a set, or what is kept of one mandate, from being erased until a day or until it is lifted."""
    sealed = _own(sealed, institution)
    reason = _said(reason, _("Say why these records must not be erased yet."))
    if until is not None and until <= timezone.localdate():
        raise DomainError("hold_in_past", _("Choose a day in the future, or none."), field="until")
    # A hold that has run out makes room for another.
    standing = sealed.holds.filter(lifted_at=None, mandate=mandate.pk if mandate else None).first()
    if standing is not None and (standing.until is None or standing.until >= timezone.localdate()):
        raise DomainError("held_already", _("There is a hold already. Lift it first."))
    if standing is not None:
        save(standing, lifted_at=timezone.now(), lift_reason=_("It had run out."))
    hold = RecordsHold.objects.create(
        sealed=sealed,
        mandate=mandate.pk if mandate else None,
        mandate_number=mandate.number if mandate else "",
        reason=reason,
        until=until,
        placed_by_name=by.full_name,
    )
    _tell(
        EventKind.HELD,
        sealed,
        by=by,
        note=hold.reason,
        mandate=hold.mandate_number,
        until=until.isoformat() if until else "",
    )
    return hold


@transaction.atomic
def lift_hold(hold: RecordsHold, *, by: User, institution: Institution, reason: str) -> RecordsHold:
    """Let records be erased again once they are due."""
    sealed = _own(hold.sealed, institution)
    hold = RecordsHold.objects.select_for_update().get(pk=hold.pk)
    if hold.lifted_at is not None:
        raise DomainError("hold_lifted", _("This hold has been lifted already."))
    reason = _said(reason, _("Say why the hold is lifted."))
    save(hold, lifted_at=timezone.now(), lifted_by_name=by.full_name, lift_reason=reason)
    _tell(EventKind.HOLD_LIFTED, sealed, by=by, note=hold.lift_reason, mandate=hold.mandate_number)
    return hold


def _own(sealed: SealedRecords, institution: Institution) -> SealedRecords:
    """Lock a set that is this institution's: an erasure under way ends first."""
    row: SealedRecords | None = (
        SealedRecords.objects.select_for_update(of=("self",))
        .kept()
        .select_related("agreement", "receiver")
        .filter(pk=sealed.pk, receiver=institution)
        .first()
    )
    if row is None:
        raise DomainError("not_sealed", _("Nothing of this is kept any more. Reload the list."))
    return row


def erase_due(*, today: datetime.date, seconds: float = 20.0) -> bool:
    """Erase what need not be kept any more, chunk by chunk; say whether more is left for another turn."""
    end = time.monotonic() + seconds
    for sealed in SealedRecords.objects.due(today).select_related("agreement", "receiver"):
        while True:
            if time.monotonic() > end:
                return True
            try:
                with transaction.atomic():
                    more = erasing.erase(sealed, today=today) is not None
                    if not more:
                        _record_erased(sealed)
            except OwnRowsAppeared:
                # Somebody's own row came to name one of these: look again next time.
                break
            if not more:
                break
    return False


def _record_erased(sealed: SealedRecords) -> None:
    sealed = SealedRecords.objects.select_related("agreement", "receiver").get(pk=sealed.pk)
    # Another worker may have finished, and said so.
    is_known = sealed.agreement.events.filter(kind=EventKind.ERASED, institution=sealed.receiver).exists()
    if sealed.erased_at is None or is_known:
        return
    with tenant_context(sealed.receiver):
        _tell(EventKind.ERASED, sealed, by=None, rows=sealed.rows_erased)
