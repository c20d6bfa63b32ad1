"""Lists of agreements, and of what happened to one."""

from typing import Any

import django_tables2 as tables
from django.db.models import OrderBy, QuerySet
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import formatting
from accounts.columns import LinkColumn, MomentColumn, StateColumn
from federation.agreements.timeline import EventKind, words
from federation.models import Agreement, AgreementEvent
from federation.querysets import by_name


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
