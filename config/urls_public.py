"""Pages of the platform itself: its institutions and who works with whom."""

from django.urls import URLPattern, URLResolver, path

from federation.views import metrics, public

handler404 = public.not_found

urlpatterns: list[URLPattern | URLResolver] = [
    path("", public.front, name="front"),
    path("metrics", metrics.metrics, name="metrics"),
]
