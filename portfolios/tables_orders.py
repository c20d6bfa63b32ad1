"""The orders of one portfolio."""

import django_tables2 as tables
from django.utils.translation import gettext_lazy as _

from accounts.columns import LinkColumn, MomentColumn, PriceColumn, QuantityColumn, StateColumn


class PortfolioOrderTable(tables.Table):
    """Orders of one portfolio; they stand to the left of this app and come by name."""

    # As text, O-9 would come after O-10.
    number = LinkColumn(verbose_name=_("Order"), to="trading:order_detail", order_by=("created_at", "pk"))
    side = tables.Column(verbose_name=_("Side"))
    security = LinkColumn(
        verbose_name=_("Security"),
        accessor="security__name",
        to="portfolios:security_detail",
        key="security_id",
    )
    quantity = QuantityColumn(verbose_name=_("Quantity"))
    filled_quantity = QuantityColumn(verbose_name=_("Filled"))
    average_price = PriceColumn(verbose_name=_("Average price"))
    currency = tables.Column(verbose_name=_("Cur."))
    state = StateColumn(verbose_name=_("State"))
    reason = tables.Column(verbose_name=_("Why"))
    created_at = MomentColumn(verbose_name=_("Created"))

    class Meta:
        order_by = "-created_at"
