"""The lists of reference data: securities, prices, rates, where they come from, and imports."""

from decimal import Decimal
from typing import Any

import django_tables2 as tables
from django.db.models import QuerySet
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts import formatting
from accounts.columns import (
    DateColumn,
    LinkColumn,
    MomentColumn,
    NumberColumn,
    OriginColumn,
    PriceColumn,
    StateColumn,
)
from portfolios.models import ExchangeRate, ImportBatch, Price, PriceSource, Security
from portfolios.tables import Ordered, mark_simulated, nulls_last


def _partners(security: Any) -> str:
    """Return the partners that call a security differently."""
    return ", ".join(dict.fromkeys(each.partner for each in security.differences))


class SecurityTable(tables.Table):
    """Securities with their last price."""

    name = LinkColumn(to="portfolios:security_detail", verbose_name=_("Security"))
    isin = tables.Column(verbose_name=_("ISIN"), default="—")
    ticker = tables.Column(verbose_name=_("Ticker"), default="—")
    kind = tables.Column(verbose_name=_("Kind"))
    asset_class = tables.Column(verbose_name=_("Asset class"))
    currency = tables.Column(verbose_name=_("Cur."))
    last_price = PriceColumn(verbose_name=_("Last price"))
    price_date = DateColumn(verbose_name=_("as of"))
    source = tables.Column(verbose_name=_("Source"), empty_values=())
    is_active = tables.BooleanColumn(verbose_name=_("Active"), yesno=(_("yes"), _("no")))
    differences = tables.Column(
        verbose_name=_("Called differently by"), visible=False, orderable=False, empty_values=()
    )

    class Meta:
        order_by = "name"

    def render_name(self, value: str, record: Security, bound_column: Any) -> Any:
        shown = bound_column.column.render(value, record)
        partners = _partners(record)
        if not partners:
            return shown
        return format_html(
            "{} {}",
            shown,
            formatting.state_badge("warning", gettext("%(partner)s differs") % {"partner": partners}),
        )

    def value_name(self, value: str) -> str:
        return value

    def value_differences(self, record: Any) -> str:
        return "; ".join(f"{each.partner}: {each.field} {each.theirs}" for each in record.differences)

    def order_last_price(self, queryset: QuerySet[Any], is_descending: bool) -> Ordered:
        return nulls_last(queryset, "known_last_price", is_descending, then="name")

    def order_price_date(self, queryset: QuerySet[Any], is_descending: bool) -> Ordered:
        return nulls_last(queryset, "known_price_date", is_descending, then="name")

    def order_source(self, queryset: QuerySet[Any], is_descending: bool) -> Ordered:
        return nulls_last(queryset, "known_source", is_descending, then="name")

    def render_source(self, record: Security) -> Any:
        name = getattr(record, "price_source", "")
        if not name:
            return formatting.UNKNOWN
        return format_html("{} {}", name, mark_simulated() if getattr(record, "is_simulated", False) else "")

    def value_source(self, record: Security) -> str:
        return getattr(record, "price_source", "")


class PriceTable(tables.Table):
    """Closing prices."""

    date = DateColumn(verbose_name=_("Date"))
    security = LinkColumn(accessor="security__name", to="portfolios:security_detail", key="security_id")
    close = PriceColumn(verbose_name=_("Close"))
    currency = tables.Column(verbose_name=_("Cur."))
    source = tables.Column(accessor="source__name", verbose_name=_("Source"))
    origin = OriginColumn()

    def render_source(self, value: str, record: Price) -> Any:
        return format_html("{} {}", value, mark_simulated() if record.source.is_simulated else "")

    def value_source(self, value: str) -> str:
        return value


class RateTable(tables.Table):
    """Exchange rates as the ECB quotes them."""

    date = DateColumn(verbose_name=_("Date"))
    currency = tables.Column(verbose_name=_("Currency"))
    rate = NumberColumn(verbose_name=_("Units for one euro"), places=6)
    source = tables.Column(accessor="source__name", verbose_name=_("Source"))
    origin = OriginColumn()

    class Meta:
        model = ExchangeRate
        fields = ("date", "currency", "rate", "source", "origin")

    def render_rate(self, value: Decimal) -> str:
        return formatting.rate(value)


class ImportTable(tables.Table):
    """Imports of files."""

    file_name = LinkColumn(to="portfolios:import_detail", verbose_name=_("File"))
    kind = tables.Column(verbose_name=_("Kind"))
    source = tables.Column(accessor="source__name", verbose_name=_("Source"))
    rows_total = NumberColumn(verbose_name=_("Figures"))
    state = StateColumn(verbose_name=_("State"))
    created_by_name = tables.Column(verbose_name=_("By"), default="—")
    created_at = MomentColumn(verbose_name=_("At"))

    class Meta:
        model = ImportBatch
        fields = ("file_name", "kind", "source", "rows_total", "state", "created_by_name", "created_at")

    def render_kind(self, value: str) -> str:
        return str({"prices": _("Prices"), "rates": _("Exchange rates")}.get(value, value))


class SourceTable(tables.Table):
    """Sources of prices in the order in which they count: own ones first, then what partners sent."""

    preference = NumberColumn(verbose_name=_("Order"))
    name = LinkColumn(to="portfolios:source_edit", verbose_name=_("Source"))
    code = tables.Column(verbose_name=_("Code"))
    is_redistributable = tables.Column(verbose_name=_("Passed on to partners"))
    is_simulated = tables.Column(verbose_name=_("Kind"))
    origin = OriginColumn()

    class Meta:
        model = PriceSource
        fields = ("preference", "name", "code", "is_redistributable", "is_simulated", "origin")
        order_by = ("-origin", "preference", "code")

    def render_preference(self, value: int, record: PriceSource) -> str:
        return formatting.UNKNOWN if record.is_received else formatting.number(value)

    def render_name(self, value: str, record: PriceSource) -> str | SafeString:
        if record.is_received:
            return value
        return format_html('<a href="{}">{}</a>', reverse("portfolios:source_edit", args=[record.pk]), value)

    def render_is_redistributable(self, value: bool, record: PriceSource) -> str:
        return str(_("yes") if value and not record.is_received else _("no"))

    def value_is_redistributable(self, value: bool, record: PriceSource) -> str:
        return self.render_is_redistributable(value, record)

    def render_is_simulated(self, value: bool, record: PriceSource) -> str:
        return str(_("simulated") if value else _("market"))

    def value_is_simulated(self, value: bool, record: PriceSource) -> str:
        return self.render_is_simulated(value, record)
