"""Lists of proposals, orders and settlements."""

import datetime
from typing import Any

import django_tables2 as tables
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.columns import (
    DateColumn,
    LinkColumn,
    MomentColumn,
    MoneyColumn,
    NumberColumn,
    OriginColumn,
    PercentColumn,
    PriceColumn,
    QuantityColumn,
    StateColumn,
)
from accounts.formatting import state_badge
from clients.columns import ClientNameColumn
from trading.filters import AffirmationFilter
from trading.models import Allocation, Order, Proposal, Settlement


class SelectColumn(tables.Column):
    """A box to choose a row for a form elsewhere on the page (id ``bulk``)."""

    def __init__(self, *, states: tuple[str, ...], what: Any, **kwargs: Any) -> None:
        self.states, self.what = states, what
        super().__init__(accessor="pk", orderable=False, exclude_from_export=True, **kwargs)

    @property
    def header(self) -> SafeString:
        """Return the box that chooses all rows."""
        return format_html(
            '<input type="checkbox" class="form-check-input" data-check-all aria-label="{}">', _("Choose all")
        )

    def render(self, value: Any, record: Any) -> str | SafeString:
        if record.state not in self.states or record.origin is not None:
            return ""
        return format_html(
            '<input type="checkbox" class="form-check-input" name="choose" value="{}" form="bulk" aria-label="{}">',
            self.chosen(record),
            _("Choose %(what)s") % {"what": getattr(record, self.what)},
        )

    def chosen(self, record: Any) -> str:
        """Return what the form is sent for a chosen row."""
        return str(record.pk)


class SelectProposalColumn(SelectColumn):
    """A box that also names the revision shown, since a proposal may change before it is decided on."""

    def chosen(self, record: Any) -> str:
        """Return the proposal's id and revision."""
        return f"{record.pk}.{record.revision}"


class SideColumn(tables.Column):
    """Buy or sell, by word and colour."""

    def render(self, value: Any, record: Any) -> SafeString:
        return format_html('<span class="side-{}">{}</span>', record.side, value)

    def value(self, value: Any) -> str:
        return str(value)


class ProposalTable(tables.Table):
    """Proposals with what they would do."""

    select = SelectProposalColumn(states=("draft", "proposed"), what="portfolio")
    portfolio = LinkColumn(
        verbose_name=gettext_lazy("Portfolio"), accessor="portfolio__number", to="trading:proposal_detail"
    )
    client = ClientNameColumn("portfolio__mandate")
    reason = tables.Column(verbose_name=gettext_lazy("Reason"))
    mode = tables.Column(verbose_name=gettext_lazy("Mode"))
    drift_before = PercentColumn(verbose_name=gettext_lazy("Drift before"))
    drift_after = PercentColumn(verbose_name=gettext_lazy("Drift after"))
    turnover = PercentColumn(verbose_name=gettext_lazy("Turnover"))
    trades = NumberColumn(verbose_name=gettext_lazy("Trades"), accessor="trade_count")
    made_by = tables.Column(
        verbose_name=gettext_lazy("Proposed by"),
        accessor="made_by__full_name",
        default="—",
    )
    created_at = MomentColumn(verbose_name=gettext_lazy("Made"))
    state = StateColumn(verbose_name=gettext_lazy("State"))

    class Meta:
        model = Proposal
        fields = ("select", "portfolio", "client", "reason", "mode")
        order_by = "-created_at"


class OrderTable(tables.Table):
    """Orders, own and received."""

    select = SelectColumn(states=("approved",), what="number")
    # As text, O-9 would come after O-10.
    number = LinkColumn(
        verbose_name=gettext_lazy("Order"), to="trading:order_detail", order_by=("created_at", "pk")
    )
    portfolio = LinkColumn(
        verbose_name=gettext_lazy("Portfolio"),
        accessor="portfolio__number",
        to="portfolios:portfolio_detail",
        key="portfolio_id",
    )
    side = SideColumn(verbose_name=gettext_lazy("Side"))
    security = tables.Column(verbose_name=gettext_lazy("Security"), accessor="security__name")
    quantity = QuantityColumn(verbose_name=gettext_lazy("Quantity"))
    filled_quantity = QuantityColumn(verbose_name=gettext_lazy("Filled"))
    average_price = PriceColumn(verbose_name=gettext_lazy("Average price"))
    estimated_amount = MoneyColumn(
        verbose_name=gettext_lazy("Estimate"), currency_field="currency", total=True
    )
    state = StateColumn(verbose_name=gettext_lazy("State"))
    sent_at = MomentColumn(verbose_name=gettext_lazy("Sent"))
    origin = OriginColumn()

    class Meta:
        model = Order
        fields = ("select", "number", "portfolio", "side", "security", "quantity")
        order_by = "-number"


class SettlementStateColumn(StateColumn):
    """The state of a settlement, and below it why it failed."""

    def render(self, value: Any, record: Any, bound_column: Any) -> SafeString:
        badge = super().render(value, record, bound_column)
        if not record.failure_reason:
            return badge
        return format_html('{}<div class="text-secondary small">{}</div>', badge, record.shown_reason)


class SettlementTable(tables.Table):
    """Settlements with what is to be delivered and paid."""

    expected_date = DateColumn(verbose_name=gettext_lazy("Expected"))
    state = SettlementStateColumn(verbose_name=gettext_lazy("State"))
    portfolio = LinkColumn(
        verbose_name=gettext_lazy("Portfolio"),
        accessor="portfolio__number",
        to="portfolios:portfolio_detail",
        key="portfolio_id",
    )
    order = LinkColumn(
        verbose_name=gettext_lazy("Order"),
        accessor="allocation__order__number",
        to="trading:order_detail",
        key="allocation__order_id",
    )
    side = tables.Column(
        verbose_name=gettext_lazy("Side"),
        accessor="allocation__order__get_side_display",
        order_by="allocation__order__side",
        attrs={"td": {"class": "text-nowrap"}},
    )
    security = tables.Column(
        verbose_name=gettext_lazy("Security"), accessor="allocation__order__security__name"
    )
    quantity = QuantityColumn(verbose_name=gettext_lazy("Quantity"), accessor="allocation__quantity")
    amount = MoneyColumn(
        verbose_name=gettext_lazy("Amount"),
        accessor="allocation__net_amount",
        currency_field="allocation__currency",
    )
    settled_on = DateColumn(verbose_name=gettext_lazy("Settled"))
    # Shown below the state; a column of its own in exports.
    failure_reason = tables.Column(
        accessor="shown_reason",
        order_by="failure_reason",
        verbose_name=gettext_lazy("Why it failed"),
        default="",
        visible=False,
    )
    actions = tables.TemplateColumn(
        template_name="trading/_settlement_actions.html",
        verbose_name="",
        orderable=False,
        exclude_from_export=True,
    )
    origin = OriginColumn()

    class Meta:
        model = Settlement
        fields = ("expected_date", "state", "portfolio", "order")
        order_by = "expected_date"


class ChooseToAffirm(SelectColumn):
    """A box beside what waits for an answer from here."""

    def render(self, value: Any, record: Any) -> str | SafeString:
        if record.answer != "waiting" or record.origin is None:
            return ""
        return format_html(
            '<input type="checkbox" class="form-check-input" name="choose" value="{}" form="bulk" aria-label="{}">',
            value,
            _("Choose %(what)s") % {"what": record.order.number},
        )


class AgeColumn(tables.Column):
    """How many days ago something was traded."""

    attrs = {"td": {"class": "figure"}, "th": {"class": "figure"}}

    def render(self, value: datetime.date) -> int:
        return (timezone.now().date() - value).days


class AnswerColumn(StateColumn):
    """The settling party's answer, and its reason."""

    def render(self, value: Any, record: Any, bound_column: Any) -> SafeString:
        badge = state_badge(
            "pending" if value == "waiting" else value,
            dict(AffirmationFilter.ANSWERS)[value],
        )
        answer = record.answered
        note = record.withdrawal_note or (answer.reason if answer else "")
        return format_html('{}<span class="line-reason">{}</span>', badge, note) if note else badge

    def value(self, value: Any, record: Any, bound_column: Any) -> str:
        return str(dict(AffirmationFilter.ANSWERS)[value])


class AffirmationTable(tables.Table):
    """Allocations that one party trades and the other settles."""

    select = ChooseToAffirm(states=(), what="order")
    order = LinkColumn(
        verbose_name=gettext_lazy("Order"), accessor="order__number", to="trading:allocation_detail"
    )
    answer = AnswerColumn(verbose_name=gettext_lazy("Answer"))
    portfolio = LinkColumn(
        verbose_name=gettext_lazy("Portfolio"),
        accessor="portfolio__number",
        to="portfolios:portfolio_detail",
        key="portfolio_id",
    )
    client = ClientNameColumn("portfolio__mandate")
    side = tables.Column(
        verbose_name=gettext_lazy("Side"), accessor="order__get_side_display", order_by="order__side"
    )
    security = tables.Column(verbose_name=gettext_lazy("Security"), accessor="order__security__name")
    quantity = QuantityColumn(verbose_name=gettext_lazy("Quantity"))
    price = PriceColumn(verbose_name=gettext_lazy("Price"))
    net_amount = MoneyColumn(verbose_name=gettext_lazy("Net amount"), currency_field="currency")
    trade_date = DateColumn(verbose_name=gettext_lazy("Traded"))
    age = AgeColumn(verbose_name=gettext_lazy("Days ago"), accessor="trade_date", order_by="-trade_date")
    settlement_date = DateColumn(verbose_name=gettext_lazy("Settles"))
    origin = OriginColumn()

    class Meta:
        model = Allocation
        fields = ("select", "order", "answer", "portfolio", "client", "side", "security", "quantity")
        order_by = "-trade_date"
