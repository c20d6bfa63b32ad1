from django.urls import URLPattern, URLResolver, path

from models_portfolio import views_offers
from models_portfolio.views import drafts, models, publishing, received

app_name = "models_portfolio"
urlpatterns: list[URLPattern | URLResolver] = [
    path("models/", models.ModelList.as_view(), name="model_list"),
    path("models/new/", models.model_create, name="model_create"),
    path("models/received/", received.ReceivedList.as_view(), name="received_list"),
    path("models/received/<uuid:pk>/", received.received_detail, name="received_detail"),
    path("models/<uuid:pk>/", models.model_detail, name="model_detail"),
    path("models/<uuid:pk>/edit/", models.model_edit, name="model_edit"),
    path("models/<uuid:pk>/draft/", models.draft_create, name="draft_create"),
    path("models/<uuid:pk>/offer/", models.offer_create, name="offer_create"),
    path("portfolios/<uuid:pk>/model/", models.model_assign, name="model_assign"),
    path("model-offers/<uuid:pk>/switch/", models.offer_switch, name="offer_switch"),
    path("model-versions/<uuid:pk>/", drafts.draft_edit, name="draft_edit"),
    path("model-versions/<uuid:pk>/search/", drafts.target_search, name="target_search"),
    path("model-versions/<uuid:pk>/row/", drafts.target_row, name="target_row"),
    path("model-versions/<uuid:pk>/prepare/", publishing.draft_prepare, name="draft_prepare"),
    path("model-versions/<uuid:pk>/publish/", publishing.draft_publish, name="draft_publish"),
    path("model-versions/<uuid:pk>/discard/", drafts.draft_discard, name="draft_discard"),
    path("model-versions/<uuid:pk>/views/", publishing.view_create, name="view_create"),
    path("model-versions/<uuid:pk>/accept/", received.version_accept, name="version_accept"),
    path("model-versions/<uuid:pk>/decline/", received.version_decline, name="version_decline"),
    path("model-views/<uuid:pk>/end/", publishing.view_end, name="view_end"),
    path("model-views/<uuid:pk>/decide/", received.view_decide, name="view_decide"),
    path("mandates/<uuid:pk>/plan/", views_offers.offer_step, name="offer_step"),
    path("mandates/<uuid:pk>/change-of-plan/", views_offers.offer_change, name="offer_change"),
]
