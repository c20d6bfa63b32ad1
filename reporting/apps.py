from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ReportingConfig(AppConfig):
    name = "reporting"
    verbose_name = _("Reporting")

    def ready(self) -> None:
        from accounts.named import register as register_named
        from accounts.search import register
        from clients import day
        from reporting.day import to_release
        from reporting.finders import find_reports
        from reporting.models import Report

        register_named(Report.objects.visible_to, "reporting:report_detail", "reporting.report")
        day.register(to_release, position=25)
        register(find_reports)
