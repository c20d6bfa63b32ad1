from django.urls import URLPattern, URLResolver, path

from clients.views import clients, day, inbox, instructions, mandates, onboarding, records

app_name = "clients"
urlpatterns: list[URLPattern | URLResolver] = [
    path("my-day/", day.my_day, name="my_day"),
    path("clients/", clients.ClientList.as_view(), name="client_list"),
    path("clients/new/", onboarding.client_create, name="client_create"),
    path("clients/<uuid:pk>/", clients.client_detail, name="client_detail"),
    path("clients/<uuid:pk>/edit/", records.client_edit, name="client_edit"),
    path("clients/<uuid:pk>/identity/", records.kyc, name="kyc"),
    path("clients/<uuid:pk>/risk-profile/", records.profile_renew, name="profile_renew"),
    path("clients/<uuid:pk>/review/", records.review_plan, name="review_plan"),
    path("clients/<uuid:pk>/notes/", records.note_create, name="note_create"),
    path("clients/<uuid:pk>/tasks/", records.task_create, name="task_create"),
    path("clients/<uuid:pk>/mandates/", onboarding.mandate_start, name="mandate_start"),
    path(
        "clients/<uuid:pk>/payout-accounts/new/", records.payout_account_create, name="payout_account_create"
    ),
    path("payout-accounts/<uuid:pk>/verify/", records.payout_account_verify, name="payout_account_verify"),
    path("tasks/<uuid:pk>/done/", records.task_finish, name="task_finish"),
    path("mandates/", mandates.MandateList.as_view(), name="mandate_list"),
    path("mandates/<uuid:pk>/", mandates.mandate_detail, name="mandate_detail"),
    path("mandates/<uuid:pk>/resume/", mandates.mandate_resume, name="mandate_resume"),
    path("mandates/<uuid:pk>/who/", onboarding.who, name="who"),
    path("mandates/<uuid:pk>/profile/", onboarding.profile, name="profile"),
    path("mandates/<uuid:pk>/review/", onboarding.review, name="review"),
    path("mandates/<uuid:pk>/answer/", mandates.mandate_answer, name="mandate_answer"),
    path("mandates/<uuid:pk>/withdraw/", mandates.mandate_withdraw, name="mandate_withdraw"),
    path("mandates/<uuid:pk>/close/", mandates.mandate_close, name="mandate_close"),
    path("mandates/<uuid:pk>/restrictions/", mandates.restriction_add, name="restriction_add"),
    path(
        "mandates/<uuid:pk>/restrictions/<uuid:restriction_pk>/remove/",
        mandates.restriction_remove,
        name="restriction_remove",
    ),
    path(
        "mandates/<uuid:pk>/instructions/<slug:kind>/",
        instructions.instruction_create,
        name="instruction_create",
    ),
    path("inbox/", inbox.InboxList.as_view(), name="mandate_inbox"),
    path("inbox/<uuid:pk>/", inbox.mandate_decide, name="mandate_decide"),
    path("instructions/", instructions.InstructionList.as_view(), name="instruction_list"),
    path("instructions/<uuid:pk>/", instructions.instruction_detail, name="instruction_detail"),
    path("instructions/<uuid:pk>/send/", instructions.instruction_send, name="instruction_send"),
    path("instructions/<uuid:pk>/withdraw/", instructions.instruction_withdraw, name="instruction_withdraw"),
    path("instructions/<uuid:pk>/answer/", instructions.instruction_answer, name="instruction_answer"),
]
