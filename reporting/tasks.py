"""Background work of reporting: one report, or many."""

import datetime
from typing import Any

from celery import shared_task
from celery.signals import task_failure
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import override

from accounts.models import Job
from reporting import services
from reporting.models import Report

REPORTS_AT_ONCE = 25
# A report that waits longer has lost its message.
_FORGOTTEN_AFTER = datetime.timedelta(minutes=2)


@shared_task
def make_report(report_id: str) -> None:
    """Make an ordered report; a second message for it changes nothing."""
    report = Report.objects.own().filter(pk=report_id).first()
    if report is not None:
        services.make_report(report=report)


@task_failure.connect(sender=make_report)
def note_unexpected(args: tuple[Any, ...] = (), **_kwargs: Any) -> None:
    """Tell those who wait that a report will not come; the log says why."""
    report = Report.objects.own().filter(pk=args[0]).first() if args else None
    if report is not None:
        problem = _("Something unexpected happened. Try again; if it stays so, tell your administrator.")
        services.fail_report(report=report, problem=problem)


@shared_task
def make_batch(job_id: str) -> None:
    """Make the next reports of a job one by one and hand the rest to another task, so that others get their turn."""
    job = Job.objects.select_related("created_by").get(pk=job_id)
    by = job.created_by
    if by is None:
        return
    with override(by.locale):
        for position in range(job.done, min(job.done + REPORTS_AT_ONCE, job.total)):
            job = services.make_one_of_batch(job=job, position=position, by=by)
    if job.done < job.total:
        make_batch.delay(job_id)


@shared_task
def resume_reports() -> None:
    """Send again what a lost message left waiting."""
    long_ago = timezone.now() - _FORGOTTEN_AFTER
    waiting = Report.objects.own().filter(state=Report.State.QUEUED, created_at__lt=long_ago)
    for pk in waiting.values_list("pk", flat=True):
        make_report.delay(str(pk))
