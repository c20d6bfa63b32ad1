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
        from reporting.models import Report, ReportRelease

        register_named(
            lambda user: Report.objects.light().visible_to(user),
            "reporting:report_detail",
            "reporting.report",
            "report",
            within_units=True,
        )
        register_named(
            lambda user: ReportRelease.objects.visible_to(user).defer("report__pdf", "report__content"),
            "reporting:report_detail",
            "reporting.reportrelease",
            through="report",
            within_units=True,
        )
        day.register(to_release, position=25)
        register(find_reports)
