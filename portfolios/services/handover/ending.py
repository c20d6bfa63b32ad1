"""What carrying out an instruction to close books: shown first, and booked just as it was shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.errors import DomainError
from accounts.models import User
from clients.calculations.states import InstructionState
from clients.duties import Duty, performs
from clients.models import ClientInstruction, InstructionOutcome
from clients.services import record_outcome
from portfolios.models import Portfolio, Transaction
from portfolios.services.handover.takeover import ready
from portfolios.services.handover.transfers_out import book_out, due_out
from portfolios.services.holdings import refuse_open_orders

_ACCEPTED = {InstructionState.ACCEPTED, InstructionState.IN_PROGRESS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What an instruction to close would book now (unsaved), whether it closes the portfolio, and what bars it."""

    portfolio: Portfolio
    entries: Sequence[Transaction] = ()
    closes: bool
    problem: str = ""

    @property
    def positions(self) -> list[Transaction]:
        """Return the securities that leave, by name."""
        held = [(each.security.name.casefold(), each) for each in self.entries if each.security is not None]
        return [each for _name, each in sorted(held, key=lambda pair: pair[0])]

    @property
    def cash(self) -> list[Transaction]:
        """Return the cash that leaves, or that is owed and paid in."""
        return [each for each in self.entries if each.security_id is None]

    @property
    def seen(self) -> str:
        """Return a mark that is another one once anything else would be booked."""
        what = sorted(
            (str(each.security_id or each.currency), f"{each.quantity or each.net_amount:f}")
            for each in self.entries
        )
        return sha256(repr((what, self.closes)).encode()).hexdigest()[:32]


def ending_of(instruction: ClientInstruction) -> Ending:
    """Return what carrying out an instruction to close would do now."""
    portfolio, closes = instruction.mandate.portfolio, performs(Duty.MANAGEMENT, instruction.mandate)
    try:
        return Ending(portfolio=portfolio, entries=_entries(instruction), closes=closes)
    except DomainError as error:
        return Ending(portfolio=portfolio, closes=closes, problem=str(error.message))


@transaction.atomic
def carry_out(*, instruction: ClientInstruction, by: User, seen: str, note: str = "") -> Ending:
    """Book what was seen, and close portfolio and mandate where they are managed here.

    Raises DomainError where something else would be booked by now, and where something bars it.
    """
    asked = ClientInstruction.objects.select_for_update(of=("self",), no_key=True).select_related("mandate")
    locked = asked.get(pk=instruction.pk)
    portfolio = Portfolio.objects.select_for_update(of=("self",)).get(mandate=locked.mandate_id)
    ending = Ending(
        portfolio=portfolio, entries=_entries(locked), closes=performs(Duty.MANAGEMENT, locked.mandate)
    )
    if ending.seen != seen:
        raise DomainError(
            "ending_changed",
            _("What the portfolio holds has changed since this page was shown. Look at it once more."),
        )
    if ending.closes:
        record_outcome(instruction=locked, outcome=InstructionOutcome.Outcome.DONE, note=note, by=by)
    else:
        book_out(instruction=locked, by=by)
    return ending


def _entries(instruction: ClientInstruction) -> list[Transaction]:
    """Return what is to be booked here; raise DomainError where something bars the instruction."""
    mandate = instruction.mandate
    portfolio, is_moving = mandate.portfolio, instruction.kind == ClientInstruction.Kind.TRANSFER_OUT
    if performs(Duty.MANAGEMENT, mandate):
        if ready().filter(mandate=mandate).exists():
            raise DomainError(
                "not_taken_over",
                _("Positions of a former manager wait for this mandate. Book them before you close it."),
            )
    elif instruction.state not in _ACCEPTED:
        raise DomainError(
            "instruction_not_accepted",
            _("Whoever manages the portfolio has to accept the instruction first."),
        )
    if is_moving and performs(Duty.SETTLEMENT, mandate):
        return due_out(portfolio)
    refuse_open_orders(portfolio)
    if portfolio.holdings.something().exists():
        text = (
            _("Portfolio %(number)s still holds something. Whoever keeps its ledger books it out first.")
            if is_moving
            else _("Portfolio %(number)s still holds something. Sell it and pay out the cash first.")
        )
        raise DomainError("portfolio_not_empty", text % {"number": portfolio.number})
    return []
