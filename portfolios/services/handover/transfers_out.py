"""The transfers by which a portfolio is booked out when it moves on."""

import datetime
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import cast

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.errors import DomainError
from accounts.models import User, audit
from clients.calculations.states import InstructionState
from clients.duties import Duty, performs, require
from clients.models import ClientInstruction, InstructionOutcome, Mandate, PayoutAccount
from clients.services import refuse_unheard
from portfolios.calculations.ledger import Positions
from portfolios.models import Portfolio, Security, Transaction
from portfolios.services.handover.snapshots import positions_of
from portfolios.services.holdings import refuse_open_orders
from portfolios.services.ledger import book
from portfolios.services.market import prices_as_of

_CENT = Decimal("0.0001")


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
    refuse_unheard(instruction)
    return transfer_out(portfolio=mandate.portfolio, reference=instruction.pk, by=by)


@transaction.atomic
def transfer_out(*, portfolio: Portfolio, reference: uuid.UUID, by: User) -> list[Transaction]:
    """Book everything a portfolio holds as transfers out in kind, at the day's value."""
    return _book_out(portfolio, reference, by, cash_as=Transaction.Type.TRANSFER_OUT)


def due_out(
    portfolio: Portfolio, *, cash_as: Transaction.Type = Transaction.Type.TRANSFER_OUT
) -> list[Transaction]:
    """Return, not saved, the entries by which everything that a portfolio holds leaves it today.

    Raises DomainError while orders are open or trades have not settled.
    """
    refuse_open_orders(portfolio)
    today = timezone.now().date()
    positions = positions_of(portfolio, today)
    if any(each.quantity != each.settled_quantity for each in positions.holdings.values()):
        raise DomainError(
            "handover_unsettled",
            _("Trades of portfolio %(number)s have not settled yet. Transfer it out when they have.")
            % {"number": portfolio.number},
        )
    entries = [*_securities_out(positions, today), *_cash_out(positions, cash_as)]
    for entry in entries:
        entry.portfolio = portfolio
        entry.trade_date = entry.settlement_date = today
    return entries


@transaction.atomic
def book_out_rest(*, portfolio: Portfolio, by: User) -> list[Transaction]:
    """Book out what a closed portfolio holds because an entry came late, to where all else of it went.

    That is to the next manager where it moved on, else to the client. Raises DomainError where it has not
    arrived yet, where the client has no verified account for cash, and where cash is owed.
    """
    require(Duty.SETTLEMENT, portfolio.mandate)
    # Of two at once the second finds nothing left.
    portfolio = Portfolio.objects.select_for_update(of=("self",)).get(pk=portfolio.pk)
    if portfolio.closed_on is None:
        raise DomainError(
            "portfolio_open",
            _("Portfolio %(number)s is open. Wait for an instruction to close it.")
            % {"number": portfolio.number},
        )
    instruction = moved_on(portfolio)
    cash = positions_of(portfolio, timezone.now().date()).cash
    if any(each.traded != each.settled for each in cash.values()):
        raise DomainError(
            "cash_not_settled",
            _("Not all cash of portfolio %(number)s has arrived yet. Book it out when it has.")
            % {"number": portfolio.number},
        )
    if instruction is None:
        _refuse_payment(portfolio, [each.traded for each in cash.values()])
    booked = _book_out(
        portfolio,
        instruction.pk if instruction else portfolio.pk,
        by,
        cash_as=Transaction.Type.TRANSFER_OUT if instruction else Transaction.Type.WITHDRAWAL,
    )
    if instruction is not None and booked and performs(Duty.MANAGEMENT, portfolio.mandate):
        # Whoever gave the instruction hears of it by this, and hands it over.
        InstructionOutcome.objects.create(
            instruction=instruction,
            outcome=InstructionOutcome.Outcome.DONE,
            note=_("What came late has been booked out too."),
            at=timezone.now(),
            by_name=by.full_name,
        )
    audit("portfolio.rest_booked_out", portfolio, by=by)
    return booked


def moved_on(portfolio: Portfolio) -> ClientInstruction | None:
    """Return the instruction by which a portfolio is, or was, transferred to the next manager."""
    refused = ClientInstruction.objects.in_state(InstructionState.REJECTED, InstructionState.FAILED)
    found: ClientInstruction | None = (
        ClientInstruction.objects.current()
        .filter(
            mandate=portfolio.mandate_id,
            kind=ClientInstruction.Kind.TRANSFER_OUT,
            status=ClientInstruction.Status.SENT,
        )
        .exclude(pk__in=refused.values("pk"))
        .first()
    )
    return found


def _refuse_payment(portfolio: Portfolio, amounts: list[Decimal]) -> None:
    """Raise DomainError where cash is owed, or the client has no verified account to pay it to."""
    if any(amount < 0 for amount in amounts):
        raise DomainError(
            "cash_owed",
            _("Portfolio %(number)s owes cash. Match what is paid in for it; you find it under its number.")
            % {"number": portfolio.number},
        )
    client = portfolio.mandate.client_id if portfolio.mandate else None
    verified = PayoutAccount.objects.current().filter(client=client, verified_at__isnull=False)
    if any(amounts) and not verified.exists():
        raise DomainError(
            "payout_account_unverified",
            _("Two people have to verify the client's account before money goes to it."),
        )


def _book_out(
    portfolio: Portfolio, reference: uuid.UUID, by: User, *, cash_as: Transaction.Type
) -> list[Transaction]:
    entries = due_out(portfolio, cash_as=cash_as)
    for entry in entries:
        entry.reference = reference
    return book(entries=entries, by=by) if entries else []


def _securities_out(positions: Positions, day: datetime.date) -> Iterator[Transaction]:
    ids = [cast("uuid.UUID", key) for key in positions.holdings]
    securities, known = Security.objects.in_bulk(ids), prices_as_of(ids, day)
    for key in ids:
        held, security, close = positions.holdings[key], securities[key], known.get(key)
        yield Transaction(
            type=Transaction.Type.TRANSFER_OUT,
            security=security,
            quantity=-held.quantity,
            currency=held.currency,
            price=close.close if close else None,
            gross_amount=worth(held.quantity, close.close, security)
            if close
            else held.book_cost.quantize(_CENT),
        )


def _cash_out(positions: Positions, kind: Transaction.Type) -> Iterator[Transaction]:
    for currency, balance in positions.cash.items():
        if balance.traded:
            yield Transaction(
                type=kind if balance.traded > 0 else Transaction.Type.TRANSFER_IN,
                currency=currency,
                gross_amount=abs(balance.traded),
                net_amount=-balance.traded,
            )


def worth(quantity: Decimal, price: Decimal, security: Security) -> Decimal:
    """Return what so much of a security is worth at a price, in the price's currency."""
    value = abs(quantity) * price
    return (value / 100 if security.price_unit == Security.PriceUnit.PERCENT else value).quantize(_CENT)
