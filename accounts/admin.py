"""Django's admin for those who run the platform; people's daily pages are elsewhere."""

from django.contrib import admin

from accounts.admin_site import ReadOnly, ReadOnlyAdmin
from accounts.models import ApiToken, AuditEntry, Invitation, Job, RoleAssignment, Unit, User


class RoleAssignmentInline(ReadOnly, admin.TabularInline):
    """A person's roles."""

    model = RoleAssignment
    extra = 0


@admin.register(User)
class UserAdmin(ReadOnlyAdmin):
    """People."""

    list_display = ["full_name", "email", "is_active", "last_login"]
    list_filter = ["is_active", "role_assignments__role"]
    search_fields = ["full_name", "email"]
    fields = ["email", "full_name", "job_title", "language", "time_zone", "theme", "is_active", "is_staff"]
    inlines = [RoleAssignmentInline]


@admin.register(Unit)
class UnitAdmin(ReadOnlyAdmin):
    """Branches and desks."""

    list_display = ["name", "kind", "parent"]
    list_select_related = ["parent"]
    search_fields = ["name"]


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """Who did what."""

    list_display = ["at", "actor_name", "action", "kind", "record_id"]
    search_fields = ["actor_name", "action", "kind"]


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
