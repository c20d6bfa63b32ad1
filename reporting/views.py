"""Pages of reports: the list, one report, its PDF, ordering and releasing."""

import uuid
from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from accounts import formatting
from accounts.errors import DomainError
from accounts.lists import ListView
from accounts.models import Job, Role, audit, audit_reading
from accounts.rights import can, may
from accounts.views_base import PersonRequest, form_on, ids_in, signed_in
from clients.duties import Duty, performs
from portfolios.models import Portfolio
from reporting import services
from reporting.filters import ReportFilter
from reporting.forms import CUSTOM, LAST_QUARTER, OrderForm, ReleaseForm, period_of
from reporting.models import Report
from reporting.presentation import chart_of, masked, steps_of
from reporting.querysets import reportable
from reporting.tables import ReportTable

READERS = (Role.ADVISOR, Role.PORTFOLIO_MANAGER, Role.OPERATIONS, Role.COMPLIANCE)
MAKES, RELEASES = "report.make", "report.release"


class ReportList(ListView):
    """All reports that a person may see, own and received."""

    roles = READERS
    table_class = ReportTable
    filterset_class = ReportFilter
    title = gettext_lazy("Reports")
    template_name = "reporting/report_list.html"
    empty_title = gettext_lazy("No reports yet")

    @property
    def empty_text(self) -> str:
        if can(self.request.user, MAKES):
            return _("Order one for a portfolio and a period; it is made in seconds.")
        return _(
            "Reports appear here as soon as they are made. Ask whoever reports on the portfolio to make one."
        )

    def get_queryset(self) -> QuerySet[Report]:
        return Report.objects.light().with_people().visible_to(self.request.user)

    def get_empty_action(self) -> tuple[Any, str] | None:
        if can(self.request.user, MAKES):
            return gettext_lazy("Order reports"), reverse("reporting:report_order")
        return None

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_context_data(**kwargs), "may_order": can(self.request.user, MAKES)}


@signed_in(roles=READERS)
def report_detail(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Show a report on its letterhead, with the same figures as its PDF, and what can be done with it."""
    report = _found(Report.objects.with_people().visible_to(request.user), pk)
    audit_reading(report, by=request.user)
    return render(request, "reporting/report_detail.html", _context(request, report, ReleaseForm()))


def _found(reports: QuerySet[Report], pk: uuid.UUID) -> Report:
    return get_object_or_404(reports.defer("pdf"), pk=pk)


def _context(request: PersonRequest, report: Report, form: ReleaseForm) -> dict[str, Any]:
    mandate = report.portfolio.mandate
    document = report.content.get("document") or {}
    is_ready = report.state == Report.State.READY
    may_release = (
        is_ready
        and not report.is_released
        and may(request.user, RELEASES, report)
        and performs(Duty.RELATIONSHIP, mandate)
    )
    return {
        "report": report,
        "mandate": mandate,
        "document": masked(document) if formatting.hides_amounts() else document,
        "chart": chart_of(report.content),
        "steps": steps_of(report),
        "may_release": may_release,
        # What was released stays as it was; before that, figures by today's rules are one order away.
        "is_by_former_rules": is_ready
        and not report.is_released
        and report.content.get("version", services.CONTENT_VERSION) < services.CONTENT_VERSION,
        "waits_for_partner": is_ready and not report.is_released and not performs(Duty.RELATIONSHIP, mandate),
        "may_retry": report.state == Report.State.FAILED
        and not report.is_received
        and may(request.user, MAKES, report),
        "release_form": form,
    }


@signed_in(roles=READERS)
def report_state(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Answer a page that waits for a report: still waiting, or load the page again."""
    report = get_object_or_404(Report.objects.light().visible_to(request.user), pk=pk)
    response = render(request, "reporting/_waiting.html", {"report": report})
    if report.state != Report.State.QUEUED:
        response["HX-Refresh"] = "true"
    return response


@signed_in(roles=READERS)
def report_pdf(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Hand out a report's PDF, and note who took it."""
    reports = Report.objects.visible_to(request.user).filter(state=Report.State.READY, pdf__isnull=False)
    report = get_object_or_404(reports.select_related("portfolio").defer("content"), pk=pk)
    audit("report.downloaded", report, by=request.user)
    response = HttpResponse(bytes(report.pdf), content_type="application/pdf")
    name = slugify(f"{report.portfolio.number} {report.number} {report.period_to}")
    response["Content-Disposition"] = f'attachment; filename="{name}.pdf"'
    response["Cache-Control"] = "private, no-store"
    return response


@signed_in(MAKES)
def report_order(request: PersonRequest) -> HttpResponse:
    """Order the same report for one portfolio or for many."""
    portfolios = reportable(request.user)
    chosen = portfolios.filter(pk__in=ids_in(request.GET.getlist("portfolio")))
    initial: dict[str, Any] = {"numbers": " ".join(chosen.values_list("number", flat=True))}
    newest = chosen.order_by("-opened_on").first()
    today = timezone.localdate()
    if newest is not None and newest.opened_on > period_of(LAST_QUARTER, today)[1]:
        # There is no last quarter of what was opened after it.
        initial |= {"period": CUSTOM, "period_from": newest.opened_on, "period_to": today}
    form = OrderForm(request.POST or None, initial=initial, portfolios=portfolios, chosen=chosen)
    if request.method == "POST" and form.is_valid():
        try:
            return redirect(_order(request, form.cleaned_data))
        except DomainError as error:
            form.refuse(error)
    return render(request, "reporting/report_order.html", {"form": form})


@signed_in(MAKES)
def report_create(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Lead from a portfolio to the order of a report of it."""
    portfolio = get_object_or_404(reportable(request.user), pk=pk)
    return redirect(f"{reverse('reporting:report_order')}?portfolio={portfolio.pk}")


def _order(request: PersonRequest, wanted: dict[str, Any]) -> str:
    portfolios: list[Portfolio] = wanted["portfolios"]
    period = {"period_from": wanted["period_from"], "period_to": wanted["period_to"], "by": request.user}
    if len(portfolios) == 1:
        report = services.order_report(portfolio=portfolios[0], **period)
        return reverse("reporting:report_detail", args=[report.pk])
    job = services.order_reports(portfolios=portfolios, **period)
    return reverse("accounts:job", args=[job.pk])


@require_POST
@signed_in(MAKES)
def report_retry(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Make a failed report again."""
    reports = Report.objects.light().with_right(request.user, MAKES).own()
    report = services.retry_report(report=get_object_or_404(reports, pk=pk), by=request.user)
    return redirect("reporting:report_detail", report.pk)


@require_POST
@signed_in(MAKES)
def batch_retry(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Order again what failed in one's own batch."""
    job = get_object_or_404(Job, pk=pk, kind=services.BATCH, created_by=request.user)
    return redirect("accounts:job", services.retry_batch(job=job, by=request.user).pk)


@signed_in(RELEASES)
@form_on("reporting:report_detail")
def report_release(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Release a report to the client."""
    report = _found(Report.objects.with_people().with_right(request.user, RELEASES), pk)
    form = ReleaseForm(request.POST)
    if not form.is_valid():
        return render(request, "reporting/report_detail.html", _context(request, report, form), status=422)
    services.release_report(report=report, by=request.user, note=form.cleaned_data["note"])
    messages.success(request, _("Released to the client."))
    return redirect("reporting:report_detail", report.pk)
