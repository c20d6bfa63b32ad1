"""What a client can choose among: the offers of all managers, with cost, and why one does not suit."""

import uuid
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import formatting
from accounts.models import User
from clients import wealth
from clients.calculations.suitability import (
    ClientFacts,
    OfferFacts,
    TargetMarket,
    Unsuitable,
    UnsuitableCode,
    unsuitable_reasons,
)
from clients.models import Client, Mandate, RiskProfile
from clients.partners import Partner, partners
from clients.services import Choice
from models_portfolio.models import Offer

_SENTENCES = {
    UnsuitableCode.NO_PROFILE: gettext_lazy("There is no risk profile yet. Fill in the questionnaire first."),
    UnsuitableCode.PROFILE_EXPIRED: gettext_lazy(
        "The risk profile is out of date. Go through the questionnaire again."
    ),
    UnsuitableCode.RISK_TOO_HIGH: gettext_lazy(
        "Its risk is %(offered)s of %(highest)s, the profile allows %(allowed)s."
    ),
    UnsuitableCode.AMOUNT_BELOW_MINIMUM: gettext_lazy("It starts at %(minimum)s; %(short)s more are needed."),
    UnsuitableCode.AMOUNT_NOT_COMPARABLE: gettext_lazy(
        "Its minimum is in %(currency)s, and there is no rate to compare. Give the amount in %(currency)s."
    ),
    UnsuitableCode.HORIZON_TOO_SHORT: gettext_lazy(
        "It is meant for %(needed)s years or more, the client plans for %(planned)s."
    ),
    UnsuitableCode.KNOWLEDGE_TOO_LOW: gettext_lazy(
        "It asks for more knowledge and experience (%(needed)s) than the client has (%(known)s)."
    ),
    UnsuitableCode.NOT_SUSTAINABLE_ENOUGH: gettext_lazy(
        "It does not meet the client's wish for sustainable investments."
    ),
    UnsuitableCode.CLIENT_KIND_NOT_SERVED: gettext_lazy("It is not made for this kind of client."),
    UnsuitableCode.COUNTRY_NOT_SERVED: gettext_lazy(
        "It is not offered in the client's country (%(country)s)."
    ),
    UnsuitableCode.NOT_OPEN: gettext_lazy("It takes no new clients at present."),
}
_AMOUNTS = ("minimum", "short")


def _in_words(reason: Unsuitable) -> Unsuitable:
    """Return a reason whose sentence is in the reader's language, its amounts as the reader writes them."""
    currency = str(reason.values.get("currency", ""))
    values = {
        name: formatting.whole(value, currency) if name in _AMOUNTS else value
        for name, value in reason.values.items()
    }
    return replace(reason, template=str(_SENTENCES[reason.code]) % values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """An offer as a client sees it.

    ``yearly_cost`` is the total cost a year on the planned amount, in the mandate's currency, where
    an amount is planned. ``reasons`` say why it does not suit; with ``can_override`` a recorded
    reason lets it through.
    """

    offer: Offer
    manager: str
    total_cost: Decimal
    yearly_cost: Decimal | None
    costs: tuple[tuple[str, Decimal], ...]
    reasons: tuple[Unsuitable, ...]
    is_chosen: bool

    @property
    def suits(self) -> bool:
        """Say whether nothing speaks against it."""
        return not self.reasons

    @property
    def waits(self) -> bool:
        """Say whether it suits but its manager takes no new mandates now."""
        return bool(self.reasons) and all(reason.code == UnsuitableCode.NOT_OPEN for reason in self.reasons)

    @property
    def can_override(self) -> bool:
        """Say whether a recorded reason lets it through."""
        return bool(self.reasons) and all(reason.can_override for reason in self.reasons)


def cards(
    mandate: Mandate,
    user: User,
    *,
    profile: RiskProfile | None,
    amount: Decimal | None,
    only_agreement: uuid.UUID | None = None,
    is_change: bool = False,
) -> list[Card]:
    """Return all open offers for a mandate, those that suit first, then by risk.

    ``is_change`` restricts them to ``only_agreement``'s manager (None: this institution itself). Where the
    mandate takes another one over, the former manager's own offers are left out.
    """
    offers = Offer.objects.visible_to(user).filter(is_open=True).select_related("model")
    # Own offers under an agreement are made to that agreement's channel, not to own clients.
    offers = offers.filter(Q(origin__isnull=True, agreement__isnull=True) | Q(origin__isnull=False))
    if is_change:
        offers = offers.filter(agreement=only_agreement)
    found = list(offers)
    known = partners({offer.agreement for offer in found if offer.agreement})
    former = mandate.predecessor
    if former is not None:
        names = {agreement: partner.name for agreement, partner in known.items()}
        found = [
            each for each in found if not former.is_managed_by(each.agreement, names.get(each.agreement, ""))
        ]
    chosen = mandate.current_offer
    rates = wealth.rates()
    shown = [
        _card(offer, chosen, _facts(mandate, profile, amount, offer.currency, rates), known)
        for offer in found
        if offer.agreement is None or (offer.agreement in known and known[offer.agreement].manages)
    ]
    return sorted(shown, key=lambda each: (not each.suits, not each.can_override, each.offer.risk_level))


def _facts(
    mandate: Mandate,
    profile: RiskProfile | None,
    amount: Decimal | None,
    currency: str,
    rates: dict[str, Decimal],
) -> ClientFacts:
    client: Client | None = mandate.client
    return ClientFacts(
        amount=amount,
        currency=mandate.currency,
        amount_in_offer_currency=wealth.convert(amount, mandate.currency, currency, rates),
        level=profile.level if profile else None,
        is_profile_valid=profile.is_valid if profile else True,
        knowledge=profile.knowledge if profile else None,
        horizon_years=profile.horizon_years if profile else None,
        sustainability=profile.sustainability if profile else "",
        kind=client.kind if client else "",
        country=client.country if client else "",
    )


def _card(offer: Offer, chosen: uuid.UUID | None, facts: ClientFacts, known: Any) -> Card:
    partner: Partner | None = known.get(offer.agreement) if offer.agreement else None
    found = unsuitable_reasons(
        facts,
        OfferFacts(
            risk_level=offer.risk_level,
            currency=offer.currency,
            minimum_amount=offer.minimum_amount,
            horizon_years=offer.horizon_years,
            is_open=offer.is_open,
            target_market=TargetMarket.from_data(offer.target_market),
        ),
    )
    reasons = tuple(_in_words(reason) for reason in found)
    if partner is not None and not partner.takes_mandates:
        closed = Unsuitable(code=UnsuitableCode.NOT_OPEN, template=partner.why_not, values={})
        reasons = (closed, *reasons)
    total = offer.management_fee + offer.custody_fee + offer.product_cost
    return Card(
        offer=offer,
        manager=partner.name if partner else "",
        total_cost=total,
        yearly_cost=facts.amount * total if facts.amount is not None else None,
        costs=(
            (_("Management"), offer.management_fee),
            (_("Custody"), offer.custody_fee),
            (_("Funds"), offer.product_cost),
        ),
        reasons=reasons,
        is_chosen=chosen == offer.pk,
    )


def _plain(value: Decimal) -> str:
    return format(value.normalize(), "f")


def terms_of(offer: Offer) -> dict[str, Any]:
    """Return an offer's terms as they are kept with a signature: plain JSON, fractions and amounts as text."""
    return {
        "offer": offer.name,
        "model": offer.model.name,
        "risk_level": offer.risk_level,
        "currency": offer.currency,
        "minimum_amount": _plain(offer.minimum_amount),
        "management_fee": _plain(offer.management_fee),
        "custody_fee": _plain(offer.custody_fee),
        "product_cost": _plain(offer.product_cost),
        "total_cost": _plain(offer.management_fee + offer.custody_fee + offer.product_cost),
        "horizon_years": offer.horizon_years,
        "documents": offer.documents,
        "summary": offer.summary,
    }


def choice_of(card: Card) -> Choice:
    """Return an offer as a choice, with its terms."""
    offer = card.offer
    return Choice(
        offer=offer.pk,
        offer_name=offer.name,
        agreement=offer.agreement,
        manager_name=card.manager,
        reasons_against=card.reasons,
        terms=terms_of(offer),
    )
