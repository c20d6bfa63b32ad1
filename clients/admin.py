"""Django's admin for those who run the platform; received rows and decisions are only read there."""

from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest

from accounts.admin import Current
from accounts.records import Record
from clients.models import (
    Client,
    ClientInstruction,
    ContactDetail,
    InstructionBooking,
    InstructionOutcome,
    KycStatus,
    Mandate,
    MandateDecision,
    MandateRestriction,
    Party,
    PayoutAccount,
    RiskProfile,
)


class RecordAdmin(Current, admin.ModelAdmin):
    """Own rows can be put right, received ones only read; nothing is deleted here."""

    list_filter: ClassVar[Any] = [("origin", admin.EmptyFieldListFilter)]

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if issubclass(db_field.related_model, Record):
            kwargs["queryset"] = db_field.related_model.objects.current()
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        is_own = obj is None or obj.origin is None
        return is_own and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class AppendOnlyAdmin(RecordAdmin):
    """Rows that are only ever added, by the pages and services that know what follows."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Client)
class ClientAdmin(RecordAdmin):
    """Clients."""

    list_display = ["name", "number", "kind", "status", "advisor_name", "origin"]
    list_filter: ClassVar[Any] = ["kind", "status", *RecordAdmin.list_filter]
    search_fields = ["name", "number"]


@admin.register(Mandate)
class MandateAdmin(RecordAdmin):
    """Mandates; their content changes through the pages alone."""

    list_display = ["number", "client", "offer_name", "manager_name", "status", "submission", "origin"]
    list_filter: ClassVar[Any] = ["status", *RecordAdmin.list_filter]
    list_select_related = ["client"]
    search_fields = ["number", "client__name"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(ClientInstruction)
class InstructionAdmin(RecordAdmin):
    """Instructions; they change through the pages alone."""

    list_display = ["kind", "mandate", "amount", "currency", "status", "sent_at", "origin"]
    list_filter: ClassVar[Any] = ["kind", "status", *RecordAdmin.list_filter]
    list_select_related = ["mandate"]
    search_fields = ["reference", "mandate__number"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(MandateDecision)
class DecisionAdmin(AppendOnlyAdmin):
    """Decisions on mandates."""

    list_display = ["mandate", "submission", "outcome", "decided_at", "decided_by_name", "origin"]
    list_select_related = ["mandate"]


@admin.register(InstructionBooking)
class BookingAdmin(AppendOnlyAdmin):
    """What was booked for instructions."""

    list_display = ["instruction", "outcome", "amount", "currency", "at", "by_name", "origin"]
    list_select_related = ["instruction"]


@admin.register(InstructionOutcome)
class OutcomeAdmin(AppendOnlyAdmin):
    """Outcomes of instructions."""

    list_display = ["instruction", "outcome", "at", "by_name", "origin"]
    list_select_related = ["instruction"]


@admin.register(Party, ContactDetail, KycStatus, RiskProfile)
class ClientRecordAdmin(RecordAdmin):
    """What hangs off a client."""

    list_display = ["__str__", "client", "origin"]
    list_select_related = ["client"]
    search_fields = ["client__name"]


@admin.register(PayoutAccount)
class PayoutAccountAdmin(AppendOnlyAdmin):
    """Payout accounts: entered and verified by two people, on the pages alone."""

    list_display = ["iban", "client", "entered_by_name", "verified_by_name", "verified_at", "origin"]
    list_select_related = ["client"]


@admin.register(MandateRestriction)
class RestrictionAdmin(RecordAdmin):
    """The wishes of clients."""

    list_display = ["kind", "value", "mandate", "origin"]
    list_select_related = ["mandate"]
