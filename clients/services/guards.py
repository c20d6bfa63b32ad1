"""What every change of this layer checks first."""

import datetime
from decimal import Decimal

from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import formatting
from accounts.currencies import minor_units
from accounts.errors import DomainError
from accounts.records import Record
from clients.models import ClientInstruction, Mandate
from clients.signals import instruction_acting

# No mandate that is entered today was signed earlier.
_EARLIEST = datetime.date(1950, 1, 1)


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


def require_signing_day(mandate: Mandate, day: datetime.date, what: str) -> None:
    """Raise DomainError for a day on which the client cannot have signed."""
    born = mandate.client.birth_date if mandate.client else None
    earliest = max(born, _EARLIEST) if born else _EARLIEST
    if day > timezone.localdate():
        raise DomainError(
            f"{what}_in_future",
            _("This day lies in the future. Enter the day that stands on the document."),
            field=f"{what}_on",
        )
    if day < earliest:
        raise DomainError(
            f"{what}_too_early",
            _("The client cannot have signed before %(day)s. Enter the day that stands on the document.")
            % {"day": formatting.day(earliest)},
            field=f"{what}_on",
        )
