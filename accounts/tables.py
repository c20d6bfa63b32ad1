"""Lists of people, tokens and the audit trail."""

import django_tables2 as tables
from django.utils.translation import gettext_lazy as _

from accounts.columns import MomentColumn
from accounts.models import AuditEntry


class AuditTable(tables.Table):
    """Who did what, when."""

    at = MomentColumn(verbose_name=_("When"))
    actor_name = tables.Column(verbose_name=_("Who"), default=_("System"))
    action = tables.Column(verbose_name=_("What"))
    kind = tables.Column(verbose_name=_("Record"))
    record_id = tables.Column(
        verbose_name=_("Id"), attrs={"td": {"class": "font-monospace small"}}, default="—"
    )
    data = tables.Column(verbose_name=_("Details"), orderable=False)

    class Meta:
        model = AuditEntry
        fields = ("at", "actor_name", "action", "kind", "record_id", "data")

    def render_data(self, value: dict[str, object]) -> str:
        return ", ".join(f"{key}: {shown}" for key, shown in value.items()) or "—"

    def value_data(self, value: dict[str, object]) -> str:
        return "; ".join(f"{key}={shown}" for key, shown in value.items())
