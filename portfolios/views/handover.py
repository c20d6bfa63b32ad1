"""Handover of a client's portfolio to the next manager: begun by the sales side, taken over by the successor."""

import uuid

from django.contrib import messages
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts.errors import DomainError
from accounts.rights import can
from accounts.views_base import PersonRequest, signed_in
from clients.calculations.states import MandateState
from clients.duties import Duty, performs
from clients.models import Mandate
from clients.services import start_mandate
from portfolios.models import Handover
from portfolios.services.handover import has_taken_over, snapshot, take_over

TAKES_OVER = ("portfolio.manage", "settlement.edit")


@signed_in("mandate.edit")
def handover_start(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Show what would be handed over of a mandate, and begin the mandate of the next manager."""
    mandates = Mandate.objects.visible_to(request.user).own().select_related("client")
    mandate = get_object_or_404(mandates.in_state(MandateState.ACTIVE, MandateState.CLOSING), pk=pk)
    assert mandate.client is not None
    begun = mandate.successors.exclude(status=Mandate.Status.WITHDRAWN).prefetch_related("decisions")
    successor = next((each for each in begun if each.state != MandateState.REJECTED), None)
    if request.method == "POST" and successor is None:
        started = start_mandate(client=mandate.client, by=request.user, predecessor=mandate)
        return redirect("clients:profile", started.pk)
    try:
        taken, problem = snapshot(mandate), ""
    except DomainError as error:
        taken, problem = None, str(error.message)
    return render(
        request,
        "portfolios/handover_start.html",
        {
            "mandate": mandate,
            "client": mandate.client,
            "successor": successor,
            "handover": taken.handover if taken else None,
            "positions": taken.positions if taken else [],
            "problem": problem,
        },
    )


@signed_in()
def handover(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Show what was handed over to the manager of a mandate, on both sides."""
    visible = Mandate.objects.filter(
        Q(pk__in=Mandate.objects.visible_to(request.user).values("pk"))
        | Q(pk__in=Mandate.objects.managed_by(request.user).values("pk"))
    )
    mandate = get_object_or_404(visible.select_related("client"), pk=pk)
    given = get_object_or_404(Handover.objects.current(), mandate=mandate)
    is_done = has_taken_over(given)
    return render(
        request,
        "portfolios/handover_detail.html",
        {
            "mandate": mandate,
            "handover": given,
            "positions": given.positions.current(),
            "portfolio": getattr(mandate, "portfolio", None),
            "is_done": is_done,
            "may_take_over": not is_done
            and performs(Duty.SETTLEMENT, mandate)
            and any(can(request.user, right) for right in TAKES_OVER)
            and mandate.state == MandateState.ACTIVE,
        },
    )


@require_POST
@signed_in(TAKES_OVER)
def handover_take(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Book what was handed over, with its dates and costs."""
    mandate = get_object_or_404(
        Mandate.objects.filter(pk__in=Mandate.objects.managed_by(request.user).values("pk")), pk=pk
    )
    given = get_object_or_404(Handover.objects.current().select_related("mandate"), mandate=mandate)
    booked = take_over(handover=given, by=request.user)
    messages.success(request, _("Booked: %(count)d transfers in kind.") % {"count": len(booked)})
    return redirect("portfolios:portfolio_transactions", mandate.portfolio.pk)
