"""Follow allocations to delivery against payment: settled, failed, tried again."""

import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import bulk
from accounts.errors import DomainError
from accounts.models import User, audit
from clients.duties import Duty, require
from models_portfolio.effective import today
from portfolios.models import Transaction
from portfolios.services import refresh_holdings, reverse
from trading.calculations.settlement import settlement_date
from trading.models import Order, Settlement

State = Settlement.State


@transaction.atomic
def settle_due(*, day: datetime.date | None = None) -> int:
    """Mark own pending settlements settled whose day has come; return how many."""
    day = day or today()
    due = list(
        Settlement.objects.own()
        .filter(state=State.PENDING, expected_date__lte=day)
        .select_for_update(of=("self",), skip_locked=True)
        .select_related("allocation__order")
    )
    for settlement in due:
        settlement.state, settlement.settled_on = State.SETTLED, day
    bulk.update(due, ["state", "settled_on"])
    for order in {settlement.allocation.order_id: settlement.allocation.order for settlement in due}.values():
        _follow(order)
    refresh_holdings(portfolio_ids={settlement.portfolio_id for settlement in due})
    return len(due)


@transaction.atomic
def close_settled() -> int:
    """Close own filled orders whose parts another party has settled or reversed; return how many were looked at."""
    orders = (
        Order.objects.own()
        .filter(
            state=Order.State.FILLED,
            allocations__settlement__origin__isnull=False,
            allocations__settlement__state__in=Settlement.FINAL,
        )
        .distinct()
    )
    for order in orders:
        _follow(order)
    return len(orders)


@transaction.atomic
def settle(*, settlement: Settlement, by: User) -> Settlement:
    """Confirm that delivery and payment happened today."""
    settlement = _locked(settlement, State.PENDING, State.FAILED)
    settlement.state, settlement.settled_on = State.SETTLED, today()
    settlement.failure_reason = ""
    settlement.save(update_fields=["state", "settled_on", "failure_reason"])
    _follow(settlement.allocation.order)
    refresh_holdings(portfolio_ids=[settlement.portfolio_id])
    audit("settled", settlement, by=by)
    return settlement


@transaction.atomic
def record_failure(*, settlement: Settlement, reason: str, by: User) -> Settlement:
    """Note that delivery or payment did not happen, and why."""
    settlement = _locked(settlement, State.PENDING)
    if not reason.strip():
        raise DomainError(
            "reason_missing", _("Say why it failed, so that it can be put right."), field="reason"
        )
    settlement.state, settlement.failure_reason = State.FAILED, reason.strip()[:200]
    settlement.save(update_fields=["state", "failure_reason"])
    audit("failed", settlement, by=by)
    return settlement


@transaction.atomic
def retry(*, settlement: Settlement, by: User) -> Settlement:
    """Try a failed settlement again, on the next trading day."""
    settlement = _locked(settlement, State.FAILED)
    settlement.state = State.PENDING
    settlement.expected_date = settlement_date(today(), days=1)
    settlement.save(update_fields=["state", "expected_date"])
    audit("retried", settlement, by=by, expected=str(settlement.expected_date))
    return settlement


@transaction.atomic
def reverse_trade(*, reversal: Transaction, by: User | None) -> None:
    """Let the settlement follow a trade whose entry was reversed, and reverse the currency exchange booked with it."""
    reversed_entry = reversal.reverses
    if reversed_entry is None or reversed_entry.type not in (Transaction.Type.BUY, Transaction.Type.SELL):
        return
    settlement = (
        Settlement.objects.own()
        .select_for_update(of=("self",))
        .select_related("allocation__order")
        .filter(allocation=reversal.reference)
        .first()
    )
    if settlement is None:
        return
    if settlement.state != State.REVERSED:
        settlement.state, settlement.failure_reason = State.REVERSED, reversal.text[:200]
        settlement.save(update_fields=["state", "failure_reason"])
        _follow(settlement.allocation.order)
        audit("reversed", settlement, by=by)
    exchanges = Transaction.objects.own().filter(
        portfolio=reversal.portfolio_id,
        reference=reversal.reference,
        type=Transaction.Type.CURRENCY_EXCHANGE,
        reversed_by=None,
    )
    for exchange in exchanges.select_related("portfolio"):
        reverse(entry=exchange, by=by, text=reversal.text)


def _locked(settlement: Settlement, *states: str) -> Settlement:
    locked = (
        Settlement.objects.select_for_update(of=("self",))
        .select_related("allocation__order", "portfolio__mandate")
        .get(pk=settlement.pk)
    )
    if locked.is_received:
        raise DomainError("received", _("Your partner settles under this agreement and alone changes this."))
    require(Duty.SETTLEMENT, locked.portfolio.mandate)
    if locked.state not in states:
        raise DomainError(
            "settlement_state",
            _("This settlement is %(state)s by now. Reload the page.")
            % {"state": locked.get_state_display().lower()},
        )
    return locked


def _follow(order: Order) -> None:
    """Close an order that is filled once nothing of it is left to settle: as settled, or cancelled where all was reversed.

    As FIX 4.4 ends an order whose fills are all taken back. ``filled_quantity`` stays what the market filled: the fill
    is in the block still, and divided among others too.
    """
    if order.is_received or order.state != Order.State.FILLED:
        return
    states = set(order.allocations.live().values_list("settlement__state", flat=True))
    if not states or not states.issubset(Settlement.FINAL):
        return
    closed: dict[str, Any] = {"state": Order.State.SETTLED}
    if State.SETTLED not in states:
        closed = {
            "state": Order.State.CANCELLED,
            "state_note": _("What was filled was reversed in the ledger."),
            "closed_at": timezone.now(),
        }
    Order.objects.filter(pk=order.pk, state=Order.State.FILLED).update(**closed)
