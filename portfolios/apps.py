from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PortfoliosConfig(AppConfig):
    name = "portfolios"
    verbose_name = _("Portfolios")

    def ready(self) -> None:
        from accounts.search import register
        from portfolios import receivers  # noqa: F401
        from portfolios.finders import find_portfolios, find_securities

        register(find_portfolios)
        register(find_securities)
