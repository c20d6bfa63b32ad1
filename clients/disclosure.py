"""The client's authorisation to disclose: its wording, kept by version."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

VERSION = "2026-01"

TEXTS: dict[str, str | Promise] = {
    "2024-01": _(
        "I authorise my institution to pass on to %(manager)s the data that %(manager)s needs to manage my "
        "money under this mandate."
    ),
    "2026-01": _(
        "I authorise my institution to make the data listed here available to %(manager)s, so that "
        "%(manager)s can manage my money under this mandate, and to keep it up to date for as long as "
        "the mandate lasts. %(manager)s sees nothing of other mandates, and passes nothing on."
    ),
}


def text(version: str, manager: str) -> str:
    """Return the wording of a version for one manager; empty for a version that is not known."""
    wording = TEXTS.get(version)
    return str(wording) % {"manager": manager} if wording else ""
