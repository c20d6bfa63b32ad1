"""Models on offer under an agreement: put there by the manager, kept by the models' own services."""

import uuid
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.errors import DomainError
from accounts.models import User
from federation.agreements import timeline
from federation.agreements.access import OPEN_TO_PROPOSALS, State, locked, require_state
from federation.models import Agreement, Institution, Side
from models_portfolio.models import ModelPortfolio, Offer
from models_portfolio.services.offers import offer_model, set_offer_open


def _as_manager(agreement: Agreement, institution: Institution) -> Agreement:
    agreement = locked(agreement, institution)
    if agreement.side_of(institution) != Side.MANAGER:
        raise DomainError("not_the_manager", _("The manager chooses which models it offers."))
    return agreement


@transaction.atomic
def offer(
    agreement: Agreement, *, by: User, institution: Institution, model: ModelPortfolio, **terms: Any
) -> Offer:
    """Offer a model of the manager's under the agreement; the channel sees it once the agreement is in force."""
    agreement = _as_manager(agreement, institution)
    require_state(agreement, *OPEN_TO_PROPOSALS, State.PROPOSED, State.ACTIVE)
    made = offer_model(model=model, by=by, agreement=agreement.pk, **terms)
    _tell(timeline.EventKind.OFFERED, agreement, made, by=by, institution=institution)
    return made


@transaction.atomic
def set_open(
    agreement: Agreement, offer_id: uuid.UUID, *, by: User, institution: Institution, is_open: bool
) -> Offer:
    """Open an offer for new mandates, or close it."""
    agreement = _as_manager(agreement, institution)
    changed = set_offer_open(offer=_own_offer(agreement, offer_id), is_open=is_open, by=by)
    kind = timeline.EventKind.OFFER_OPENED if is_open else timeline.EventKind.OFFER_CLOSED
    _tell(kind, agreement, changed, by=by, institution=institution)
    return changed


@transaction.atomic
def remove(agreement: Agreement, offer_id: uuid.UUID, *, by: User, institution: Institution) -> None:
    """Take an offer out of an agreement that was never in force: nobody can have chosen it."""
    agreement = _as_manager(agreement, institution)
    if agreement.started_at is not None:
        raise DomainError(
            "offer_in_use", _("Mandates may name this offer. Close it for new mandates instead.")
        )
    _own_offer(agreement, offer_id).delete()


def _own_offer(agreement: Agreement, offer_id: uuid.UUID) -> Offer:
    found: Offer | None = Offer.objects.own().filter(agreement=agreement.pk, pk=offer_id).first()
    if found is None:
        raise DomainError("offer_unknown", _("There is no such offer under this agreement. Reload the page."))
    return found


def _tell(
    kind: timeline.EventKind, agreement: Agreement, made: Offer, *, by: User, institution: Institution
) -> None:
    # The partner learns of an offer with the agreement, not before.
    if agreement.state != State.DRAFT:
        timeline.record(kind, agreement, by=by, institution=institution, model=made.name)
