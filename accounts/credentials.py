"""Credentials of programs: 256-bit secrets, of which only a hash is kept and which end within a year."""

import datetime
import hashlib
import hmac
import secrets
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.errors import DomainError

LONGEST = datetime.timedelta(days=366)
# How exact "last used" is; a write for each request would be a lock for each request.
USE_NOTED_EVERY = datetime.timedelta(minutes=1)


def hashed(secret: str) -> str:
    """Return what is kept of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def end_of(day: datetime.date) -> datetime.datetime:
    """Return the instant at which a day ends where the reader is."""
    following = datetime.datetime.combine(day + datetime.timedelta(days=1), datetime.time())
    return timezone.make_aware(following)


def last_day(expires_at: datetime.datetime) -> datetime.date:
    """Return the last day on which what ends then is of use where the reader is."""
    return timezone.localtime(expires_at - datetime.timedelta(microseconds=1)).date()


def new_credential(mark: str, expires_at: datetime.datetime) -> tuple[str, str, str]:
    """Return a prefix, the secret's hash, and the text that proves it, which can never be read again.

    ``mark`` is what texts of this kind begin with. Raises DomainError for an end in the past or beyond a year.
    """
    now = timezone.now()
    if not now < expires_at <= now + LONGEST:
        raise DomainError(
            "token_expiry",
            _("A token ends within a year. Choose today or a later day within a year."),
            field="expires_on",
        )
    prefix, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    return prefix, hashed(secret), f"{mark}_{prefix}_{secret}"


def proved(mark: str, text: str, among: "QuerySet[Any]") -> Any:
    """Return the unrevoked, unexpired row of ``among`` that ``text`` proves, else None."""
    found, _underscore, rest = text.partition("_")
    prefix, _underscore, secret = rest.partition("_")
    if found != mark or not secret:
        return None
    row = among.filter(prefix=prefix, revoked_at=None, expires_at__gt=timezone.now()).first()
    if row is None or not hmac.compare_digest(row.secret_hash, hashed(secret)):
        return None
    return row


def note_use(row: Any) -> None:
    """Note that a credential has just been used."""
    now = timezone.now()
    stale = Q(last_used_at=None) | Q(last_used_at__lt=now - USE_NOTED_EVERY)
    type(row).objects.filter(stale, pk=row.pk).update(last_used_at=now)
