"""Work on portfolios that takes longer than a page."""

import datetime
import uuid

from celery import shared_task
from celery.exceptions import SoftTimeLimitExceeded
from django.db import DatabaseError, transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import jobs
from accounts.errors import DomainError
from accounts.models import Job, User
from portfolios.models import ImportBatch, Portfolio
from portfolios.services import valuations
from portfolios.services.handover import complete_late
from portfolios.services.imports import PRICES
from portfolios.services.imports import run_import as write_import

# How far back transfers out are looked at again.
LATE_TRANSFERS = datetime.timedelta(days=7)
# Many years of a large book take minutes; every step is repeatable.
_LONG = {"soft_time_limit": 3500, "time_limit": 3600}


@shared_task(**_LONG)
def value_portfolios(from_date: str | None = None, job_id: str | None = None) -> None:
    """Value all own portfolios from their last valued day on, or from ``from_date``."""
    since = datetime.date.fromisoformat(from_date) if from_date else None
    if job_id is None:
        valuations.value_portfolios(from_date=since)
        return
    if jobs.start(job_id) is None:
        return

    def show(done: int, total: int) -> None:
        Job.objects.filter(pk=job_id).update(done=done, total=total)

    try:
        valuations.value_portfolios(from_date=since, progress=show)
    except SoftTimeLimitExceeded:
        failure = jobs.Failure(
            why=_("It took too long."), remedy=_("Start it again; it goes on where it was.")
        )
        jobs.finish(job_id, failures=[failure], is_failed=True)
        return
    jobs.finish(job_id)


@shared_task(**_LONG)
def hand_over_late() -> None:
    """Hand over what former managers have booked out, where that arrived after they said so."""
    complete_late(timezone.now().date() - LATE_TRANSFERS)


@shared_task(**_LONG)
def run_import(batch_id: str) -> None:
    """Write a confirmed import and value what depends on it."""
    batch = ImportBatch.objects.select_related("source").get(pk=batch_id)
    try:
        batch = write_import(batch=batch)
    except (DomainError, DatabaseError, SoftTimeLimitExceeded) as error:
        # What was written before stays until somebody imports again or undoes it.
        why = error.message if isinstance(error, DomainError) else _("The import broke off. Import again.")
        summary = {**batch.summary, "failure": str(why)}
        ImportBatch.objects.filter(pk=batch.pk).update(state=ImportBatch.State.FAILED, summary=summary)
        if not isinstance(error, DomainError):
            raise
        return
    if batch.summary.get("since"):
        revalue_after(batch, datetime.date.fromisoformat(batch.summary["since"]))


def revalue_after(batch: ImportBatch, since: datetime.date) -> None:
    """Value the portfolios that a batch touches from its first day on, and all others up to its last."""
    ids: list[uuid.UUID] | None = None
    if batch.kind == PRICES:
        ids = list(
            Portfolio.objects.filter(transactions__security__prices__source=batch.source_id)
            .order_by()
            .distinct()
            .values_list("pk", flat=True)
        )
    valuations.value_portfolios(portfolio_ids=ids, from_date=since)
    if ids is not None:
        valuations.value_portfolios()


@shared_task(**_LONG)
def revalue_after_undo(batch_id: str, since: str) -> None:
    """Value again what rested on an import that was undone."""
    batch = ImportBatch.objects.get(pk=batch_id)
    revalue_after(batch, datetime.date.fromisoformat(since))


def start_valuation(*, by: User) -> Job:
    """Have a worker value all portfolios now; return the job that says how far it is."""
    with transaction.atomic():
        job = jobs.create_job(
            kind="value_portfolios",
            title=_("Value all portfolios"),
            by=by,
            back_url=reverse("portfolios:book"),
            back_label=_("Book"),
        )
        value_portfolios.delay_on_commit(None, str(job.pk))
    return job
