from django.urls import URLPattern, URLResolver, path

from trading.views import affirmations, desk, orders, proposals, proposing

app_name = "trading"
urlpatterns: list[URLPattern | URLResolver] = [
    path("proposals/", proposals.ProposalList.as_view(), name="proposal_list"),
    path("proposals/propose/", proposing.propose_for, name="propose"),
    path("proposals/decide/", proposals.proposals_decide, name="proposals_decide"),
    path("proposals/<uuid:pk>/", proposals.proposal_detail, name="proposal_detail"),
    path("proposals/<uuid:pk>/edit/", proposals.proposal_edit, name="proposal_edit"),
    path("proposals/<uuid:pk>/submit/", proposals.proposal_submit, name="proposal_submit"),
    path("proposals/<uuid:pk>/approve/", proposals.proposal_approve, name="proposal_approve"),
    path("proposals/<uuid:pk>/reject/", proposals.proposal_reject, name="proposal_reject"),
    path("proposals/<uuid:pk>/discard/", proposals.proposal_discard, name="proposal_discard"),
    path("model-versions/<uuid:pk>/rebalance/", proposing.adopt_and_rebalance, name="adopt_and_rebalance"),
    path("orders/", orders.OrderList.as_view(), name="order_list"),
    path("orders/send/", orders.orders_send, name="orders_send"),
    path("orders/<uuid:pk>/", orders.order_detail, name="order_detail"),
    path("orders/<uuid:pk>/cancel/", orders.order_cancel, name="order_cancel"),
    path("desk/", desk.desk, name="desk"),
    path("affirmations/", affirmations.AffirmationList.as_view(), name="affirmation_list"),
    path("affirmations/affirm/", affirmations.affirm_chosen, name="affirm_chosen"),
    path("allocations/<uuid:pk>/", affirmations.allocation_detail, name="allocation_detail"),
    path("allocations/<uuid:pk>/answer/", affirmations.allocation_answer, name="allocation_answer"),
    path("allocations/<uuid:pk>/correct/", affirmations.allocation_correct, name="allocation_correct"),
    path("allocations/<uuid:pk>/withdraw/", affirmations.allocation_withdraw, name="allocation_withdraw"),
    path("settlements/", desk.SettlementList.as_view(), name="settlement_list"),
    path("settlements/<uuid:pk>/", desk.settlement_change, name="settlement_change"),
]
