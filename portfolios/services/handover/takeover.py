"""What the successor takes over: what waits for it, and the transfers in that book it."""

import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.errors import DomainError
from accounts.models import User
from clients.calculations.states import MandateState
from clients.duties import Duty, require
from clients.models import Mandate
from portfolios.models import Handover, HandoverPosition, Portfolio, Security, Transaction, security_id
from portfolios.services.handover.transfers_out import worth
from portfolios.services.ledger import book
from portfolios.services.market import prices_as_of
from portfolios.services.securities import create_security

# One that is closing takes over too: it can be closed only then.
TAKES_OVER_IN = (MandateState.ACTIVE, MandateState.CLOSING)


def waiting(handover: Handover) -> "QuerySet[HandoverPosition]":
    """Return the positions of a handover whose transfers in are not booked, or were reversed."""
    return HandoverPosition.objects.current().filter(~_is_booked(), handover=handover)


def has_taken_over(handover: Handover) -> bool:
    """Say whether the transfers in of all its positions have been booked."""
    return is_begun(handover) and not waiting(handover).exists()


def is_begun(handover: Handover) -> bool:
    """Say whether the transfer in of any of its positions has been booked."""
    return handover.positions.current().filter(_is_booked()).exists()


def _is_booked() -> Q:
    """Return the condition that a position's transfer in stands.

    It names its position; before positions were told apart, all of them named their handover: those that it had
    by then, which ids tell, as they follow time.
    """
    entries = Transaction.objects.filter(reversed_by=None).exclude(type=Transaction.Type.REVERSAL)
    return Q(Exists(entries.filter(reference=OuterRef("pk")))) | Q(
        Exists(entries.filter(reference=OuterRef("handover"), pk__gt=OuterRef("pk")))
    )


def ready() -> "QuerySet[Handover]":
    """Return what former managers have booked out and of which a position has not been taken over."""
    open_ones = HandoverPosition.objects.current().filter(~_is_booked(), handover=OuterRef("pk"))
    return Handover.objects.current().filter(Exists(open_ones), booked_out_on__isnull=False)


def to_take_over(portfolios: "QuerySet[Portfolio]") -> "QuerySet[Handover]":
    """Return what has been booked out for these portfolios and nobody has taken over, the oldest first."""
    return (
        ready()
        .filter(
            mandate__in=Mandate.objects.in_state(*TAKES_OVER_IN).values("pk"),
            mandate__portfolio__in=portfolios.filter(closed_on=None).values("pk"),
        )
        .select_related("mandate__client", "mandate__portfolio")
        .order_by("as_of", "pk")
    )


@transaction.atomic
def take_over(*, handover: Handover, by: User) -> list[Transaction]:
    """Book what was booked out as transfers in kind that keep the original dates and costs; each position once."""
    mandate = handover.mandate
    require(Duty.SETTLEMENT, mandate)
    # Where another party manages, the portfolio is its record, and the ledger is kept here.
    portfolio = (
        Portfolio.objects.current()
        .select_for_update(of=("self",))
        .filter(mandate=mandate, closed_on=None)
        .first()
    )
    if portfolio is None:
        raise DomainError("portfolio_missing", _("Accept the mandate first: its portfolio opens then."))
    if has_taken_over(handover):
        raise DomainError("taken_over", _("These positions have been booked already."))
    if handover.booked_out_on is None:
        raise DomainError(
            "not_booked_out",
            _(
                "The former manager has not booked the positions out yet, and they may change until then. You find"
                " them on the desk once they can be booked."
            ),
        )
    today = timezone.now().date()
    entries = [_transfer_in(portfolio, handover, each, today, by) for each in waiting(handover)]
    # What is taken back may be of what comes in with it.
    return book(entries=sorted(entries, key=lambda each: each.type == Transaction.Type.TRANSFER_OUT), by=by)


def _transfer_in(
    portfolio: Portfolio, handover: Handover, position: HandoverPosition, today: datetime.date, by: User
) -> Transaction:
    entry = Transaction(
        portfolio=portfolio,
        type=Transaction.Type.TRANSFER_IN if position.quantity > 0 else Transaction.Type.TRANSFER_OUT,
        trade_date=today,
        settlement_date=today,
        currency=position.currency,
        reference=position.pk,
    )
    if position.is_cash:
        entry.gross_amount, entry.net_amount = abs(position.quantity), position.quantity
        return entry
    security = _security(position, by)
    entry.security, entry.quantity = security, position.quantity
    entry.original_date, entry.original_cost = position.acquired_on, position.book_cost
    if portfolio.currency == handover.currency:
        entry.original_cost_portfolio = position.book_cost_portfolio
    close = prices_as_of([security.pk], today).get(security.pk)
    price = close.close if close else position.price
    if price is None:
        raise DomainError(
            "price_missing",
            _("There is no price of %(name)s. Import one, then book the transfer.") % {"name": security.name},
        )
    entry.price, entry.gross_amount = price, worth(position.quantity, price, security)
    return entry


def _security(position: HandoverPosition, by: User) -> Security:
    known: Security | None
    if position.isin:
        known = Security.objects.filter(pk=security_id(position.isin)).first()
    else:
        known = Security.objects.filter(
            isin=None, name=position.security_name, currency=position.currency
        ).first()
    return known or create_security(
        isin=position.isin,
        name=position.security_name,
        currency=position.currency,
        asset_class=position.asset_class,
        price_unit=position.price_unit,
        by=by,
    )
