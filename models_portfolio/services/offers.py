"""Put models on offer: to the institution's own clients, or under an agreement to its channel."""

import uuid
from decimal import Decimal
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts.errors import DomainError
from accounts.models import User, audit
from models_portfolio.models import ModelPortfolio, ModelVersion, Offer, Target
from models_portfolio.services.versions import require_own


@transaction.atomic
def offer_model(
    *,
    model: ModelPortfolio,
    by: User,
    agreement: uuid.UUID | None = None,
    name: str = "",
    summary: str = "",
    minimum_amount: Decimal = Decimal(0),
    management_fee: Decimal = Decimal(0),
    custody_fee: Decimal = Decimal(0),
    product_cost: Decimal = Decimal(0),
    horizon_years: int = 5,
    target_market: dict[str, Any] | None = None,
    documents: list[Any] | None = None,
) -> Offer:
    """Offer a model under an agreement, or to own clients where ``agreement`` is None.

    A model received under advice exchange may be offered to own clients, never passed on under
    another agreement. Raises DomainError where nothing is published or a sub-model is not offered
    there.
    """
    if agreement is not None:
        require_own(model)
    if not model.versions.filter(state=ModelVersion.State.PUBLISHED).exists():
        raise DomainError("nothing_published", _("Publish a version of the model before you offer it."))
    if agreement is not None:
        _require_sub_models(model, agreement)
    offer = Offer(
        model=model,
        agreement=agreement,
        name=name.strip() or model.name,
        summary=summary,
        risk_level=model.risk_level,
        currency=model.currency,
        minimum_amount=minimum_amount,
        management_fee=management_fee,
        custody_fee=custody_fee,
        product_cost=product_cost,
        horizon_years=horizon_years,
        target_market=target_market or {},
        documents=documents or [],
    )
    try:
        with transaction.atomic():
            offer.save(force_insert=True)
    except IntegrityError as error:
        raise DomainError("offered_already", _("This model is already offered there.")) from error
    audit("offered", offer, by=by, model=str(model.pk), agreement=str(agreement) if agreement else None)
    return offer


def _require_sub_models(model: ModelPortfolio, agreement: uuid.UUID) -> None:
    # Earlier versions cross too, with what they hold.
    published = model.versions.filter(state=ModelVersion.State.PUBLISHED)
    offered = Offer.objects.own().filter(agreement=agreement).values("model")
    held = ModelPortfolio.objects.filter(
        pk__in=Target.objects.filter(version__in=published).values("sub_model")
    )
    missing = [str(each) for each in held.exclude(pk__in=offered).order_by("code")]
    if missing:
        raise DomainError(
            "sub_model_not_offered",
            _("Offer the sub-models there first: %(names)s.") % {"names": ", ".join(missing)},
        )


@transaction.atomic
def set_offer_open(*, offer: Offer, is_open: bool, by: User) -> Offer:
    """Open an offer for new mandates, or close it; those who follow it already stay."""
    if offer.is_received:
        raise DomainError("received", _("This offer belongs to your partner, who alone can change it."))
    offer.is_open = is_open
    offer.save(update_fields=["is_open"])
    audit("opened" if is_open else "closed", offer, by=by)
    return offer
