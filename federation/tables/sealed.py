"""The list of what is kept of ended agreements."""

import django_tables2 as tables
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from accounts import formatting
from accounts.columns import DateColumn, MomentColumn
from federation.sealed import SealedMandate

SEALED_STATES = {
    "sealed": gettext_lazy("Sealed"),
    "held": gettext_lazy("On hold"),
    "due": gettext_lazy("Due to be erased"),
}


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
