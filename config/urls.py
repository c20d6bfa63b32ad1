"""Pages and API of one institution."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

from config.api.problems import Nothing, server_error

urlpatterns: list[URLPattern | URLResolver] = [
    # Administrators keep the addresses by which people sign in.
    path("accounts/email/", RedirectView.as_view(pattern_name="accounts:profile")),
    path("accounts/", include("allauth.urls")),
    path("", include("accounts.urls")),
    path("", include("clients.urls")),
    path("", include("portfolios.urls")),
    path("", include("models_portfolio.urls")),
    path("", include("trading.urls")),
    path("", include("reporting.urls")),
    path("", include("federation.urls")),
    path("admin/", admin.site.urls),
    path("api/v1/", include("config.api.urls")),
    path("api/", Nothing.as_view()),
    path("api/<path:rest>", Nothing.as_view()),
]
handler500 = server_error
