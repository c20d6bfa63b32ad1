"""API tokens of users: 256-bit secrets, of which only a hash is kept."""

import datetime
import hashlib
import hmac
import secrets

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.errors import DomainError
from accounts.models import ApiToken, User, audit

# What a user's token begins with, so that nobody takes it for an agreement's.
MARK = "rbu"
LONGEST = datetime.timedelta(days=366)
# How exact "last used" is; a write for each request would be a lock for each request.
USE_NOTED_EVERY = datetime.timedelta(minutes=1)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


@transaction.atomic
def create_token(
    *, user: User, name: str, expires_at: datetime.datetime, may_write: bool, by: User
) -> tuple[ApiToken, str]:
    """Make a credential with a user's rights; return it with the text, which can never be read again."""
    now = timezone.now()
    if not now < expires_at <= now + LONGEST:
        raise DomainError(
            "token_expiry",
            _("A token expires within a year. Choose a day after today and within a year."),
            field="expires_on",
        )
    if not user.is_active:
        raise DomainError(
            "person_inactive", _("This person is not active and cannot have a token."), field="user"
        )
    prefix, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    token = ApiToken(
        user=user,
        name=name.strip(),
        prefix=prefix,
        secret_hash=_hash(secret),
        may_write=may_write,
        created_by=by,
        expires_at=expires_at,
    )
    token.full_clean()
    token.save()
    audit("token.created", token, by=by, user=str(user.pk), prefix=prefix, may_write=may_write)
    return token, f"{MARK}_{prefix}_{secret}"


@transaction.atomic
def revoke_token(*, token: ApiToken, by: User) -> ApiToken:
    """Make a token useless at once."""
    token = ApiToken.objects.select_for_update().get(pk=token.pk)
    if token.revoked_at is None:
        token.revoked_at = timezone.now()
        token.save(update_fields=["revoked_at"])
        audit("token.revoked", token, by=by, user=str(token.user_id), prefix=token.prefix)
    return token


def find_token(text: str) -> ApiToken | None:
    """Return the usable token of an active user that ``text`` proves, else None; notes its use."""
    mark, _underscore, rest = text.partition("_")
    prefix, _underscore, secret = rest.partition("_")
    if mark != MARK or not secret:
        return None
    now = timezone.now()
    token = (
        ApiToken.objects.select_related("user")
        .filter(prefix=prefix, revoked_at=None, expires_at__gt=now, user__is_active=True)
        .first()
    )
    if token is None or not hmac.compare_digest(token.secret_hash, _hash(secret)):
        return None
    stale = Q(last_used_at=None) | Q(last_used_at__lt=now - USE_NOTED_EVERY)
    ApiToken.objects.filter(stale, pk=token.pk).update(last_used_at=now)
    return token
