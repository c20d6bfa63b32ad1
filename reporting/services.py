"""Order reports, make them, and release them to the client."""

import dataclasses
import datetime
from collections.abc import Collection
from decimal import Decimal
from typing import Any

import typst
from django.db import connection, transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import formatting
from accounts.errors import DomainError
from accounts.jobs import Failure, create_job
from accounts.models import Job, User, audit
from clients.duties import Duty, require
from portfolios.calculations.entries import LedgerError
from portfolios.models import Portfolio
from reporting.document import Heading, compose, title
from reporting.figures import gather
from reporting.letterhead import letterhead_of
from reporting.models import Report, ReportRelease
from reporting.pdf import set_pdf
from reporting.words import language_for

BATCH = "reporting.batch"
# The shape of Report.content and the rules of its figures, for those who read it; raised with either. Since 2 a
# benchmark's return since the beginning starts, as the portfolio's, with the close before the first day.
CONTENT_VERSION = 2
# Decimal places of figures in Report.content: as many as an index has.
PLACES = 12


def check_period(period_from: datetime.date, period_to: datetime.date) -> None:
    """Raise DomainError for a period that is in the wrong order or ends in the future."""
    if period_to < period_from:
        raise DomainError(
            "period_order", _("The period ends before it begins. Swap the days."), field="period_to"
        )
    if period_to > timezone.localdate():
        raise DomainError(
            "period_in_future",
            _("The period ends in the future. Choose today or an earlier day."),
            field="period_to",
        )


def _check_opening(portfolio: Portfolio, period_from: datetime.date) -> None:
    # A year or quarter in which the portfolio was opened may begin before it.
    if period_from.year < portfolio.opened_on.year:
        raise DomainError(
            "period_before_opening",
            _("The portfolio was opened on %(day)s. Choose a period that begins in that year or later.")
            % {"day": formatting.day(portfolio.opened_on)},
            field="period_from",
        )


@transaction.atomic
def order_report(
    *, portfolio: Portfolio, period_from: datetime.date, period_to: datetime.date, by: User
) -> Report:
    """Order a statement of a portfolio over a period, both days included; a worker makes it at once.

    Raises DomainError where this institution does not report for the portfolio's mandate, or the
    same statement is being made.
    """
    check_period(period_from, period_to)
    report = _queue(portfolio, period_from, period_to, by)
    _send(report)
    return report


def _queue(portfolio: Portfolio, period_from: datetime.date, period_to: datetime.date, by: User) -> Report:
    # Two orders at once take turns, so that a double click does not make two reports.
    portfolio = (
        Portfolio.objects.select_for_update(of=("self",), no_key=True)
        .select_related("mandate__client")
        .get(pk=portfolio.pk)
    )
    require(Duty.REPORTING, portfolio.mandate)
    _check_opening(portfolio, period_from)
    same = Report.objects.own().filter(
        portfolio=portfolio, period_from=period_from, period_to=period_to, state=Report.State.QUEUED
    )
    if same.exists():
        raise DomainError(
            "report_in_work", _("This report is being made. It will be in the list in a moment.")
        )
    language = language_for(letterhead_of(portfolio).language)
    report: Report = Report.objects.create(
        portfolio=portfolio,
        number=_next_number(),
        title=title(language, period_from, period_to),
        language=language,
        period_from=period_from,
        period_to=period_to,
        made_by_name=by.full_name,
    )
    audit("report.ordered", report, by=by, portfolio=str(portfolio.pk))
    return report


def _next_number() -> str:
    # A sequence never gives a number twice; one that was taken over from elsewhere is passed by.
    while True:
        with connection.cursor() as cursor:
            cursor.execute("SELECT nextval('reporting_report_number')")
            number = f"R-{cursor.fetchone()[0]}"
        if not Report.objects.own().filter(number=number).exists():
            return number


def _send(report: Report) -> None:
    from reporting.tasks import make_report as task

    pk = str(report.pk)
    transaction.on_commit(lambda: task.delay(pk))


@transaction.atomic
def retry_report(*, report: Report, by: User) -> Report:
    """Make a failed report again."""
    report = Report.objects.own().select_for_update(of=("self",)).get(pk=report.pk)
    require(Duty.REPORTING, report.portfolio.mandate)
    if report.state != Report.State.FAILED:
        raise DomainError("report_not_failed", _("Only a report that could not be made is made again."))
    report.state, report.problem = Report.State.QUEUED, ""
    report.save(update_fields=["state", "problem"])
    audit("report.retried", report, by=by)
    _send(report)
    return report


@transaction.atomic
def make_report(*, report: Report) -> Report:
    """Make an ordered report: its figures as they stand, its document and its PDF.

    A report that is not waiting is left as it is, so that a message that comes twice makes one
    report. What prevents it is written down as the report's problem.
    """
    report = Report.objects.own().select_for_update(of=("self",)).get(pk=report.pk)
    if report.state != Report.State.QUEUED:
        return report
    try:
        # A database error inside would otherwise end the whole transaction, note included.
        with transaction.atomic():
            report.content, report.pdf = _content(report)
    except DomainError as error:
        _note_failure(report, str(error))
    except LedgerError as error:
        _note_failure(
            report,
            _("The ledger does not add up: %(why)s Correct the entry, then try again.") % {"why": error},
        )
    except typst.TypstError:
        _note_failure(
            report, _("The page could not be set. Try again; if it stays so, tell your administrator.")
        )
    else:
        report.state, report.problem, report.made_at = Report.State.READY, "", timezone.now()
        report.save(update_fields=["content", "pdf", "state", "problem", "made_at"])
    return report


def _note_failure(report: Report, problem: str) -> None:
    report.state, report.problem = Report.State.FAILED, problem[:300]
    report.content, report.pdf = {}, None
    report.save(update_fields=["state", "problem", "content", "pdf"])


@transaction.atomic
def fail_report(*, report: Report, problem: str) -> None:
    """Note that a waiting report could not be made."""
    report = Report.objects.own().select_for_update(of=("self",)).get(pk=report.pk)
    if report.state == Report.State.QUEUED:
        _note_failure(report, problem)


def _content(report: Report) -> tuple[dict[str, Any], bytes]:
    portfolio = Portfolio.objects.select_related("mandate__client").get(pk=report.portfolio_id)
    mandate = portfolio.mandate
    if portfolio.retired_at is not None or (mandate is not None and mandate.retired_at is not None):
        raise DomainError(
            "mandate_sealed",
            _(
                "The agreement has ended, and what the partner shared is sealed. Nothing is reported any more."
            ),
        )
    letterhead = letterhead_of(portfolio)
    if language_for(letterhead.language) != report.language:
        letterhead = dataclasses.replace(letterhead, language=report.language)
    figures = gather(portfolio, report.period_from, report.period_to)
    client = mandate.client if mandate else None
    heading = Heading(
        number=report.number,
        recipient=client.name if client else portfolio.name,
        portfolio_number=portfolio.number,
        portfolio_name=portfolio.name,
        made_at=timezone.now(),
        made_by=report.made_by_name,
    )
    document = compose(figures, letterhead, heading)
    content = {"version": CONTENT_VERSION, "figures": plain(figures), "document": document}
    return content, set_pdf(document)


def plain(value: Any) -> Any:
    """Return figures as JSON: decimals and days as strings."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [plain(each) for each in value]
    if isinstance(value, Decimal):
        return format(round(value, PLACES), "f")
    return value.isoformat() if isinstance(value, datetime.date) else value


@transaction.atomic
def order_reports(
    *,
    portfolios: Collection[Portfolio],
    period_from: datetime.date,
    period_to: datetime.date,
    by: User,
) -> Job:
    """Order the same statement for many portfolios; the job says how far it is and lists what failed."""
    check_period(period_from, period_to)
    if not portfolios:
        raise DomainError("no_portfolios", _("Choose at least one portfolio."), field="portfolios")
    job = create_job(
        kind=BATCH,
        title=_("Reports of %(n)s portfolios") % {"n": len(portfolios)},
        by=by,
        total=len(portfolios),
        back_url=reverse("reporting:report_list"),
        back_label=_("Reports"),
        data={
            "portfolios": [str(portfolio.pk) for portfolio in portfolios],
            "period_from": period_from.isoformat(),
            "period_to": period_to.isoformat(),
        },
    )
    job.data["retry_url"] = reverse("reporting:batch_retry", args=[job.pk])
    job.save(update_fields=["data"])
    audit("report.batch_ordered", job, by=by, portfolios=len(portfolios))
    from reporting.tasks import make_batch as task

    transaction.on_commit(lambda: task.delay(str(job.pk)))
    return job


@transaction.atomic
def retry_batch(*, job: Job, by: User) -> Job:
    """Order again what failed in a batch that is over; return the new job."""
    failed = list(Portfolio.objects.with_right(by, "report.make").filter(pk__in=job.data.get("failed", [])))
    if job.state != Job.State.DONE or not failed:
        raise DomainError("nothing_to_retry", _("Nothing of this batch has to be made again."))
    first_day, last_day = _period_of(job)
    return order_reports(portfolios=failed, period_from=first_day, period_to=last_day, by=by)


def _period_of(job: Job) -> tuple[datetime.date, datetime.date]:
    first_day, last_day = (datetime.date.fromisoformat(job.data[key]) for key in ("period_from", "period_to"))
    return first_day, last_day


@transaction.atomic
def make_one_of_batch(*, job: Job, position: int, by: User) -> Job:
    """Order and make the report at a position of a batch, and count it; return the job as it is then.

    All or nothing, and only where the batch has come to this position: none is made twice, whatever
    message comes twice.
    """
    job = Job.objects.select_for_update().get(pk=job.pk)
    if job.done != position:
        return job
    failures = len(job.failures)
    first_day, last_day = _period_of(job)
    within = Portfolio.objects.with_right(by, "report.make")
    key = job.data["portfolios"][position]
    portfolio = within.filter(pk=key).first()
    if portfolio is None:
        _list_failure(job, key, _("The portfolio is no longer within your reach."))
    else:
        try:
            with transaction.atomic():
                report = make_report(report=_queue(portfolio, first_day, last_day, by))
        except DomainError as error:
            _list_failure(job, key, str(error))
        else:
            job.data.setdefault("reports", []).append(str(report.pk))
            if report.state == Report.State.FAILED:
                _list_failure(job, key, report.problem)
        if len(job.failures) > failures:
            job.data.setdefault("failed", []).append(key)
    job.done += 1
    job.state = Job.State.RUNNING
    if job.done >= job.total:
        job.state, job.finished_at = Job.State.DONE, timezone.now()
    job.save(update_fields=["done", "failures", "data", "state", "finished_at"])
    return job


def _list_failure(job: Job, key: str, why: str) -> None:
    remedy = _("Put it right, then try again what failed.")
    job.failures.append(Failure(portfolio=key, why=why, remedy=remedy))


@transaction.atomic
def release_report(*, report: Report, by: User, note: str = "") -> ReportRelease:
    """Release a ready report to the client, by the institution that has the client.

    Raises DomainError for a report that is not ready or was released before.
    """
    report = (
        Report.objects.current()
        .select_for_update(of=("self",), no_key=True)
        .select_related("portfolio__mandate")
        .defer("pdf", "content")
        .get(pk=report.pk)
    )
    require(Duty.RELATIONSHIP, report.portfolio.mandate)
    if report.state != Report.State.READY:
        raise DomainError("report_not_ready", _("Only a report that is ready can be released."))
    if ReportRelease.objects.filter(report=report).exists():
        raise DomainError("released_before", _("This report was released before."))
    release = ReportRelease.objects.create(
        report=report, released_at=timezone.now(), released_by_name=by.full_name, note=note.strip()
    )
    audit("report.released", release, by=by, report=str(report.pk))
    return release
