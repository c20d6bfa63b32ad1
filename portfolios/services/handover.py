"""Hand a client's portfolio from one manager to the next, with lots, dates and costs.

What the successor reads with the mandate is what stands in the former portfolio on that day. The former
manager goes on until it is instructed to transfer out, and what it then books out is what is handed over:
nobody takes over anything before, so no trade, dividend or fee in between is lost or counted twice.
"""

import datetime
import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import cast

from django.db import transaction
from django.db.models import Exists, Min, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.errors import DomainError
from accounts.models import User, audit
from clients.calculations.states import InstructionState, MandateState
from clients.duties import Duty, require
from clients.models import ClientInstruction, Mandate
from portfolios.calculations.entries import external_flows
from portfolios.calculations.ledger import CostMethod, Lot, Positions, derive_positions
from portfolios.models import (
    Handover,
    HandoverPosition,
    Portfolio,
    Security,
    Transaction,
    Valuation,
    security_id,
)
from portfolios.services.entries import load_entries
from portfolios.services.holdings import refuse_open_orders
from portfolios.services.ledger import book
from portfolios.services.market import prices_as_of
from portfolios.services.securities import create_security

# One that is closing takes over too: it can be closed only then.
TAKES_OVER_IN = (MandateState.ACTIVE, MandateState.CLOSING)
_CENT = Decimal("0.0001")
_TAKEN = ("as_of", "currency", "performance_from", "time_weighted_return", "booked_out_on", "value")


@dataclass(frozen=True)
class Snapshot:
    """What would be handed over now: unsaved records."""

    handover: Handover
    positions: Sequence[HandoverPosition]


def snapshot(predecessor: Mandate) -> Snapshot:
    """Return what is known here of a portfolio that is to move on: the lots as its cost method keeps them.

    Of one that is closed, what was transferred out of it.

    Raises DomainError where there is no portfolio yet, or trades have not settled.
    """
    portfolio = Portfolio.objects.current().filter(mandate=predecessor).first()
    if portfolio is None and Portfolio.objects.filter(mandate=predecessor, retired_at__isnull=False).exists():
        raise DomainError(
            "handover_sealed",
            _(
                "The agreement with the former manager has ended and what it had booked is sealed, so it cannot"
                " be handed over any more. Start a new mandate for the client. The new manager books the"
                " positions from the custodian's statement; compliance can open the sealed records to compare."
            ),
        )
    if portfolio is None:
        raise DomainError(
            "nothing_to_hand_over", _("The former mandate has no portfolio. Start a new mandate instead.")
        )
    first, last = _first_and_last(portfolio)
    has_held_something = portfolio.closed_on is not None or (last is not None and last.market_value)
    if has_held_something and not knows_ledger(predecessor):
        raise DomainError(
            "ledger_not_shared",
            _(
                "The former manager does not share what it books, so nobody here knows what there is to hand over."
                " Start a new mandate. The new manager books the positions from the custodian's statement."
            ),
        )
    today = portfolio.closed_on or timezone.now().date()
    out = _transferred_out(portfolio)
    positions = _positions(portfolio, today, without=out)
    is_settled = all(each.quantity == each.settled_quantity for each in positions.holdings.values())
    if portfolio.closed_on is None and not is_settled:
        raise DomainError(
            "handover_unsettled",
            _("Trades of portfolio %(number)s have not settled yet. Hand it over when they have.")
            % {"number": portfolio.number},
        )
    handover = Handover(
        as_of=today,
        currency=portfolio.currency,
        performance_from=first.date if first else None,
        time_weighted_return=last.return_index - 1 if last else None,
        booked_out_on=portfolio.closed_on,
        value=_value_of(portfolio, out) if portfolio.closed_on else last.market_value if last else None,
    )
    return Snapshot(
        handover,
        [
            *_lots(handover, positions, _single_lots(portfolio, positions, today, out), today),
            *_cash(handover, positions),
        ],
    )


def knows_ledger(mandate: Mandate) -> bool:
    """Say whether anything that was booked under a mandate can be read here."""
    return Transaction.objects.current().filter(portfolio__mandate=mandate).exists()


def is_out_of_reach(former: Mandate) -> bool:
    """Say whether nothing more is learnt of what a former manager had, and it manages no longer."""
    still_managed = Portfolio.objects.current().filter(mandate=former, closed_on=None)
    return not knows_ledger(former) and not still_managed.exists()


def _positions(
    portfolio: Portfolio,
    day: datetime.date,
    method: CostMethod | None = None,
    without: Collection[uuid.UUID] = (),
) -> Positions:
    entries = [each for each in load_entries([portfolio.pk])[portfolio.pk] if each.id not in without]
    return derive_positions(entries, as_of=day, method=method or CostMethod(portfolio.cost_method))


def _transferred_out(portfolio: Portfolio) -> set[uuid.UUID]:
    """Return the entries that book a portfolio out because it moves on, with their reversals.

    Those booked for the instruction, and what was transferred out by hand since it was sent.
    """
    asked = ClientInstruction.objects.filter(
        mandate=portfolio.mandate_id,
        kind=ClientInstruction.Kind.TRANSFER_OUT,
        status=ClientInstruction.Status.SENT,
    )
    sent_at = asked.aggregate(first=Min("sent_at"))["first"]
    if sent_at is None:
        return set()
    by_hand = Q(type=Transaction.Type.TRANSFER_OUT, trade_date__gte=sent_at.date())
    booked = Transaction.objects.current().filter(portfolio=portfolio)
    moved = booked.filter(Q(reference__in=asked.values("pk")) | by_hand)
    entries = booked.filter(Q(pk__in=moved.values("pk")) | Q(reverses__in=moved.values("pk")))
    return set(entries.values_list("pk", flat=True))


def _value_of(portfolio: Portfolio, out: Collection[uuid.UUID]) -> Decimal:
    """Return what these transfers out were worth, in the portfolio's currency."""
    entries = [each for each in load_entries([portfolio.pk])[portfolio.pk] if each.id in out]
    worth = sum((each.outflow - each.inflow for each in external_flows(entries)), Decimal(0))
    return worth.quantize(_CENT)


def _first_and_last(portfolio: Portfolio) -> tuple[Valuation | None, Valuation | None]:
    valued = Valuation.objects.current().filter(portfolio=portfolio, market_value__isnull=False)
    return valued.order_by("date").first(), valued.order_by("date").last()


def _single_lots(
    portfolio: Portfolio, positions: Positions, day: datetime.date, out: Collection[uuid.UUID]
) -> dict[uuid.UUID, list[Lot]]:
    """Return what is left of each purchase, the first bought sold first; the costs add up to the book cost.

    At average cost the pool knows no single purchases: its cost is spread as the purchases cost.
    """
    found: dict[uuid.UUID, list[Lot]] = {}
    single = (
        _positions(portfolio, day, CostMethod.FIFO, out)
        if positions.method is CostMethod.AVERAGE
        else positions
    )
    for key, held in positions.holdings.items():
        lots = list(single.holdings[key].lots)
        found[cast("uuid.UUID", key)] = [
            replace(
                lot,
                book_cost=cost,
                book_cost_portfolio=cost_portfolio,
            )
            for lot, cost, cost_portfolio in zip(
                lots,
                _spread([lot.book_cost for lot in lots], held.book_cost),
                _spread([lot.book_cost_portfolio for lot in lots], held.book_cost_portfolio),
                strict=True,
            )
        ]
    return found


def _spread(parts: Sequence[Decimal], total: Decimal) -> list[Decimal]:
    """Return the parts scaled so that they add up to the total, the last one taking the rounding."""
    whole, total = sum(parts, Decimal(0)), total.quantize(_CENT)
    scaled = [(part * total / whole if whole else part).quantize(_CENT) for part in parts[:-1]]
    return [*scaled, total - sum(scaled, Decimal(0))]


def _lots(
    handover: Handover, positions: Positions, lots: dict[uuid.UUID, list[Lot]], day: datetime.date
) -> Iterable[HandoverPosition]:
    ids = [cast("uuid.UUID", key) for key in positions.holdings]
    securities = Security.objects.in_bulk(ids)
    # Neither a source that may not be passed on nor the former manager's prices go to a third party.
    known = prices_as_of(ids, day, only_redistributable=True)
    for key in sorted(ids, key=lambda each: securities[each].name):
        security, close = securities[key], known.get(key)
        if close is not None and close.currency != positions.holdings[key].currency:
            close = None
        for lot in lots[key]:
            yield HandoverPosition(
                handover=handover,
                isin=security.isin or "",
                security_name=security.name,
                asset_class=security.asset_class,
                price_unit=security.price_unit,
                currency=positions.holdings[key].currency,
                quantity=lot.quantity,
                acquired_on=lot.acquired_on,
                book_cost=lot.book_cost,
                book_cost_portfolio=lot.book_cost_portfolio,
                price=close.close if close else None,
                price_date=close.date if close else None,
                price_source_name=close.source_name if close else "",
                is_price_simulated=close.is_simulated if close else False,
            )


def _cash(handover: Handover, positions: Positions) -> Iterable[HandoverPosition]:
    for currency, balance in positions.cash.items():
        if balance.traded:
            yield HandoverPosition(handover=handover, currency=currency, quantity=balance.traded)


@transaction.atomic
def record_handover(*, mandate: Mandate, by: User) -> Handover | None:
    """Write down what the successor is given, when its mandate is submitted; anew when submitted again."""
    if mandate.predecessor is None:
        return None
    if mandate.predecessor.client_id != mandate.client_id:
        raise DomainError("handover_of_another", _("The former mandate belongs to another client."))
    given = _write_down(mandate, snapshot(mandate.predecessor))
    audit("handover.recorded", given, by=by, mandate=str(mandate.pk))
    return given


def _write_down(mandate: Mandate, taken: Snapshot) -> Handover:
    given: Handover = Handover.objects.own().filter(mandate=mandate).first() or Handover(mandate=mandate)
    for name in _TAKEN:
        setattr(given, name, getattr(taken.handover, name))
    given.save()
    given.positions.all().delete()
    for position in taken.positions:
        position.handover = given
    HandoverPosition.objects.bulk_create(taken.positions)
    return given


@transaction.atomic
def complete_handover(*, former: Mandate, by: User | None) -> Handover | None:
    """Write down what the former manager has booked out, for the successor to take over; once.

    None where nothing waits for it, where the former portfolio is not closed, and where what is known here
    of it does not add up: something has not arrived yet.
    """
    given = _incomplete(former)
    portfolio = Portfolio.objects.current().filter(mandate=former).first()
    if given is None or portfolio is None or portfolio.closed_on is None:
        return None
    if not knows_ledger(former) or not _is_empty(portfolio):
        return None
    given = _write_down(given.mandate, snapshot(former))
    audit("handover.completed", given, by=by, mandate=str(given.mandate_id))
    return given


@transaction.atomic
def complete_as_submitted(*, former: Mandate, by: User) -> Handover:
    """Let the successor take over what was handed over with its mandate, where nothing more is learnt of it.

    Raises DomainError unless the agreement with the former manager has ended, or it has closed the portfolio
    and no longer shares its ledger: as long as it manages, what it has counts as its own.
    """
    given = _incomplete(former)
    if given is None or not is_out_of_reach(former):
        raise DomainError(
            "handover_open",
            _("The former manager books the positions out first. Instruct it to transfer out and close."),
        )
    given.booked_out_on = timezone.now().date()
    given.save(update_fields=["booked_out_on"])
    audit("handover.completed_as_submitted", given, by=by, mandate=str(given.mandate_id))
    return given


def _incomplete(former: Mandate) -> Handover | None:
    """Lock and return what is to be handed over of a mandate: neither booked out nor taken over yet."""
    found: Handover | None = (
        Handover.objects.own()
        .select_for_update(of=("self",))
        .select_related("mandate")
        .filter(~_is_taken_over(), mandate__predecessor=former, booked_out_on=None)
        .exclude(mandate__status=Mandate.Status.WITHDRAWN)
        .exclude(
            mandate__in=Mandate.objects.in_state(MandateState.REJECTED, MandateState.CLOSED).values("pk")
        )
        .first()
    )
    return found


def _is_empty(portfolio: Portfolio) -> bool:
    positions = _positions(portfolio, datetime.date.max)
    return not any(each.quantity for each in positions.holdings.values()) and not any(
        each.traded for each in positions.cash.values()
    )


def has_taken_over(handover: Handover) -> bool:
    """Say whether the transfers in have been booked."""
    return _booked().filter(reference=handover.pk).exists()


def _booked() -> "QuerySet[Transaction]":
    return Transaction.objects.filter(reversed_by=None).exclude(type="reversal")


def _is_taken_over() -> Exists:
    return Exists(_booked().filter(reference=OuterRef("pk")))


def ready() -> "QuerySet[Handover]":
    """Return what former managers have booked out and nobody has taken over."""
    return Handover.objects.current().filter(
        ~_is_taken_over(),
        Exists(HandoverPosition.objects.current().filter(handover=OuterRef("pk"))),
        booked_out_on__isnull=False,
    )


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
    """Book what was booked out as transfers in kind that keep the original dates and costs; once."""
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
    entries = [_transfer_in(portfolio, handover, each, today, by) for each in handover.positions.all()]
    return book(entries=entries, by=by)


def _transfer_in(
    portfolio: Portfolio, handover: Handover, position: HandoverPosition, today: datetime.date, by: User
) -> Transaction:
    entry = Transaction(
        portfolio=portfolio,
        type=Transaction.Type.TRANSFER_IN if position.quantity > 0 else Transaction.Type.TRANSFER_OUT,
        trade_date=today,
        settlement_date=today,
        currency=position.currency,
        reference=handover.pk,
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
    entry.price, entry.gross_amount = price, _value(position.quantity, price, security)
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


def _value(quantity: Decimal, price: Decimal, security: Security) -> Decimal:
    value = abs(quantity) * price
    return (value / 100 if security.price_unit == Security.PriceUnit.PERCENT else value).quantize(_CENT)


@transaction.atomic
def book_out(*, instruction: ClientInstruction, by: User) -> list[Transaction]:
    """Transfer out, as an instruction asks, what another party's portfolio holds whose ledger is kept here.

    Raises DomainError before that party has accepted the instruction: it may trade until then.
    """
    mandate = Mandate.objects.select_for_update(of=("self",), no_key=True).get(pk=instruction.mandate_id)
    require(Duty.SETTLEMENT, mandate)
    if instruction.state not in {InstructionState.ACCEPTED, InstructionState.IN_PROGRESS}:
        raise DomainError(
            "instruction_not_accepted",
            _("Whoever manages the portfolio has to accept the instruction first."),
        )
    return transfer_out(portfolio=mandate.portfolio, reference=instruction.pk, by=by)


@transaction.atomic
def transfer_out(*, portfolio: Portfolio, reference: uuid.UUID, by: User) -> list[Transaction]:
    """Book everything a portfolio holds as transfers out in kind, at the day's value."""
    refuse_open_orders(portfolio)
    today = timezone.now().date()
    positions = _positions(portfolio, today)
    if any(each.quantity != each.settled_quantity for each in positions.holdings.values()):
        raise DomainError(
            "handover_unsettled",
            _("Trades of portfolio %(number)s have not settled yet. Transfer it out when they have.")
            % {"number": portfolio.number},
        )
    ids = [cast("uuid.UUID", key) for key in positions.holdings]
    securities, known = Security.objects.in_bulk(ids), prices_as_of(ids, today)
    entries = []
    for key in ids:
        held, security, close = positions.holdings[key], securities[key], known.get(key)
        entries.append(
            Transaction(
                portfolio=portfolio,
                type=Transaction.Type.TRANSFER_OUT,
                trade_date=today,
                settlement_date=today,
                security=security,
                quantity=-held.quantity,
                currency=held.currency,
                price=close.close if close else None,
                gross_amount=_value(held.quantity, close.close, security)
                if close
                else held.book_cost.quantize(_CENT),
                reference=reference,
            )
        )
    for currency, balance in positions.cash.items():
        if balance.traded:
            is_out = balance.traded > 0
            entries.append(
                Transaction(
                    portfolio=portfolio,
                    type=Transaction.Type.TRANSFER_OUT if is_out else Transaction.Type.TRANSFER_IN,
                    trade_date=today,
                    settlement_date=today,
                    currency=currency,
                    gross_amount=abs(balance.traded),
                    net_amount=-balance.traded,
                    reference=reference,
                )
            )
    return book(entries=entries, by=by) if entries else []
