"""Paths of the API."""

from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.routers import SimpleRouter

from accounts.views_base import signed_in
from config.api import (
    agreements,
    bookings,
    clients,
    disclosures,
    mandates,
    models,
    portfolios,
    reference,
    reports,
    trading,
    units,
)

router = SimpleRouter(use_regex_path=False)
for prefix, viewset in (
    ("clients", clients.Clients),
    ("mandates", mandates.Mandates),
    ("instructions", mandates.Instructions),
    ("portfolios", portfolios.Portfolios),
    ("accounts", portfolios.Accounts),
    ("holdings", portfolios.Holdings),
    ("transactions", portfolios.Transactions),
    ("valuations", portfolios.Valuations),
    ("bank-entries", bookings.BankEntries),
    ("corporate-actions", bookings.CorporateActions),
    ("handovers", bookings.Handovers),
    ("proposals", trading.Proposals),
    ("orders", trading.Orders),
    ("blocks", trading.Blocks),
    ("executions", trading.Executions),
    ("allocations", trading.Allocations),
    ("affirmations", trading.Affirmations),
    ("settlements", trading.Settlements),
    ("securities", reference.Securities),
    ("prices", reference.Prices),
    ("exchange-rates", reference.ExchangeRates),
    ("benchmarks", reference.Benchmarks),
    ("benchmark-values", reference.BenchmarkValues),
    ("offers", models.Offers),
    ("models", models.Models),
    ("versions", models.Versions),
    ("views", models.Views),
    ("adoptions", models.Adoptions),
    ("reports", reports.Reports),
    ("releases", reports.Releases),
    ("disclosures", disclosures.Disclosures),
    ("units", units.Units),
    ("agreements", agreements.Agreements),
    ("streams", agreements.Streams),
):
    router.register(prefix, viewset, basename=prefix)

app_name = "api"
urlpatterns: list[URLPattern | URLResolver] = [
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("docs/", signed_in()(SpectacularSwaggerSplitView.as_view(url_name="api:schema")), name="docs"),
    path("", include(router.urls)),
]
