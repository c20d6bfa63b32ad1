"""Pages of the platform itself: its institutions and who works with whom."""

from django.urls import URLPattern, URLResolver

urlpatterns: list[URLPattern | URLResolver] = []
