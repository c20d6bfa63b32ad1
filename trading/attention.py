"""Why a portfolio needs attention, as far as trading goes."""

from typing import Any

from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from portfolios.attention import Reason
from trading.models import Order, Proposal


def _is_among(rows: QuerySet[Any]) -> Q:
    # Open ones are few and have an index of their own: read once, not looked up for each portfolio.
    return Q(pk__in=rows.order_by().values("portfolio"))


def _has_proposal() -> Q:
    return _is_among(Proposal.objects.filter(state=Proposal.State.PROPOSED))


def _has_unsent_orders() -> Q:
    return _is_among(Order.objects.filter(state=Order.State.APPROVED, origin__isnull=True))


def _waits_for_kyc() -> Q:
    return _is_among(Order.objects.filter(state=Order.State.WAITING))


REASONS = (
    Reason("proposal", _("To approve"), "proposed", _has_proposal),
    Reason("unsent", _("Orders to send"), "due", _has_unsent_orders),
    Reason("kyc", _("Waits for KYC"), "warning", _waits_for_kyc),
)
