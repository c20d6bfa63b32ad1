"""A mandate on the sales side: from the first draft to its submission, and what follows."""

import datetime
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.errors import DomainError
from accounts.models import User, audit
from clients import changes, disclosure
from clients.calculations.states import MandateState
from clients.calculations.suitability import Unsuitable
from clients.models import Client, Mandate, MandateRestriction, RiskProfile
from clients.numbers import next_mandate_number
from clients.services.guards import refuse_received, require_signing_day, require_whole_units
from clients.signals import mandate_submitting

WITHDRAWABLE = {
    MandateState.DRAFT,
    MandateState.SIGNED,
    MandateState.SUBMITTED,
    MandateState.RETURNED,
    MandateState.ACCEPTED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A plan that a client chooses: whose, and its terms as they are kept with the signature.

    ``agreement`` is None where the institution manages the plan itself. ``terms`` is plain JSON.
    """

    offer: uuid.UUID
    offer_name: str
    agreement: uuid.UUID | None
    manager_name: str
    terms: Mapping[str, Any]
    reasons_against: Sequence[Unsuitable] = field(default=())


def _locked(mandate: Mandate) -> Mandate:
    locked: Mandate = Mandate.objects.select_for_update(of=("self",)).get(pk=mandate.pk)
    refuse_received(locked)
    return locked


def _locked_draft(mandate: Mandate) -> Mandate:
    draft = _locked(mandate)
    if not draft.is_draft and draft.state != MandateState.RETURNED:
        raise DomainError(
            "mandate_not_draft", _("This mandate has been submitted. Withdraw it to change it.")
        )
    return draft


_REVISED = (
    "amount", "currency", "risk_profile", "name", "offer", "offer_name", "agreement", "manager_name", "terms",
    "override_reason",
)  # fmt: skip


def _keep(mandate: Mandate) -> None:
    """Save a draft; changes of a returned mandate wait beside it until it is submitted again."""
    if not mandate.submission:
        mandate.save()
        return
    changed = {
        field.name: getattr(mandate, field.attname)
        for field in mandate._meta.concrete_fields
        if field.name in _REVISED
    }
    mandate.revision = {**mandate.revision, **changed}
    mandate.save(update_fields=["revision"])


def _bring_in(mandate: Mandate) -> list[str]:
    """Make what was changed since the mandate was returned part of it; return which parts, the client's too."""
    before = changes.terms_of(mandate)
    mandate.take_revision()
    changed = {part for part, said in changes.terms_of(mandate).items() if said != before[part]}
    wanted = {str(each.pk): each for each in mandate.wishes}
    standing = {str(each.pk) for each in mandate.restrictions.own()}
    if "restrictions" in mandate.revision:
        mandate.restrictions.own().exclude(pk__in=list(wanted)).delete()
        MandateRestriction.objects.bulk_create(each for key, each in wanted.items() if key not in standing)
    if set(wanted) != standing:
        changed.add("restrictions")
    mandate.revision = {}
    decision = changes.returned(mandate, mandate.submission)
    if decision is not None and mandate.client is not None:
        changed |= changes.about_client(mandate.client, decision.decided_at)
    return sorted(changed)


def _event(mandate: Mandate, event: str, by: User, text: str = "", **more: Any) -> None:
    mandate.history = [
        *mandate.history,
        {
            "event": event,
            "submission": mandate.submission,
            "at": timezone.now().isoformat(),
            "by": by.full_name,
            "text": text,
            **more,
        },
    ]


@transaction.atomic
def start_mandate(
    *, client: Client, by: User, predecessor: Mandate | None = None, amount: Decimal | None = None
) -> Mandate:
    """Start a draft for a client; nothing of it leaves the institution before it is submitted.

    ``amount`` is what is likely to be invested, where that is known, in the predecessor's currency.
    The client's wishes under ``predecessor`` are carried over. Raises DomainError where another successor of it
    has begun already.
    """
    refuse_received(client)
    if predecessor is not None and _locked(predecessor).successor is not None:
        raise DomainError(
            "handover_begun", _("This mandate is being handed over already. Go on with the mandate begun.")
        )
    mandate: Mandate = Mandate.objects.create(
        number=next_mandate_number(),
        client=client,
        currency=(predecessor or client).currency,
        amount=amount,
        predecessor=predecessor,
    )
    audit("mandate.started", mandate, by=by)
    for wish in predecessor.wishes if predecessor is not None else ():
        add_restriction(mandate=mandate, kind=wish.kind, value=wish.value, note=wish.note, by=by)
    return mandate


@transaction.atomic
def plan_mandate(
    *,
    mandate: Mandate,
    amount: Decimal,
    currency: str,
    risk_profile: RiskProfile,
    by: User,
    name: str = "",
) -> Mandate:
    """Set what is to be invested and the profile it rests on.

    A plan chosen before under another profile, amount or currency has to be chosen again.
    """
    draft = _locked_draft(mandate)
    draft.take_revision()
    if risk_profile.client_id != draft.client_id:
        raise DomainError("profile_of_another", _("This risk profile belongs to another client."))
    _require_newest(risk_profile)
    require_whole_units(amount, currency)
    before = (draft.amount, draft.currency, draft.risk_profile_id)
    draft.amount, draft.currency, draft.risk_profile, draft.name = amount, currency, risk_profile, name
    if before != (amount, currency, risk_profile.pk) and draft.submission == 0:
        _forget_choice(draft)
    draft.full_clean(exclude=["client"])
    _keep(draft)
    audit("mandate.planned", draft, by=by)
    return draft


def _require_newest(profile: RiskProfile) -> None:
    """Raise DomainError for a profile that a newer one has replaced, be it as valid on its last day."""
    if RiskProfile.objects.current().filter(client=profile.client_id, number__gt=profile.number).exists():
        raise DomainError(
            "profile_replaced",
            _(
                "The client has a newer risk profile than this one. Plan the mandate on it, and choose the plan again."
            ),
            field="risk_profile",
        )


def _forget_choice(mandate: Mandate) -> None:
    mandate.offer = mandate.agreement = None
    mandate.offer_name = mandate.manager_name = mandate.override_reason = ""
    mandate.terms = {}


@transaction.atomic
def choose_plan(*, mandate: Mandate, choice: Choice, by: User, override_reason: str = "") -> Mandate:
    """Choose a plan for a draft.

    Raises DomainError where something speaks against it: for good, or until a reason is recorded.
    The agreement of a mandate that was submitted once stays what it was.
    """
    draft = _locked_draft(mandate)
    draft.take_revision()
    if draft.risk_profile_id is None or draft.amount is None:
        raise DomainError("mandate_not_planned", _("Fill in the risk profile and the planned amount first."))
    if draft.submission and choice.agreement != draft.agreement:
        raise DomainError(
            "agreement_fixed",
            _("This mandate was submitted to %(manager)s. Start another mandate for another manager.")
            % {"manager": draft.manager_name},
        )
    former = draft.predecessor
    if former is not None and former.is_managed_by(choice.agreement, choice.manager_name):
        raise DomainError(
            "handover_to_same",
            _("This plan is the former manager's own. Change the plan of the former mandate instead."),
        )
    for reason in choice.reasons_against:
        if not reason.can_override:
            raise DomainError(f"offer_{reason.code}", reason.message, data=dict(reason.values))
    if choice.reasons_against and not override_reason.strip():
        raise DomainError(
            "override_needs_reason",
            _("This plan does not suit the profile. Say why the client wants it all the same."),
            field="override_reason",
            data={"reasons": [str(reason.code) for reason in choice.reasons_against]},
        )
    draft.offer, draft.offer_name = choice.offer, choice.offer_name
    draft.agreement, draft.manager_name = choice.agreement, choice.manager_name
    draft.terms = dict(choice.terms)
    draft.override_reason = override_reason.strip() if choice.reasons_against else ""
    _keep(draft)
    audit("mandate.plan_chosen", draft, by=by, offer=str(choice.offer), override=bool(draft.override_reason))
    return draft


@transaction.atomic
def submit_mandate(
    *,
    mandate: Mandate,
    by: User,
    signed_on: datetime.date,
    disclosure_authorised_on: datetime.date | None = None,
    answer: str = "",
) -> Mandate:
    """Submit a signed mandate, or submit it again with an answer after it was returned.

    Under an agreement the client's authorisation to disclose is needed: with this commit the
    manager sees the client. Raises DomainError where something is missing, or a receiver of
    ``mandate_submitting`` refuses.
    """
    mandate = _locked_draft(mandate)
    changed = _bring_in(mandate)
    _check_complete(mandate, signed_on, disclosure_authorised_on)
    again = mandate.submission > 0
    if again and not answer.strip():
        raise DomainError(
            "answer_missing", _("Answer what the manager asked for, then submit again."), field="answer"
        )
    mandate.status = Mandate.Status.SUBMITTED
    mandate.submission += 1
    mandate.signed_on = signed_on
    # The first submission is when the disclosure began; the later ones stand in the history.
    mandate.submitted_at = mandate.submitted_at or timezone.now()
    mandate.answer = answer.strip()
    if mandate.agreement is not None:
        mandate.disclosure_authorised_on = disclosure_authorised_on
        mandate.disclosure_text = disclosure.VERSION
    if again:
        _event(mandate, "resubmitted", by, mandate.answer, changed=changed)
    else:
        _event(mandate, "submitted", by, mandate.answer)
    mandate_submitting.send(sender=Mandate, mandate=mandate, by=by)
    mandate.save()
    client = mandate.client
    if client is not None and client.status == Client.Status.PROSPECT:
        client.status = Client.Status.CLIENT
        client.save(update_fields=["status"])
    audit("mandate.submitted", mandate, by=by, submission=mandate.submission)
    return mandate


def _check_complete(
    mandate: Mandate, signed_on: datetime.date, disclosure_authorised_on: datetime.date | None
) -> None:
    today = timezone.localdate()
    profile = mandate.risk_profile
    if mandate.offer is None or profile is None or mandate.amount is None:
        raise DomainError("mandate_incomplete", _("Choose a plan before you submit the mandate."))
    if profile.valid_until < today:
        raise DomainError(
            "profile_expired", _("The risk profile is out of date. Go through the questionnaire again.")
        )
    _require_newest(profile)
    _check_still_suits(mandate, profile)
    require_signing_day(mandate, signed_on, "signed")
    if disclosure_authorised_on is not None:
        require_signing_day(mandate, disclosure_authorised_on, "disclosure_authorised")
    if mandate.agreement is not None and disclosure_authorised_on is None:
        raise DomainError(
            "disclosure_not_authorised",
            _("Record the client's authorisation: %(manager)s sees the client from then on.")
            % {"manager": mandate.manager_name},
            field="disclosure_authorised",
        )


def _check_still_suits(mandate: Mandate, profile: RiskProfile) -> None:
    """Raise DomainError where profile or amount changed since the plan was chosen, and it suits no longer."""
    level, minimum = mandate.terms.get("risk_level"), mandate.terms.get("minimum_amount")
    if isinstance(level, int) and level > profile.level and not mandate.override_reason:
        raise DomainError(
            "plan_beyond_profile",
            _("The plan is riskier than the profile allows now. Choose the plan again, or record a reason."),
        )
    is_comparable = minimum is not None and mandate.terms.get("currency") == mandate.currency
    if is_comparable and mandate.amount is not None and mandate.amount < Decimal(str(minimum)):
        raise DomainError(
            "amount_below_minimum", _("The plan starts at a higher amount. Change the amount or the plan.")
        )


@transaction.atomic
def withdraw_mandate(*, mandate: Mandate, by: User, reason: str = "") -> Mandate:
    """Withdraw a mandate that is not managed yet; a partner no longer sees it after this commit."""
    mandate = _locked(mandate)
    if mandate.state not in WITHDRAWABLE:
        raise DomainError(
            "mandate_not_withdrawable", _("The mandate is being managed. Send an instruction to close it.")
        )
    _event(mandate, "withdrawn", by, reason)
    mandate.status, mandate.revision = Mandate.Status.WITHDRAWN, {}
    mandate.save()
    audit("mandate.withdrawn", mandate, by=by)
    return mandate


@transaction.atomic
def add_restriction(
    *, mandate: Mandate, kind: str, value: str, by: User, note: str = ""
) -> MandateRestriction:
    """Add something the client does not want, or wants kept; from now on no trade against it is sent.

    That of a returned mandate waits until it is submitted again.
    """
    mandate = _locked(mandate)
    _refuse_ended(mandate)
    restriction = MandateRestriction(mandate=mandate, kind=kind, value=value.strip(), note=note)
    if contrary := next((each for each in mandate.wishes if each.contradicts(restriction)), None):
        raise DomainError(
            "wish_contradicts",
            _("“%(known)s” is there already. Ask the client which of the two holds, and remove the other.")
            % {"known": contrary},
            field="value",
        )
    if mandate.state == MandateState.RETURNED:
        restriction.clean_fields(exclude=["mandate"])
        if any((each.kind, each.value) == (restriction.kind, restriction.value) for each in mandate.wishes):
            raise DomainError("wish_known", _("This wish is there already."), field="value")
        _keep_wishes(mandate, [*mandate.wishes, restriction])
    else:
        restriction.full_clean()
        restriction.save()
    audit("mandate.restriction_added", mandate, by=by, kind=kind)
    return restriction


@transaction.atomic
def remove_restriction(*, restriction: MandateRestriction, by: User) -> None:
    """Remove a restriction."""
    mandate = _locked(restriction.mandate)
    refuse_received(restriction)
    _refuse_ended(mandate)
    audit("mandate.restriction_removed", mandate, by=by, kind=restriction.kind)
    if mandate.state == MandateState.RETURNED:
        _keep_wishes(mandate, [each for each in mandate.wishes if str(each.pk) != str(restriction.pk)])
    else:
        restriction.delete()


def _keep_wishes(mandate: Mandate, wishes: Sequence[MandateRestriction]) -> None:
    listed = [
        {"id": str(each.pk), "kind": each.kind, "value": each.value, "note": each.note} for each in wishes
    ]
    mandate.revision = {**mandate.revision, "restrictions": listed}
    mandate.save(update_fields=["revision"])


def _refuse_ended(mandate: Mandate) -> None:
    if mandate.state in {MandateState.REJECTED, MandateState.WITHDRAWN, MandateState.CLOSED}:
        raise DomainError("mandate_ended", _("This mandate has ended. Start another one."))
