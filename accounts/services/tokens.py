"""API tokens of users."""

import datetime

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.credentials import new_credential, note_use, proved
from accounts.errors import DomainError
from accounts.models import ApiToken, User, audit

# What a user's token begins with, so that nobody takes it for an agreement's.
MARK = "rbu"


@transaction.atomic
def permit_token(
    *, user: User, name: str, expires_at: datetime.datetime, may_write: bool, by: User
) -> ApiToken:
    """Permit a credential with a user's rights: nothing proves it until the user has had it shown."""
    if not user.is_active:
        raise DomainError(
            "person_inactive", _("This person is not active and cannot have a token."), field="user"
        )
    prefix, _hash, _text = new_credential(MARK, expires_at)
    token = ApiToken(
        user=user,
        name=name.strip(),
        prefix=prefix,
        may_write=may_write,
        created_by=by,
        expires_at=expires_at,
    )
    token.full_clean(exclude=["secret_hash"])
    token.save()
    audit("token.created", token, by=by, user=str(user.pk), may_write=may_write)
    return token


@transaction.atomic
def show_token(*, token: ApiToken, by: User) -> str:
    """Make the secret of one's own token; return the text, which can never be read again.

    Nobody else has it: who reads it acts in this person's name.
    """
    token = ApiToken.objects.select_for_update().get(pk=token.pk)
    if token.user_id != by.pk:
        raise DomainError("token_of_somebody_else", _("A token is shown to the person it acts as alone."))
    if not token.is_waiting:
        raise DomainError(
            "token_not_waiting",
            _("This token was shown already or has ended. Ask your administrator for another."),
        )
    token.prefix, token.secret_hash, text = new_credential(MARK, token.expires_at)
    token.save(update_fields=["prefix", "secret_hash"])
    audit("token.shown", token, by=by, user=str(by.pk), prefix=token.prefix)
    return text


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
    usable = ApiToken.objects.select_related("user").filter(user__is_active=True)
    token: ApiToken | None = proved(MARK, text, usable)
    if token is not None:
        note_use(token)
    return token
