"""What is done in each institution by itself: clearing away, and telling of new rights."""

import datetime

from celery import shared_task
from django.contrib.sessions.models import Session
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.mailing import people_with, write_to
from accounts.models import ApiRequest, AuditEntry, Job, Role, User

JOBS_KEPT_FOR = datetime.timedelta(days=90)
REQUESTS_KEPT_FOR = datetime.timedelta(hours=24)


@shared_task(ignore_result=True)
def clear_away() -> None:
    """Delete sessions that have expired, and jobs that were over long ago."""
    now = timezone.now()
    Session.objects.filter(expire_date__lt=now).delete()
    Job.objects.filter(finished_at__lt=now - JOBS_KEPT_FOR).delete()


@shared_task(ignore_result=True)
def forget_api_requests() -> None:
    """Delete the answers to named requests after a day: they hold what was answered."""
    ApiRequest.objects.filter(created_at__lt=timezone.now() - REQUESTS_KEPT_FOR).delete()


@shared_task(ignore_result=True)
def tell_of_rights(entry_id: str) -> None:
    """Tell administrators and compliance that one of the administrators gave somebody a role.

    One alone could invite a second account of their own. Neither who gave it nor who has it is told.
    """
    entry = AuditEntry.objects.select_related("actor").get(pk=entry_id)
    person = User.objects.prefetch_related("role_assignments__unit").filter(pk=str(entry.record_id)).first()
    if person is None:
        return

    def message() -> tuple[str, str]:
        words = {"who": entry.actor_name, "person": person, "is_new": entry.action == "person.invited"}
        subject = _("New rights for %(name)s") % {"name": person.full_name}
        return subject, render_to_string("accounts/mail/rights.txt", words)

    readers = people_with([Role.ADMINISTRATOR, Role.COMPLIANCE])
    write_to(readers.exclude(pk__in=[entry.actor_id, person.pk]), message)


@shared_task(ignore_result=True)
def tell_of_second_factor(entry_id: str) -> None:
    """Tell a person that an administrator removed their second factor."""
    entry = AuditEntry.objects.get(pk=entry_id)
    person = User.objects.get(pk=str(entry.record_id))

    def message() -> tuple[str, str]:
        words = {"who": entry.actor_name, "person": person}
        return _("Your second factor was removed"), render_to_string("accounts/mail/second_factor.txt", words)

    write_to([person], message)


@shared_task(ignore_result=True)
def send_password_reset(user_id: str, institution: str, address: str) -> None:
    """Send a person the link by which they choose a new password; the institution's pages begin at ``address``.

    The link is made here: nothing that opens an account waits in Redis.
    """
    # Other workers need not load what signs people in.
    from allauth.account.forms import default_token_generator
    from allauth.account.utils import user_pk_to_url_str

    person = User.objects.filter(pk=user_id, is_active=True).first()
    if person is None:
        return
    key = {"uidb36": user_pk_to_url_str(person), "key": default_token_generator.make_token(person)}
    link = address.rstrip("/") + reverse("account_reset_password_from_key", kwargs=key)

    def message() -> tuple[str, str]:
        words = {"person": person, "institution": institution, "link": link}
        subject = f"[{institution}] {_('Choose a new password')}"
        return subject, render_to_string("accounts/mail/password_reset.txt", words)

    write_to([person], message)
