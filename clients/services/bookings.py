"""What is booked for instructions, and how whoever manages answers with it."""

import uuid
from collections.abc import Mapping
from decimal import Decimal

from django.apps import apps
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import formatting
from accounts.currencies import rounded
from accounts.errors import DomainError
from accounts.models import User, audit
from accounts.origins import origin_name
from clients.duties import Duty, performs, require
from clients.models import ClientInstruction, InstructionBooking, InstructionOutcome
from clients.services.guards import refuse_unheard
from clients.services.instructions import ENDED, record_outcome

Outcome = InstructionOutcome.Outcome
_UNDER_WAY = {Outcome.RECEIVED, Outcome.ACCEPTED, Outcome.IN_PROGRESS}

_AUDITED_AS = {
    InstructionBooking.Outcome.IN_PROGRESS: "booked_in_part",
    InstructionBooking.Outcome.DONE: "booked",
    InstructionBooking.Outcome.REJECTED: "booking_rejected",
}


@transaction.atomic
def close_short(*, instruction: ClientInstruction, by: User, note: str) -> InstructionOutcome:
    """End an instruction of which a part was booked and the rest does not come: done, with what was booked.

    Raises DomainError where nothing was booked, and without a note.
    """
    if not note.strip():
        raise DomainError(
            "reason_missing", _("Say why the rest does not come; the advisor reads it."), field="note"
        )
    booked = booked_for(_locked(instruction))
    if not booked:
        raise DomainError(
            "nothing_booked", _("Nothing has been booked for this instruction yet. Reject it instead.")
        )
    return record_outcome(
        instruction=instruction,
        outcome=Outcome.DONE,
        amount=booked,
        currency=instruction.currency,
        note=note,
        by=by,
    )


@transaction.atomic
def answer_by_hand(
    *, instruction: ClientInstruction, outcome: str, note: str, by: User
) -> InstructionOutcome:
    """Record what a person answers to an instruction; DomainError for a refusal of which a part is booked.

    The same answer again, as by a double click, is the one that is there.
    """
    instruction = _locked(instruction)
    if outcome in {Outcome.REJECTED, Outcome.FAILED} and booked_for(instruction):
        raise DomainError(
            "part_booked",
            _(
                "A part of it is booked, so it is not refused. Close it with that part, or reverse the entry first."
            ),
        )
    last = instruction.outcomes.current().order_by("at").last()
    said = (outcome, note.strip(), None)
    if last is not None and outcome in _UNDER_WAY and (last.outcome, last.note, last.amount) == said:
        return last
    return record_outcome(instruction=instruction, outcome=outcome, note=note, by=by)


def booked_for(
    instruction: ClientInstruction, rates: Mapping[uuid.UUID | None, Decimal | None] | None = None
) -> Decimal:
    """Return how much cash was booked for an instruction, whoever keeps the ledger.

    In the instruction's currency; what arrived in another one counts at the rate it was matched at,
    which ``rates`` gives by the ledger's entry where it is not recorded yet.
    """
    known = InstructionBooking.objects.current().filter(
        instruction=instruction.pk, exchange_rate__isnull=False
    )
    rates = {**dict(known.values_list("entry", "exchange_rate")), **(rates or {})}
    entries = apps.get_model("portfolios", "Transaction").objects.current().filter(reference=instruction.pk)
    total = Decimal(0)
    for key, reversed_key, currency, amount in entries.order_by().values_list(
        "pk", "reverses", "currency", "net_amount"
    ):
        is_in_its_currency = currency == instruction.currency
        total += amount * (1 if is_in_its_currency else rates.get(reversed_key or key) or 0)
    return rounded(abs(total), instruction.currency)


@transaction.atomic
def record_booking(
    *,
    instruction: ClientInstruction,
    outcome: str,
    by: User,
    entry: uuid.UUID | None = None,
    arrived: tuple[Decimal, str] | None = None,
    exchange_rate: Decimal | None = None,
    reason: str = "",
) -> InstructionBooking:
    """Record on the settling side what became of an instruction's cash; whoever manages answers with it.

    ``arrived`` is amount and currency of the ledger's ``entry`` where ``exchange_rate`` turned it into the
    instruction's currency.
    """
    require(Duty.SETTLEMENT, instruction.mandate)
    is_booked = outcome != InstructionBooking.Outcome.REJECTED
    if is_booked:
        refuse_unheard(instruction)
    booking = InstructionBooking.objects.create(
        instruction=instruction,
        outcome=outcome,
        entry=entry,
        exchange_rate=exchange_rate,
        amount=booked_for(instruction, {entry: exchange_rate}) if is_booked else None,
        currency=instruction.currency if is_booked else "",
        reason=" ".join(filter(None, [_arrived(arrived, exchange_rate), reason.strip()])),
        at=timezone.now(),
        by_name=by.full_name,
    )
    audit(f"instruction.{_AUDITED_AS[InstructionBooking.Outcome(outcome)]}", instruction, by=by)
    answer_booking(booking=booking, by=by)
    return booking


def _arrived(arrived: tuple[Decimal, str] | None, exchange_rate: Decimal | None) -> str:
    if arrived is None or exchange_rate is None:
        return ""
    return _("%(arrived)s at a rate of %(rate)s.") % {
        "arrived": formatting.money(*arrived),
        "rate": formatting.rate(exchange_rate),
    }


def answer_booking(*, booking: InstructionBooking, by: User | None) -> InstructionOutcome | None:
    """Answer an instruction with what was booked for it, or reversed.

    None where another party manages, where the instruction has ended, and where this was answered before.
    """
    instruction = booking.instruction
    if not performs(Duty.MANAGEMENT, instruction.mandate):
        return None
    if booking.outcome == InstructionBooking.Outcome.REOPENED:
        return _reopen(booking, by)
    if instruction.state in ENDED or not instruction.bookings.standing().filter(pk=booking.pk).exists():
        return None
    answered = instruction.outcomes.standing().filter(outcome=booking.outcome, amount=booking.amount)
    if answered.filter(at__gte=booking.at).exists():
        return None
    said = ""
    if booking.is_received:
        said = _("Rejected by %(name)s.") if booking.outcome == Outcome.REJECTED else _("Booked by %(name)s.")
        said %= {"name": origin_name(booking.origin)}
    return record_outcome(
        instruction=instruction,
        outcome=booking.outcome,
        amount=booking.amount,
        currency=booking.currency,
        note=" ".join(filter(None, [said, booking.reason])),
        by=by,
    )


@transaction.atomic
def reopen_booking(*, booking: InstructionBooking, by: User | None, reason: str) -> InstructionBooking:
    """Record on the settling side that what was booked for an instruction is reversed: it is open again."""
    instruction = _locked(booking.instruction)
    require(Duty.SETTLEMENT, instruction.mandate)
    left = booked_for(instruction)
    reopened = InstructionBooking.objects.create(
        instruction=instruction,
        outcome=InstructionBooking.Outcome.REOPENED,
        entry=booking.entry,
        amount=left or None,
        currency=instruction.currency if left else "",
        reason=reason,
        at=timezone.now(),
        by_name=by.full_name if by else "",
    )
    audit("instruction.booking_reopened", instruction, by=by)
    answer_booking(booking=reopened, by=by)
    return reopened


def _reopen(booking: InstructionBooking, by: User | None) -> InstructionOutcome | None:
    """Take back what an instruction was answered; what is left booked, or was booked since, is answered anew."""
    instruction = _locked(booking.instruction)
    taken_back = InstructionOutcome.Outcome.REOPENED
    if instruction.outcomes.filter(outcome=taken_back, at__gte=booking.at).exists():
        return None
    said = _("Reversed by %(name)s.") % {"name": origin_name(booking.origin)} if booking.is_received else ""
    answer = InstructionOutcome.objects.create(
        instruction=instruction,
        outcome=taken_back,
        amount=booking.amount,
        currency=booking.currency,
        note=" ".join(filter(None, [said, booking.reason])),
        at=timezone.now(),
        by_name=by.full_name if by else "",
    )
    if booking.amount:
        InstructionOutcome.objects.create(
            instruction=instruction,
            outcome=Outcome.IN_PROGRESS,
            amount=booking.amount,
            currency=booking.currency,
            at=timezone.now(),
            by_name=answer.by_name,
        )
    audit("instruction.reopened", instruction, by=by)
    for later in instruction.bookings.standing().filter(at__gt=booking.at):
        answer_booking(booking=later, by=by)
    return answer


def _locked(instruction: ClientInstruction) -> ClientInstruction:
    locked: ClientInstruction = (
        ClientInstruction.objects.select_for_update(of=("self",), no_key=True)
        .select_related("mandate")
        .get(pk=instruction.pk)
    )
    return locked
