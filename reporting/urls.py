from django.urls import URLPattern, URLResolver, path

from reporting import views

app_name = "reporting"
urlpatterns: list[URLPattern | URLResolver] = [
    path("reports/", views.ReportList.as_view(), name="report_list"),
    path("reports/order/", views.report_order, name="report_order"),
    path("portfolios/<uuid:pk>/report/", views.report_create, name="report_create"),
    path("reports/batches/<uuid:pk>/retry/", views.batch_retry, name="batch_retry"),
    path("reports/<uuid:pk>/", views.report_detail, name="report_detail"),
    path("reports/<uuid:pk>/state/", views.report_state, name="report_state"),
    path("reports/<uuid:pk>/pdf/", views.report_pdf, name="report_pdf"),
    path("reports/<uuid:pk>/retry/", views.report_retry, name="report_retry"),
    path("reports/<uuid:pk>/release/", views.report_release, name="report_release"),
]
