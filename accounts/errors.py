"""The one kind of error that services raise for what a user can act on."""

import decimal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, ObjectDoesNotExist, ValidationError
from django.db import DataError, IntegrityError, OperationalError
from django.utils.translation import gettext as _

# PostgreSQL's codes: what a row names is gone, another row is there already, and of two that waited for each other's locks
# this one was given up. All of its change is undone, so that it can be made again.
_FASTER = {"23503", "23505", "40P01"}


class DomainError(Exception):
    """Refuse a change, with a stable code and a sentence that says what to do next.

    ``field`` names the input that is at fault, where one is; ``data`` carries figures for the API.
    """

    def __init__(
        self, code: str, message: Any, *, field: str | None = None, data: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(str(message))
        self.code = code
        self.message = message
        self.field = field
        self.data = dict(data or {})


@contextmanager
def refusing(code: str, *, field: str = "") -> Iterator[None]:
    """Refuse what a model's rules do not allow, with their words; at ``field``, else at the first one they name."""
    try:
        yield
    except ValidationError as error:
        named = [name for name in getattr(error, "error_dict", ()) if name != NON_FIELD_ERRORS]
        raise DomainError(code, " ".join(error.messages), field=field or next(iter(named), "")) from error


def refusal_of(error: Exception) -> DomainError | None:
    """Return what to tell whoever asked, where an error lies in what they sent or in somebody who was faster.

    Forms and services say so by themselves, with the field; this is the net below them. None for a fault of ours.
    """
    if isinstance(error, DomainError):
        return error
    if isinstance(error, DataError | ValueError) and "NUL (0x00)" in str(error):
        # Forms refuse it; a reason that comes without one gets as far as the database's driver.
        return DomainError("nul", _("A text holds a character that cannot be kept. Type it again."))
    if isinstance(error, DataError | decimal.InvalidOperation):
        return DomainError(
            "beyond_bounds",
            _("A number, day or text is larger than can be kept. Correct it and send it again."),
        )
    is_database = isinstance(error, IntegrityError | OperationalError)
    was_faster = is_database and getattr(error.__cause__, "sqlstate", "") in _FASTER
    if was_faster or isinstance(error, ObjectDoesNotExist):
        return DomainError(
            "somebody_was_faster", _("Somebody was faster, and this is not as it was. Look at it again.")
        )
    return None
