"""Django's admin for those who run the platform: models and what follows from them are read there."""

from django.contrib import admin

from accounts.admin_site import ReadOnly, ReadOnlyAdmin
from models_portfolio.models import (
    Adoption,
    ModelAssignment,
    ModelPortfolio,
    ModelVersion,
    Offer,
    Target,
    View,
)


class TargetInline(ReadOnly, admin.TabularInline):
    """A version's lines."""

    model = Target
    extra = 0


@admin.register(ModelPortfolio)
class ModelPortfolioAdmin(ReadOnlyAdmin):
    """Models."""

    list_display = ("name", "code", "currency", "risk_level", "origin")
    list_filter = ("risk_level", ("origin", admin.EmptyFieldListFilter))
    search_fields = ("name", "code")


@admin.register(ModelVersion)
class ModelVersionAdmin(ReadOnlyAdmin):
    """Versions."""

    list_display = ("model", "number", "state", "effective_from", "published_by_name", "origin")
    list_filter = ("state", ("origin", admin.EmptyFieldListFilter))
    list_select_related = ("model",)
    inlines = (TargetInline,)


@admin.register(View)
class ViewAdmin(ReadOnlyAdmin):
    """Views."""

    list_display = ("version", "security", "asset_class", "tilt", "valid_from", "valid_to", "origin")
    list_select_related = ("version__model", "security")


@admin.register(Offer)
class OfferAdmin(ReadOnlyAdmin):
    """Offers."""

    list_display = ("name", "model", "agreement", "is_open", "origin")
    list_filter = ("is_open", ("origin", admin.EmptyFieldListFilter))
    list_select_related = ("model",)


@admin.register(ModelAssignment)
class ModelAssignmentAdmin(ReadOnlyAdmin):
    """Which portfolio follows which model."""

    list_display = ("portfolio", "model", "valid_from", "valid_to", "origin")
    list_select_related = ("portfolio", "model")


@admin.register(Adoption)
class AdoptionAdmin(ReadOnlyAdmin):
    """Decisions on received versions and views."""

    list_display = ("version", "view", "decision", "decided_at", "decided_by_name")
    list_select_related = ("version__model", "view")
