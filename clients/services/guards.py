"""What every change of this layer checks first."""

from django.utils.translation import gettext as _

from accounts.errors import DomainError
from accounts.records import Record


def refuse_received(record: Record) -> None:
    """Raise DomainError for a record that a partner owns."""
    if record.is_received or record.retired_at is not None:
        raise DomainError("received_record", _("This record belongs to your partner. Ask them to change it."))
