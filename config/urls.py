"""Pages and API of one institution."""

from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("accounts/", include("allauth.urls")),
    path("", include("accounts.urls")),
    path("", include("clients.urls")),
    path("", include("portfolios.urls")),
    path("", include("models_portfolio.urls")),
    path("", include("trading.urls")),
    path("", include("reporting.urls")),
    path("", include("federation.urls")),
]
