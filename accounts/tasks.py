"""What is cleared away at night in each institution."""

import datetime

from celery import shared_task
from django.contrib.sessions.models import Session
from django.utils import timezone

from accounts.models import Job

JOBS_KEPT_FOR = datetime.timedelta(days=90)


@shared_task(ignore_result=True)
def clear_away() -> None:
    """Delete sessions that have expired, and jobs that were over long ago."""
    now = timezone.now()
    Session.objects.filter(expire_date__lt=now).delete()
    Job.objects.filter(finished_at__lt=now - JOBS_KEPT_FOR).delete()
