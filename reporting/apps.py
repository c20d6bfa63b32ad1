from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ReportingConfig(AppConfig):
    name = "reporting"
    verbose_name = _("Reporting")

    def ready(self) -> None:
        from accounts.search import register
        from clients import day
        from reporting.day import to_release
        from reporting.finders import find_reports

        day.register(to_release, position=25)
        register(find_reports)
