"""Lists of people, tokens and the audit trail."""

from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

import django_tables2 as tables
from django.apps import apps
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.columns import DateColumn, LinkColumn, MomentColumn, NumberColumn, StateColumn
from accounts.details import detail_value, detail_words
from accounts.filters import THE_PLATFORM, PlacedUnit, action_words
from accounts.formatting import UNKNOWN, icon, state_badge
from accounts.models import ApiToken, AuditEntry, Job, User
from accounts.named import Named, is_id
from accounts.origins import origin_name


def person_state(person: User) -> tuple[str, str]:
    """Return a person's state and its label; needs ``views.people.people()``."""
    if person.is_active:
        return "active", _("Active")
    if getattr(person, "is_invited", False):
        return "pending", _("Invited")
    if not person.has_usable_password():
        return "expired", _("Invitation expired")
    return "inactive", _("Deactivated")


def roles_text(person: User) -> list[str]:
    """Return a person's roles with their units, as read."""
    return [str(assignment) for assignment in person.role_assignments.all()]


class PersonTable(tables.Table):
    """The people of the institution."""

    full_name = LinkColumn(to="accounts:person_detail", verbose_name=gettext_lazy("Name"))
    email = tables.Column(verbose_name=gettext_lazy("E-mail"))
    job_title = tables.Column(verbose_name=gettext_lazy("Job title"), default=UNKNOWN)
    roles = tables.Column(verbose_name=gettext_lazy("Roles"), accessor="pk", orderable=False, empty_values=())
    state = tables.Column(
        verbose_name=gettext_lazy("State"),
        accessor="pk",
        order_by=("-is_active", "is_invited"),
        empty_values=(),
    )
    last_login = MomentColumn(verbose_name=gettext_lazy("Last sign-in"))

    class Meta:
        model = User
        fields = ("full_name", "email", "job_title", "roles", "state", "last_login")
        order_by = "full_name"

    def render_roles(self, record: User) -> str:
        return format_html_join("", "<div>{}</div>", ((text,) for text in roles_text(record))) or UNKNOWN

    def value_roles(self, record: User) -> str:
        return "; ".join(roles_text(record))

    def render_state(self, record: User) -> str:
        return state_badge(*person_state(record))

    def value_state(self, record: User) -> str:
        return person_state(record)[1]


class UnitTable(tables.Table):
    """The tree of units; in another order than the tree's each says where it stands."""

    name = tables.Column(verbose_name=gettext_lazy("Unit"))
    place = tables.Column(verbose_name=gettext_lazy("Place"), attrs={"td": {"class": "text-secondary"}})
    kind = tables.Column(verbose_name=gettext_lazy("Kind"), accessor="kind_label")
    people = NumberColumn(verbose_name=gettext_lazy("People with a role here"))
    below = tables.Column(
        verbose_name="",
        accessor="pk",
        orderable=False,
        exclude_from_export=True,
        attrs={"td": {"class": "text-end"}},
    )

    def __init__(self, *args: Any, may_edit: bool, is_tree: bool, **kwargs: Any) -> None:
        self.may_edit, self.is_tree = may_edit, is_tree
        super().__init__(*args, **kwargs)

    def render_name(self, value: str, record: PlacedUnit) -> str:
        shown = (
            format_html('<a href="{}">{}</a>', reverse("accounts:unit_edit", args=[record.pk]), value)
            if self.may_edit
            else value
        )
        if not self.is_tree or not record.depth:
            return shown
        return format_html(
            '<span class="tree-{}">{}{}</span>',
            record.depth,
            icon("corner-down-right", css="text-secondary"),
            shown,
        )

    def value_name(self, value: str) -> str:
        return value

    def render_people(self, value: int, record: PlacedUnit) -> str:
        if not value:
            return "0"
        return format_html('<a href="{}?unit={}">{}</a>', reverse("accounts:people"), record.pk, value)

    def render_below(self, record: PlacedUnit) -> str:
        return format_html(
            '<a class="btn btn-sm btn-ghost-secondary" href="{}?parent={}" aria-label="{}">{}{}</a>',
            reverse("accounts:unit_create"),
            record.pk,
            _("New unit below %(name)s") % {"name": record.name},
            icon("plus"),
            _("Below"),
        )


class JobTable(tables.Table):
    """Long work and how far it is."""

    title = LinkColumn(to="accounts:job", verbose_name=gettext_lazy("What"))
    state = StateColumn(verbose_name=gettext_lazy("State"))
    done = NumberColumn(verbose_name=gettext_lazy("Done"))
    total = NumberColumn(verbose_name=gettext_lazy("Of"))
    failed = NumberColumn(
        verbose_name=gettext_lazy("Could not be done"), accessor="failures", orderable=False
    )
    created_by = tables.Column(
        verbose_name=gettext_lazy("By"), accessor="created_by__full_name", default=UNKNOWN
    )
    created_at = MomentColumn(verbose_name=gettext_lazy("Started"))
    finished_at = MomentColumn(verbose_name=gettext_lazy("Finished"))

    class Meta:
        model = Job
        fields = ("title", "state", "done", "total", "failed", "created_by", "created_at", "finished_at")
        order_by = "-created_at"

    def render_failed(self, value: list[Any]) -> str:
        return str(len(value))

    def value_failed(self, value: Any) -> int:
        return len(value) if isinstance(value, list) else 0


class TokenTable(tables.Table):
    """API tokens of users."""

    name = tables.Column(verbose_name=gettext_lazy("Name"))
    user = LinkColumn(
        to="accounts:person_detail",
        key="user_id",
        verbose_name=gettext_lazy("Acts as"),
        accessor="user__full_name",
    )
    prefix = tables.Column(
        verbose_name=gettext_lazy("Begins with"), attrs={"td": {"class": "font-monospace small"}}
    )
    may_write = tables.Column(verbose_name=gettext_lazy("May"))
    state = tables.Column(verbose_name=gettext_lazy("State"), accessor="pk", orderable=False)
    expires_at = DateColumn(
        verbose_name=gettext_lazy("Last day"), accessor="last_day", order_by=("expires_at",)
    )
    last_used_at = MomentColumn(verbose_name=gettext_lazy("Last used"))
    action = tables.Column(
        verbose_name="",
        accessor="pk",
        orderable=False,
        exclude_from_export=True,
        attrs={"td": {"class": "text-end"}},
    )

    class Meta:
        model = ApiToken
        attrs: ClassVar[dict[str, str]] = {"class": "table-stack"}
        fields = ("name", "user", "prefix", "may_write", "state", "expires_at", "last_used_at", "action")
        order_by = "-expires_at"

    def render_prefix(self, value: str, record: ApiToken) -> str:
        return f"rbu_{value}" if record.secret_hash else UNKNOWN

    def render_may_write(self, value: Any, record: ApiToken) -> str:
        return _("read and write") if record.may_write else _("read")

    def _state(self, record: ApiToken) -> tuple[str, str]:
        if record.revoked_at:
            return "revoked", _("Revoked")
        if record.is_waiting:
            return "pending", _("Not shown yet")
        return ("active", _("Active")) if record.is_usable else ("expired", _("Expired"))

    def render_state(self, record: ApiToken) -> str:
        return state_badge(*self._state(record))

    def value_state(self, record: ApiToken) -> str:
        return self._state(record)[1]

    def render_action(self, record: ApiToken) -> str:
        if not record.is_usable:
            return ""
        return format_html(
            '<button type="submit" form="revoke-form" formaction="{}" class="btn btn-sm btn-ghost-danger"'
            ' data-confirm="{}">{}</button>',
            reverse("accounts:token_revoke", args=[record.pk]),
            _("Revoke this token? What uses it stops working at once."),
            _("Revoke"),
        )


class AuditTable(tables.Table):
    """Who did what, when."""

    at = MomentColumn(verbose_name=gettext_lazy("When"))
    actor_name = tables.Column(verbose_name=gettext_lazy("Who"), empty_values=(None,))
    action = tables.Column(verbose_name=gettext_lazy("What"))
    kind = tables.Column(verbose_name=gettext_lazy("Record"))
    record_id = tables.Column(verbose_name=gettext_lazy("Which"), default=UNKNOWN)
    data = tables.Column(
        verbose_name=gettext_lazy("Details"), orderable=False, attrs={"td": {"class": "long"}}
    )

    class Meta:
        model = AuditEntry
        fields = ("at", "actor_name", "action", "kind", "record_id", "data")

    # The records that entries are about and details speak of, by id.
    named: Mapping[str, Named] = {}

    def render_actor_name(self, value: str) -> str:
        return value or str(THE_PLATFORM)

    def render_action(self, value: str) -> str:
        return action_words(value)

    def render_kind(self, value: str) -> str:
        try:
            return str(apps.get_model(value)._meta.verbose_name)
        except LookupError:
            return value

    def render_record_id(self, value: UUID) -> str:
        return self._plain(str(value))

    def _short(self, value: str) -> str:
        # The end of a time-ordered id tells records apart; all of it is in exports and on hover.
        return format_html('<code title="{}">…{}</code>', value, value[-8:])

    def value_action(self, value: str) -> str:
        return value

    def value_kind(self, value: str) -> str:
        return value

    def value_record_id(self, value: object) -> str:
        return "" if value == UNKNOWN else str(value)

    def render_data(self, value: dict[str, object], record: AuditEntry) -> str:
        said = {key: shown for key, shown in value.items() if shown not in (None, "", [], {})}
        if "origin" in said:
            # Whose record was read; exports have the id.
            said["origin"] = origin_name(str(said["origin"]))
        origins = said.get("origins")
        if isinstance(origins, list):
            said["origins"] = ", ".join(origin_name(str(each)) for each in origins)
        parts = (
            (detail_words(record.kind, key), self._plain(detail_value(record.kind, key, shown)))
            for key, shown in said.items()
        )
        return format_html_join(", ", "{}: {}", parts) or UNKNOWN

    def _plain(self, value: object) -> str:
        """Return a detail as a person reads it."""
        if isinstance(value, list):
            return format_html_join(" / ", "{}", ((self._plain(each),) for each in value))
        if isinstance(value, bool):
            return _("yes") if value else _("no")
        if not is_id(value):
            return str(value)
        found = self.named.get(str(value))
        if found is None:
            return self._short(str(value))
        return format_html('<a href="{}">{}</a>', found.url, found.label) if found.url else found.label

    def value_data(self, value: dict[str, object]) -> str:
        return "; ".join(f"{key}={shown}" for key, shown in value.items())
