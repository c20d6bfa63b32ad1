"""Lists of agreements, of what happened to one, and of what was disclosed."""

from typing import Any

import django_tables2 as tables
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import formatting
from accounts.columns import DateColumn, LinkColumn, MomentColumn, StateColumn
from federation.agreements.timeline import EventKind, words
from federation.models import Agreement, AgreementEvent
from federation.wording import UNTIL


class AgreementTable(tables.Table):
    """The institution's agreements."""

    partner = tables.Column(
        verbose_name=gettext_lazy("Partner"), order_by="partner_name", accessor="partner_name"
    )
    name = LinkColumn(to="federation:agreement_detail", verbose_name=gettext_lazy("Agreement"))
    side = tables.Column(verbose_name=gettext_lazy("We are"), accessor="is_manager", order_by="is_manager")
    preset = tables.Column(verbose_name=gettext_lazy("Way of working"))
    state = StateColumn()
    started_at = MomentColumn(verbose_name=gettext_lazy("In force since"))

    class Meta:
        model = Agreement
        fields = ("name", "partner", "side", "preset", "state", "started_at")
        order_by = ("name",)

    def render_side(self, value: bool) -> str:
        return _("Manager") if value else _("Sales channel")

    def render_state(self, value: Any, record: Agreement, bound_column: Any) -> SafeString:
        badges = [formatting.state_badge(record.state, record.get_state_display())]
        if record.suspended_at:
            badges.append(formatting.state_badge("suspended", _("Suspended")))
        elif record.new_mandates_suspended_at:
            badges.append(formatting.state_badge("paused", _("No new mandates")))
        if record.needs_answer:
            badges.append(formatting.state_badge("attention", _("Waits for your answer")))
        elif record.awaits_partner:
            badges.append(formatting.state_badge("pending", _("Waits for the partner")))
        return format_html("{} " * len(badges), *badges)

    def value_state(self, record: Agreement) -> str:
        return str(_("Suspended") if record.suspended_at else record.get_state_display())


class TimelineTable(tables.Table):
    """What happened to one agreement, on whose side."""

    at = MomentColumn(verbose_name=gettext_lazy("When"))
    institution = tables.Column(verbose_name=gettext_lazy("On the side of"), accessor="institution.name")
    by_name = tables.Column(verbose_name=gettext_lazy("Who"), default="—")
    kind = tables.Column(verbose_name=gettext_lazy("What"))
    note = tables.Column(verbose_name=gettext_lazy("Details"), orderable=False, empty_values=())

    class Meta:
        model = AgreementEvent
        fields = ("at", "institution", "by_name", "kind", "note")
        order_by = ("-at",)

    def render_kind(self, value: str) -> str:
        return str(EventKind(value).label) if value in EventKind.values else value

    def value_kind(self, value: str) -> str:
        return self.render_kind(value)

    def render_note(self, record: AgreementEvent) -> str:
        return words(record) or formatting.UNKNOWN

    def value_note(self, record: AgreementEvent) -> str:
        return words(record)


class DisclosureTable(tables.Table):
    """What partners received of clients, and on whose authority."""

    client_name = tables.Column(verbose_name=gettext_lazy("Client"))
    mandate_number = LinkColumn(
        to="clients:mandate_detail", key="mandate", verbose_name=gettext_lazy("Mandate")
    )
    partner = tables.Column(verbose_name=gettext_lazy("To whom"))
    shared = tables.Column(verbose_name=gettext_lazy("What"), orderable=False)
    since = MomentColumn(verbose_name=gettext_lazy("Since"))
    until = MomentColumn(verbose_name=gettext_lazy("Until"))
    why = tables.Column(verbose_name=gettext_lazy("Because"), orderable=False)
    text_version = tables.Column(verbose_name=gettext_lazy("Client's authorisation"))
    authorised_on = DateColumn(verbose_name=gettext_lazy("Given on"))
    version = tables.Column(verbose_name=gettext_lazy("Agreement"), orderable=False)
    kept_until = DateColumn(verbose_name=gettext_lazy("Kept there until"))

    class Meta:
        order_by = ("-since",)

    def render_shared(self, value: Any) -> SafeString:
        return format_html(
            "<details><summary>{}</summary><ul class='disclosed'>{}</ul></details>",
            ", ".join(each.kind for each in value[:3]) + (" …" if len(value) > 3 else ""),
            format_html(
                "{}" * len(value),
                *(format_html("<li><b>{}</b> {}</li>", e.kind, ", ".join(e.fields)) for e in value),
            ),
        )

    def value_shared(self, value: Any) -> str:
        return "; ".join(f"{each.kind} ({', '.join(each.fields)})" for each in value)

    def render_why(self, value: Any) -> str:
        return str(UNTIL[value])

    def value_why(self, value: Any) -> str:
        return str(UNTIL[value])

    def render_version(self, record: Any) -> SafeString:
        consents = "; ".join(
            f"{each.institution}: {each.name}, {formatting.day(each.at)}" for each in record.consents
        )
        return format_html("<span title='{}'>{} v{}</span>", consents, record.agreement_name, record.version)

    def value_version(self, record: Any) -> str:
        consents = "; ".join(
            f"{each.institution}: {each.name} {each.at.date().isoformat()}" for each in record.consents
        )
        return f"{record.agreement_name} v{record.version} ({consents})"
