"""Record fills of blocks, divide them among the orders, and book what follows."""

import uuid
from collections import defaultdict
from decimal import Decimal

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.currencies import minor_units, rounded
from accounts.errors import DomainError
from clients.duties import Duty, performs
from models_portfolio.effective import today
from portfolios.models import Listing, Security
from portfolios.services import refresh_holdings
from portfolios.services.market import rate_between
from trading.calculations.allocation import (
    BlockMember,
    Fill,
    allocate_amount,
    allocate_fill,
    average_price,
)
from trading.calculations.settlement import settlement_date
from trading.models import Allocation, Block, Execution, Order, Side
from trading.services.booking import book_fills
from trading.services.policy import fee_of, gross_of

OPEN_BLOCK = (Block.State.SENT, Block.State.NEW, Block.State.PARTIALLY_FILLED)
_IN_MARKET = (Order.State.SENT, Order.State.NEW, Order.State.PARTIALLY_FILLED)


@transaction.atomic
def acknowledge(*, block_id: uuid.UUID) -> bool:
    """Note that the market has taken a block; return whether it is still open."""
    block = Block.objects.select_for_update().get(pk=block_id)
    if block.state == Block.State.SENT:
        block.state = Block.State.NEW
        block.save(update_fields=["state"])
        Order.objects.filter(block=block, state=Order.State.SENT).update(state=Order.State.NEW)
    return block.state in OPEN_BLOCK


@transaction.atomic
def refuse(*, block_id: uuid.UUID, why: str) -> None:
    """Note that the market has refused a block, or what is left of it, with all its orders."""
    block = Block.objects.select_for_update().get(pk=block_id)
    if block.state not in OPEN_BLOCK:
        return
    block.state = Block.State.REJECTED
    block.save(update_fields=["state"])
    orders = Order.objects.filter(block=block, state__in=_IN_MARKET)
    portfolios = list(orders.values_list("portfolio", flat=True))
    orders.update(state=Order.State.REJECTED, state_note=why[:200], closed_at=timezone.now())
    refresh_holdings(portfolio_ids=portfolios)


@transaction.atomic
def record_execution(*, block_id: uuid.UUID, quantity: Decimal, price: Decimal, reference: str) -> Execution:
    """Record a fill and divide it among the block's orders; return it.

    ``reference`` is the broker's: the same one again changes nothing, so that a message may come
    twice. A part that its portfolio's ledger refuses is noted there and stops no other. Raises DomainError for a
    fill of more than is left, or of a broken lot that is not all of it.
    """
    block = Block.objects.select_for_update().select_related("security").get(pk=block_id)
    known = Execution.objects.filter(reference=reference).first()
    if known is not None:
        return known
    left = block.quantity - block.filled_quantity
    if not 0 < quantity <= left:
        raise DomainError(
            "overfilled",
            _("A fill of %(quantity)s is more than the %(left)s left.")
            % {"quantity": quantity, "left": left},
        )
    lot = _lot_of(block.security)
    if quantity % lot and quantity != left:
        raise DomainError(
            "broken_lot",
            _("A fill of %(quantity)s is no multiple of %(lot)s.") % {"quantity": quantity, "lot": lot},
        )
    execution = Execution.objects.create(
        block=block, quantity=quantity, price=price, executed_at=timezone.now(), reference=reference
    )
    orders = list(
        Order.objects.select_for_update(of=("self",))
        .filter(block=block)
        .select_related("portfolio__mandate")
        .order_by("number")
    )
    allocations = _allocate(block, execution, orders)
    block.filled_quantity += quantity
    block.state = (
        Block.State.FILLED if block.filled_quantity == block.quantity else Block.State.PARTIALLY_FILLED
    )
    block.save(update_fields=["filled_quantity", "state"])
    _follow(orders, allocations)
    book_fills([each for each in allocations if performs(Duty.SETTLEMENT, each.portfolio.mandate)])
    return execution


def _allocate(block: Block, execution: Execution, orders: list[Order]) -> list[Allocation]:
    """Return the saved parts of a fill, one for each order that gets any of it."""
    members = [
        BlockMember(
            id=order.pk,
            # Of a cancelled order only what was filled counts.
            quantity=order.quantity if order.state in _IN_MARKET else order.filled_quantity,
            booked=order.filled_quantity,
        )
        for order in orders
    ]
    lot = _lot_of(block.security)
    parts = {p.id: p.quantity for p in allocate_fill(members, execution.quantity, lot=lot) if p.quantity}
    total = rounded(gross_of(block.security, execution.quantity, execution.price), block.currency)
    amounts = allocate_amount(total, parts, decimals=minor_units(block.currency))
    day = today()
    settles = settlement_date(day, _market_of(block.security, block.currency))
    rates: dict[str, Decimal] = {}
    allocations = []
    for order in orders:
        if order.pk not in parts:
            continue
        gross = amounts[order.pk]
        fees = fee_of(gross, block.currency)
        allocations.append(
            Allocation(
                order=order,
                portfolio=order.portfolio,
                quantity=parts[order.pk],
                price=execution.price,
                currency=block.currency,
                gross_amount=gross,
                fees=fees,
                net_amount=gross - fees if block.side == Side.SELL else -gross - fees,
                exchange_rate=_rate(rates, block.currency, order.portfolio.currency),
                trade_date=day,
                settlement_date=settles,
                execution=execution,
            )
        )
    return Allocation.objects.bulk_create(allocations)


def _lot_of(security: Security) -> Decimal:
    return security.lot_size or Decimal(1).scaleb(-security.quantity_decimals)


def _market_of(security: Security, currency: str) -> str:
    listings = Listing.objects.current().filter(security=security)
    best = sorted(listings, key=lambda each: (each.currency != currency, not each.is_primary, each.mic))
    return best[0].mic if best else ""


def _rate(known: dict[str, Decimal], currency: str, target: str) -> Decimal:
    if target not in known:
        rate = rate_between(currency, target, today())
        if rate is None:
            raise DomainError(
                "rate_missing",
                _("There is no exchange rate for %(pair)s. Import rates first.")
                % {"pair": f"{currency}/{target}"},
            )
        known[target] = rate.quantize(Decimal("1e-10"))
    return known[target]


def _follow(orders: list[Order], allocations: list[Allocation]) -> None:
    """Bring the orders' filled quantity, average price and state in line with their fills."""
    fills: dict[uuid.UUID, list[Fill]] = defaultdict(list)
    new = {allocation.order_id: allocation.quantity for allocation in allocations}
    for order_id, quantity, price in (
        Allocation.objects.live().filter(order__in=list(new)).values_list("order", "quantity", "price")
    ):
        fills[order_id].append(Fill(quantity=quantity, price=price))
    for order in orders:
        if order.pk not in new:
            continue
        order.filled_quantity += new[order.pk]
        order.average_price = average_price(fills[order.pk])
        is_filled = order.filled_quantity == order.quantity
        order.state = Order.State.FILLED if is_filled else Order.State.PARTIALLY_FILLED
        order.closed_at = timezone.now() if is_filled else None
        order.save(update_fields=["filled_quantity", "average_price", "state", "closed_at"])
