"""Django's admin of this app: to look, never to change what services keep in line."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from accounts.admin_site import ReadOnlyAdmin
from portfolios.models import (
    Account,
    BankEntry,
    Benchmark,
    BenchmarkValue,
    CorporateAction,
    ExchangeRate,
    Handover,
    HandoverPosition,
    Holding,
    ImportBatch,
    Listing,
    Portfolio,
    Price,
    PriceSource,
    Security,
    Transaction,
    Valuation,
)


@admin.register(Portfolio)
class PortfolioAdmin(ReadOnlyAdmin):
    """Portfolios."""

    list_display = ["number", "name", "currency", "opened_on", "closed_on", "manager_name", "origin"]
    list_filter = ["currency"]
    search_fields = ["number", "name"]


@admin.register(Transaction)
class TransactionAdmin(ReadOnlyAdmin):
    """The ledger."""

    list_display = [
        "trade_date",
        "portfolio",
        "type",
        "security",
        "quantity",
        "net_amount",
        "currency",
        "origin",
    ]
    list_filter = ["type", "currency"]
    list_select_related = ["portfolio", "security"]
    search_fields = ["portfolio__number", "security__name"]


@admin.register(Holding)
class HoldingAdmin(ReadOnlyAdmin):
    """What is held now."""

    list_display = [
        "portfolio",
        "security",
        "currency",
        "quantity",
        "market_value",
        "weight",
        "problem",
        "as_of",
    ]
    list_select_related = ["portfolio", "security"]
    search_fields = ["portfolio__number", "security__name"]


@admin.register(Valuation)
class ValuationAdmin(ReadOnlyAdmin):
    """Values by day."""

    list_display = [
        "portfolio",
        "date",
        "market_value",
        "currency",
        "return_index",
        "drift",
        "problem",
        "is_latest",
    ]
    list_filter = ["is_latest"]
    list_select_related = ["portfolio"]
    search_fields = ["portfolio__number"]


@admin.register(Security)
class SecurityAdmin(ReadOnlyAdmin):
    """Securities."""

    list_display = ["name", "isin", "ticker", "kind", "asset_class", "currency", "is_active"]
    list_filter = ["kind", "asset_class", "is_active"]
    search_fields = ["name", "isin", "ticker"]


@admin.register(Price)
class PriceAdmin(ReadOnlyAdmin):
    """Closing prices."""

    list_display = ["date", "security", "close", "currency", "source", "origin"]
    list_filter = ["source"]
    list_select_related = ["security", "source"]
    search_fields = ["security__name", "security__isin"]


@admin.register(ExchangeRate)
class ExchangeRateAdmin(ReadOnlyAdmin):
    """Exchange rates."""

    list_display = ["date", "currency", "rate", "source", "origin"]
    list_filter = ["source", "currency"]
    list_select_related = ["source"]


@admin.register(PriceSource)
class PriceSourceAdmin(ReadOnlyAdmin):
    """Sources of prices."""

    list_display = ["code", "name", "preference", "is_redistributable", "is_simulated", "origin"]


@admin.register(BankEntry)
class BankEntryAdmin(ReadOnlyAdmin):
    """Arrived cash."""

    list_display = ["value_date", "payer", "amount", "currency", "reference", "state", "portfolio"]
    list_filter = ["state", "currency"]
    list_select_related = ["portfolio"]
    search_fields = ["payer", "reference"]


@admin.register(ImportBatch)
class ImportBatchAdmin(ReadOnlyAdmin):
    """Imports of files."""

    list_display = ["file_name", "kind", "source", "state", "rows_total", "created_by_name", "created_at"]
    list_filter = ["kind", "state"]
    list_select_related = ["source"]
    exclude = ["content", "before"]

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("content", "before")


@admin.register(Handover)
class HandoverAdmin(ReadOnlyAdmin):
    """What was handed to the next manager."""

    list_display = ["mandate", "as_of", "currency", "booked_out_on", "origin"]
    list_select_related = ["mandate"]
    search_fields = ["mandate__number"]


@admin.register(HandoverPosition)
class HandoverPositionAdmin(ReadOnlyAdmin):
    """Its lots and cash."""

    list_display = ["security_name", "isin", "handover", "quantity", "currency", "acquired_on", "origin"]
    list_select_related = ["handover"]


@admin.register(CorporateAction)
class CorporateActionAdmin(ReadOnlyAdmin):
    """Corporate actions by portfolio."""

    list_display = ["portfolio", "security", "kind", "ex_date", "is_booked", "origin"]
    list_filter = ["kind"]
    list_select_related = ["portfolio", "security"]


@admin.register(BenchmarkValue)
class BenchmarkValueAdmin(ReadOnlyAdmin):
    """Levels of benchmarks by day."""

    list_display = ["benchmark", "date", "level", "origin"]
    list_select_related = ["benchmark"]


for _model in (Account, Benchmark, Listing):
    admin.site.register(_model, ReadOnlyAdmin)
