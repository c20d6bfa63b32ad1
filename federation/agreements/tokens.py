"""Credentials of an agreement's other party: 256-bit secrets, of which only a hash is kept."""

import datetime
import hashlib
import hmac
import secrets

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.errors import DomainError
from accounts.models import User
from federation.agreements import timeline
from federation.agreements.access import State, locked, require_state, save
from federation.models import Agreement, AgreementToken, Institution

# What a token of an agreement begins with, so that nobody takes it for a user's.
MARK = "rba"
LONGEST = datetime.timedelta(days=366)
# How exact "last used" is; a write for each request would be a lock for each request.
USE_NOTED_EVERY = datetime.timedelta(minutes=1)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


@transaction.atomic
def make_token(
    agreement: Agreement, *, by: User, institution: Institution, name: str, expires_at: datetime.datetime
) -> tuple[AgreementToken, str]:
    """Make a credential for the partner; return it with the text, which can never be read again."""
    agreement = locked(agreement, institution)
    require_state(agreement, State.ACTIVE, State.WINDING_DOWN)
    now = timezone.now()
    if not now < expires_at <= now + LONGEST:
        raise DomainError(
            "token_expiry",
            _("A token expires within a year. Choose an earlier day after today."),
            field="expires_on",
        )
    prefix, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    token = AgreementToken(
        agreement=agreement,
        issuer=institution,
        name=name.strip(),
        prefix=prefix,
        secret_hash=_hash(secret),
        created_by_name=by.full_name,
        expires_at=expires_at,
    )
    token.full_clean()
    token.save()
    timeline.record(
        timeline.EventKind.TOKEN_MADE,
        agreement,
        by=by,
        institution=institution,
        token=token.name,
        prefix=prefix,
    )
    return token, f"{MARK}_{prefix}_{secret}"


@transaction.atomic
def revoke_token(token: AgreementToken, *, by: User, institution: Institution) -> AgreementToken:
    """Make a token useless at once; only the party that made it can."""
    agreement = locked(token.agreement, institution)
    own = AgreementToken.objects.select_for_update().filter(pk=token.pk, issuer=institution).first()
    if own is None:
        raise DomainError("token_unknown", _("There is no such token here. Reload the page."))
    if own.revoked_at is None:
        save(own, revoked_at=timezone.now())
        timeline.record(
            timeline.EventKind.TOKEN_REVOKED,
            agreement,
            by=by,
            institution=institution,
            token=own.name,
            prefix=own.prefix,
        )
    return own


def find_token(text: str, *, institution: Institution) -> AgreementToken | None:
    """Return the usable token that ``text`` proves, on its issuer's domain and under a live agreement; else None."""
    mark, _underscore, rest = text.partition("_")
    prefix, _underscore, secret = rest.partition("_")
    if mark != MARK or not secret:
        return None
    now = timezone.now()
    token = (
        AgreementToken.objects.select_related(
            "agreement__manager", "agreement__channel", "agreement__version"
        )
        .filter(prefix=prefix, issuer=institution, revoked_at=None, expires_at__gt=now)
        .first()
    )
    if token is None or not hmac.compare_digest(token.secret_hash, _hash(secret)):
        return None
    if not token.agreement.is_live:
        return None
    stale = Q(last_used_at=None) | Q(last_used_at__lt=now - USE_NOTED_EVERY)
    AgreementToken.objects.filter(stale, pk=token.pk).update(last_used_at=now)
    return token
