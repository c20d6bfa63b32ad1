"""Say whether an offer suits a client's profile and amount, and if not why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from clients.calculations.risk import HIGHEST_LEVEL


class UnsuitableCode(StrEnum):
    """Why a plan does not suit a client, or cannot be judged."""

    NO_PROFILE = "no_profile"
    PROFILE_EXPIRED = "profile_expired"
    RISK_TOO_HIGH = "risk_too_high"
    AMOUNT_BELOW_MINIMUM = "amount_below_minimum"
    AMOUNT_NOT_COMPARABLE = "amount_not_comparable"
    HORIZON_TOO_SHORT = "horizon_too_short"
    KNOWLEDGE_TOO_LOW = "knowledge_too_low"
    NOT_SUSTAINABLE_ENOUGH = "not_sustainable_enough"
    CLIENT_KIND_NOT_SERVED = "client_kind_not_served"
    COUNTRY_NOT_SERVED = "country_not_served"
    NOT_OPEN = "not_open"


# From the least to the most demanding.
SUSTAINABILITY_PREFERENCES = ("none", "considers", "promotes", "sustainable")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientFacts:
    """Hold what an offer is checked against; None is a fact not known yet.

    `amount_in_offer_currency` is the planned amount where its currency is not the offer's and a
    rate is known. `is_profile_valid` is decided by the caller, who knows the day.
    """

    amount: Decimal | None = None
    currency: str = "EUR"
    amount_in_offer_currency: Decimal | None = None
    level: int | None = None
    is_profile_valid: bool = True
    knowledge: int | None = None
    horizon_years: int | None = None
    sustainability: str = ""
    kind: str = ""
    country: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetMarket:
    """Hold whom an offer is made for; nothing given is no limit."""

    client_kinds: frozenset[str] = frozenset()
    countries: frozenset[str] = frozenset()
    minimum_knowledge: int = 1
    sustainability: str = "none"

    @classmethod
    def from_data(cls, data: Mapping[str, object]) -> TargetMarket:
        """Build it from JSON: `client_kinds`, `countries`, `minimum_knowledge`, `sustainability`.

        Raises ValueError for a value of the wrong kind.
        """
        kinds, countries = data.get("client_kinds", []), data.get("countries", [])
        knowledge = data.get("minimum_knowledge", 1)
        sustainability = data.get("sustainability", "none")
        if not isinstance(kinds, list | tuple) or not isinstance(countries, list | tuple):
            raise ValueError("The kinds of clients and the countries must be lists.")
        if not isinstance(knowledge, int) or sustainability not in SUSTAINABILITY_PREFERENCES:
            raise ValueError("The knowledge must be a number, the sustainability a known word.")
        return cls(
            client_kinds=frozenset(str(kind) for kind in kinds),
            countries=frozenset(str(country) for country in countries),
            minimum_knowledge=knowledge,
            sustainability=str(sustainability),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferFacts:
    """Hold what is to be known of an offer; its minimum is in its currency."""

    risk_level: int
    currency: str
    minimum_amount: Decimal = Decimal(0)
    horizon_years: int = 0
    is_open: bool = True
    target_market: TargetMarket = field(default_factory=TargetMarket)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsuitable:
    """Hold a reason why an offer does not suit: code, sentence, and the values it names.

    `template` can be translated before `values` are put in; `can_override` says whether a
    recorded reason may let it through.
    """

    code: UnsuitableCode
    template: str
    values: Mapping[str, object]
    can_override: bool = False

    @property
    def message(self) -> str:
        """Return the sentence in English."""
        return self.template.format(**self.values)


def unsuitable_reasons(client: ClientFacts, offer: OfferFacts) -> tuple[Unsuitable, ...]:
    """Return why the offer does not suit the client; nothing when it does.

    An amount not given yet is no reason. A plan riskier than the profile, too long or not
    sustainable enough may be overridden with a recorded reason; the rest may not.
    """
    return (
        *_access_reasons(client, offer),
        *_profile_reasons(client, offer),
        *_amount_reasons(client, offer),
    )


def _access_reasons(client: ClientFacts, offer: OfferFacts) -> list[Unsuitable]:
    reasons: list[Unsuitable] = []
    market = offer.target_market
    if not offer.is_open:
        reasons.append(_reason(UnsuitableCode.NOT_OPEN, "It takes no new clients at present."))
    if market.client_kinds and client.kind and client.kind not in market.client_kinds:
        reasons.append(
            _reason(
                UnsuitableCode.CLIENT_KIND_NOT_SERVED,
                "It is not made for this kind of client.",
                kind=client.kind,
            )
        )
    if market.countries and client.country and client.country not in market.countries:
        reasons.append(
            _reason(
                UnsuitableCode.COUNTRY_NOT_SERVED,
                "It is not offered in the client's country ({country}).",
                country=client.country,
            )
        )
    return reasons


def _profile_reasons(client: ClientFacts, offer: OfferFacts) -> list[Unsuitable]:
    if client.level is None:
        return [
            _reason(
                UnsuitableCode.NO_PROFILE,
                "There is no risk profile yet. Fill in the questionnaire first.",
            )
        ]
    reasons: list[Unsuitable] = []
    if not client.is_profile_valid:
        reasons.append(
            _reason(
                UnsuitableCode.PROFILE_EXPIRED,
                "The risk profile is out of date. Go through the questionnaire again.",
            )
        )
    if offer.risk_level > client.level:
        reasons.append(
            _reason(
                UnsuitableCode.RISK_TOO_HIGH,
                "Its risk is {offered} of {highest}, the profile allows {allowed}.",
                can_override=True,
                offered=offer.risk_level,
                allowed=client.level,
                highest=HIGHEST_LEVEL,
            )
        )
    market = offer.target_market
    if client.knowledge is not None and client.knowledge < market.minimum_knowledge:
        reasons.append(
            _reason(
                UnsuitableCode.KNOWLEDGE_TOO_LOW,
                "It asks for more knowledge and experience ({needed}) than the client has ({known}).",
                needed=market.minimum_knowledge,
                known=client.knowledge,
            )
        )
    if client.horizon_years is not None and client.horizon_years < offer.horizon_years:
        reasons.append(
            _reason(
                UnsuitableCode.HORIZON_TOO_SHORT,
                "It is meant for {needed} years or more, the client plans for {planned}.",
                can_override=True,
                needed=offer.horizon_years,
                planned=client.horizon_years,
            )
        )
    if _demand(client.sustainability) > _demand(market.sustainability):
        reasons.append(
            _reason(
                UnsuitableCode.NOT_SUSTAINABLE_ENOUGH,
                "It does not meet the client's wish for sustainable investments.",
                can_override=True,
                wanted=client.sustainability,
                offered=market.sustainability,
            )
        )
    return reasons


def _amount_reasons(client: ClientFacts, offer: OfferFacts) -> list[Unsuitable]:
    if client.amount is None or offer.minimum_amount <= 0:
        return []
    amount: Decimal | None = client.amount_in_offer_currency
    if client.currency == offer.currency:
        amount = client.amount
    if amount is None:
        return [
            _reason(
                UnsuitableCode.AMOUNT_NOT_COMPARABLE,
                "Its minimum is in {currency}. Give the amount in {currency} to compare.",
                currency=offer.currency,
            )
        ]
    if amount < offer.minimum_amount:
        return [
            _reason(
                UnsuitableCode.AMOUNT_BELOW_MINIMUM,
                "It starts at {minimum} {currency}; {short} {currency} are lacking.",
                minimum=offer.minimum_amount,
                short=offer.minimum_amount - amount,
                currency=offer.currency,
            )
        ]
    return []


def _demand(preference: str) -> int:
    if preference in SUSTAINABILITY_PREFERENCES:
        return SUSTAINABILITY_PREFERENCES.index(preference)
    return 0


def _reason(
    code: UnsuitableCode, template: str, *, can_override: bool = False, **values: object
) -> Unsuitable:
    return Unsuitable(code=code, template=template, values=values, can_override=can_override)
