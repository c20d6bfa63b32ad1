from django.urls import URLPattern, URLResolver, path

from accounts import views

app_name = "accounts"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.home, name="home"),
    path("preferences/", views.preferences, name="preferences"),
    path("demo/sign-in/", views.demo_sign_in, name="demo_sign_in"),
    path("audit/", views.AuditList.as_view(), name="audit"),
]
