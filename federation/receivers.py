"""What federation answers to the domain apps."""

import uuid
from typing import Any

from django.db import connection
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.errors import DomainError
from clients.models import ClientInstruction, Mandate, MandateDecision
from federation.mirror.dispatch import behind
from federation.models import Agreement, Institution, Stream
from federation.partners import current_institution, partners, why_not
from models_portfolio.models import ModelPortfolio, Offer
from models_portfolio.signals import Follower
from portfolios.models import Portfolio
from reporting.letterhead import Letterhead


def gate_mandate(sender: type[Mandate], *, mandate: Mandate, **_kwargs: Any) -> None:
    """Refuse a mandate that its agreement does not let through: not in force, suspended, not on offer.

    A mandate that was returned is no new one: it may be answered while only new ones are suspended.
    """
    if mandate.agreement is None:
        return
    partner = partners([mandate.agreement]).get(mandate.agreement)
    if partner is None or not partner.manages:
        raise DomainError(
            "agreement_not_in_force",
            _("There is no agreement under which this manager takes mandates. Choose another plan."),
            field="offer",
        )
    agreement = _held(mandate.agreement)
    is_new = mandate.submission <= 1
    if not is_new and agreement.state == Agreement.State.ACTIVE and not agreement.is_suspended:
        return
    reason = why_not(agreement)
    if reason:
        raise DomainError("agreement_takes_none", reason, field="offer")
    offer = (
        Offer.objects.current()
        .filter(pk=mandate.offer, agreement=mandate.agreement, origin__isnull=False)
        .first()
    )
    if offer is None:
        raise DomainError(
            "not_offered",
            _("%(name)s no longer offers this plan. Choose another one.") % {"name": partner.name},
        )
    if not offer.is_open:
        raise DomainError(
            "offer_closed",
            _("%(name)s takes no new mandates for this plan. Choose another one.") % {"name": partner.name},
        )


def _held(agreement: uuid.UUID) -> Agreement:
    """Return an agreement that does not change before this transaction ends: who changes it waits."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM public.federation_agreement WHERE id = %s FOR SHARE", [agreement])
    held: Agreement = Agreement.objects.get(pk=agreement)
    return held


def gate_acceptance(
    sender: type[Mandate], *, mandate: Mandate, decision: MandateDecision, **_kwargs: Any
) -> None:
    """Refuse to accept a mandate under an agreement that is ending, or while it is suspended.

    While it is suspended the channel would not read the acceptance, and might withdraw.
    """
    if mandate.agreement is None or decision.outcome != MandateDecision.Outcome.ACCEPTED:
        return
    agreement = _held(mandate.agreement)
    if agreement.state == Agreement.State.ACTIVE and agreement.is_suspended:
        raise DomainError(
            "agreement_suspended",
            _("The agreement with this sales channel is suspended. Accept the mandate once it is resumed."),
        )
    if agreement.state != Agreement.State.ACTIVE:
        raise DomainError(
            "agreement_takes_none",
            _("The agreement with this sales channel is ending and takes no new mandates. Reject it."),
        )


def gate_acting(sender: type[ClientInstruction], *, instruction: ClientInstruction, **_kwargs: Any) -> None:
    """Refuse to act on a partner's instruction that it may have withdrawn without being heard here.

    That is while everything is suspended, while the mirror is stopped, and until what was changed
    meanwhile has arrived.
    """
    if instruction.mandate.agreement is None:
        return
    agreement = _held(instruction.mandate.agreement)
    if agreement.is_suspended:
        raise DomainError(
            "agreement_suspended",
            _(
                "The agreement with this sales channel is suspended: it may have withdrawn the instruction, and you "
                "would not hear of it. Carry it out once the agreement is resumed."
            ),
        )
    if not _hears(agreement, instruction.origin):
        raise DomainError(
            "partner_not_heard",
            _(
                "Not all that this sales channel has changed has arrived yet: it may have withdrawn the instruction. "
                "Try again in a moment; where that does not help, ask your administrator to look at the mirror."
            ),
        )


def _hears(agreement: Agreement, owner: uuid.UUID | None) -> bool:
    """Say whether a partner's changes arrive, those too that it made while the agreement was suspended."""
    stream = Stream.objects.filter(agreement=agreement, owner=owner).select_related("owner").first()
    if stream is None:
        # An external partner's system writes them here itself.
        return True
    missed = {Stream.FillReason.PAUSED, Stream.FillReason.RESTORED}
    if stream.state == Stream.State.BROKEN or (stream.fill_kind and stream.fill_reason in missed):
        return False
    resumed, ticked = agreement.resumed_at, stream.last_tick_at
    has_run_since = resumed is None or (ticked is not None and ticked > resumed)
    return has_run_since or not behind([stream])


def answer_letterhead(sender: type[Portfolio], *, portfolio: Portfolio, **_kwargs: Any) -> Letterhead:
    """Return the letterhead of the institution that has the portfolio's client."""
    mandate = portfolio.mandate
    owner = None
    if mandate is not None and mandate.origin is not None:
        owner = Institution.everyone.filter(pk=mandate.origin).first()
    institution = owner or current_institution()
    return Letterhead(
        name=institution.name,
        address=institution.address,
        contact=institution.contact,
        colour=institution.colour,
        footer=institution.footer,
        language=institution.language,
        is_demo=institution.is_demo,
    )


def answer_followers(
    sender: type[ModelPortfolio], *, model: ModelPortfolio, **_kwargs: Any
) -> list[Follower]:
    """Return the institutions that an own model is offered to, with the state of their agreement."""
    offered = Offer.objects.current().own().filter(model=model, agreement__isnull=False).values("agreement")
    institution = current_institution()
    agreements = (
        Agreement.objects.visible_to(institution)
        .filter(pk__in=list(offered.values_list("agreement", flat=True)))
        .select_related("manager", "channel", "version")
    )
    return [
        Follower(
            name=agreement.partner_of(institution).name,
            state="suspended" if agreement.is_suspended else agreement.state,
            label=_("Suspended") if agreement.is_suspended else agreement.get_state_display(),
            is_live=agreement.is_live,
            url=reverse("federation:agreement_detail", args=[agreement.pk]),
        )
        for agreement in agreements
    ]
