"""Follow what is decided about mandates, and what a partner who shares the work sends.

Acceptance opens a portfolio, the end closes it or hands it over. Where another party keeps the ledger, what it booked
is valued here and answers the instructions it was booked for; where it is kept here for another
party's portfolio, the accounts are opened here.
"""

import uuid
from collections.abc import Collection, Iterable
from typing import Any

from django.db import transaction
from django.db.models import Min
from django.dispatch import receiver
from django.utils.translation import gettext as _

from accounts.errors import DomainError
from accounts.models import Unit, User
from accounts.records import record_arrived, records_arrived
from clients.duties import Duty, performs
from clients.models import InstructionBooking, InstructionOutcome, Mandate, MandateDecision
from clients.services import answer_booking, refuse_unheard
from clients.signals import mandate_decided, mandate_submitting
from portfolios.duties import performs_for
from portfolios.models import Handover, Portfolio, Transaction
from portfolios.services.cash_reversals import reopen_cash
from portfolios.services.handover import complete_handover, moved_on, ready, record_handover, transfer_out
from portfolios.services.opening import close_portfolio, open_accounts, open_portfolio
from portfolios.services.refreshing import refresh
from portfolios.services.valuations import value_portfolios
from portfolios.signals import transactions_booked


@receiver(mandate_decided)
def follow_decision(
    mandate: Mandate, decision: MandateDecision, unit: Unit | None, by: User, **_kwargs: Any
) -> None:
    """Open the portfolio of an accepted mandate; close that of an ended one, which has to be empty.

    What was booked out for it by a former manager has to be taken over first.
    """
    if not performs(Duty.MANAGEMENT, mandate):
        return
    if decision.outcome == MandateDecision.Outcome.ACCEPTED:
        open_portfolio(mandate=mandate, unit=unit, by=by)
    elif decision.outcome == MandateDecision.Outcome.CLOSED and hasattr(mandate, "portfolio"):
        if ready().filter(mandate=mandate).exists():
            raise DomainError(
                "not_taken_over",
                _("Positions of a former manager wait for this mandate. Book them before you close it."),
            )
        instruction = moved_on(mandate.portfolio)
        if instruction is not None and performs(Duty.SETTLEMENT, mandate):
            refuse_unheard(instruction)
            transfer_out(portfolio=mandate.portfolio, reference=instruction.pk, by=by)
        close_portfolio(portfolio=mandate.portfolio, by=by)
        complete_handover(former=mandate, by=by)


@receiver(mandate_submitting)
def hand_over(mandate: Mandate, by: User, **_kwargs: Any) -> None:
    """Give the successor what the sales side knows of the portfolio that moves on."""
    record_handover(mandate=mandate, by=by)


@receiver(record_arrived, sender=MandateDecision)
def follow_end(key: uuid.UUID, **_kwargs: Any) -> None:
    """Hand over what another party had booked out when it closed the mandate."""
    closed = MandateDecision.objects.current().filter(pk=key, outcome=MandateDecision.Outcome.CLOSED)
    decision = closed.select_related("mandate").first()
    if decision is not None:
        complete_handover(former=decision.mandate, by=None)


@receiver(record_arrived, sender=InstructionOutcome)
def follow_outcome(key: uuid.UUID, **_kwargs: Any) -> None:
    """Hand over what another party has booked out late, for an instruction that was done before."""
    outcomes = InstructionOutcome.objects.current().filter(pk=key, outcome=InstructionOutcome.Outcome.DONE)
    portfolios = Portfolio.objects.filter(mandate__instructions__outcomes__in=outcomes)
    _hand_over_rest(set(portfolios.values_list("pk", flat=True)), None)


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


@receiver(record_arrived, sender=InstructionBooking)
@transaction.atomic
def follow_booking(key: uuid.UUID, **_kwargs: Any) -> None:
    """Answer an instruction with what another party has booked for it."""
    booking = (
        InstructionBooking.objects.current()
        # It may be delivered twice at once, and is answered once.
        .select_for_update(of=("self",), no_key=True)
        .select_related("instruction__mandate")
        .filter(pk=key)
        .first()
    )
    if booking is not None:
        answer_booking(booking=booking, by=None)


@receiver(transactions_booked)
def follow_reversals(transactions: Iterable[Transaction], by: User | None, **_kwargs: Any) -> None:
    """Let arrived cash and instructions be open again whose entry was reversed."""
    for each in transactions:
        if each.type == Transaction.Type.REVERSAL:
            reopen_cash(reversal=each, by=by)


@receiver(transactions_booked)
def follow_bookings(transactions: Iterable[Transaction], by: User | None, **_kwargs: Any) -> None:
    """Hand over what is booked out of a closed portfolio because an entry came late."""
    _hand_over_rest({each.portfolio_id for each in transactions}, by)


def _hand_over_rest(portfolios: Collection[uuid.UUID], by: User | None) -> None:
    closed = Portfolio.objects.current().filter(pk__in=portfolios, closed_on__isnull=False)
    given = Handover.objects.own().filter(mandate__predecessor__portfolio__in=closed.values("pk"))
    for former in Mandate.objects.filter(pk__in=given.values("mandate__predecessor")):
        complete_handover(former=former, by=by)


@receiver(records_arrived, sender=Transaction)
def follow_entries(keys: Collection[uuid.UUID], **_kwargs: Any) -> None:
    """Value the portfolios that another party has booked into, and hand over what it has booked out late."""
    arrived = Transaction.objects.current().received().filter(pk__in=keys).order_by()
    first_days = dict(arrived.values_list("portfolio").annotate(Min("trade_date")))
    if not first_days:
        return
    # One run for all: a portfolio's days before its own first one come out as they are.
    value_portfolios(portfolio_ids=list(first_days), from_date=min(first_days.values()))
    _hand_over_rest(list(first_days), None)
