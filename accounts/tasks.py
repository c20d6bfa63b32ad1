"""What is done in each institution by itself: clearing away, and telling of new rights."""

import datetime

from celery import shared_task
from django.contrib.sessions.models import Session
from django.template.loader import render_to_string
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
