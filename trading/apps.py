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
        from trading.models import Allocation, Block, Order, Proposal, Settlement
        from trading.search import find_orders

        register_named(Order.objects.visible_to, "trading:order_detail", "trading.order", within_units=True)
        register_named(
            lambda user: Proposal.objects.visible_to(user).select_related("portfolio").defer("inputs"),
            "trading:proposal_detail",
            "trading.proposal",
            within_units=True,
        )
        register_named(
            lambda user: Block.objects.visible_to(user).select_related("security"),
            "",
            "trading.block",
            within_units=True,
        )
        # What was filled, and its settlement, stand on the page of its order.
        register_named(
            Allocation.objects.visible_to,
            "trading:order_detail",
            "trading.allocation",
            "replaces",
            through="order",
            within_units=True,
        )
        register_named(
            Settlement.objects.visible_to,
            "trading:order_detail",
            "trading.settlement",
            through="allocation__order",
            within_units=True,
        )
        register_finder(find_orders)
        for reason in attention.REASONS:
            register_reason(reason)
