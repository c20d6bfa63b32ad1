"""What clients ask for under a mandate, and what became of it."""

import datetime
import uuid
from dataclasses import dataclass
from decimal import Decimal

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import formatting
from accounts.errors import DomainError
from accounts.models import User, audit
from accounts.records import new_id
from clients import wealth
from clients.calculations.states import InstructionState, MandateState
from clients.duties import Duty, require
from clients.models import ClientInstruction, InstructionOutcome, Mandate, PayoutAccount
from clients.numbers import payment_reference
from clients.services.decisions import begin_closing, close_mandate
from clients.services.guards import refuse_received, refuse_unheard, require_whole_units
from clients.signals import instruction_answered

Kind = ClientInstruction.Kind
Outcome = InstructionOutcome.Outcome

# What is a state and not an act, as the audit trail has it.
_AUDITED_AS = {Outcome.IN_PROGRESS: "begun"}
_ACTING = {Outcome.ACCEPTED, Outcome.IN_PROGRESS, Outcome.DONE}

ENDED = {
    InstructionState.DONE,
    InstructionState.REJECTED,
    InstructionState.FAILED,
    InstructionState.WITHDRAWN,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPlan:
    """The plan that a client wants to change to."""

    offer: uuid.UUID
    name: str


@transaction.atomic
def draft_instruction(
    *,
    mandate: Mandate,
    kind: str,
    by: User,
    amount: Decimal | None = None,
    currency: str = "",
    payout_account: PayoutAccount | None = None,
    new_plan: NewPlan | None = None,
    wanted_date: datetime.date | None = None,
    note: str = "",
    pk: uuid.UUID | None = None,
) -> ClientInstruction:
    """Write down what a client asks for; it goes out with ``send_instruction``.

    A deposit gets its payment reference at once. Raises DomainError for what the kind lacks.
    """
    refuse_received(mandate)
    instruction = ClientInstruction(
        id=pk or new_id(),
        mandate=mandate,
        kind=kind,
        amount=amount,
        currency=(currency or mandate.currency) if amount is not None else "",
        payout_account=payout_account,
        offer=new_plan.offer if new_plan else None,
        offer_name=new_plan.name if new_plan else "",
        wanted_date=wanted_date,
        note=note.strip(),
    )
    _check_content(instruction)
    if wanted_date is not None and wanted_date < timezone.localdate():
        raise DomainError(
            "wanted_date_passed", _("This day has passed. Enter today or a later day."), field="wanted_date"
        )
    if kind == Kind.DEPOSIT:
        instruction.reference = payment_reference(instruction.pk)
    instruction.full_clean(exclude=["mandate"])
    instruction.save()
    audit("instruction.drafted", instruction, by=by, kind=kind)
    return instruction


def _check_content(instruction: ClientInstruction) -> None:
    kind, mandate = instruction.kind, instruction.mandate
    amount = instruction.amount
    if (kind in {Kind.DEPOSIT, Kind.WITHDRAWAL} and not amount) or (amount is not None and amount <= 0):
        raise DomainError("amount_missing", _("Enter an amount above zero."), field="amount")
    if amount is not None:
        require_whole_units(amount, instruction.currency)
    if kind == Kind.MODEL_CHANGE and instruction.offer is None:
        raise DomainError("plan_missing", _("Choose the new plan."), field="offer")
    if kind == Kind.MODEL_CHANGE and instruction.offer == mandate.current_offer:
        raise DomainError("plan_unchanged", _("The mandate follows this plan already."), field="offer")
    if kind == Kind.WITHDRAWAL:
        account = instruction.payout_account
        if account is None or account.client_id != mandate.client_id:
            raise DomainError(
                "payout_account_missing", _("Choose the client's account to pay to."), field="payout_account"
            )
        if not account.is_verified:
            raise DomainError(
                "payout_account_unverified",
                _("Nobody has verified this account yet. Ask a colleague to verify it first."),
                field="payout_account",
            )
        _refuse_more_than_there_is(instruction)


def _refuse_more_than_there_is(withdrawal: ClientInstruction) -> None:
    """Raise DomainError where more is asked for than the portfolio is worth, as far as that is known here.

    Withdrawals that were sent before and are not paid yet count too.
    """
    known = wealth.rates()
    waiting = withdrawal.mandate.instructions.all().unbooked()
    before = list(
        waiting.filter(kind=Kind.WITHDRAWAL).exclude(pk=withdrawal.pk).values_list("amount", "currency")
    )
    for position in wealth.positions_of([withdrawal.mandate], timezone.localdate(), known=known):
        asked = wealth.convert(withdrawal.amount, withdrawal.currency, position.currency, known)
        if position.value is None or position.as_of is None or asked is None:
            continue
        open_amounts = (
            wealth.convert(amount, currency, position.currency, known) for amount, currency in before
        )
        promised = sum((amount for amount in open_amounts if amount is not None), Decimal(0))
        if asked + promised > position.value:
            raise DomainError("amount_above_value", _above_value(position, promised), field="amount")


def _above_value(position: wealth.Position, promised: Decimal) -> str:
    assert position.value is not None
    assert position.as_of is not None
    is_something_left = position.value > promised
    if promised and is_something_left:
        text = _(
            "The portfolio was worth %(value)s on %(day)s, of which %(promised)s is asked for already. Ask for no"
            " more than %(left)s; to have all of it paid out, send an instruction to close the mandate."
        )
    elif promised:
        text = _(
            "The portfolio was worth %(value)s on %(day)s, and %(promised)s is asked for already: there is nothing"
            " more to be paid out."
        )
    elif is_something_left:
        text = _(
            "The portfolio was worth %(value)s on %(day)s. Ask for no more than that; to have all of it paid"
            " out, send an instruction to close the mandate."
        )
    else:
        text = _("The portfolio was worth %(value)s on %(day)s: there is nothing to be paid out.")
    return text % {
        "value": formatting.money(position.value, position.currency),
        "day": formatting.day(position.as_of),
        "promised": formatting.money(promised, position.currency),
        "left": formatting.money(position.value - promised, position.currency),
    }


@transaction.atomic
def send_instruction(*, instruction: ClientInstruction, by: User) -> ClientInstruction:
    """Send an instruction to whoever manages the mandate.

    Raises DomainError where the mandate is not managed, or another instruction to close it waits.
    """
    mandate = Mandate.objects.select_for_update(of=("self",)).get(pk=instruction.mandate_id)
    instruction = ClientInstruction.objects.select_for_update(of=("self",)).get(pk=instruction.pk)
    refuse_received(instruction)
    if instruction.status != ClientInstruction.Status.DRAFT:
        raise DomainError("instruction_sent_before", _("This instruction was sent before."))
    is_to_close = mandate.is_withdrawn_late and instruction.kind in ClientInstruction.CLOSING
    if mandate.state not in {MandateState.ACTIVE, MandateState.ACCEPTED} and not is_to_close:
        raise DomainError(
            "mandate_not_active",
            _("The portfolio is not open. Send instructions once the mandate is active."),
        )
    _check_content(instruction)
    successor = mandate.successor if instruction.kind == Kind.TRANSFER_OUT else None
    if successor is not None and successor.state != MandateState.ACTIVE:
        raise DomainError(
            "successor_not_active",
            _(
                "Mandate %(number)s has to be accepted first: until its portfolio is open, nobody takes this over."
            )
            % {"number": successor.number},
        )
    if any(
        other.kind in ClientInstruction.CLOSING and other.state not in ENDED
        for other in mandate.instructions.filter(status=ClientInstruction.Status.SENT).prefetch_related(
            "outcomes"
        )
    ):
        raise DomainError("mandate_being_closed", _("The client has asked to close this mandate."))
    instruction.status = ClientInstruction.Status.SENT
    instruction.sent_at, instruction.sent_by_name = timezone.now(), by.full_name
    instruction.save()
    audit("instruction.sent", instruction, by=by, kind=instruction.kind)
    return instruction


@transaction.atomic
def withdraw_instruction(*, instruction: ClientInstruction, by: User) -> ClientInstruction:
    """Withdraw an instruction that is not being carried out yet."""
    instruction = ClientInstruction.objects.select_for_update(of=("self",)).get(pk=instruction.pk)
    refuse_received(instruction)
    if instruction.state in {*ENDED, InstructionState.IN_PROGRESS}:
        raise DomainError(
            "instruction_too_late",
            _("It is too late to withdraw this instruction. Send another one instead."),
        )
    instruction.status = ClientInstruction.Status.WITHDRAWN
    instruction.save(update_fields=["status"])
    audit("instruction.withdrawn", instruction, by=by)
    return instruction


@transaction.atomic
def record_outcome(
    *,
    instruction: ClientInstruction,
    outcome: str,
    by: User | None,
    note: str = "",
    amount: Decimal | None = None,
    currency: str = "",
) -> InstructionOutcome:
    """Record what became of an instruction, on the managing side.

    Accepting the instruction to close a mandate begins its closing, its being done closes it.
    Raises DomainError for a draft, for what has ended, for a refusal without a note, and, where a
    person answers, while its sender would not be heard.
    """
    instruction = (
        ClientInstruction.objects.current()
        .select_for_update(of=("self",), no_key=True)
        .select_related("mandate")
        .get(pk=instruction.pk)
    )
    mandate = instruction.mandate
    require(Duty.MANAGEMENT, mandate)
    state = instruction.state
    if state == InstructionState.DRAFT or state in ENDED:
        raise DomainError(
            "instruction_not_open",
            _("There is nothing to answer: the instruction is %(state)s.")
            % {"state": instruction.state_label},
        )
    if outcome in {Outcome.REJECTED, Outcome.FAILED} and not note.strip():
        raise DomainError(
            "reason_missing", _("Say why, so that the advisor can explain it to the client."), field="note"
        )
    # What another party has booked is answered all the same.
    if outcome in _ACTING and by is not None:
        refuse_unheard(instruction)
    recorded = InstructionOutcome(
        instruction=instruction,
        outcome=outcome,
        amount=amount,
        currency=(currency or instruction.currency or mandate.currency) if amount is not None else "",
        note=note.strip(),
        at=timezone.now(),
        by_name=by.full_name if by else "",
    )
    recorded.full_clean(exclude=["instruction"])
    recorded.save()
    instruction.forget_outcomes()
    if instruction.kind in ClientInstruction.CLOSING and by is not None:
        _follow_closing(mandate, outcome, by)
    instruction_answered.send(sender=ClientInstruction, instruction=instruction, outcome=recorded, by=by)
    audit(f"instruction.{_AUDITED_AS.get(Outcome(outcome), outcome)}", instruction, by=by)
    return recorded


def _follow_closing(mandate: Mandate, outcome: str, by: User) -> None:
    if outcome in {Outcome.ACCEPTED, Outcome.IN_PROGRESS} and mandate.state == MandateState.ACTIVE:
        begin_closing(mandate=mandate, by=by)
    elif outcome == Outcome.DONE:
        close_mandate(mandate=mandate, by=by)
