from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class TradingConfig(AppConfig):
    name = "trading"
    verbose_name = _("Trading")

    def ready(self) -> None:
        from accounts.named import register as register_named
        from accounts.search import register as register_finder
        from portfolios.attention import register as register_reason
        from trading import attention, receivers  # noqa: F401
        from trading.models import Order
        from trading.search import find_orders

        register_named(Order.objects.visible_to, "trading:order_detail", "trading.order")
        register_finder(find_orders)
        for reason in attention.REASONS:
            register_reason(reason)
