"""Which functions this institution performs for a mandate.

Domain code asks here before it changes anything that somebody else may be responsible for. For
one institution on its own the answer is always yes; where institutions share the work,
``settings.DUTIES_RESOLVER`` names the function that knows the agreements.
"""

import uuid
from collections.abc import Iterable
from enum import StrEnum

from django.conf import settings
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from accounts.errors import DomainError
from clients.models import Mandate


class Duty(StrEnum):
    """The functions of the division of work."""

    RELATIONSHIP = "relationship"
    MODELS = "models"
    MANAGEMENT = "management"
    TRADING = "trading"
    SETTLEMENT = "settlement"
    REPORTING = "reporting"


def performs(duty: Duty, mandate: Mandate | None) -> bool:
    """Say whether this institution performs ``duty`` for ``mandate`` (None: outside any mandate)."""
    if mandate is None or mandate.agreement is None:
        return True
    return bool(performed_under(duty, [mandate.agreement]))


def performed_under(duty: Duty, agreements: Iterable[uuid.UUID]) -> set[uuid.UUID]:
    """Return those of ``agreements`` under which this institution performs ``duty``."""
    path = getattr(settings, "DUTIES_RESOLVER", None)
    if not path:
        return set(agreements)
    resolve = import_string(path)
    return {agreement for agreement in agreements if resolve(duty.value, agreement)}


def require(duty: Duty, mandate: Mandate | None) -> None:
    """Raise DomainError unless this institution performs ``duty`` for ``mandate``."""
    if not performs(duty, mandate):
        raise DomainError(
            "not_our_duty",
            _("Your partner does this under the agreement. Send an instruction instead."),
            data={"duty": duty.value},
        )
