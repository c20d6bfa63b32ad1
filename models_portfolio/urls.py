from django.urls import URLPattern, URLResolver

app_name = "models_portfolio"
urlpatterns: list[URLPattern | URLResolver] = []
