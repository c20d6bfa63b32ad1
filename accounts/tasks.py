"""What is cleared away in each institution."""

import datetime

from celery import shared_task
from django.contrib.sessions.models import Session
from django.utils import timezone

from accounts.models import ApiRequest, Job

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
