"""The lists of portfolios, of what they hold and of what is booked."""

from decimal import Decimal
from typing import Any, ClassVar

import django_tables2 as tables
from django.db.models import Case, F, QuerySet
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from accounts import formatting
from accounts.columns import (
    DateColumn,
    LinkColumn,
    MoneyColumn,
    OriginColumn,
    PercentColumn,
    PriceColumn,
    QuantityColumn,
    StateColumn,
    Summary,
)
from clients.querysets import shown_client_name
from portfolios.attention import Reason
from portfolios.models import (
    BankEntry,
    Holding,
    Portfolio,
    Transaction,
)

Ordered = tuple[QuerySet[Any], bool]


def nulls_last(queryset: QuerySet[Any], by: str | Case, is_descending: bool, then: str = "number") -> Ordered:
    """Order by a column or expression with the unknown at the end, and by ``then`` among equals."""
    figure = F(by) if isinstance(by, str) else by
    order = figure.desc(nulls_last=True) if is_descending else figure.asc(nulls_last=True)
    return queryset.order_by(order, then), True


class ChooseColumn(tables.CheckBoxColumn):
    """A box to choose a row for what is done to many at once."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            accessor="pk",
            orderable=False,
            exclude_from_export=True,
            attrs={
                "th__input": {
                    "class": "form-check-input",
                    "aria-label": _("Choose all on this page"),
                    "data-check-all": "",
                },
                "td__input": {"class": "form-check-input"},
            },
            **kwargs,
        )

    def render(self, value: Any, bound_column: Any, record: Any) -> SafeString:
        if record.origin is not None:
            return SafeString("")
        return formatting.fill_in(
            '<input type="checkbox" class="form-check-input" name="portfolio" value="{}" form="bulk" aria-label="{}">',
            value,
            _("Choose %(number)s") % {"number": record.number},
        )


class BookTable(tables.Table):
    """Portfolios of the book; ``period_return`` and ``reasons`` are added to the rows of a page."""

    choose = ChooseColumn()
    number = LinkColumn(to="portfolios:portfolio_detail", verbose_name=_("Portfolio"))
    client_name = tables.Column(
        verbose_name=_("Client"),
        default="—",
        attrs={"td": {"class": "text-nowrap"}},
    )
    model_name = tables.Column(verbose_name=_("Model"), default="—", attrs={"td": {"class": "text-nowrap"}})
    value = MoneyColumn(currency_field="currency", places=0, verbose_name=_("Value"))
    period_return = PercentColumn(signed=True, verbose_name=_("Return"))
    drift = PercentColumn(verbose_name=_("Drift"), places=1)
    cash_weight = PercentColumn(verbose_name=_("Cash"), places=1)
    reasons = tables.Column(verbose_name=_("Attention"), orderable=False, empty_values=())
    manager_name = tables.Column(
        verbose_name=_("Manager"), default="—", attrs={"td": {"class": "text-secondary small text-nowrap"}}
    )
    origin = OriginColumn(orderable=False, attrs={"td": {"class": "text-nowrap"}})

    class Meta:
        order_by = "-value"

    def __init__(self, *args: Any, count: int, currencies: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._chips: dict[str, str] = {}
        # The page has summed all portfolios already: no second and third query to count them.
        self.data._length = count
        self.__dict__["_summary"] = Summary(
            currencies={"value": currencies[0] if len(currencies) == 1 else None}
        )

    def order_value(self, queryset: QuerySet[Any], is_descending: bool) -> Ordered:
        return nulls_last(queryset, "value", is_descending)

    def order_drift(self, queryset: QuerySet[Any], is_descending: bool) -> Ordered:
        return nulls_last(queryset, "drift", is_descending)

    def order_cash_weight(self, queryset: QuerySet[Any], is_descending: bool) -> Ordered:
        return nulls_last(queryset, "cash_weight", is_descending)

    def order_model_name(self, queryset: QuerySet[Any], is_descending: bool) -> Ordered:
        return nulls_last(queryset, "model_name", is_descending)

    def order_period_return(self, queryset: QuerySet[Any], is_descending: bool) -> Ordered:
        return nulls_last(queryset, "growth", is_descending)

    def order_client_name(self, queryset: QuerySet[Any], is_descending: bool) -> Ordered:
        return nulls_last(queryset, shown_client_name("mandate"), is_descending)

    def render_value(self, value: Any, record: Any, bound_column: Any, table: Any) -> Any:
        text = bound_column.column.render(value, record, bound_column, table)
        return formatting.fill_in('<span title="{}">{}</span>', formatting.day(record.value_date), text)

    def render_reasons(self, record: Portfolio) -> SafeString:
        return SafeString(" ".join(self._chip(reason) for reason in getattr(record, "reasons", [])))

    def _chip(self, reason: Reason) -> str:
        # A few, which stand in many rows of the page.
        if reason.code not in self._chips:
            self._chips[reason.code] = formatting.state_badge(reason.tone, reason.label)
        return self._chips[reason.code]

    def value_reasons(self, record: Portfolio) -> str:
        return ", ".join(str(reason.label) for reason in getattr(record, "reasons", []))


class HoldingTable(tables.Table):
    """What one portfolio holds; rows carry ``price_gain`` and ``currency_gain``."""

    security = tables.Column(verbose_name=_("Holding"), empty_values=(), order_by=("name",))
    quantity = QuantityColumn(verbose_name=_("Quantity"))
    price = PriceColumn(verbose_name=_("Price"))
    currency = tables.Column(verbose_name=_("Cur."), attrs={"td": {"class": "text-nowrap"}})
    market_value = MoneyColumn(verbose_name=_("Value"), total=True)
    weight = PercentColumn(verbose_name=_("Weight"), total=True, places=1)
    book_cost = MoneyColumn(verbose_name=_("Book cost"), total=True)
    unrealised_gain = MoneyColumn(verbose_name=_("Gain"), signed=True, total=True)
    price_gain = MoneyColumn(verbose_name=_("by price"), signed=True, places=0)
    currency_gain = MoneyColumn(verbose_name=_("by currency"), signed=True, places=0)
    # Shown below the price; columns of their own in exports.
    price_date = DateColumn(verbose_name=_("Price of"), visible=False)
    price_source_name = tables.Column(verbose_name=_("Source of the price"), visible=False)

    class Meta:
        orderable = False

    def __init__(self, *args: Any, currency: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("market_value", "book_cost", "unrealised_gain", "price_gain", "currency_gain"):
            self.columns[name].column.currency = currency

    def render_security(self, record: Holding) -> SafeString:
        if record.security is None:
            return format_html(
                '<span class="fw-medium">{}</span>', _("Cash %(currency)s") % {"currency": record.currency}
            )
        return format_html(
            '<a href="{}">{}</a><div class="text-secondary small">{} · {}</div>',
            reverse("portfolios:security_detail", args=[record.security_id]),
            record.security.name,
            record.security.isin or record.security.ticker,
            record.security.get_asset_class_display(),
        )

    def value_security(self, record: Holding) -> str:
        return (
            record.security.name
            if record.security
            else str(_("Cash %(currency)s") % {"currency": record.currency})
        )

    def render_price(self, value: Decimal, record: Holding) -> SafeString:
        simulated = mark_simulated() if record.is_price_simulated else ""
        stale = formatting.state_badge("stale", record.problem) if record.problem else ""
        return format_html(
            '{} {}<div class="text-secondary small" title="{}">{}</div>{}',
            formatting.price(value),
            simulated,
            record.price_source_name,
            formatting.day(record.price_date),
            stale,
        )


def mark_simulated() -> SafeString:
    """Return the mark of a price that is no market price."""
    return format_html(
        '<abbr class="mark-simulated" title="{}">{}</abbr>',
        _("Simulated price, not a market price"),
        _("sim."),
    )


class TransactionTable(tables.Table):
    """Entries of the ledger."""

    trade_date = DateColumn(verbose_name=_("Trade date"))
    type = tables.Column(verbose_name=_("Type"), attrs={"td": {"class": "text-nowrap"}})
    portfolio = LinkColumn(accessor="portfolio__number", to="portfolios:portfolio_detail", key="portfolio_id")
    security = tables.Column(accessor="security__name", verbose_name=_("Security"), default="—")
    quantity = QuantityColumn(verbose_name=_("Quantity"))
    price = PriceColumn(verbose_name=_("Price"))
    gross_amount = MoneyColumn(currency_field="currency", verbose_name=_("Gross"))
    fees = MoneyColumn(currency_field="currency", verbose_name=_("Fees"))
    taxes = MoneyColumn(currency_field="currency", verbose_name=_("Taxes"))
    net_amount = MoneyColumn(currency_field="currency", verbose_name=_("Net"), signed=True)
    settlement_date = DateColumn(verbose_name=_("Settlement"))
    # Shown below the net amount and beside the type; columns of their own in exports.
    counter_amount = MoneyColumn(
        currency_field="counter_currency", verbose_name=_("Other amount"), visible=False
    )
    counter_currency = tables.Column(verbose_name=_("Currency of the other amount"), visible=False)
    reversed = tables.Column(accessor="is_reversed", verbose_name=_("Reversed"), visible=False)

    class Meta:
        order_by = "-trade_date"
        attrs: ClassVar[dict[str, str]] = {"class": "table-stack"}

    def order_trade_date(self, queryset: QuerySet[Any], is_descending: bool) -> Ordered:
        names = ("-trade_date", "-created_at", "-pk") if is_descending else ("trade_date", "created_at", "pk")
        return queryset.order_by(*names), True

    def render_type(self, value: str, record: Transaction) -> SafeString:
        link = format_html(
            '<a href="{}">{}</a>', reverse("portfolios:transaction_detail", args=[record.pk]), value
        )
        if getattr(record, "is_reversed", False):
            return format_html(
                '<span class="fw-medium">{} <span class="badge">{}</span></span>', link, _("reversed")
            )
        return link

    def value_type(self, value: str) -> str:
        return value

    def render_net_amount(self, value: Any, record: Transaction, bound_column: Any, table: Any) -> Any:
        text = bound_column.column.render(value, record, bound_column, table)
        if not record.counter_currency:
            return text
        # An exchange: what went out in one currency and came in in the other.
        other = formatting.signed_money(record.counter_amount, record.counter_currency)
        css = "" if formatting.hides_amounts() else formatting.signed_class(record.counter_amount)
        return formatting.fill_in('<div>{}<div class="{}">{}</div></div>', text, css, other)

    def value_reversed(self, value: bool) -> str:
        return str(_("yes") if value else _("no"))

    def render_quantity(self, value: Decimal) -> str:
        return formatting.quantity(value) if value else formatting.UNKNOWN


class BankEntryTable(tables.Table):
    """Cash that arrived."""

    value_date = DateColumn(verbose_name=_("Value date"))
    payer = LinkColumn(to="portfolios:bank_entry_detail", verbose_name=_("Payer"), empty_values=())
    amount = MoneyColumn(currency_field="currency", verbose_name=_("Amount"))
    currency = tables.Column(verbose_name=_("Cur."))
    reference = tables.Column(verbose_name=_("Reference"), default="—")
    portfolio = LinkColumn(accessor="portfolio__number", to="portfolios:portfolio_detail", key="portfolio_id")
    state = StateColumn(verbose_name=_("State"))

    class Meta:
        model = BankEntry
        fields = ("value_date", "payer", "amount", "currency", "reference", "portfolio", "state")

    def render_payer(self, value: str, record: BankEntry) -> SafeString:
        url = reverse("portfolios:bank_entry_detail", args=[record.pk])
        return format_html('<a href="{}">{}</a>', url, value or _("Unknown payer"))
