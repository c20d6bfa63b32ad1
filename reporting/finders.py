"""What the search finds of this app."""

from collections.abc import Iterator

from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.search import PER_KIND, Result
from reporting.models import Report


def find_reports(user: User, words: str) -> Iterator[Result]:
    """Yield visible reports by number, or by the number of their portfolio, the newest first."""
    found = (
        Report.objects.light()
        .visible_to(user)
        .filter(Q(number__iexact=words) | Q(portfolio__number__iexact=words))
        .select_related("portfolio")
        .order_by("-period_to", "-created_at")[: PER_KIND + 1]
    )
    for report in found:
        yield Result(
            label=report.title,
            sublabel=f"{report.portfolio.number} · {report.number}",
            url=reverse("reporting:report_detail", args=[report.pk]),
            kind=_("Reports"),
            icon="report-analytics",
        )
