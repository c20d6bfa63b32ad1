"""Django's admin for those who run the platform: clients and mandates are read there."""

from typing import Any, ClassVar

from django.contrib import admin

from accounts.admin_site import ReadOnlyAdmin
from clients.models import (
    Client,
    ClientInstruction,
    ContactDetail,
    InstructionBooking,
    InstructionOutcome,
    KycEvidence,
    KycStatus,
    Mandate,
    MandateDecision,
    MandateRestriction,
    Note,
    Party,
    PayoutAccount,
    Questionnaire,
    RiskProfile,
    Task,
)

_ORIGIN = ("origin", admin.EmptyFieldListFilter)


@admin.register(Client)
class ClientAdmin(ReadOnlyAdmin):
    """Clients."""

    list_display = ["name", "number", "kind", "status", "advisor_name", "origin"]
    list_filter: ClassVar[Any] = ["kind", "status", _ORIGIN]
    search_fields = ["name", "number"]


@admin.register(Mandate)
class MandateAdmin(ReadOnlyAdmin):
    """Mandates."""

    list_display = ["number", "client", "offer_name", "manager_name", "status", "submission", "origin"]
    list_filter: ClassVar[Any] = ["status", _ORIGIN]
    list_select_related = ["client"]
    search_fields = ["number", "client__name"]


@admin.register(ClientInstruction)
class InstructionAdmin(ReadOnlyAdmin):
    """Instructions."""

    list_display = ["kind", "mandate", "amount", "currency", "status", "sent_at", "origin"]
    list_filter: ClassVar[Any] = ["kind", "status", _ORIGIN]
    list_select_related = ["mandate"]
    search_fields = ["reference", "mandate__number"]


@admin.register(MandateDecision)
class DecisionAdmin(ReadOnlyAdmin):
    """Decisions on mandates."""

    list_display = ["mandate", "submission", "outcome", "decided_at", "decided_by_name", "origin"]
    list_select_related = ["mandate"]


@admin.register(InstructionBooking)
class BookingAdmin(ReadOnlyAdmin):
    """What was booked for instructions."""

    list_display = ["instruction", "outcome", "amount", "currency", "at", "by_name", "origin"]
    list_select_related = ["instruction"]


@admin.register(InstructionOutcome)
class OutcomeAdmin(ReadOnlyAdmin):
    """Outcomes of instructions."""

    list_display = ["instruction", "outcome", "at", "by_name", "origin"]
    list_select_related = ["instruction"]


@admin.register(Party, ContactDetail, KycStatus, KycEvidence, RiskProfile, Questionnaire, Note)
class ClientRecordAdmin(ReadOnlyAdmin):
    """What hangs off a client."""

    list_display = ["__str__", "client", "origin"]
    list_select_related = ["client"]
    search_fields = ["client__name"]


@admin.register(Task)
class TaskAdmin(ReadOnlyAdmin):
    """What was promised to clients."""

    list_display = ["title", "client", "due_date", "assignee", "done_at"]
    list_select_related = ["client", "assignee"]
    search_fields = ["client__name"]


@admin.register(PayoutAccount)
class PayoutAccountAdmin(ReadOnlyAdmin):
    """Payout accounts."""

    list_display = ["iban", "client", "entered_by_name", "verified_by_name", "verified_at", "origin"]
    list_select_related = ["client"]


@admin.register(MandateRestriction)
class RestrictionAdmin(ReadOnlyAdmin):
    """The wishes of clients."""

    list_display = ["kind", "value", "mandate", "origin"]
    list_select_related = ["mandate"]
