from typing import Any

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


def _arrived_cash(user: Any) -> Any:
    """Return the arrived cash that a person may see, for those who have its page."""
    from accounts.models import Role
    from accounts.views_base import admits
    from portfolios.services.cash_matching import MATCHES, visible_entries

    entries = visible_entries(user)
    return entries if admits(user, MATCHES, [Role.COMPLIANCE]) else entries.none()


class PortfoliosConfig(AppConfig):
    name = "portfolios"
    verbose_name = _("Portfolios")

    def ready(self) -> None:
        from accounts.named import register as register_named
        from accounts.search import register
        from portfolios import receivers  # noqa: F401
        from portfolios.finders import find_portfolios, find_securities
        from portfolios.models import Handover, ImportBatch, Portfolio, PriceSource, Security, Transaction

        for model, page, key in (
            (Portfolio, "portfolios:portfolio_detail", "portfolio"),
            (Transaction, "portfolios:transaction_detail", "transaction"),
        ):
            register_named(model.objects.visible_to, page, model._meta.label_lower, key, within_units=True)
        register_named(
            Security.objects.visible_to, "portfolios:security_detail", "portfolios.security", "replacement"
        )
        register_named(
            _arrived_cash, "portfolios:bank_entry_detail", "portfolios.bankentry", within_units=True
        )
        register_named(
            Handover.objects.visible_to,
            "clients:mandate_detail",
            "portfolios.handover",
            through="mandate",
            within_units=True,
        )
        register_named(lambda _user: PriceSource.objects.all(), "", "portfolios.pricesource", "source")
        register_named(lambda _user: ImportBatch.objects.only("file_name"), "", "portfolios.importbatch")
        register(find_portfolios)
        register(find_securities)
