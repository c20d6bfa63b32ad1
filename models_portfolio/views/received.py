"""Received models: what changed, what it means for own portfolios, the decision."""

import uuid
from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from accounts import formatting
from accounts.lists import ListView
from accounts.models import audit_reading
from accounts.rights import can
from accounts.views_base import PersonRequest, signed_in
from models_portfolio.calculations.weights import ZERO
from models_portfolio.effective import ModelBook, today
from models_portfolio.filters import ReceivedFilter
from models_portfolio.forms import ReasonForm
from models_portfolio.models import Adoption, ModelPortfolio, ModelVersion, View
from models_portfolio.querysets import MODEL_ROLES, ModelQuerySet
from models_portfolio.services import accept, decide_view, decline
from models_portfolio.services.adoptions import newest_received, trial_book
from models_portfolio.showing import (
    difference,
    effect,
    following,
    models_to_adopt,
    view_rows,
    weight_rows,
    weights_or_problem,
)
from models_portfolio.tables import ReceivedTable

PORTFOLIOS_SHOWN = 50


def _received(request: PersonRequest) -> ModelQuerySet:
    return ModelPortfolio.objects.visible_to(request.user).received().filter(pk__in=models_to_adopt())


class ReceivedList(ListView):
    """The models of partners that own portfolios can follow."""

    roles = MODEL_ROLES
    table_class = ReceivedTable
    filterset_class = ReceivedFilter
    title = gettext_lazy("Received models")
    subtitle = gettext_lazy("A version or view takes effect for your portfolios once you accept it.")
    empty_title = gettext_lazy("No partner shares models with you")
    empty_text = gettext_lazy(
        "Under an agreement on advice exchange a manager's models and views arrive here. "
        "Your administrator can propose one."
    )

    def get_queryset(self) -> QuerySet[ModelPortfolio]:
        return _received(self.request).with_decisions(today())


@signed_in(roles=MODEL_ROLES)
def received_detail(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Show what the newest version and views change, and what they mean for own portfolios."""
    model = get_object_or_404(_received(request), pk=pk)
    newest = newest_received(model.pk)
    if newest is None:
        raise Http404
    audit_reading(model, by=request.user)
    day = today()
    now = ModelBook(day)
    followed = now.versions.get(model.pk)
    old, _problem = weights_or_problem(now, model.pk)
    new, problem = weights_or_problem(trial_book(newest), model.pk)
    portfolios = following(model, request.user, day)
    effects = effect(portfolios, new.weights) if new else portfolios
    decision = Adoption.objects.filter(version=newest, view__isnull=True).first()
    decided_views = set(
        Adoption.objects.filter(version=newest, view__isnull=False).values_list("view", flat=True)
    )
    views = view_rows(newest, new, day)
    new_views = [row for row in views if row.view.pk not in decided_views and row.state != "closed"]
    accepted = decision is not None and decision.decision == Adoption.Decision.ACCEPTED
    context: dict[str, Any] = {
        "model": model,
        "newest": newest,
        "followed": followed,
        "problem": problem,
        "difference": difference(old.weights if old else {}, new.weights if new else {}),
        "rows": weight_rows(new) if new else [],
        "weights": new,
        "views": views,
        "seen": " ".join(str(row.view.pk) for row in views),
        "new_view_ids": {row.view.pk for row in new_views},
        "effects": effects[:PORTFOLIOS_SHOWN],
        "effect_count": len(effects),
        "total_value": sum((row.value or ZERO for row in effects), ZERO),
        "total_traded": sum((row.traded_amount or ZERO for row in effects), ZERO),
        "total_trades": sum(row.trades or 0 for row in effects),
        "currencies": {row.portfolio.currency for row in effects},
        "decision": decision,
        "is_accepted": accepted,
        "waits": decision is None,
        "has_new_views": accepted and bool(new_views),
        "reason_form": ReasonForm(),
        "can_decide": can(request.user, "model.edit"),
        "can_propose": can(request.user, "proposal.make"),
    }
    return render(request, "models_portfolio/received_detail.html", context)


def _version(request: PersonRequest, pk: uuid.UUID) -> ModelVersion:
    versions = ModelVersion.objects.visible_to(request.user).received().filter(model__in=_received(request))
    return get_object_or_404(versions.select_related("model"), pk=pk)


@require_POST
@signed_in("model.edit")
def version_accept(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Accept a received version with its views."""
    version = _version(request, pk)
    accept(version=version, by=request.user, seen=request.POST.get("seen", "").split())
    messages.success(
        request,
        _("Version %(number)s is accepted. Your portfolios follow it from %(day)s.")
        % {"number": version.number, "day": formatting.day(version.effective_from)},
    )
    return redirect("models_portfolio:received_detail", version.model_id)


@require_POST
@signed_in("model.edit")
def version_decline(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Decline a received version with a reason."""
    version = _version(request, pk)
    decline(version=version, reason=request.POST.get("reason", ""), by=request.user)
    messages.success(request, _("Declined. Your portfolios stay with the version accepted before."))
    return redirect("models_portfolio:received_detail", version.model_id)


@require_POST
@signed_in("model.edit")
def view_decide(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Accept or decline one view."""
    views = View.objects.visible_to(request.user).received().filter(version__model__in=_received(request))
    view = get_object_or_404(views.select_related("version"), pk=pk)
    accepts = request.POST.get("decision") == "accept"
    decide_view(view=view, accepts=accepts, reason=request.POST.get("reason", ""), by=request.user)
    messages.success(request, _("The view counts now.") if accepts else _("The view is declined."))
    return redirect("models_portfolio:received_detail", view.version.model_id)
