"""Pages of agreements, mirrors, disclosures and the institution itself."""

from django.urls import URLPattern, URLResolver, include, path

from federation import api
from federation.views import (
    agreements,
    disclosures,
    institution,
    mirror_control,
    mirrors,
    previews,
    public,
    sealed,
    switches,
    wizard,
)

app_name = "federation"
urlpatterns: list[URLPattern | URLResolver] = [
    path("agreements/", agreements.AgreementList.as_view(), name="agreements"),
    path("agreements/new/", wizard.agreement_new, name="agreement_new"),
    path("agreements/<uuid:pk>/", agreements.agreement_detail, name="agreement_detail"),
    path("agreements/<uuid:pk>/timeline/", agreements.Timeline.as_view(), name="timeline"),
    path("agreements/<uuid:pk>/revise/", agreements.revise, name="revise"),
    path("agreements/<uuid:pk>/draft/discard/", wizard.draft_discard, name="draft_discard"),
    path("agreements/<uuid:pk>/draft/<slug:step>/", wizard.draft_step, name="draft_step"),
    path(
        "agreements/<uuid:pk>/draft/offers/<uuid:offer_pk>/remove/", wizard.offer_remove, name="offer_remove"
    ),
    path(
        "agreements/<uuid:pk>/versions/<uuid:version_pk>/", agreements.version_detail, name="version_detail"
    ),
    path(
        "agreements/<uuid:pk>/versions/<uuid:version_pk>/preview/",
        previews.version_preview,
        name="version_preview",
    ),
    path("agreements/<uuid:pk>/versions/<uuid:version_pk>/accept/", agreements.accept, name="accept"),
    path("agreements/<uuid:pk>/versions/<uuid:version_pk>/decline/", agreements.decline, name="decline"),
    path("agreements/<uuid:pk>/versions/<uuid:version_pk>/withdraw/", agreements.withdraw, name="withdraw"),
    path("agreements/<uuid:pk>/switch/<slug:what>/<slug:action>/", switches.switch, name="switch"),
    path("agreements/<uuid:pk>/wind-down/", switches.wind_down, name="wind_down"),
    path("agreements/<uuid:pk>/terminate/", switches.terminate, name="terminate"),
    path("agreements/<uuid:pk>/cut/", switches.cut, name="cut"),
    path("agreements/<uuid:pk>/listing/", switches.listing, name="listing"),
    path("agreements/<uuid:pk>/offers/add/", switches.offer_add, name="offer_add"),
    path("agreements/<uuid:pk>/offers/<uuid:offer_pk>/switch/", switches.offer_switch, name="offer_switch"),
    path("agreements/<uuid:pk>/tokens/", switches.token_make, name="token_make"),
    path("agreements/<uuid:pk>/tokens/<uuid:token_pk>/revoke/", switches.token_revoke, name="token_revoke"),
    path("mirrors/", mirrors.MirrorList.as_view(), name="mirrors"),
    path("mirrors/<uuid:pk>/", mirrors.mirror_detail, name="mirror_detail"),
    path("mirrors/<uuid:pk>/live/", mirrors.mirror_live, name="mirror_live"),
    path("mirrors/<uuid:pk>/charts/", mirrors.mirror_charts, name="mirror_charts"),
    path("mirrors/<uuid:pk>/parked/", mirrors.ParkedList.as_view(), name="mirror_parked"),
    path("mirrors/<uuid:pk>/prove/", mirror_control.prove, name="mirror_prove"),
    path("mirrors/<uuid:pk>/retry/", mirror_control.retry, name="mirror_retry"),
    path("mirrors/<uuid:pk>/skip/", mirror_control.skip, name="mirror_skip"),
    path("mirrors/<uuid:pk>/alerts/<slug:action>/", mirror_control.alerts, name="mirror_alerts"),
    path("disclosures/", disclosures.DisclosureLog.as_view(), name="disclosure_log"),
    path("clients/<uuid:pk>/disclosures/", disclosures.client_disclosures, name="client_disclosures"),
    path("sealed/", sealed.SealedList.as_view(), name="sealed_list"),
    path("sealed/opened/<uuid:pk>/", sealed.sealed_opened, name="sealed_opened"),
    path("sealed/<uuid:pk>/<uuid:mandate_pk>/", sealed.sealed_detail, name="sealed_detail"),
    path("sealed/<uuid:pk>/<uuid:mandate_pk>/holds/<uuid:hold_pk>/lift/", sealed.hold_lift, name="hold_lift"),
    path("institution/", institution.institution, name="institution"),
    path("demo/<str:token>/", public.demo_enter, name="demo_enter"),
    path("api/v1/agreement/", include(api.urlpatterns)),
]
