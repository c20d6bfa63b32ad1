"""Long work and how far it is: a page creates a job, a worker moves it on, the page polls it.

Call ``start``, ``advance`` and ``finish`` outside of a transaction: what an open transaction has
written, the page that polls cannot see.
"""

import uuid
from collections.abc import Iterable
from typing import Any, NamedTuple, NotRequired, TypedDict

from django.db.models import F, Func, JSONField, Value
from django.utils import timezone

from accounts.models import Job, User
from accounts.named import Named, named


class Failure(TypedDict):
    """Why something could not be done, and what to do about it; ``portfolio`` is the id of what it concerns, if one.

    Its number is looked up for each who reads it.
    """

    portfolio: NotRequired[str]
    why: str
    remedy: str


class ShownFailure(NamedTuple):
    """A failure as a person reads it."""

    what: Named | None
    why: str
    remedy: str


class Failures(NamedTuple):
    """What failed of a job, and how many more failures concern what the person may not see."""

    shown: list[ShownFailure]
    beyond: int


def failures_for(user: User, job: Job) -> Failures:
    """Return what failed of a job, as far as ``user`` may see the portfolios that it concerns."""
    found = named(user, job.failures)
    shown = [
        ShownFailure(found.get(each.get("portfolio", "")), each["why"], each["remedy"])
        for each in job.failures
        if "portfolio" not in each or each["portfolio"] in found
    ]
    return Failures(shown, len(job.failures) - len(shown))


def create_job(
    *,
    kind: str,
    title: str,
    by: User | None,
    total: int = 0,
    back_url: str = "",
    back_label: str = "",
    retry_url: str = "",
    data: dict[str, Any] | None = None,
) -> Job:
    """Create a queued job; send its task on commit with ``str(job.pk)``.

    ``data`` holds ids of what to work on. ``back_url`` and ``retry_url`` are paths of this site:
    where the result is, and where a POST tries again what failed.
    """
    links = {"back_url": back_url, "back_label": str(back_label), "retry_url": retry_url}
    return Job.objects.create(
        kind=kind, title=title, total=total, created_by=by, data={**(data or {}), **links}
    )


def start(job_id: uuid.UUID | str) -> Job | None:
    """Mark a queued job as running and return it; None where it runs or is over already.

    A task that is delivered twice works once.
    """
    started = Job.objects.filter(pk=job_id, state=Job.State.QUEUED).update(state=Job.State.RUNNING)
    return Job.objects.get(pk=job_id) if started else None


def advance(job_id: uuid.UUID | str, *, by_count: int = 1, failures: Iterable[Failure] = ()) -> None:
    """Count ``by_count`` more as worked on, and add what failed; safe from several workers at once."""
    changes: dict[str, Any] = {"done": F("done") + by_count}
    failed = list(failures)
    if failed:
        changes["failures"] = Func(
            F("failures"),
            Value(failed, output_field=JSONField()),
            template="(%(expressions)s)",
            arg_joiner=" || ",
            output_field=JSONField(),
        )
    Job.objects.filter(pk=job_id).update(**changes)


def finish(job_id: uuid.UUID | str, *, failures: Iterable[Failure] = (), is_failed: bool = False) -> None:
    """Mark a job as done, or as failed where it broke off as a whole."""
    failed = list(failures)
    if failed:
        advance(job_id, by_count=0, failures=failed)
    state = Job.State.FAILED if is_failed else Job.State.DONE
    Job.objects.filter(pk=job_id).update(state=state, finished_at=timezone.now())
