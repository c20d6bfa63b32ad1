"""Lists of clients, mandates and instructions."""

import datetime
import uuid
from collections.abc import Collection
from typing import Any, ClassVar

import django_tables2 as tables
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.columns import (
    DateColumn,
    LinkColumn,
    MomentColumn,
    MoneyColumn,
    OriginColumn,
    PercentColumn,
    StateColumn,
    Summary,
    why_missing,
)
from accounts.formatting import UNKNOWN, state_badge
from clients import changes
from clients.calculations.states import MandateState
from clients.models import INSTRUCTION_STATES, MANDATE_STATES, Client, ClientInstruction, KycStatus, Mandate
from clients.totals import Overview

_MANDATE_LABELS = {str(state): label for state, label in MANDATE_STATES.items()}
_INSTRUCTION_LABELS = {str(state): label for state, label in INSTRUCTION_STATES.items()}


def _manager(name: str, *, is_chosen: bool = True) -> str:
    return name or (str(_("In house")) if is_chosen else UNKNOWN)


class MissingColumn(tables.Column):
    """Why a value is not available, for exports."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            verbose_name=_("Value not available"), visible=False, empty_values=(None,), default="", **kwargs
        )

    def render(self, value: str) -> str:
        return why_missing([value])


class ClientTable(tables.Table):
    """Clients with what matters before a call."""

    name = LinkColumn(to="clients:client_detail", verbose_name=_("Name"))
    number = tables.Column(verbose_name=_("Number"), attrs={"td": {"class": "text-nowrap"}})
    kind = tables.Column(attrs={"td": {"class": "text-nowrap"}})
    status = StateColumn()
    total = MoneyColumn(
        verbose_name=_("Value"), currency_field="currency", places=0, total=True, missing="total_missing"
    )
    # Shown in place of the value; a column of its own in exports.
    total_missing = MissingColumn()
    risk_level = tables.Column(
        verbose_name=_("Risk"), attrs={"th": {"class": "figure"}, "td": {"class": "figure"}}
    )
    kyc_state = StateColumn(
        verbose_name=_("KYC"), accessor="kyc__state", labels=dict(KycStatus.State.choices)
    )
    kyc_until = DateColumn(verbose_name=_("KYC until"), accessor="kyc__valid_until")
    next_review_date = DateColumn()
    advisor_name = tables.Column()
    origin = OriginColumn()

    class Meta:
        model = Client
        fields = (
            "name",
            "number",
            "kind",
            "status",
            "total",
            "total_missing",
            "risk_level",
            "kyc_state",
            "kyc_until",
        )
        sequence = (*fields, "next_review_date", "advisor_name", "origin")
        order_by = "name"

    def __init__(self, *args: Any, overview: Overview, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Counted and summed already, and faster than by the columns.
        self.data._length = overview.count
        left_out = {"total": (overview.left_out, list(overview.without_rate))} if overview.left_out else {}
        self.__dict__["_summary"] = Summary(
            totals={"total": overview.total}, currencies={"total": overview.currency}, left_out=left_out
        )

    def render_risk_level(self, value: int) -> str:
        return f"{value}/7"

    def value_risk_level(self, value: int) -> int:
        return value


class MandateTable(tables.Table):
    """Mandates with where they stand."""

    number = LinkColumn(to="clients:mandate_detail", verbose_name=_("Mandate"))
    client = LinkColumn(
        to="clients:client_detail", key="client_id", accessor="client__name", verbose_name=_("Client")
    )
    offer_name = tables.Column(verbose_name=_("Plan"))
    manager_name = tables.Column(verbose_name=_("Manager"), empty_values=())
    computed_state = StateColumn(verbose_name=_("State"), labels=_MANDATE_LABELS)
    portfolio = LinkColumn(
        to="portfolios:portfolio_detail",
        key="portfolio_key",
        accessor="portfolio_number",
        verbose_name=_("Portfolio"),
    )
    amount = MoneyColumn(currency_field="currency", places=0)
    value = MoneyColumn(
        verbose_name=_("Value"),
        currency_field="value_currency",
        places=0,
        total=True,
        missing="value_missing",
    )
    # Shown in place of the value; a column of its own in exports.
    value_missing = MissingColumn()
    since_start = PercentColumn(verbose_name=_("Since start"), signed=True)
    submitted_at = MomentColumn()
    origin = OriginColumn()

    class Meta:
        model = Mandate
        fields = ("number", "client", "offer_name", "manager_name", "computed_state", "portfolio", "amount")
        sequence = (*fields, "value", "value_missing", "since_start", "submitted_at", "origin")
        order_by = "-submitted_at"

    def render_manager_name(self, value: str, record: Mandate) -> str:
        return _manager(value, is_chosen=record.offer is not None)

    def value_manager_name(self, value: str, record: Mandate) -> str:
        return _manager(value, is_chosen=record.offer is not None)


class SubmittedColumn(MomentColumn):
    """When a mandate was submitted, and from the second time on which that was and what was changed."""

    def render(self, value: datetime.datetime, record: Mandate) -> str | SafeString:  # type: ignore[override]
        moment = super().render(value)
        if record.submission < 2:
            return moment
        again = gettext("submission %(number)s") % {"number": record.submission}
        parts = changes.last_names(record)
        if parts is not None and record.computed_state == MandateState.SUBMITTED:  # type: ignore[attr-defined]
            said = gettext("changed: %(parts)s") % {"parts": ", ".join(parts)}
            again += f", {said if parts else gettext('answered, nothing changed')}"
        below = '<div>{}<span class="d-block text-secondary small text-wrap">{}</span></div>'
        return format_html(below, moment, again)


class InboxStateColumn(StateColumn):
    """Where a mandate stands, and that its agreement is suspended."""

    def render(self, value: Any, record: Any, bound_column: Any, table: Any) -> SafeString:  # type: ignore[override]
        badge = super().render(value, record, bound_column)
        if record.agreement not in table.suspended:
            return badge
        return format_html("{} {}", badge, state_badge("suspended", gettext("Suspended")))


class InboxTable(tables.Table):
    """Mandates that wait for a decision, or for the advisor."""

    # The agreements under which nothing crosses: nothing is accepted until they are resumed.
    suspended: Collection[uuid.UUID] = ()

    client = LinkColumn(to="clients:mandate_decide", accessor="client__name", verbose_name=_("Client"))
    number = tables.Column(verbose_name=_("Mandate"), attrs={"td": {"class": "text-nowrap"}})
    origin = OriginColumn()
    offer_name = tables.Column(verbose_name=_("Plan"))
    amount = MoneyColumn(verbose_name=_("Planned"), currency_field="currency", places=0)
    level = tables.Column(
        accessor="risk_profile__level",
        verbose_name=_("Profile"),
        attrs={"th": {"class": "figure"}, "td": {"class": "figure"}},
    )
    kyc_state = StateColumn(
        verbose_name=_("KYC"), accessor="client__kyc__state", labels=dict(KycStatus.State.choices)
    )
    submitted_at = SubmittedColumn(verbose_name=_("Submitted"))
    computed_state = InboxStateColumn(verbose_name=_("State"), labels=_MANDATE_LABELS)
    # Shown beside the state; a column of its own in exports.
    is_suspended = tables.Column(accessor="pk", verbose_name=_("Suspended"), orderable=False, visible=False)
    decide = tables.TemplateColumn(
        template_name="clients/_inbox_decide.html",
        verbose_name="",
        orderable=False,
        exclude_from_export=True,
    )

    class Meta:
        model = Mandate
        fields = ("client", "number", "origin", "offer_name", "amount", "level", "kyc_state")
        sequence = (*fields, "submitted_at", "computed_state", "is_suspended", "decide")
        order_by = ("-computed_state", "submitted_at")
        attrs: ClassVar[dict[str, str]] = {"class": "table-stack"}

    def render_level(self, value: int) -> str:
        return f"{value}/7"

    def value_level(self, value: int) -> int:
        return value

    def value_is_suspended(self, record: Mandate) -> str:
        return gettext("yes") if record.agreement in self.suspended else gettext("no")


class InstructionTable(tables.Table):
    """Instructions with where they stand."""

    kind = LinkColumn(
        to="clients:instruction_detail",
        accessor="get_kind_display",
        order_by="kind",
        verbose_name=_("Instruction"),
    )
    client = LinkColumn(
        to="clients:client_detail",
        key="mandate__client_id",
        accessor="mandate__client__name",
        verbose_name=_("Client"),
    )
    mandate = LinkColumn(
        to="clients:mandate_detail", key="mandate_id", accessor="mandate__number", verbose_name=_("Mandate")
    )
    manager = tables.Column(accessor="mandate__manager_name", verbose_name=_("Manager"), empty_values=())
    amount = MoneyColumn(currency_field="currency")
    computed_state = StateColumn(verbose_name=_("Stands"), labels=_INSTRUCTION_LABELS)
    wanted_date = DateColumn()
    sent_at = MomentColumn()
    sent_by_name = tables.Column(verbose_name=_("Sent by"))
    origin = OriginColumn()

    class Meta:
        model = ClientInstruction
        fields = (
            "kind",
            "client",
            "mandate",
            "manager",
            "amount",
            "computed_state",
            "wanted_date",
            "sent_at",
        )
        sequence = (*fields, "sent_by_name", "origin")
        order_by = "-sent_at"

    def render_manager(self, value: str) -> str:
        return _manager(value)

    def value_manager(self, value: str) -> str:
        return _manager(value)
