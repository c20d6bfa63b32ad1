"""The list of models, and a model with its versions, views and followers."""

import uuid
from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from accounts.errors import DomainError
from accounts.lists import ListView
from accounts.models import audit_reading
from accounts.rights import can
from accounts.views_base import PersonRequest, signed_in
from models_portfolio.calculations.weights import ZERO
from models_portfolio.effective import ModelBook, today
from models_portfolio.filters import ModelFilter
from models_portfolio.forms import AssignForm, ModelForm, OfferForm
from models_portfolio.models import ModelPortfolio, ModelVersion, Offer, Target
from models_portfolio.querysets import MODEL_ROLES
from models_portfolio.services import create_model, edit_model, new_draft, offer_model, set_offer_open
from models_portfolio.services.following import change_model
from models_portfolio.services.versions import findings
from models_portfolio.showing import (
    asset_class_chart,
    difference,
    following,
    stored_weights,
    view_rows,
    weight_rows,
    weights_or_problem,
)
from models_portfolio.signals import Follower, followers_wanted
from models_portfolio.tables import ModelTable
from portfolios.models import Portfolio

FOLLOWERS_SHOWN = 8


class ModelList(ListView):
    """Own and received models."""

    roles = MODEL_ROLES
    table_class = ModelTable
    filterset_class = ModelFilter
    title = gettext_lazy("Models")
    template_name = "models_portfolio/model_list.html"
    empty_title = gettext_lazy("No models yet")
    empty_text = gettext_lazy(
        "A model says which weights portfolios follow. Create one, or receive one from a partner."
    )

    def get_queryset(self) -> QuerySet[ModelPortfolio]:
        return ModelPortfolio.objects.visible_to(self.request.user).with_figures(today())

    def get_empty_action(self) -> tuple[Any, str] | None:
        if not can(self.request.user, "model.edit"):
            return None
        return _("New model"), reverse("models_portfolio:model_create")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_context_data(**kwargs), "can_edit": can(self.request.user, "model.edit")}


def _chosen_version(model: ModelPortfolio, book: ModelBook, asked: str) -> ModelVersion | None:
    """Return the version that the URL asks for, else the one in force, else the newest."""
    versions = model.versions.current()
    if asked:
        if not (asked.isascii() and asked.isdigit() and len(asked) < 10):
            raise Http404
        return get_object_or_404(versions, number=int(asked))
    return book.versions.get(model.pk) or versions.order_by("-number").first()


@signed_in(roles=MODEL_ROLES)
def model_detail(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Show a model: weights with the views' arithmetic, versions, differences, followers."""
    model = get_object_or_404(
        ModelPortfolio.objects.visible_to(request.user).select_related("benchmark"), pk=pk
    )
    audit_reading(model, by=request.user)
    day = today()
    in_force = ModelBook(day, as_published=model.is_received)
    version = _chosen_version(model, in_force, request.GET.get("version", ""))
    if version is not None and in_force.versions.get(model.pk) != version:
        book = ModelBook(day, trial={model.pk: version}, as_published=model.is_received)
    else:
        book = in_force
    weights, problem = weights_or_problem(book, model.pk) if version else (None, "")
    rows = weight_rows(weights) if weights else []
    before = (
        model.versions.current()
        .filter(number__lt=version.number, state="published")
        .order_by("-number")
        .first()
        if version
        else None
    )
    followers = following(model, request.user, day)
    drifted = [row for row in followers if (row.drift or ZERO) > model.drift_tolerance]
    option, table = asset_class_chart(rows)
    context = {
        "model": model,
        "version": version,
        "version_in_force": in_force.versions.get(model.pk),
        "versions": model.versions.current().order_by("-number"),
        "draft": model.versions.current().filter(state="draft").first(),
        "weights": weights,
        "problem": problem,
        "rows": rows,
        "views": view_rows(version, weights, day) if version else [],
        "before": before,
        "difference": difference(stored_weights(before), stored_weights(version))
        if before and version
        else None,
        "lines": version.targets.select_related("security", "sub_model") if version else [],
        "findings": findings(version) if version and version.is_draft else [],
        "followers": followers[:FOLLOWERS_SHOWN],
        "follower_count": len(followers),
        "drifted": drifted,
        "average_drift": _average([row.drift for row in followers if row.drift is not None]),
        "institutions": institutions_following(model),
        "sees_agreements": can(request.user, "agreement.edit") or can(request.user, "agreement.read"),
        "offers": model.offers.current().filter(agreement__isnull=True),
        "part_of": ModelPortfolio.objects.current().filter(
            pk__in=Target.objects.filter(sub_model=model).values("version__model")
        ),
        "chart_option": option,
        "chart_table": table,
        "can_edit": can(request.user, "model.edit") and not model.is_received,
        "can_offer": can(request.user, "model.edit"),
        "can_propose": can(request.user, "proposal.make"),
        "today": day,
    }
    return render(request, "models_portfolio/model_detail.html", context)


def _average(values: list[Any]) -> Any:
    return sum(values, ZERO) / len(values) if values else None


def institutions_following(model: ModelPortfolio) -> list[Follower]:
    """Return the institutions that a model is offered to, as other layers know them."""
    answers: list[tuple[Any, Any]] = followers_wanted.send(sender=ModelPortfolio, model=model)
    return sorted((f for _receiver, found in answers for f in found or ()), key=lambda each: each.name)


@signed_in("model.edit")
def model_create(request: PersonRequest) -> HttpResponse:
    """Create a model; its first draft opens next."""
    form = ModelForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            model = create_model(by=request.user, **form.cleaned_data)
        except DomainError as error:
            form.add_error(error.field, str(error))
        else:
            return redirect("models_portfolio:draft_edit", model.versions.get().pk)
    return render(request, "models_portfolio/model_form.html", {"form": form, "model": None})


@signed_in("model.edit")
def model_edit(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Change what describes a model."""
    model = get_object_or_404(ModelPortfolio.objects.visible_to(request.user).own(), pk=pk)
    form = ModelForm(request.POST or None, instance=model)
    if request.method == "POST" and form.is_valid():
        try:
            edit_model(model=model, by=request.user, **form.cleaned_data)
        except DomainError as error:
            form.add_error(error.field, str(error))
        else:
            messages.success(request, _("Saved."))
            return redirect("models_portfolio:model_detail", model.pk)
    return render(request, "models_portfolio/model_form.html", {"form": form, "model": model})


@signed_in("portfolio.manage")
def model_assign(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Let an own portfolio follow another model."""
    portfolios = Portfolio.objects.with_right(request.user, "portfolio.manage").own()
    portfolios = portfolios.filter(closed_on__isnull=True)
    portfolio = get_object_or_404(portfolios.select_related("mandate"), pk=pk)
    form = AssignForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            change_model(portfolio=portfolio, model=form.cleaned_data["model"], by=request.user)
        except DomainError as error:
            form.add_error(error.field, str(error))
        else:
            messages.success(request, _("The portfolio follows the model now. Propose to get there."))
            return redirect("portfolios:portfolio_detail", portfolio.pk)
    return render(request, "models_portfolio/assign_form.html", {"form": form, "portfolio": portfolio})


@require_POST
@signed_in("model.edit")
def draft_create(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Start a draft from the newest version."""
    model = get_object_or_404(ModelPortfolio.objects.visible_to(request.user).own(), pk=pk)
    draft = new_draft(model=model, by=request.user)
    return redirect("models_portfolio:draft_edit", draft.pk)


@signed_in("model.edit")
def offer_create(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Offer a model to the institution's own clients."""
    model = get_object_or_404(ModelPortfolio.objects.visible_to(request.user), pk=pk)
    initial = {"name": model.name, "summary": model.description, "minimum_amount": 0, "horizon_years": 5}
    form = OfferForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            offer_model(model=model, by=request.user, **form.cleaned_data)
        except DomainError as error:
            form.add_error(error.field, str(error))
        else:
            messages.success(request, _("Your own clients can choose this model now."))
            return redirect("models_portfolio:model_detail", model.pk)
    return render(request, "models_portfolio/offer_form.html", {"form": form, "model": model})


@require_POST
@signed_in("model.edit")
def offer_switch(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Open an offer for new mandates, or close it."""
    offer = get_object_or_404(Offer.objects.visible_to(request.user).own(), pk=pk)
    set_offer_open(offer=offer, is_open=not offer.is_open, by=request.user)
    return redirect("models_portfolio:model_detail", offer.model_id)
