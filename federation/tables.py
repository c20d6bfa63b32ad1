"""Lists of agreements, of what happened to one, and of what was disclosed."""

import datetime
import uuid
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import django_tables2 as tables
from django.db.models import OrderBy, QuerySet
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts import formatting
from accounts.columns import DateColumn, LinkColumn, MomentColumn, NumberColumn, StateColumn
from federation.agreements.sharing import kind_name
from federation.agreements.timeline import EventKind, words
from federation.disclosure import Disclosure, Kept, Shared
from federation.mirror.status import StreamStatus
from federation.models import Agreement, AgreementEvent, ParkedRow
from federation.monitor.charts import milliseconds
from federation.monitor.reasons import sentence
from federation.monitor.records import NamedRecord
from federation.querysets import by_name
from federation.sealed import SealedMandate
from federation.wording import UNTIL, kept_words

SEALED_STATES = {
    "sealed": gettext_lazy("Sealed"),
    "held": gettext_lazy("On hold"),
    "due": gettext_lazy("Due to be erased"),
}


class AgreementTable(tables.Table):
    """The institution's agreements."""

    partner = tables.Column(
        verbose_name=gettext_lazy("Partner"), order_by="partner_name", accessor="partner_name"
    )
    name = LinkColumn(to="federation:agreement_detail", verbose_name=gettext_lazy("Agreement"))
    side = tables.Column(verbose_name=gettext_lazy("Our side"), accessor="is_manager", order_by="is_manager")
    preset = tables.Column(verbose_name=gettext_lazy("Way of working"))
    state = StateColumn()
    started_at = MomentColumn(verbose_name=gettext_lazy("In force since"))

    class Meta:
        model = Agreement
        fields = ("name", "partner", "side", "preset", "state", "started_at")

    def order_name(
        self, queryset: QuerySet[Agreement], is_descending: bool
    ) -> tuple[QuerySet[Agreement], bool]:
        parts = [OrderBy(part, descending=is_descending) for part in by_name()]
        return queryset.order_by(*parts), True

    def render_side(self, value: bool) -> str:
        return _("Manager") if value else _("Sales channel")

    def render_state(self, value: Any, record: Any, bound_column: Any) -> SafeString:
        badges = [formatting.state_badge(code, words) for code, words in _states(record)]
        return format_html("{} " * len(badges), *badges)

    def value_state(self, record: Agreement) -> str:
        return "; ".join(words for _code, words in _states(record))


def _states(record: Any) -> list[tuple[str, str]]:
    """Return an agreement's state and what stands beside it, each as a code and in words."""
    found = [(record.state, record.get_state_display())]
    if record.suspended_at:
        found.append(("suspended", _("Suspended")))
    elif record.new_mandates_suspended_at:
        found.append(("paused", _("No new mandates")))
    if record.needs_answer:
        found.append(("attention", _("Waits for your answer")))
    elif record.awaits_partner:
        found.append(("pending", _("Waits for the partner")))
    return found


class TimelineTable(tables.Table):
    """What happened to one agreement, on whose side."""

    at = MomentColumn(verbose_name=gettext_lazy("When"))
    kind = tables.Column(verbose_name=gettext_lazy("What"))
    note = tables.Column(
        verbose_name=gettext_lazy("Details"),
        orderable=False,
        empty_values=(),
        attrs={"td": {"class": "long"}},
    )
    institution = tables.Column(verbose_name=gettext_lazy("On the side of"), accessor="institution__name")
    by_name = tables.Column(verbose_name=gettext_lazy("Who"), default="—")

    class Meta:
        model = AgreementEvent
        fields = ("at", "kind", "note", "institution", "by_name")
        order_by = ("-at",)

    def render_kind(self, value: str) -> str:
        return str(EventKind(value).label) if value in EventKind.values else value

    def value_kind(self, value: str) -> str:
        return self.render_kind(value)

    def render_note(self, record: AgreementEvent) -> SafeString:
        lines = (words(record) or formatting.UNKNOWN).split("\n")
        return format_html_join(mark_safe("<br>"), "{}", ((line,) for line in lines))

    def render_by_name(self, record: AgreementEvent) -> str:
        acting = record.data.get("acting")
        return f"{record.by_name} ({acting})" if acting else record.by_name

    def value_note(self, record: AgreementEvent) -> str:
        return words(record)


class DisclosureTable(tables.Table):
    """What partners received of clients, and on whose authority; exports write each fact in a column of its own."""

    client_name = LinkColumn(
        to="federation:client_disclosures", key="client", verbose_name=gettext_lazy("Client")
    )
    mandate_number = LinkColumn(
        to="clients:mandate_detail",
        key="mandate",
        verbose_name=gettext_lazy("Mandate"),
        attrs={"td": {"class": "text-nowrap"}},
    )
    partner = tables.Column(verbose_name=gettext_lazy("To whom"))
    shared = tables.Column(verbose_name=gettext_lazy("What"), orderable=False)
    since = MomentColumn(verbose_name=gettext_lazy("Since"))
    until = MomentColumn(verbose_name=gettext_lazy("Until"), empty_values=())
    authority = tables.Column(
        verbose_name=gettext_lazy("On whose authority"),
        accessor="version",
        orderable=False,
        exclude_from_export=True,
        attrs={"td": {"class": "long"}},
    )
    why = tables.Column(verbose_name=gettext_lazy("Because"), visible=False)
    text_version = tables.Column(
        verbose_name=gettext_lazy("Text of the client's authorisation"), visible=False
    )
    authorised_on = DateColumn(verbose_name=gettext_lazy("Client authorised on"), visible=False)
    version = tables.Column(verbose_name=gettext_lazy("Agreement and acceptances"), visible=False)
    kept = tables.Column(verbose_name=gettext_lazy("Kept there"), visible=False)
    kept_until = DateColumn(
        verbose_name=gettext_lazy("Kept there until"), accessor="kept__until", visible=False
    )
    hold = tables.Column(verbose_name=gettext_lazy("On hold there"), accessor="kept__is_held", visible=False)
    erased_at = DateColumn(verbose_name=gettext_lazy("Erased there on"), visible=False)

    class Meta:
        order_by = ("-since",)
        attrs: ClassVar[dict[str, str]] = {"class": "table-stack"}

    def render_shared(self, value: Any) -> SafeString:
        items = format_html_join(
            "", "<li><b>{}</b> {}</li>", ((each.kind, ", ".join(each.fields)) for each in value)
        )
        more = ngettext("and %(n)d more kind", "and %(n)d more kinds", len(value) - 1) % {"n": len(value) - 1}
        summary = f"{value[0].kind} {more}" if len(value) > 1 else value[0].kind
        return format_html(
            "<details><summary>{}</summary><ul class='disclosed'>{}</ul></details>", summary, items
        )

    def value_shared(self, value: tuple[Shared, ...]) -> str:
        return "; ".join(f"{each.kind} ({', '.join(each.fields)})" for each in value)

    def value_kept(self, value: Kept) -> str:
        return self.value_shared(value.shared)

    def value_hold(self, value: bool) -> str:
        return str(_("yes") if value else _("no"))

    def render_until(self, value: Any, record: Disclosure) -> SafeString:
        if value is None:
            return formatting.state_badge("running", UNTIL[record.why])
        kept = kept_words(record)
        return format_html(
            "<div>{}<div class='small text-secondary text-wrap'>{}{}{}</div></div>",
            formatting.moment(value),
            UNTIL[record.why],
            " · " if kept else "",
            kept,
        )

    def render_authority(self, record: Disclosure) -> SafeString:
        return format_html(
            "<div>{}<div class='small text-secondary'>{}</div></div>",
            _("Client, %(day)s (text %(text)s)")
            % {
                "day": formatting.day(record.authorised_on),
                "text": record.text_version or formatting.UNKNOWN,
            },
            f"{record.agreement_name} v{record.version}: "
            + ", ".join(f"{each.name} {formatting.day(each.at)}" for each in record.consents),
        )

    def value_why(self, value: Any) -> str:
        return str(UNTIL[value])

    def value_version(self, record: Disclosure) -> str:
        consents = "; ".join(
            f"{each.institution}: {each.name} {each.at.date().isoformat()}" for each in record.consents
        )
        return f"{record.agreement_name} v{record.version} ({consents})"


class SealedTable(tables.Table):
    """What is kept of ended agreements, by mandate."""

    number = tables.Column(verbose_name=gettext_lazy("Mandate"))
    partner = tables.Column(verbose_name=gettext_lazy("Received from"))
    agreement = tables.Column(verbose_name=gettext_lazy("Agreement"))
    sealed_at = MomentColumn(verbose_name=gettext_lazy("Sealed"))
    retain_until = DateColumn(verbose_name=gettext_lazy("Kept until"))
    state = tables.Column(verbose_name=gettext_lazy("State"))

    class Meta:
        order_by = ("retain_until", "number")

    def render_number(self, value: str, record: SealedMandate) -> SafeString:
        url = reverse("federation:sealed_detail", args=[record.sealed, record.pk])
        return format_html('<a href="{}">{}</a>', url, value)

    def value_number(self, value: str) -> str:
        return value

    def render_state(self, value: str) -> SafeString:
        return formatting.state_badge(value, SEALED_STATES[value])

    def value_state(self, value: str) -> str:
        return str(SEALED_STATES[value])


_NARROW = {"th": {"class": "mirror-figure"}}


def _utc(value: Any) -> str:
    """Return an instant for an export, in UTC; "" for none."""
    if not isinstance(value, datetime.datetime):
        return ""
    return value.astimezone(datetime.UTC).isoformat(timespec="seconds")


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
    pending = NumberColumn(verbose_name=gettext_lazy("Waiting"), attrs=_NARROW)
    oldest_age = NumberColumn(verbose_name=gettext_lazy("Oldest (s)"), attrs=_NARROW)
    p95 = NumberColumn(
        verbose_name=gettext_lazy("95 % within (last hour)"), exclude_from_export=True, attrs=_NARROW
    )
    p95_ms = tables.Column(
        accessor="p95", verbose_name=gettext_lazy("95 % within, last hour (ms)"), visible=False
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

    def value_last_applied_utc(self, value: Any) -> str:
        return _utc(value)

    def value_proof_result(self, record: StreamStatus) -> str:
        return record.proof.get_result_display() if record.proof else ""

    def value_proof_utc(self, value: Any) -> str:
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
