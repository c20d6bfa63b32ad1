"""Django's admin of this app: to look, never to change what services keep in line."""

from django.contrib import admin

from accounts.admin_site import ReadOnlyAdmin
from reporting.models import Report, ReportRelease


@admin.register(Report)
class ReportAdmin(ReadOnlyAdmin):
    """Reports, without their PDFs."""

    list_display = ("number", "title", "portfolio", "period_to", "state", "made_at", "origin")
    list_filter = ("state", "language")
    list_select_related = ("portfolio",)
    search_fields = ("number", "title", "portfolio__number")
    exclude = ("pdf",)


@admin.register(ReportRelease)
class ReportReleaseAdmin(ReadOnlyAdmin):
    """Releases to clients."""

    list_display = ("report", "released_at", "released_by_name", "origin")
    list_select_related = ("report",)
