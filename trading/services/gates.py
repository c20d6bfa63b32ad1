"""What lets orders wait or blocks them: KYC, the risk profile, and the end of the mandate."""

import datetime

from django.utils.formats import date_format
from django.utils.translation import gettext as _

from clients.calculations.states import MandateState
from clients.models import KycStatus, Mandate, RiskProfile
from portfolios.models import Portfolio


def kyc_problem(portfolio: Portfolio, day: datetime.date) -> str:
    """Return why purchases wait for KYC, in words; empty where they do not.

    Sells stay possible. A portfolio without a mandate is the institution's own.
    """
    client = portfolio.mandate.client if portfolio.mandate else None
    if client is None:
        return ""
    kyc = getattr(client, "kyc", None)
    # What is sealed counts no more, and is not to be read here.
    if kyc is None or kyc.retired_at is not None:
        return _("KYC of the client is not recorded.")
    if kyc.state != KycStatus.State.APPROVED:
        return _("KYC of the client is %(state)s.") % {"state": kyc.get_state_display().lower()}
    if kyc.valid_until is not None and kyc.valid_until < day:
        return _("KYC of the client expired on %(day)s.") % {"day": date_format(kyc.valid_until)}
    return ""


def profile_problem(portfolio: Portfolio, day: datetime.date) -> str:
    """Return why the risk profile blocks purchases, in words; empty where it does not.

    The client's newest profile counts: a renewed one need not be signed into the mandate again.
    """
    mandate = portfolio.mandate
    if mandate is None or mandate.client is None:
        return ""
    known = [*mandate.client.risk_profiles.all(), mandate.risk_profile]
    profiles = [each for each in known if each is not None and each.retired_at is None]
    newest: RiskProfile | None = max(profiles, key=lambda each: each.number, default=None)
    if newest is None:
        return _("The client has no risk profile.")
    if newest.valid_until < day:
        return _("The risk profile expired on %(day)s.") % {"day": date_format(newest.valid_until)}
    return ""


def ending_problem(portfolio: Portfolio) -> str:
    """Return why nothing is bought for a portfolio any more, in words; empty where it may be.

    Sells stay possible: what is held has to be turned into cash.
    """
    mandate = portfolio.mandate
    if mandate is None:
        return ""
    number = {"number": portfolio.number}
    if mandate.retired_at is not None or mandate.status == Mandate.Status.WITHDRAWN:
        return _("The mandate of %(number)s was withdrawn.") % number
    if mandate.state in {MandateState.CLOSING, MandateState.CLOSED}:
        return _("The mandate of %(number)s is being closed.") % number
    return ""
