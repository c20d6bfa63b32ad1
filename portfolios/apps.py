from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PortfoliosConfig(AppConfig):
    name = "portfolios"
    verbose_name = _("Portfolios")

    def ready(self) -> None:
        from accounts.named import register as register_named
        from accounts.search import register
        from portfolios import receivers  # noqa: F401
        from portfolios.finders import find_portfolios, find_securities
        from portfolios.models import Portfolio, Transaction

        for model, page, key in (
            (Portfolio, "portfolios:portfolio_detail", "portfolio"),
            (Transaction, "portfolios:transaction_detail", "transaction"),
        ):
            register_named(model.objects.visible_to, page, model._meta.label_lower, key)
        register(find_portfolios)
        register(find_securities)
