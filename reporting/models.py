"""Reports to clients: made by the party that reports, released by the party that has the client."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.records import Record
from portfolios.models import Portfolio
from reporting.querysets import ReleaseQuerySet, ReportQuerySet

RELEASED = "released"


class Report(Record):
    """A report of one portfolio over a period, with its figures and its PDF."""

    class Kind(models.TextChoices):
        STATEMENT = "statement", _("Periodic statement")

    class State(models.TextChoices):
        QUEUED = "queued", _("Queued")
        READY = "ready", _("Ready")
        FAILED = "failed", _("Failed")

    portfolio = models.ForeignKey(Portfolio, on_delete=models.PROTECT, related_name="reports")
    number = models.CharField(_("report number"), max_length=30)
    kind = models.CharField(_("kind"), max_length=20, choices=Kind, default=Kind.STATEMENT)
    title = models.CharField(_("title"), max_length=200)
    language = models.CharField(_("language"), max_length=10, default="en")
    period_from = models.DateField(_("from"))
    period_to = models.DateField(_("to"))
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.QUEUED)
    problem = models.CharField(_("problem"), max_length=300, blank=True)
    # The figures as they stood when the report was made; page and PDF show the same.
    content = models.JSONField(default=dict)
    pdf = models.BinaryField(null=True)
    made_at = models.DateTimeField(_("made"), null=True, blank=True)
    made_by_name = models.CharField(max_length=150, blank=True)

    objects = ReportQuerySet.as_manager()

    class Meta:
        ordering = ["-period_to", "-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["origin", "number"], nulls_distinct=False, name="report_number_unique_per_owner"
            ),
            models.CheckConstraint(
                condition=models.Q(period_to__gte=models.F("period_from")),
                name="report_period_in_order",
                violation_error_message=_("The period ends before it begins."),
            ),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def is_released(self) -> bool:
        """Say whether the channel has released the report to the client."""
        release = getattr(self, "release", None)
        return release is not None and release.retired_at is None

    @property
    def status(self) -> str:
        """Return the state that people see: a ready report that was released is "released"."""
        return RELEASED if self.is_released else self.state

    @property
    def status_label(self) -> str:
        """Return that state in words."""
        return str(_("Released")) if self.is_released else self.get_state_display()


class ReportRelease(Record):
    """The channel's word that a report may go to the client."""

    report = models.OneToOneField(Report, on_delete=models.PROTECT, related_name="release")
    released_at = models.DateTimeField(_("released"))
    released_by_name = models.CharField(max_length=150, blank=True)
    note = models.TextField(_("note"), blank=True)

    objects = ReleaseQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.report} {self.released_at:%Y-%m-%d}"
