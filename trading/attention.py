"""Why a portfolio needs attention, as far as trading goes."""

from typing import Any

from django.db.models import F, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from clients.models import MandateRestriction
from portfolios.attention import Reason
from trading.models import Allocation, Order, Proposal


def _is_among(rows: QuerySet[Any]) -> Q:
    # Open ones are few and have an index of their own: read once, not looked up for each portfolio.
    return Q(pk__in=rows.order_by().values("portfolio"))


def _has_proposal() -> Q:
    return _is_among(Proposal.objects.filter(state=Proposal.State.PROPOSED))


def _has_unsent_orders() -> Q:
    return _is_among(Order.objects.filter(state=Order.State.APPROVED, origin__isnull=True))


def _waits_for_kyc() -> Q:
    return _is_among(Order.objects.filter(state=Order.State.WAITING))


def _has_unbooked_fill() -> Q:
    return _is_among(Allocation.objects.filter(booking_problem__gt="", withdrawn_at__isnull=True))


def _holds_excluded() -> Q:
    held = "mandate__portfolio__holdings"
    is_named = Q(value__iexact=F(f"{held}__security__isin")) | Q(value__iexact=F(f"{held}__security__ticker"))
    is_in_sector = Q(value__iexact=F(f"{held}__security__sector"))
    kinds = MandateRestriction.Kind
    wishes = MandateRestriction.objects.current().filter(
        Q(kind=kinds.EXCLUDE_SECURITY) & is_named | Q(kind=kinds.EXCLUDE_SECTOR) & is_in_sector,
        **{f"{held}__quantity__gt": 0, f"{held}__retired_at__isnull": True},
    )
    return Q(pk__in=wishes.order_by().values("mandate__portfolio"))


REASONS = (
    Reason("proposal", _("To approve"), "proposed", _has_proposal),
    Reason("unsent", _("Orders to send"), "due", _has_unsent_orders),
    Reason("kyc", _("Waits for KYC"), "warning", _waits_for_kyc),
    Reason("unbooked", _("Fill not booked"), "failed", _has_unbooked_fill),
    Reason("excluded", _("Holds what the client excludes"), "warning", _holds_excluded),
)
