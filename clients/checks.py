"""What a manager checks before taking a mandate on."""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from django.utils.translation import gettext as _

from accounts import formatting
from clients.models import KycStatus, Mandate, RiskProfile

GOOD, WARNING, BAD = "good", "warning", "bad"


@dataclass(frozen=True, slots=True)
class Check:
    """One check with what was found; ``result`` is good, warning (look) or bad (ask)."""

    name: str
    result: str
    text: str


def checks_of(mandate: Mandate) -> list[Check]:
    """Return the checks on a submitted mandate; select its client, identity check and profile with it."""
    kyc = KycStatus.objects.filter(client=mandate.client_id).first()
    return [
        _identity(kyc),
        _profile(mandate.risk_profile),
        _risk(mandate, mandate.risk_profile),
        _minimum(mandate),
        _signature(mandate),
        *([_disclosure(mandate)] if mandate.agreement else []),
        _restrictions(mandate),
    ]


def _identity(kyc: KycStatus | None) -> Check:
    name = _("Identity")
    if kyc is None:
        return Check(name, BAD, _("Nobody has checked who the client is."))
    if not kyc.is_valid:
        until = formatting.day(kyc.valid_until) if kyc.valid_until else ""
        return Check(name, BAD, f"{kyc.get_state_display()} {until}".strip())
    if kyc.is_politically_exposed:
        return Check(name, WARNING, _("Approved, politically exposed"))
    return Check(name, GOOD, _("Approved until %(day)s") % {"day": formatting.day(kyc.valid_until)})


def _profile(profile: RiskProfile | None) -> Check:
    name = _("Risk profile")
    if profile is None:
        return Check(name, BAD, _("There is none."))
    values = {"level": profile.level, "day": formatting.day(profile.valid_until)}
    if not profile.is_valid:
        return Check(name, BAD, _("%(level)s of 7, expired on %(day)s") % values)
    return Check(name, GOOD, _("%(level)s of 7, valid until %(day)s") % values)


def _risk(mandate: Mandate, profile: RiskProfile | None) -> Check:
    name, offered = _("Plan fits the profile"), _whole(mandate.terms.get("risk_level"))
    if profile is None or offered is None:
        return Check(name, WARNING, _("Cannot be compared."))
    text = _("Risk %(offered)s of 7, the profile allows %(allowed)s") % {
        "offered": offered,
        "allowed": profile.level,
    }
    if mandate.override_reason:
        return Check(name, WARNING, f"{text}. {_('The client’s reason')}: {mandate.override_reason}")
    return Check(name, GOOD if offered <= profile.level else BAD, text)


def _minimum(mandate: Mandate) -> Check:
    name, minimum = _("Minimum"), _decimal(mandate.terms.get("minimum_amount"))
    currency = str(mandate.terms.get("currency") or mandate.currency)
    if minimum is None or mandate.amount is None:
        return Check(name, WARNING, _("Cannot be compared."))
    text = _("%(amount)s planned, from %(minimum)s on") % {
        "amount": formatting.whole(mandate.amount, mandate.currency),
        "minimum": formatting.whole(minimum, currency),
    }
    if currency != mandate.currency:
        return Check(name, WARNING, text)
    return Check(name, GOOD if mandate.amount >= minimum else BAD, text)


def _signature(mandate: Mandate) -> Check:
    if mandate.signed_on is None:
        return Check(_("Signature"), BAD, _("Not signed"))
    return Check(_("Signature"), GOOD, _("Signed on %(day)s") % {"day": formatting.day(mandate.signed_on)})


def _disclosure(mandate: Mandate) -> Check:
    name = _("Disclosure authorised")
    if mandate.disclosure_authorised_on is None:
        return Check(name, BAD, _("Not authorised"))
    values = {"day": formatting.day(mandate.disclosure_authorised_on), "version": mandate.disclosure_text}
    return Check(name, GOOD, _("On %(day)s, text %(version)s") % values)


def _restrictions(mandate: Mandate) -> Check:
    wishes = [str(each) for each in mandate.restrictions.all()]
    name = _("The client’s wishes")
    return Check(name, WARNING, "; ".join(wishes)) if wishes else Check(name, GOOD, _("No wishes"))


def _decimal(value: Any) -> Decimal | None:
    try:
        return Decimal(str(value)) if value is not None else None
    except InvalidOperation:
        return None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) else None
