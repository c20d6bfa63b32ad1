"""Allocations between two parties: whoever settles affirms or rejects them, whoever trades puts them right."""

import datetime
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.currencies import rounded
from accounts.errors import DomainError
from accounts.fields import MoneyField
from accounts.models import User, audit
from clients.duties import Duty
from portfolios.duties import performs_for
from portfolios.services import refresh_holdings
from trading.calculations.allocation import Fill, average_price
from trading.models import Affirmation, Allocation, Order
from trading.services.booking import settle_and_book
from trading.services.policy import gross_of

State = Affirmation.State


@dataclass(frozen=True)
class Affirmed:
    """What became of allocations affirmed together: how many are booked, and why the others are not."""

    count: int
    refused: tuple[tuple[Allocation, str], ...]


def affirm(*, allocation_ids: Collection[uuid.UUID], by: User) -> Affirmed:
    """Affirm allocations of another party, expect their settlement and book them; one that fails stops no other."""
    refused: list[tuple[Allocation, str]] = []
    wanted = Allocation.objects.filter(pk__in=list(allocation_ids)).order_by("created_at", "pk")
    found = list(wanted)
    for allocation in found:
        try:
            affirm_one(allocation=allocation, by=by)
        except DomainError as error:
            refused.append((allocation, str(error.message)))
    return Affirmed(len(found) - len(refused), tuple(refused))


@transaction.atomic
def affirm_one(*, allocation: Allocation, by: User) -> Affirmation:
    """Affirm an allocation, expect its settlement and book its trade.

    Raises DomainError where it is not this institution's to affirm, is answered or withdrawn already,
    or does not fit the ledger.
    """
    allocation = _to_answer(allocation)
    made = _answer(allocation, State.AFFIRMED, by)
    settle_and_book([allocation], by=by)
    audit("affirmed", allocation, by=by)
    return made


@transaction.atomic
def reject_allocation(*, allocation: Allocation, reason: str, by: User) -> Affirmation:
    """Reject an allocation with the reason that the trading party reads."""
    allocation = _to_answer(allocation)
    if not reason.strip():
        raise DomainError(
            "reason_missing", _("Say why you reject it, so that it can be put right."), field="reason"
        )
    made = _answer(allocation, State.REJECTED, by, reason.strip()[:200])
    audit("rejected", allocation, by=by)
    return made


def _to_answer(allocation: Allocation) -> Allocation:
    """Return the allocation, its portfolio locked so that two answers at once take turns."""
    found = (
        Allocation.objects.current()
        .select_for_update(of=("portfolio",))
        .select_related("portfolio__mandate", "order__security")
        .get(pk=allocation.pk)
    )
    if not found.is_received or not performs_for(Duty.SETTLEMENT, found.portfolio):
        raise DomainError(
            "not_to_affirm",
            _("Only what another party has traded, and you settle, is affirmed here. Reload the page."),
        )
    if found.withdrawn_at is not None:
        raise DomainError("withdrawn", _("It was withdrawn in the meantime. Nothing is to be done."))
    if Affirmation.objects.filter(allocation=found).exists():
        raise DomainError("answered", _("Somebody has answered it in the meantime. Reload the page."))
    return found


def _answer(allocation: Allocation, state: str, by: User, reason: str = "") -> Affirmation:
    return Affirmation.objects.create(
        allocation=allocation,
        portfolio=allocation.portfolio,
        state=state,
        reason=reason,
        at=timezone.now(),
        by_name=by.full_name,
    )


@transaction.atomic
def correct(
    *, allocation: Allocation, price: Decimal, fees: Decimal, settlement_date: datetime.date, by: User
) -> Allocation:
    """Withdraw a rejected allocation and allocate the same quantity anew; return the new one."""
    allocation, order = _to_put_right(allocation)
    if price <= 0 or fees < 0:
        raise DomainError(
            "terms_wrong", _("Enter a price above zero and fees of zero or more."), field="price"
        )
    if settlement_date < allocation.trade_date:
        raise DomainError(
            "settlement_date",
            _("Choose a settlement date on or after the trade date."),
            field="settlement_date",
        )
    gross = rounded(gross_of(order.security, allocation.quantity, price), allocation.currency)
    if not MoneyField.holds(gross + fees):
        raise DomainError(
            "terms_wrong", _("The amount is larger than can be kept. Check the price."), field="price"
        )
    is_buy = allocation.net_amount < 0
    _withdraw(allocation, _("Corrected"))
    anew = Allocation.objects.create(
        order=order,
        portfolio=allocation.portfolio,
        quantity=allocation.quantity,
        price=price,
        currency=allocation.currency,
        gross_amount=gross,
        fees=fees,
        net_amount=-gross - fees if is_buy else gross - fees,
        exchange_rate=allocation.exchange_rate,
        trade_date=allocation.trade_date,
        settlement_date=settlement_date,
        execution=allocation.execution,
        replaces=allocation,
    )
    _count_again(order)
    audit("corrected", anew, by=by, replaces=str(allocation.pk))
    return anew


@transaction.atomic
def withdraw(*, allocation: Allocation, note: str, by: User) -> Allocation:
    """Withdraw a rejected allocation for good: the order has that much less, the fill stays in the block.

    Raises DomainError while the order is in the market, where the next fill would be divided by what
    it has.
    """
    allocation, order = _to_put_right(allocation)
    if not note.strip():
        raise DomainError("reason_missing", _("Say why it is withdrawn."), field="note")
    if order.state in Order.OPEN:
        raise DomainError(
            "order_open",
            _("Order %(number)s is still in the market. Cancel what is left of it first.")
            % {"number": order.number},
        )
    _withdraw(allocation, note.strip()[:200])
    _count_again(order)
    if order.filled_quantity < order.quantity:
        order.state = Order.State.CANCELLED
        order.state_note = _("An allocation was rejected and withdrawn.")
        order.closed_at = timezone.now()
        order.save(update_fields=["state", "state_note", "closed_at"])
    audit("withdrawn", allocation, by=by)
    refresh_holdings(portfolio_ids=[allocation.portfolio_id])
    return allocation


def _to_put_right(allocation: Allocation) -> tuple[Allocation, Order]:
    found = (
        Allocation.objects.current()
        .select_for_update(of=("self",))
        .select_related("portfolio__mandate", "affirmation")
        .get(pk=allocation.pk)
    )
    answer = found.answered
    if found.is_received or not performs_for(Duty.TRADING, found.portfolio):
        raise DomainError("received", _("Your partner trades under this agreement and alone corrects it."))
    if found.withdrawn_at is not None or answer is None or answer.state != State.REJECTED:
        raise DomainError(
            "not_rejected", _("Only a rejected allocation is corrected or withdrawn. Reload the page.")
        )
    order = Order.objects.select_for_update(of=("self",)).select_related("security").get(pk=found.order_id)
    return found, order


def _withdraw(allocation: Allocation, note: str) -> None:
    allocation.withdrawn_at, allocation.withdrawal_note = timezone.now(), note
    allocation.save(update_fields=["withdrawn_at", "withdrawal_note"])


def _count_again(order: Order) -> None:
    fills = [
        Fill(quantity=quantity, price=price)
        for quantity, price in order.allocations.live().values_list("quantity", "price")
    ]
    order.filled_quantity = sum((fill.quantity for fill in fills), Decimal(0))
    order.average_price = average_price(fills) if fills else None
    order.save(update_fields=["filled_quantity", "average_price"])
