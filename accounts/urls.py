from django.urls import URLPattern, URLResolver, path

from accounts.views import pages, people, tokens, units

app_name = "accounts"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", pages.home, name="home"),
    path("search/", pages.search_page, name="search"),
    path("profile/", pages.profile, name="profile"),
    path("preferences/", pages.preferences, name="preferences"),
    path("demo/sign-in/", pages.demo_sign_in, name="demo_sign_in"),
    path("invitation/<str:secret>/", pages.accept_invitation, name="invitation"),
    path("jobs/", pages.JobList.as_view(), name="jobs"),
    path("jobs/<uuid:pk>/", pages.job, name="job"),
    path("jobs/<uuid:pk>/state/", pages.job_state, name="job_state"),
    path("audit/", pages.AuditList.as_view(), name="audit"),
    path("people/", people.PersonList.as_view(), name="people"),
    path("people/invite/", people.invite, name="person_invite"),
    path("people/<uuid:pk>/", people.detail, name="person_detail"),
    path("people/<uuid:pk>/edit/", people.edit, name="person_edit"),
    path("people/<uuid:pk>/roles/", people.add_role, name="role_add"),
    path("people/<uuid:pk>/roles/<uuid:assignment>/remove/", people.remove_role, name="role_remove"),
    path("people/<uuid:pk>/grants/", people.add_grant, name="grant_add"),
    path("people/<uuid:pk>/grants/<int:grant>/remove/", people.remove_grant, name="grant_remove"),
    path("people/<uuid:pk>/deactivate/", people.deactivate, name="person_deactivate"),
    path("people/<uuid:pk>/reactivate/", people.reactivate, name="person_reactivate"),
    path(
        "people/<uuid:pk>/second-factor/remove/",
        people.remove_second_factor,
        name="person_second_factor_remove",
    ),
    path("people/<uuid:pk>/invite-again/", people.invite_again, name="person_invite_again"),
    path("units/", units.UnitList.as_view(), name="units"),
    path("units/new/", units.create, name="unit_create"),
    path("units/<uuid:pk>/", units.edit, name="unit_edit"),
    path("units/<uuid:pk>/delete/", units.delete, name="unit_delete"),
    path("tokens/", tokens.TokenList.as_view(), name="tokens"),
    path("tokens/new/", tokens.create, name="token_create"),
    path("tokens/<uuid:pk>/show/", tokens.show, name="token_show"),
    path("tokens/<uuid:pk>/revoke/", tokens.revoke, name="token_revoke"),
]
