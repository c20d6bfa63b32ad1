"""Invitations: a secret link by e-mail, used once, of which only a hash is kept."""

import datetime
import logging
import secrets
import smtplib

from django.core.mail import send_mail
from django.db import transaction
from django.template.loader import render_to_string
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from accounts.credentials import hashed
from accounts.errors import DomainError
from accounts.models import Invitation, User, audit

logger = logging.getLogger(__name__)
VALID_FOR = datetime.timedelta(days=7)


def issue(*, user: User, by: User | None) -> tuple[Invitation, str]:
    """Create an invitation for ``user`` and end the earlier ones; return it with its secret.

    To be called inside the transaction of the change that it belongs to.
    """
    now = timezone.now()
    user.invitations.filter(accepted_at=None, expires_at__gt=now).update(expires_at=now)
    secret = secrets.token_urlsafe(32)
    invitation = Invitation.objects.create(
        user=user, secret_hash=hashed(secret), invited_by=by, expires_at=now + VALID_FOR
    )
    return invitation, secret


@transaction.atomic
def renew_invitation(*, user: User, by: User) -> tuple[Invitation, str]:
    """Invite a person again who has not come yet; earlier links end."""
    user = User.objects.select_for_update().get(pk=user.pk)
    if user.has_credentials and not user.is_active:
        raise DomainError(
            "has_come",
            _(
                "This person has come in before. Reactivate them: they sign in as before, or ask for a new password"
                " by e-mail."
            ),
        )
    if user.is_active or not user.invitations.filter(accepted_at=None).exists():
        raise DomainError("not_invited", _("This person has no open invitation. Nothing was sent."))
    invitation, secret = issue(user=user, by=by)
    audit("invitation.renewed", user, by=by, invitation=str(invitation.pk))
    return invitation, secret


def deliver_invitation(invitation: Invitation, *, link: str, institution_name: str) -> None:
    """Send the link to the person invited; DomainError where the mail cannot leave."""
    user = invitation.user
    context = {
        "user": user,
        "link": link,
        "institution_name": institution_name,
        "invited_by": invitation.invited_by,
        "expires_at": invitation.expires_at,
    }
    with translation.override(user.locale), timezone.override(datetime.UTC):
        subject = _("Your access to %(institution)s") % {"institution": institution_name}
        text = render_to_string("accounts/mail/invitation.txt", context)
    try:
        send_mail(subject, text, None, [user.email])
    except (smtplib.SMTPException, OSError) as error:
        logger.warning("invitation_not_sent", extra={"invitation": str(invitation.pk)})
        raise DomainError(
            "mail_not_sent",
            _(
                "The invitation is saved, but its e-mail could not be sent. Check the mail server, then send it again."
            ),
        ) from error


def find_invitation(secret: str) -> Invitation | None:
    """Return the invitation that ``secret`` opens; None where it is unknown, used or expired, or the person has come."""
    invitation = (
        Invitation.objects.select_related("user")
        .filter(secret_hash=hashed(secret), accepted_at=None, expires_at__gt=timezone.now())
        .first()
    )
    return None if invitation is None or invitation.user.has_credentials else invitation


@transaction.atomic
def accept_invitation(*, secret: str, full_name: str, password: str) -> User:
    """Let the person in whom ``secret`` invites: set name and password, once."""
    found = find_invitation(secret)
    # Two at once wait here for each other, and the second finds that the person has come.
    user = User.objects.select_for_update().get(pk=found.user_id) if found else None
    invitation = find_invitation(secret) if user else None
    if user is None or invitation is None:
        raise DomainError(
            "invitation_over",
            _("This invitation has been used or has expired. Ask your administrator for a new one."),
        )
    user.full_name = full_name.strip()
    user.is_active = True
    user.set_password(password)
    user.full_clean(exclude=["password"])
    user.save()
    invitation.accepted_at = timezone.now()
    invitation.save(update_fields=["accepted_at"])
    audit("invitation.accepted", user, by=user, invitation=str(invitation.pk))
    return user
