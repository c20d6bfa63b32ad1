"""The managing side of a mandate: decisions are its own records, the mandate is never touched."""

from collections.abc import Sequence

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.errors import DomainError
from accounts.models import Unit, User, audit
from clients.calculations.states import MandateState
from clients.duties import Duty, require
from clients.models import Mandate, MandateDecision
from clients.signals import mandate_decided

Outcome = MandateDecision.Outcome
# What is a state and not an act, as the audit trail has it.
_AUDITED_AS = {Outcome.ACTIVE: "activated", Outcome.CLOSING: "closing_begun"}


def _waiting(mandate: Mandate, submission: int | None) -> Mandate:
    """Lock a mandate and return it if it waits for a decision on this submission."""
    # No key: decisions that name the mandate may still be written beside.
    locked: Mandate = (
        Mandate.objects.current().select_for_update(of=("self",), no_key=True).get(pk=mandate.pk)
    )
    require(Duty.MANAGEMENT, locked)
    if submission is not None and submission != locked.submission:
        raise DomainError(
            "mandate_resubmitted", _("The mandate was submitted again meanwhile. Look at it once more.")
        )
    if locked.state != MandateState.SUBMITTED:
        raise DomainError(
            "mandate_not_waiting",
            _("There is nothing to decide: the mandate is %(state)s.") % {"state": locked.state_label},
        )
    return locked


def _write(
    mandate: Mandate, outcome: str, by: User, *, reason: str = "", missing: Sequence[str] = ()
) -> MandateDecision:
    decision = MandateDecision(
        mandate=mandate,
        submission=mandate.submission,
        outcome=outcome,
        reason=reason.strip(),
        missing=list(missing),
        decided_at=timezone.now(),
        decided_by_name=by.full_name,
    )
    decision.full_clean(exclude=["mandate"])
    decision.save()
    mandate.forget_decisions()
    audit(
        f"mandate.{_AUDITED_AS.get(Outcome(outcome), outcome)}", mandate, by=by, submission=mandate.submission
    )
    return decision


def _decide(
    mandate: Mandate,
    outcome: str,
    by: User,
    *,
    unit: Unit | None = None,
    reason: str = "",
    missing: Sequence[str] = (),
) -> MandateDecision:
    """Write a decision and tell of it: whoever listens may refuse."""
    decision = _write(mandate, outcome, by, reason=reason, missing=missing)
    mandate_decided.send(sender=Mandate, mandate=mandate, decision=decision, unit=unit, by=by)
    return decision


@transaction.atomic
def accept_mandate(
    *, mandate: Mandate, by: User, unit: Unit | None = None, submission: int | None = None
) -> MandateDecision:
    """Accept a submitted mandate for a desk: its portfolio opens in the same transaction.

    ``submission`` is the one that ``by`` looked at. Raises DomainError where nothing waits for a
    decision, or a receiver of ``mandate_decided`` refuses.
    """
    mandate = _waiting(mandate, submission)
    decision = _decide(mandate, Outcome.ACCEPTED, by, unit=unit)
    if Mandate.objects.filter(pk=mandate.pk, portfolio__isnull=False).exists():
        activate_mandate(mandate=mandate, by=by)
    return decision


@transaction.atomic
def activate_mandate(*, mandate: Mandate, by: User) -> MandateDecision:
    """Record that the mandate's portfolio is open; once is enough."""
    require(Duty.MANAGEMENT, mandate)
    active = mandate.decisions.filter(outcome=Outcome.ACTIVE).first()
    return active or _write(mandate, Outcome.ACTIVE, by)


@transaction.atomic
def return_mandate(
    *,
    mandate: Mandate,
    by: User,
    reason: str,
    missing: Sequence[str] = (),
    submission: int | None = None,
) -> MandateDecision:
    """Return a mandate for what is missing, so that it can be submitted again."""
    mandate = _waiting(mandate, submission)
    if not reason.strip() and not missing:
        raise DomainError(
            "reason_missing", _("Say what is missing, so that the advisor can act on it."), field="reason"
        )
    reason = reason.strip() or _("See what is missing.")
    return _decide(mandate, Outcome.RETURNED, by, reason=reason, missing=missing)


@transaction.atomic
def reject_mandate(
    *, mandate: Mandate, by: User, reason: str, submission: int | None = None
) -> MandateDecision:
    """Reject a mandate; the client leaves what this institution sees, the decision stays."""
    mandate = _waiting(mandate, submission)
    if not reason.strip():
        raise DomainError(
            "reason_missing", _("Say why, so that the advisor can explain it to the client."), field="reason"
        )
    return _decide(mandate, Outcome.REJECTED, by, reason=reason)


@transaction.atomic
def begin_closing(*, mandate: Mandate, by: User) -> MandateDecision:
    """Record that the portfolio of an active mandate is being wound up."""
    require(Duty.MANAGEMENT, mandate)
    if mandate.state != MandateState.ACTIVE:
        raise DomainError("mandate_not_active", _("Only an active mandate can be closed."))
    return _decide(mandate, Outcome.CLOSING, by)


@transaction.atomic
def close_mandate(*, mandate: Mandate, by: User, reason: str = "") -> MandateDecision:
    """Record that a mandate has ended; a receiver refuses while the portfolio still holds something."""
    require(Duty.MANAGEMENT, mandate)
    if mandate.state not in {MandateState.ACTIVE, MandateState.CLOSING}:
        raise DomainError("mandate_not_active", _("Only an active mandate can be closed."))
    return _decide(mandate, Outcome.CLOSED, by, reason=reason)
