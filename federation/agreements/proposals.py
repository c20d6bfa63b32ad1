"""Propose a version of an agreement, and answer it.

Each change locks the agreement's row, so it waits for a batch of the mirror that is under way; the
mirror is told in the same transaction, so nothing more becomes visible after its commit.
"""

import datetime
import uuid
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.errors import DomainError
from accounts.models import User
from federation.agreements import timeline
from federation.agreements.access import OPEN_TO_PROPOSALS, State, locked, own_draft, require_state, save
from federation.agreements.difference import difference
from federation.agreements.drafting import moved
from federation.agreements.presets import preset_of
from federation.mirror import control
from federation.models import Acceptance, Agreement, AgreementVersion, Institution
from federation.scope import objections

EventKind = timeline.EventKind


@transaction.atomic
def propose(
    version: AgreementVersion, *, by: User, institution: Institution, alone: bool | None = None
) -> AgreementVersion:
    """Put a draft to the partner; what only narrows one's own sharing takes effect at once.

    ``alone`` says that it is meant to take effect at once, or not to; DomainError where it would not be so.
    """
    version = own_draft(version, institution)
    agreement = version.agreement
    require_state(agreement, *OPEN_TO_PROPOSALS, State.ACTIVE, State.WINDING_DOWN)
    refused = [
        *moved(agreement, version.division),
        *objections(version.division, version.private, version.withheld),
    ]
    if refused:
        raise DomainError("division_senseless", " ".join(refused), data={"objections": refused})
    narrows = False
    if agreement.version is not None:
        change = difference(agreement.version, version)
        if not change:
            raise DomainError(
                "nothing_changed", _("Nothing differs from the version in force. Change something first.")
            )
        narrows = change.takes_one(agreement.side_of(institution))
        if not narrows and agreement.state == State.WINDING_DOWN:
            raise DomainError("winding_down", _("While it winds down, an agreement can only be narrowed."))
    _require_as_meant(alone, narrows)
    if not narrows and agreement.versions.awaiting_answer().exists():
        raise DomainError(
            "proposal_open", _("Another proposal waits for an answer. Answer or withdraw that one first.")
        )
    now = timezone.now()
    last = agreement.versions.aggregate(last=Max("number"))["last"] or 0
    save(version, number=last + 1, proposed_at=now)
    Acceptance.objects.create(
        version=version,
        institution=institution,
        answer=Acceptance.Answer.ACCEPTED,
        by_name=by.full_name,
        at=now,
    )
    if narrows:
        _bring_into_force(version, agreement, now=now)
        timeline.record(EventKind.NARROWED, agreement, by=by, institution=institution, version=version.number)
        return version
    kind = EventKind.PROPOSED if agreement.version is None else EventKind.VERSION_PROPOSED
    if agreement.version is None:
        save(agreement, state=State.PROPOSED, preset=preset_of(version.division, version.private))
    timeline.record(kind, agreement, by=by, institution=institution, version=version.number)
    return version


def _require_as_meant(alone: bool | None, narrows: bool) -> None:
    if alone and not narrows:
        raise DomainError(
            "takes_both",
            _(
                "Nothing was narrowed: with what else differs, such as the terms, it takes your partner's "
                "acceptance. Narrow now and leave the rest as it is in force, or propose all of it."
            ),
        )
    if alone is False and narrows:
        raise DomainError(
            "takes_one",
            _(
                "Nothing was proposed: this only narrows what you share, which takes effect at once. Narrow now."
            ),
        )


def _bring_into_force(version: AgreementVersion, agreement: Agreement, *, now: datetime.datetime) -> None:
    before = agreement.version
    for overtaken in agreement.versions.awaiting_answer().exclude(pk=version.pk):
        # It was written against a wording that no longer holds, and could widen again what was narrowed.
        save(overtaken, dropped_at=now)
        timeline.record(
            EventKind.OVERTAKEN,
            agreement,
            by=None,
            institution=overtaken.proposed_by,
            version=overtaken.number,
        )
    if before is not None:
        save(before, in_force_to=now)
    save(version, in_force_from=now)
    values: dict[str, Any] = {"version": version, "preset": preset_of(version.division, version.private)}
    if before is None:
        values |= {"state": State.ACTIVE, "started_at": now}
    save(agreement, **values)
    control.agreement_changed(agreement)


def _answerable(version: AgreementVersion, institution: Institution) -> tuple[AgreementVersion, Institution]:
    """Return the open version, locked, and the party that has to answer it, in whose name ``institution`` acts."""
    agreement = locked(version.agreement, institution)
    row: AgreementVersion | None = (
        agreement.versions.select_for_update().awaiting_answer().filter(pk=version.pk).first()
    )
    if row is None:
        raise DomainError(
            "proposal_gone", _("This proposal is no longer open. Reload the page to see what became of it.")
        )
    row.agreement = agreement
    proposer = row.proposed_by
    assert proposer is not None, "what was proposed was proposed by somebody"
    answering = agreement.partner_of(proposer)
    if answering.pk == institution.pk:
        return row, answering
    if answering.is_hosted:
        raise DomainError("partner_answers", _("Your partner answers this proposal. You can withdraw it."))
    return row, answering


def _answer(
    version: AgreementVersion,
    answering: Institution,
    *,
    by: User,
    institution: Institution,
    answer: str,
    reason: str,
    partner_name: str,
    answered_at: datetime.datetime,
) -> None:
    external = answering.pk != institution.pk
    if external and not partner_name.strip():
        raise DomainError(
            "partner_name_missing", _("Enter who answered at the partner."), field="partner_name"
        )
    if answered_at > timezone.now():
        raise DomainError(
            "answered_in_future", _("The answer cannot lie in the future."), field="answered_on"
        )
    Acceptance.objects.create(
        version=version,
        institution=answering,
        answer=answer,
        reason=reason,
        by_name=partner_name.strip() if external else by.full_name,
        recorded_by_name=by.full_name if external else "",
        at=answered_at,
    )


@transaction.atomic
def accept(
    version: AgreementVersion,
    *,
    by: User,
    institution: Institution,
    partner_name: str = "",
    answered_at: datetime.datetime | None = None,
) -> Agreement:
    """Accept a proposal: it is in force at once.

    For an external partner the hosted party records the acceptance, with who gave it and when.
    """
    version, answering = _answerable(version, institution)
    agreement = version.agreement
    if agreement.state in {State.WINDING_DOWN, State.TERMINATED}:
        raise DomainError("winding_down", _("The agreement is ending. Decline this proposal."))
    now = timezone.now()
    _answer(
        version, answering, by=by, institution=institution, answer=Acceptance.Answer.ACCEPTED, reason="",
        partner_name=partner_name, answered_at=answered_at or now,
    )  # fmt: skip
    timeline.record(
        EventKind.ACCEPTED,
        agreement,
        by=by,
        institution=answering,
        by_name=partner_name,
        version=version.number,
    )
    _bring_into_force(version, agreement, now=now)
    timeline.record(EventKind.IN_FORCE, agreement, by=by, institution=institution, version=version.number)
    return agreement


@transaction.atomic
def decline(
    version: AgreementVersion,
    *,
    by: User,
    institution: Institution,
    reason: str,
    partner_name: str = "",
    answered_at: datetime.datetime | None = None,
) -> Agreement:
    """Decline a proposal with a reason; a version in force stays in force."""
    if not reason.strip():
        raise DomainError(
            "reason_missing", _("Say why, so that your partner can propose something else."), field="reason"
        )
    version, answering = _answerable(version, institution)
    agreement = version.agreement
    now = timezone.now()
    _answer(
        version, answering, by=by, institution=institution, answer=Acceptance.Answer.DECLINED, reason=reason.strip(),
        partner_name=partner_name, answered_at=answered_at or now,
    )  # fmt: skip
    save(version, dropped_at=now)
    if agreement.version is None:
        save(agreement, state=State.DECLINED)
    timeline.record(
        EventKind.DECLINED, agreement, by=by, institution=answering, by_name=partner_name, note=reason.strip(),
        version=version.number,
    )  # fmt: skip
    return agreement


@transaction.atomic
def withdraw(version: AgreementVersion, *, by: User, institution: Institution) -> AgreementVersion:
    """Take back one's own proposal; its wording becomes a draft again, which only the proposer sees.

    What was proposed stays for both to read, as does the agreement.
    """
    agreement = locked(version.agreement, institution)
    open_version: AgreementVersion | None = agreement.versions.awaiting_answer().filter(pk=version.pk).first()
    if open_version is None or open_version.proposed_by_id != institution.pk:
        raise DomainError(
            "proposal_gone", _("This proposal is no longer yours to withdraw. Reload the page.")
        )
    save(open_version, dropped_at=timezone.now())
    if agreement.version is None:
        save(agreement, state=State.WITHDRAWN)
    timeline.record(
        EventKind.WITHDRAWN, agreement, by=by, institution=institution, version=open_version.number
    )
    draft = agreement.versions.drafts().filter(proposed_by=institution).first()
    if draft is None:
        draft = AgreementVersion.objects.get(pk=open_version.pk)
        draft.pk = draft.id = uuid.uuid4()
        draft._state.adding = True
        draft.number = draft.proposed_at = draft.dropped_at = None
        draft.save()
    return draft
