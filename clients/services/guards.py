"""What every change of this layer checks first."""

from decimal import Decimal

from django.utils.translation import gettext as _

from accounts.currencies import minor_units
from accounts.errors import DomainError
from accounts.records import Record
from clients.models import ClientInstruction
from clients.signals import instruction_acting


def refuse_received(record: Record) -> None:
    """Raise DomainError for a record that a partner owns."""
    if record.is_received or record.retired_at is not None:
        raise DomainError("received_record", _("This record belongs to your partner. Ask them to change it."))


def require_whole_units(amount: Decimal, currency: str) -> None:
    """Raise DomainError for an amount that nobody can pay: it has parts of the currency's smallest unit."""
    smallest = Decimal(1).scaleb(-minor_units(currency))
    if amount % smallest:
        raise DomainError(
            "amount_too_fine",
            _("The smallest amount of %(currency)s is %(smallest)s. Round the amount to it.")
            % {"currency": currency, "smallest": smallest},
            field="amount",
        )


def refuse_unheard(instruction: ClientInstruction) -> None:
    """Raise DomainError where its sender may have withdrawn an instruction and would not be heard here."""
    if instruction.is_received:
        instruction_acting.send(sender=ClientInstruction, instruction=instruction)
