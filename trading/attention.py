"""Why a portfolio needs attention, as far as trading goes."""

from django.db.models import Exists, OuterRef
from django.utils.translation import gettext_lazy as _

from portfolios.attention import Reason
from trading.models import Order, Proposal


def _has_proposal() -> Exists:
    return Exists(Proposal.objects.filter(portfolio=OuterRef("pk"), state=Proposal.State.PROPOSED))


def _has_unsent_orders() -> Exists:
    return Exists(
        Order.objects.filter(portfolio=OuterRef("pk"), state=Order.State.APPROVED, origin__isnull=True)
    )


def _waits_for_kyc() -> Exists:
    return Exists(Order.objects.filter(portfolio=OuterRef("pk"), state=Order.State.WAITING))


REASONS = (
    Reason("proposal", _("To approve"), "proposed", _has_proposal),
    Reason("unsent", _("Orders to send"), "due", _has_unsent_orders),
    Reason("kyc", _("Waits for KYC"), "warning", _waits_for_kyc),
)
