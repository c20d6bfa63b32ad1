"""Questions about reports."""

from django.db.models import Q

from accounts.models import User
from accounts.records import RecordQuerySet
from clients.duties import Duty, performed_under
from clients.models import Mandate
from clients.querysets import MandateQuerySet, under
from portfolios.models import Portfolio
from portfolios.querysets import PortfolioQuerySet, PortfolioRecordQuerySet


def performed_mandates(duty: Duty) -> MandateQuerySet:
    """Return the mandates for which this institution performs ``duty``."""
    mandates = Mandate.objects.current()
    known = set(mandates.exclude(agreement=None).order_by().values_list("agreement", flat=True).distinct())
    return mandates.filter(under(performed_under(duty, known)))


def reportable(user: User) -> PortfolioQuerySet:
    """Return the portfolios that ``user`` may report on, as this institution does."""
    ours = Q(mandate__isnull=True) | Q(mandate__in=performed_mandates(Duty.REPORTING).values("pk"))
    return Portfolio.objects.with_right(user, "report.make").filter(ours)


class ReportQuerySet(PortfolioRecordQuerySet):
    """Reports, own and received."""

    def light(self) -> "ReportQuerySet":
        """Leave the PDF and the figures in the database: for lists."""
        return self.defer("pdf", "content")

    def with_people(self) -> "ReportQuerySet":
        """Read portfolio, mandate, client and release in the same query."""
        return self.select_related("portfolio__mandate__client", "release")

    def released(self) -> "ReportQuerySet":
        """Return the reports that may go to the client."""
        return self.filter(release__isnull=False, release__retired_at=None)

    def waiting_for_release(self) -> "ReportQuerySet":
        """Return the ready reports of clients of this institution that nobody has released."""
        ours = performed_mandates(Duty.RELATIONSHIP)
        return self.filter(state="ready", release__isnull=True, portfolio__mandate__in=ours.values("pk"))


class ReleaseQuerySet(RecordQuerySet):
    """Releases of reports, own and received."""

    def visible_to(self, user: User) -> "ReleaseQuerySet":
        """Return the releases of visible reports."""
        from reporting.models import Report

        return self.current().filter(report__in=Report.objects.visible_to(user).values("pk"))
