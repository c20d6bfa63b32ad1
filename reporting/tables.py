"""Lists of reports."""

import django_tables2 as tables
from django.utils.translation import gettext_lazy as _

from accounts.columns import DateColumn, LinkColumn, MomentColumn, OriginColumn, StateColumn
from clients.columns import ClientNameColumn
from reporting.models import RELEASED, Report

STATUSES = {
    Report.State.QUEUED.value: _("Being made"),
    Report.State.READY.value: _("Ready"),
    RELEASED: _("Released"),
    Report.State.FAILED.value: _("Failed"),
}


class ReportTable(tables.Table):
    """Reports with whom they are for and where they stand."""

    title = LinkColumn(to="reporting:report_detail", verbose_name=_("Report"))
    number = tables.Column(verbose_name=_("Number"))
    client = ClientNameColumn("portfolio__mandate")
    portfolio = tables.Column(verbose_name=_("Portfolio"), accessor="portfolio__number")
    period_to = DateColumn(verbose_name=_("Period until"))
    status = StateColumn(verbose_name=_("State"), labels=STATUSES, order_by=("state", "release__released_at"))
    made_at = MomentColumn(verbose_name=_("Made"))
    released_at = MomentColumn(verbose_name=_("Released"), accessor="release__released_at")
    origin = OriginColumn()

    class Meta:
        model = Report
        fields = ("title", "number", "client", "portfolio", "period_to", "status", "made_at", "released_at")
        sequence = (*fields, "origin")
        order_by = "-made_at"
