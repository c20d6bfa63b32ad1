"""What reporting adds to an advisor's day."""

from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from clients.day import Item, Work, work_of
from clients.models import Client
from reporting.models import Report


def to_release(clients: "QuerySet[Client]") -> Work:
    """Reports that are ready and wait to be released to the client."""
    rows = (
        Report.objects.current()
        .filter(portfolio__mandate__client__in=clients.values("pk"))
        .waiting_for_release()
        .light()
        .select_related("portfolio__mandate__client")
        .order_by("made_at")
    )

    def item(report: Report) -> Item:
        mandate = report.portfolio.mandate
        return Item(
            title=str(mandate.client if mandate else report.portfolio),
            text=report.title,
            url=reverse("reporting:report_detail", args=[report.pk]),
            day=timezone.localtime(report.made_at).date() if report.made_at else None,
        )

    return work_of(
        rows,
        item,
        key="reports",
        title=_("Reports to release"),
        icon="report-analytics",
        action=_("Open"),
        url=f"{reverse('reporting:report_list')}?status=ready",
    )
