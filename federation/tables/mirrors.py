"""Lists of mirrors, and of the rows that one could not carry."""

import datetime
import uuid
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import django_tables2 as tables
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import formatting
from accounts.columns import LinkColumn, MomentColumn, NumberColumn
from federation.agreements.sharing import kind_name
from federation.mirror.status import StreamStatus
from federation.models import ParkedRow
from federation.monitor.charts import milliseconds
from federation.monitor.reasons import sentence
from federation.monitor.records import NamedRecord

_NARROW = {"th": {"class": "mirror-figure"}}


def _utc(value: Any) -> datetime.datetime | None:
    """Return an instant for an export, in UTC; None for none."""
    return value.astimezone(datetime.UTC) if isinstance(value, datetime.datetime) else None


class MirrorTable(tables.Table):
    """The mirrors of an institution."""

    agreement = LinkColumn(
        to="federation:mirror_detail",
        accessor="agreement__name",
        order_by="name_key",
        verbose_name=gettext_lazy("Agreement"),
    )
    stream = tables.Column(
        verbose_name=gettext_lazy("Direction"),
        order_by="is_outgoing",
        attrs={"td": {"class": "mirror-direction"}},
    )
    state = tables.Column(verbose_name=gettext_lazy("State"), attrs={"td": {"class": "mirror-state"}})
    last_error = tables.Column(
        verbose_name=gettext_lazy("Last error"),
        empty_values=(None, ""),
        default=formatting.UNKNOWN,
        attrs={"td": {"class": "mirror-error"}},
    )
    last_error_utc = tables.Column(
        accessor="last_error_at", verbose_name=gettext_lazy("Last error (UTC)"), visible=False
    )
    switches = tables.Column(
        accessor="agreement__pk",
        verbose_name="",
        orderable=False,
        exclude_from_export=True,
        attrs={"td": {"class": "text-end"}},
    )
    pending = NumberColumn(verbose_name=gettext_lazy("Waiting"), attrs=_NARROW)
    oldest_age = NumberColumn(verbose_name=gettext_lazy("Oldest (s)"), attrs=_NARROW)
    p95 = NumberColumn(
        verbose_name=gettext_lazy("95% within (last hour)"), exclude_from_export=True, attrs=_NARROW
    )
    p95_ms = tables.Column(
        accessor="p95", verbose_name=gettext_lazy("95% within, last hour (ms)"), visible=False
    )
    parked = NumberColumn(verbose_name=gettext_lazy("Parked"), attrs=_NARROW)
    rows_written = NumberColumn(verbose_name=gettext_lazy("Rows carried"), attrs=_NARROW)
    last_applied_at = MomentColumn(verbose_name=gettext_lazy("Last change"), exclude_from_export=True)
    last_applied_utc = tables.Column(
        accessor="last_applied_at", verbose_name=gettext_lazy("Last change (UTC)"), visible=False
    )
    proof = tables.Column(
        verbose_name=gettext_lazy("Last comparison"),
        order_by="proof__at",
        default=formatting.UNKNOWN,
        exclude_from_export=True,
        attrs={"td": {"class": "mirror-state"}},
    )
    proof_result = tables.Column(
        accessor="proof__result", verbose_name=gettext_lazy("Last comparison"), visible=False
    )
    proof_utc = tables.Column(
        accessor="proof__at", verbose_name=gettext_lazy("Last comparison (UTC)"), visible=False
    )

    class Meta:
        order_by = ("agreement",)
        attrs: ClassVar[dict[str, str]] = {"class": "table-stack"}

    def render_state(self, record: StreamStatus) -> SafeString:
        return formatting.state_badge(record.state, record.words)

    def value_state(self, record: StreamStatus) -> str:
        return record.words

    def render_oldest_age(self, value: Any) -> str:
        return formatting.number(value.total_seconds(), 1)

    def value_oldest_age(self, value: Any) -> Any:
        return round(value.total_seconds(), 3) if hasattr(value, "total_seconds") else None

    def render_p95(self, value: float) -> str:
        return milliseconds(value)

    def value_p95_ms(self, value: Any) -> Any:
        return round(value, 1) if isinstance(value, float | int) else None

    def value_last_applied_utc(self, value: Any) -> datetime.datetime | None:
        return _utc(value)

    def value_proof_result(self, record: StreamStatus) -> str:
        return record.proof.get_result_display() if record.proof else ""

    def value_proof_utc(self, value: Any) -> datetime.datetime | None:
        return _utc(value)

    def render_parked(self, record: StreamStatus) -> str | SafeString:
        if record.parked:
            return format_html('<span class="is-loss">{}</span>', formatting.number(record.parked))
        return formatting.number(record.parked)

    def render_proof(self, value: Any) -> SafeString:
        return format_html(
            "{} <div class='text-secondary small'>{}</div>",
            formatting.state_badge(value.result, value.get_result_display()),
            formatting.ago(value.at),
        )

    def render_last_error(self, record: StreamStatus) -> SafeString:
        return format_html(
            "<div><span class='is-loss'>{}</span> <div class='text-secondary small'>{}</div></div>",
            record.last_error,
            formatting.ago(record.last_error_at),
        )

    def value_last_error(self, record: StreamStatus) -> str:
        return record.last_error

    def value_last_error_utc(self, value: Any) -> datetime.datetime | None:
        return _utc(value)

    def render_switches(self, value: uuid.UUID, record: StreamStatus) -> str | SafeString:
        if record.state == "ended":
            return ""
        words = _("Switches") if record.state == "suspended" else _("Suspend…")
        return format_html(
            '<a class="btn btn-sm" href="{}#switches" aria-label="{}: {}">{}{}</a>',
            reverse("federation:agreement_detail", args=[value]),
            words,
            record.agreement.name,
            formatting.icon("player-pause"),
            words,
        )


class ParkedTable(tables.Table):
    """Rows that could not cross, by kind and id, to their owner by number too; never what stands in them."""

    named: Mapping[tuple[str, uuid.UUID], NamedRecord] = MappingProxyType({})

    kind = tables.Column(verbose_name=gettext_lazy("Kind"))
    key = tables.Column(verbose_name=gettext_lazy("Record"))
    reason = tables.Column(
        verbose_name=gettext_lazy("What is in the way"), attrs={"td": {"class": "parked-sentence"}}
    )
    constraint = tables.Column(
        verbose_name=gettext_lazy("Rule"), accessor="reason", attrs={"td": {"class": "parked-reason small"}}
    )
    attempts = NumberColumn(verbose_name=gettext_lazy("Tried"))
    first_at = MomentColumn(verbose_name=gettext_lazy("Parked since"))
    last_at = MomentColumn(verbose_name=gettext_lazy("Last tried"))
    skipped_by_name = tables.Column(verbose_name=gettext_lazy("Skipped by"), empty_values=())
    skip_reason = tables.Column(verbose_name=gettext_lazy("Why skipped"), default=formatting.UNKNOWN)
    actions = tables.TemplateColumn(
        template_name="federation/_parked_row.html",
        verbose_name="",
        orderable=False,
        exclude_from_export=True,
    )

    class Meta:
        model = ParkedRow
        fields = (
            "kind", "key", "reason", "constraint", "attempts", "first_at", "last_at", "skipped_by_name", "skip_reason",
            "actions",
        )  # fmt: skip
        order_by = ("-last_at",)
        attrs: ClassVar[dict[str, str]] = {"class": "table-stack"}

    def render_kind(self, value: str) -> str:
        return kind_name(value)

    def value_kind(self, value: str) -> str:
        return kind_name(value)

    def render_key(self, value: uuid.UUID, record: ParkedRow) -> SafeString:
        # As in the sentence; all of it is in exports and on hover.
        code = format_html('<code title="{}">{}</code>', value, str(value)[-8:])
        known = self.named.get((record.kind, record.key))
        if known is None:
            return code
        words = format_html('<a href="{}">{}</a>', known.url, known.words) if known.url else known.words
        return format_html("{}<br>{}", words, code)

    def value_key(self, value: uuid.UUID) -> str:
        return str(value)

    def render_reason(self, record: ParkedRow) -> str:
        return sentence(record)

    def value_reason(self, record: ParkedRow) -> str:
        return sentence(record)

    def render_skipped_by_name(self, record: ParkedRow) -> str:
        if record.skipped_at is None:
            return formatting.UNKNOWN
        where = record.skipped_by.short_name if record.skipped_by else ""
        return f"{record.skipped_by_name} ({where})"

    def value_skipped_by_name(self, record: ParkedRow) -> str:
        return self.render_skipped_by_name(record) if record.skipped_at else ""

    def value_skip_reason(self, record: ParkedRow) -> str:
        return record.skip_reason if record.skipped_at else ""

    def render_skip_reason(self, record: ParkedRow) -> str:
        return record.skip_reason if record.skipped_at else formatting.UNKNOWN
