"""Follow what is decided about mandates, and what a partner who shares the work sends.

Acceptance opens a portfolio, the end closes it or hands it over. Where another party keeps the ledger, what it booked
is valued here and answers the instructions it was booked for; where it is kept here for another
party's portfolio, the accounts are opened here.
"""

import uuid
from collections.abc import Collection
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import Min, Sum
from django.dispatch import receiver
from django.utils.translation import gettext as _

from accounts.models import Unit, User
from accounts.origins import origin_name
from accounts.records import record_arrived, records_arrived
from clients.duties import Duty, performs
from clients.models import ClientInstruction, InstructionOutcome, Mandate, MandateDecision
from clients.services import record_outcome
from clients.signals import mandate_decided, mandate_submitting
from portfolios.duties import performs_for
from portfolios.models import Portfolio, Transaction
from portfolios.services.handover import record_handover, transfer_out
from portfolios.services.opening import close_portfolio, open_accounts, open_portfolio
from portfolios.services.refreshing import refresh
from portfolios.services.valuations import value_portfolios


@receiver(mandate_decided)
def follow_decision(
    mandate: Mandate, decision: MandateDecision, unit: Unit | None, by: User, **_kwargs: Any
) -> None:
    """Open the portfolio of an accepted mandate; close that of an ended one, which has to be empty."""
    if not performs(Duty.MANAGEMENT, mandate):
        return
    if decision.outcome == MandateDecision.Outcome.ACCEPTED:
        open_portfolio(mandate=mandate, unit=unit, by=by)
    elif decision.outcome == MandateDecision.Outcome.CLOSED and hasattr(mandate, "portfolio"):
        moves_on = ClientInstruction.objects.current().filter(
            mandate=mandate, kind=ClientInstruction.Kind.TRANSFER_OUT, status=ClientInstruction.Status.SENT
        )
        instruction = moves_on.first()
        if instruction is not None and performs(Duty.SETTLEMENT, mandate):
            transfer_out(portfolio=mandate.portfolio, reference=instruction.pk, by=by)
        close_portfolio(portfolio=mandate.portfolio, by=by)


@receiver(mandate_submitting)
def hand_over(mandate: Mandate, by: User, **_kwargs: Any) -> None:
    """Give the successor what the sales side knows of the portfolio that moves on."""
    record_handover(mandate=mandate, by=by)


@receiver(record_arrived, sender=Portfolio)
@transaction.atomic
def follow_portfolio(key: uuid.UUID, **_kwargs: Any) -> None:
    """Open the accounts of another party's portfolio whose ledger is kept here."""
    portfolio = (
        Portfolio.objects.current()
        .select_for_update(of=("self",))
        .select_related("mandate")
        .filter(pk=key)
        .first()
    )
    if portfolio is None or not performs_for(Duty.SETTLEMENT, portfolio) or portfolio.accounts.exists():
        return
    open_accounts(portfolio)
    refresh(portfolio_ids=[portfolio.pk])


@receiver(records_arrived, sender=Transaction)
def follow_bookings(keys: Collection[uuid.UUID], **_kwargs: Any) -> None:
    """Value the portfolios that another party has booked into, and answer what it was booked for."""
    arrived = Transaction.objects.current().received().filter(pk__in=keys).order_by()
    first_days = dict(arrived.values_list("portfolio").annotate(Min("trade_date")))
    if not first_days:
        return
    # One run for all: a portfolio's days before its own first one come out as they are.
    value_portfolios(portfolio_ids=list(first_days), from_date=min(first_days.values()))
    types = (Transaction.Type.DEPOSIT, Transaction.Type.WITHDRAWAL)
    for reference in set(
        arrived.filter(type__in=types, reference__isnull=False).values_list("reference", flat=True)
    ):
        _answer(reference)


def _answer(instruction_id: uuid.UUID) -> None:
    """Record on the managing side what the settling side has booked for an instruction."""
    instruction = (
        ClientInstruction.objects.current().open().select_related("mandate").filter(pk=instruction_id).first()
    )
    if instruction is None or not performs(Duty.MANAGEMENT, instruction.mandate):
        return
    booked = (
        Transaction.objects.current()
        .received()
        .filter(reference=instruction_id, portfolio__mandate=instruction.mandate)
    )
    latest = booked.order_by("-created_at").first()
    if latest is None:
        return
    total = abs(
        booked.filter(currency=latest.currency).aggregate(Sum("net_amount"))["net_amount__sum"] or Decimal(0)
    )
    is_in_its_currency = latest.currency == (instruction.currency or latest.currency)
    is_whole = is_in_its_currency and total >= (instruction.amount or 0)
    is_as_announced = is_in_its_currency and total == instruction.amount
    outcome = InstructionOutcome.Outcome.DONE if is_whole else InstructionOutcome.Outcome.IN_PROGRESS
    if not is_whole and instruction.outcomes.filter(outcome=outcome, amount=total).exists():
        return
    record_outcome(
        instruction=instruction,
        outcome=outcome,
        amount=total,
        currency=latest.currency,
        # Of another amount than announced, the text says why.
        note=" ".join(
            filter(
                None,
                [
                    _("Booked by %(name)s.") % {"name": origin_name(latest.origin)},
                    "" if is_as_announced else latest.text,
                ],
            )
        ),
        by=None,
    )
