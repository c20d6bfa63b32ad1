"""Django's admin for those who run the platform: trading is read there."""

from django.contrib import admin

from accounts.admin_site import ReadOnly, ReadOnlyAdmin
from trading.models import (
    Affirmation,
    Allocation,
    Block,
    Execution,
    Order,
    Proposal,
    ProposalLine,
    RestrictedSecurity,
    Settlement,
)


class LineInline(ReadOnly, admin.TabularInline):
    """A proposal's lines."""

    model = ProposalLine
    extra = 0


@admin.register(RestrictedSecurity)
class RestrictedSecurityAdmin(ReadOnlyAdmin):
    """What is not bought or sold for now."""

    list_display = ("security", "rule", "reason", "valid_from", "valid_to")
    list_filter = ("rule",)
    list_select_related = ("security",)


@admin.register(Proposal)
class ProposalAdmin(ReadOnlyAdmin):
    """Proposals."""

    list_display = ("portfolio", "reason", "mode", "state", "made_by", "decided_by", "created_at")
    list_filter = ("state", "reason")
    list_select_related = ("portfolio", "made_by", "decided_by")
    inlines = (LineInline,)


@admin.register(Order)
class OrderAdmin(ReadOnlyAdmin):
    """Orders."""

    list_display = (
        "number",
        "portfolio",
        "side",
        "security",
        "quantity",
        "filled_quantity",
        "state",
        "origin",
    )
    list_filter = ("state", "side", ("origin", admin.EmptyFieldListFilter))
    list_select_related = ("portfolio", "security")
    search_fields = ("number",)


@admin.register(Block)
class BlockAdmin(ReadOnlyAdmin):
    """Blocks."""

    list_display = ("security", "side", "quantity", "filled_quantity", "state", "sent_at")
    list_filter = ("state",)
    list_select_related = ("security",)


@admin.register(Execution)
class ExecutionAdmin(ReadOnlyAdmin):
    """Fills in the market."""

    list_display = ("block", "quantity", "price", "executed_at", "reference")
    list_select_related = ("block__security",)


@admin.register(Allocation)
class AllocationAdmin(ReadOnlyAdmin):
    """Portfolios' parts of fills."""

    list_display = ("order", "portfolio", "quantity", "price", "net_amount", "settlement_date", "origin")
    list_select_related = ("order", "portfolio")


@admin.register(Settlement)
class SettlementAdmin(ReadOnlyAdmin):
    """Settlements."""

    list_display = ("allocation", "portfolio", "state", "expected_date", "settled_on", "origin")
    list_filter = ("state",)
    list_select_related = ("allocation__order", "portfolio")


@admin.register(Affirmation)
class AffirmationAdmin(ReadOnlyAdmin):
    """The settling party's answers."""

    list_display = ("allocation", "portfolio", "state", "reason", "at", "by_name", "origin")
    list_filter = ("state",)
    list_select_related = ("allocation__order", "portfolio")
