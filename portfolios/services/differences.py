"""What partners call differently of the securities that both know, without knowing where they are read.

``settings.SECURITY_DIFFERENCES_RESOLVER`` names the function that knows the partners.
"""

import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy as _

from portfolios.models import Security

_FIELDS = {"name": _("name"), "currency": _("currency"), "kind": _("kind")}


@dataclass(frozen=True)
class Difference:
    """A field of a security that a partner fills in otherwise: its name, and the partner's value in words."""

    partner: str
    field: str
    theirs: str


def differences_of(securities: Iterable[Security]) -> dict[uuid.UUID, list[Difference]]:
    """Return by security what partners call differently, the partners by name; nothing of the others."""
    known = {security.pk: security for security in securities}
    called = _called(list(known)) if known else {}
    return {
        key: [
            Difference(partner, str(_FIELDS[name]), _words(name, value))
            for partner, values in sorted(partners, key=lambda each: each[0])
            for name, value in values.items()
            if getattr(known[key], name) != value
        ]
        for key, partners in called.items()
    }


def differing() -> set[uuid.UUID]:
    """Return the ids of the securities that a partner calls differently."""
    return set(_called(None))


def _called(securities: Collection[uuid.UUID] | None) -> dict[uuid.UUID, Any]:
    path = getattr(settings, "SECURITY_DIFFERENCES_RESOLVER", None)
    found: dict[uuid.UUID, Any] = import_string(path)(securities) if path else {}
    return found


def _words(name: str, value: str) -> str:
    return str(dict(Security.Kind.choices).get(value, value)) if name == "kind" else value
