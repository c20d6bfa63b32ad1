"""Create orders from approved proposals, send them to the market as blocks, cancel them."""

import uuid
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal

from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.currencies import rounded
from accounts.errors import DomainError
from accounts.models import User, audit
from clients.duties import Duty, require
from models_portfolio.effective import today
from portfolios.services import refresh_holdings
from trading.models import Block, Order, Proposal, ProposalLine, Side
from trading.services.cover import Cover, Trade, lock_portfolios
from trading.services.gates import ending_problem, kyc_problem
from trading.services.policy import gross_of
from trading.services.restrictions import Restrictions

MAXIMUM_PARTS = 10


def _next_numbers(count: int) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('trading_order_number') FROM generate_series(1, %s)", [count])
        return [f"O-{number}" for (number,) in cursor.fetchall()]


@transaction.atomic
def create_orders(*, proposal: Proposal, by: User) -> list[Order]:
    """Create one order per traded line of an approved proposal; return them.

    A security with an open order is skipped and the line says so. Purchases wait where KYC is not
    in order; sells do not.
    """
    portfolio = proposal.portfolio
    open_in = set(
        Order.objects.filter(portfolio=portfolio, state__in=Order.OPEN).values_list("security", flat=True)
    )
    kyc = kyc_problem(portfolio, today())
    lines = list(proposal.lines.exclude(side="").select_related("security").order_by("-side", "pk"))
    numbers = _next_numbers(len(lines))
    orders = []
    for number, line in zip(numbers, lines, strict=True):
        assert line.security is not None
        if line.security_id in open_in:
            line.reason_data = {**line.reason_data, "skipped": "open_order"}
            line.save(update_fields=["reason_data"])
            continue
        waits = line.side == Side.BUY and bool(kyc)
        orders.append(
            Order(
                portfolio=portfolio,
                security=line.security,
                number=number,
                side=line.side,
                quantity=line.quantity,
                currency=line.currency,
                estimated_amount=_estimate(line),
                state=Order.State.WAITING if waits else Order.State.APPROVED,
                state_note=kyc[:200] if waits else "",
                reason=proposal.reason,
                proposal=proposal,
            )
        )
    Order.objects.bulk_create(orders)
    audit("ordered", proposal, by=by, orders=[order.number for order in orders])
    refresh_holdings(portfolio_ids=[portfolio.pk])
    return orders


def _estimate(line: ProposalLine) -> Decimal:
    assert line.security is not None
    assert line.price is not None
    return rounded(gross_of(line.security, line.quantity, line.price), line.currency)


@dataclass(frozen=True)
class Sent:
    """The blocks that went to the market, and the orders that did not, each with the reason.

    Purchases ``waiting`` for KYC go on by themselves; what was ``refused`` stays as it was.
    """

    blocks: tuple[Block, ...]
    waiting: tuple[tuple[Order, str], ...]
    refused: tuple[tuple[Order, DomainError], ...]


@transaction.atomic
def send(*, order_ids: Collection[uuid.UUID], by: User | None, fill_parts: int = 1) -> list[Block]:
    """Send approved orders to the market, those in one security, side and currency as one block; all or none.

    Sells go first. ``fill_parts`` asks the paper broker to fill in so many parts. Purchases wait
    where KYC is no longer in order. Raises DomainError where an order is not the institution's to
    send, was sent already, is barred by a restriction that has come since its approval, or needs
    cash or securities that are not there any more.
    """
    sent = send_each(order_ids=order_ids, by=by, fill_parts=fill_parts)
    if sent.refused:
        raise DomainError(
            sent.refused[0][1].code, " ".join(str(error.message) for _order, error in sent.refused)
        )
    return list(sent.blocks)


@transaction.atomic
def send_each(*, order_ids: Collection[uuid.UUID], by: User | None, fill_parts: int = 1) -> Sent:
    """Send those of the orders that ``send`` would send one by one; the others stay as they are.

    Purchases of one portfolio that together cost more than there is all stay: half of them would be
    something that nobody has worked out.
    """
    orders = _locked(order_ids, fill_parts)
    ready, refused = _sendable(orders)
    waiting = _let_wait(ready, by)
    stays = {order.pk for order, _why in waiting}
    ready, uncovered = _covered([order for order in ready if order.pk not in stays])
    blocks = _send(ready, by, fill_parts)
    _close_proposals({order.proposal_id for order in orders if order.proposal_id})
    return Sent(tuple(blocks), tuple(waiting), (*refused, *uncovered))


def _locked(order_ids: Collection[uuid.UUID], fill_parts: int) -> list[Order]:
    if not 1 <= fill_parts <= MAXIMUM_PARTS:
        raise DomainError(
            "fill_parts",
            _("Choose between 1 and %(most)s parts.") % {"most": MAXIMUM_PARTS},
            field="fill_parts",
        )
    orders = list(
        Order.objects.select_for_update(of=("self",))
        .filter(pk__in=list(order_ids))
        .select_related("portfolio__mandate__client__kyc", "security")
        .prefetch_related("portfolio__mandate__decisions")
        .order_by("number")
    )
    if not orders:
        raise DomainError("no_orders", _("Choose at least one approved order."))
    return orders


def _send(orders: Collection[Order], by: User | None, fill_parts: int) -> list[Block]:
    now = timezone.now()
    groups: dict[tuple[str, uuid.UUID, str], list[Order]] = defaultdict(list)
    for order in orders:
        groups[(order.side, order.security_id, order.currency)].append(order)
    blocks = []
    for (side, _security, currency), members in sorted(
        groups.items(), key=lambda item: item[0][0] != Side.SELL
    ):
        block = Block.objects.create(
            security=members[0].security,
            side=side,
            currency=currency,
            quantity=sum((order.quantity for order in members), Decimal(0)),
            fill_parts=fill_parts,
            sent_at=now,
        )
        Order.objects.filter(pk__in=[order.pk for order in members]).update(
            state=Order.State.SENT, sent_at=now, block=block, state_note=""
        )
        audit("sent", block, by=by, orders=[order.number for order in members])
        blocks.append(block)
    for block in blocks:
        _submit_on_commit(block.pk)
    return blocks


def _sendable(orders: Collection[Order]) -> tuple[list[Order], list[tuple[Order, DomainError]]]:
    """Tell orders that may go to the market from those that may not, each with why."""
    restrictions = _restrictions_of(orders)
    ready: list[Order] = []
    refused: list[tuple[Order, DomainError]] = []
    for order in orders:
        try:
            _require_sendable(order, restrictions)
        except DomainError as error:
            refused.append((order, error))
        else:
            ready.append(order)
    return ready, refused


def _covered(orders: Collection[Order]) -> tuple[list[Order], list[tuple[Order, DomainError]]]:
    """Tell orders for which cash and securities are there now from those for which they are not."""
    lock_portfolios({order.portfolio_id for order in orders})
    trades = {order.pk: Trade.of(order) for order in orders}
    cover = Cover(trades.values())
    lacking = {pk: why for pk, trade in trades.items() if (why := cover.lacks_units(trade))}
    together: dict[uuid.UUID, list[Order]] = defaultdict(list)
    for order in orders:
        if order.pk not in lacking:
            together[order.portfolio_id].append(order)
    for members in together.values():
        why = cover.lacks_cash(trades[order.pk] for order in members)
        lacking |= {order.pk: why for order in members if why and order.side == Side.BUY}
    refused = [(order, _not_covered(order, lacking[order.pk])) for order in orders if order.pk in lacking]
    return [order for order in orders if order.pk not in lacking], refused


def _not_covered(order: Order, why: str) -> DomainError:
    return DomainError(
        "not_covered",
        _("%(why)s Cancel order %(number)s, and work the proposal out again.")
        % {"why": why, "number": order.number},
    )


def _let_wait(orders: Collection[Order], by: User | None) -> list[tuple[Order, str]]:
    """Let the purchases wait whose client's KYC is not in order now; return them, each with the reason."""
    buys = [order for order in orders if order.side == Side.BUY]
    waiting = [(order, why) for order in buys if (why := kyc_problem(order.portfolio, today()))]
    for order, why in waiting:
        order.state, order.state_note = Order.State.WAITING, why[:200]
        audit("held_for_kyc", order, by=by)
    Order.objects.bulk_update([order for order, _why in waiting], ["state", "state_note"])
    return waiting


def _restrictions_of(orders: Collection[Order]) -> Restrictions:
    return Restrictions(
        {order.portfolio.mandate_id for order in orders}, {order.security_id for order in orders}, today()
    )


def _require_sendable(order: Order, restrictions: Restrictions) -> None:
    _require_ours(order)
    if order.state != Order.State.APPROVED:
        raise DomainError(
            "order_state",
            _("Order %(number)s is %(state)s by now. Reload the page.")
            % {"number": order.number, "state": order.get_state_display().lower()},
        )
    ending = ending_problem(order.portfolio) if order.side == Side.BUY else ""
    if ending:
        raise DomainError(
            "mandate_ending",
            _("%(why)s Cancel order %(number)s: nothing is bought any more.")
            % {"why": ending, "number": order.number},
        )
    barred = restrictions.problem(order.portfolio.mandate_id, order.security, order.side)
    if barred:
        raise DomainError(
            "restricted",
            _("%(why)s Cancel order %(number)s, and propose again.")
            % {"why": barred, "number": order.number},
        )


def _submit_on_commit(block_id: uuid.UUID) -> None:
    from trading.tasks import submit_block

    transaction.on_commit(lambda: submit_block.delay(str(block_id)))


def _close_proposals(proposal_ids: Collection[uuid.UUID]) -> None:
    """Mark proposals as sent once none of their orders is left to send; waiting ones follow by themselves."""
    unsent = Order.objects.filter(proposal__in=proposal_ids, state=Order.State.APPROVED).values("proposal")
    Proposal.objects.filter(pk__in=proposal_ids, state=Proposal.State.APPROVED).exclude(pk__in=unsent).update(
        state=Proposal.State.SENT
    )


def _require_ours(order: Order) -> None:
    if order.is_received:
        raise DomainError("received", _("Your partner trades under this agreement and alone sends orders."))
    require(Duty.TRADING, order.portfolio.mandate)


@transaction.atomic
def cancel(*, order: Order, by: User, note: str = "") -> Order:
    """Cancel what is left of an open order; what was filled stays.

    A fill may come first: then nothing, or less, is left to cancel.
    """
    order = Order.objects.select_related("portfolio__mandate").get(pk=order.pk)
    _require_ours(order)
    block = Block.objects.select_for_update().get(pk=order.block_id) if order.block_id else None
    order = (
        Order.objects.select_for_update(of=("self",)).select_related("portfolio__mandate").get(pk=order.pk)
    )
    if order.state not in Order.OPEN or (order.block_id and block is None):
        raise DomainError(
            "order_state",
            _("Order %(number)s is %(state)s: there is nothing left to cancel.")
            % {"number": order.number, "state": order.get_state_display().lower()},
        )
    left = order.quantity - order.filled_quantity
    order.state = Order.State.CANCELLED
    order.state_note = (note.strip() or _("Cancelled by %(name)s") % {"name": by.full_name})[:200]
    order.closed_at = timezone.now()
    order.save(update_fields=["state", "state_note", "closed_at"])
    if block is not None:
        block.quantity -= left
        if block.filled_quantity >= block.quantity:
            block.state = Block.State.FILLED if block.filled_quantity else Block.State.CANCELLED
        block.save(update_fields=["quantity", "state"])
    if order.proposal_id:
        _close_proposals([order.proposal_id])
    audit("cancelled", order, by=by, left=str(left))
    refresh_holdings(portfolio_ids=[order.portfolio_id])
    return order


@transaction.atomic
def release_waiting() -> int:
    """Let purchases go on whose client's KYC is in order again; return how many.

    Those of proposals already sent go to the market at once; one that cannot says why, and waits to be
    sent or cancelled by hand.
    """
    waiting = list(
        Order.objects.own()
        .filter(state=Order.State.WAITING)
        .select_for_update(of=("self",), skip_locked=True)
        .select_related("portfolio__mandate__client__kyc", "proposal", "security")
        .prefetch_related("portfolio__mandate__decisions")
    )
    restrictions = _restrictions_of(waiting)
    ready = []
    for order in waiting:
        if kyc_problem(order.portfolio, today()):
            continue
        why = ending_problem(order.portfolio)
        if restrictions.problem(order.portfolio.mandate_id, order.security, order.side):
            # A partner reads the note, but not whose restriction it is.
            why = why or _("It may not be bought any more. Cancel the order.")
        if not why:
            ready.append(order)
        elif order.state_note != why[:200]:
            Order.objects.filter(pk=order.pk).update(state_note=why[:200])
    Order.objects.filter(pk__in=[order.pk for order in ready]).update(
        state=Order.State.APPROVED, state_note=""
    )
    at_once = [order.pk for order in ready if order.proposal and order.proposal.state == Proposal.State.SENT]
    if at_once:
        for order, error in send_each(order_ids=at_once, by=None).refused:
            Order.objects.filter(pk=order.pk).update(state_note=str(error.message)[:200])
    return len(ready)


def orders_to_send(user: User) -> int:
    """Return how many approved orders wait for ``user`` to send them."""
    return Order.objects.with_right(user, "order.send").own().filter(state=Order.State.APPROVED).count()
