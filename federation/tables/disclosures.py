"""The list of what partners received of clients."""

from typing import Any, ClassVar

import django_tables2 as tables
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts import formatting
from accounts.columns import DateColumn, LinkColumn, MomentColumn
from federation.disclosure import Disclosure, Kept, Shared, Until
from federation.wording import UNTIL, interruption_words, kept_words


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
    interruptions = tables.Column(verbose_name=gettext_lazy("Nothing new crossed"), visible=False)
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
        interruptions = interruption_words(record)
        if value is None:
            state = "suspended" if record.why is Until.SUSPENDED else "running"
            until: str = formatting.state_badge(state, UNTIL[record.why])
            notes = interruptions
        else:
            until = formatting.moment(value)
            notes = [str(UNTIL[record.why]), *interruptions, kept_words(record)]
        return format_html(
            "<div>{}<div class='small text-secondary text-wrap'>{}</div></div>",
            until,
            " · ".join(note for note in notes if note),
        )

    def value_interruptions(self, value: Any) -> str:
        return "; ".join(
            f"{since.isoformat(timespec='minutes')}/{until.isoformat(timespec='minutes') if until else ''}"
            for since, until in value
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
