"""Django's admin for those who run the platform; people's daily pages are elsewhere."""

from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest

from accounts.models import ApiToken, AuditEntry, Invitation, Job, RoleAssignment, Unit, User
from accounts.records import Record, RecordQuerySet


class RoleAssignmentInline(admin.TabularInline):
    """A person's roles."""

    model = RoleAssignment
    extra = 0


@admin.register(User)
class UserAdmin(admin.ModelAdmin):
    """People."""

    list_display = ["full_name", "email", "is_active", "last_login"]
    list_filter = ["is_active", "role_assignments__role"]
    search_fields = ["full_name", "email"]
    fields = ["email", "full_name", "job_title", "language", "time_zone", "theme", "is_active", "is_staff"]
    inlines = [RoleAssignmentInline]


@admin.register(Unit)
class UnitAdmin(admin.ModelAdmin):
    """Branches and desks."""

    list_display = ["name", "kind", "parent"]
    list_select_related = ["parent"]
    search_fields = ["name"]


class Current:
    """Show nothing that is kept for history or sealed: no such row, none that hangs off one, and no name of one."""

    model: type[models.Model]

    def get_queryset(self, request: HttpRequest) -> Any:
        """Return the rows that are in use, of records that are."""
        rows: Any = super().get_queryset(request)  # type: ignore[misc]
        if isinstance(rows, RecordQuerySet):
            rows = rows.current()
        return rows.filter(**{f"{key.name}__retired_at": None for key in self._keys() if not key.null})

    def get_exclude(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """Leave out the fields that name a row which is not in use any more."""
        # To an inline Django gives the record that it is on.
        keys = self._keys() if isinstance(obj, self.model) else []
        named = [(key.name, getattr(obj, key.name)) for key in keys]
        others: Any = super().get_exclude(request, obj) or ()  # type: ignore[misc]
        return [*others, *(name for name, record in named if record is not None and record.retired_at)]

    def _keys(self) -> list[models.ForeignKey[Any, Any]]:
        keys = [each for each in self.model._meta.fields if isinstance(each, models.ForeignKey)]
        return [key for key in keys if issubclass(key.related_model, Record)]


class ReadOnly(Current):
    """Show rows that only services write: a form here would go around what they check and keep in step."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnlyAdmin(ReadOnly, admin.ModelAdmin):
    """Show rows, and change none."""

    list_per_page = 50
    show_full_result_count = False


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """Who did what."""

    list_display = ["at", "actor_name", "action", "kind", "record_id"]
    search_fields = ["actor_name", "action", "kind"]
    date_hierarchy = "at"


@admin.register(Invitation)
class InvitationAdmin(ReadOnlyAdmin):
    """Invitations."""

    list_display = ["user", "created_at", "expires_at", "accepted_at"]
    list_select_related = ["user"]
    exclude = ["secret_hash"]


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin):
    """Tokens of users."""

    list_display = ["name", "user", "prefix", "may_write", "expires_at", "revoked_at"]
    list_select_related = ["user"]
    exclude = ["secret_hash"]


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    """Long pieces of work."""

    list_display = ["title", "kind", "state", "done", "total", "created_at"]
