"""Django's admin of this app: to look, never to change what services keep in line."""

from django.contrib import admin
from django.http import HttpRequest

from accounts.records import Record
from reporting.models import Report, ReportRelease


class ReadOnlyAdmin(admin.ModelAdmin):
    """Show rows; a report stays as it was made, and a release is somebody's word."""

    list_per_page = 50
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Record | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Record | None = None) -> bool:
        return False


@admin.register(Report)
class ReportAdmin(ReadOnlyAdmin):
    list_display = ("number", "title", "portfolio", "period_to", "state", "made_at", "origin")
    list_filter = ("state", "language")
    list_select_related = ("portfolio",)
    search_fields = ("number", "title", "portfolio__number")
    exclude = ("pdf",)


@admin.register(ReportRelease)
class ReportReleaseAdmin(ReadOnlyAdmin):
    list_display = ("report", "released_at", "released_by_name", "origin")
    list_select_related = ("report",)
