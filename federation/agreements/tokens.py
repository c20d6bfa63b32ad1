"""Credentials of an agreement's other party."""

import datetime

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.credentials import new_credential, note_use, proved
from accounts.errors import DomainError
from accounts.models import User
from federation.agreements import timeline
from federation.agreements.access import State, locked, require_state, save
from federation.models import Agreement, AgreementToken, Institution

# What a token of an agreement begins with, so that nobody takes it for a user's.
MARK = "rba"


@transaction.atomic
def make_token(
    agreement: Agreement, *, by: User, institution: Institution, name: str, expires_at: datetime.datetime
) -> tuple[AgreementToken, str]:
    """Make a credential for the partner; return it with the text, which can never be read again."""
    agreement = locked(agreement, institution)
    require_state(agreement, State.ACTIVE, State.WINDING_DOWN)
    prefix, secret_hash, text = new_credential(MARK, expires_at)
    token = AgreementToken(
        agreement=agreement,
        issuer=institution,
        name=name.strip(),
        prefix=prefix,
        secret_hash=secret_hash,
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
    return token, text


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
    issued = AgreementToken.objects.select_related(
        "agreement__manager", "agreement__channel", "agreement__version"
    ).filter(issuer=institution)
    token: AgreementToken | None = proved(MARK, text, issued)
    if token is None or not token.agreement.is_live:
        return None
    note_use(token)
    return token
