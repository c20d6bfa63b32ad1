from django.urls import URLPattern, URLResolver

app_name = "portfolios"
urlpatterns: list[URLPattern | URLResolver] = []
