"""Publish a draft or a view: followers get exactly what the page before showed."""

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts.errors import DomainError
from accounts.forms import show_error
from accounts.views_base import PersonRequest, signed_in
from models_portfolio.effective import ModelBook, today
from models_portfolio.forms import PublishForm, ViewForm
from models_portfolio.models import ModelAssignment, ModelPortfolio, ModelVersion, Target, View
from models_portfolio.services import end_view, planned_view, prepare_draft, publish, publish_view
from models_portfolio.services.publication import Publication, publication_of
from models_portfolio.services.versions import findings
from models_portfolio.showing import (
    Difference,
    difference,
    rows_to_publish,
    target_rows,
    weight_rows,
    weights_or_problem,
)
from models_portfolio.views.drafts import draft_no_more, draft_of, version_of
from models_portfolio.views.models import institutions_following
from portfolios.models import Security


@require_POST
@signed_in("model.edit")
def draft_prepare(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Keep from when a draft is to count and why it changed; what followers receive comes next."""
    draft = draft_of(request, pk)
    form = PublishForm(request.POST, version=draft)
    if not form.is_valid():
        messages.error(request, _("Choose the day from which the version counts."))
        return redirect("models_portfolio:draft_edit", draft.pk)
    prepare_draft(version=draft, by=request.user, **form.cleaned_data)
    return redirect("models_portfolio:draft_publish", draft.pk)


@signed_in("model.edit")
def draft_publish(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Show what followers receive with a draft, and publish just that."""
    draft = version_of(request, pk)
    if not draft.is_draft:
        return draft_no_more(request, draft)
    if request.method == "POST":
        publish(version=draft, by=request.user, seen=request.POST.get("seen", ""))
        messages.success(request, _("Version %(number)s is published.") % {"number": draft.number})
        return redirect("models_portfolio:model_detail", draft.model_id)
    if draft.effective_from < today() or findings(draft):
        messages.error(request, _("This draft cannot be published as it is. Look at what it says here."))
        return redirect("models_portfolio:draft_edit", draft.pk)
    publication = publication_of(draft)
    before = draft.model.versions.filter(state="published").order_by("-number").first()
    lines = target_rows(before, publication.targets)
    context = {
        **_shown(publication),
        "before": before,
        "changed": [row for row in lines if not row.is_same],
        "same": [row for row in lines if row.is_same],
        "views": rows_to_publish(publication),
    }
    return render(request, "models_portfolio/draft_publish.html", context)


def _shown(publication: Publication) -> dict[str, Any]:
    """Return what the pages before publishing have in common: the arithmetic, and who follows."""
    model = publication.version.model
    followers = ModelAssignment.objects.own().filter(model=model, valid_to=None, portfolio__closed_on=None)
    return {
        "publication": publication,
        "version": publication.version,
        "model": model,
        "arithmetic": [
            {"day": day, "weights": weights, "rows": weight_rows(weights)}
            for day, weights in publication.weights.items()
        ],
        "institutions": institutions_following(model),
        "follower_count": followers.filter(portfolio__origin=None).count(),
        "part_of": ModelPortfolio.objects.current().filter(
            pk__in=Target.objects.filter(sub_model=model, version__state="published").values("version__model")
        ),
    }


@signed_in("model.edit")
def view_create(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Add a view to a draft; where followers have the version already, show first what they receive."""
    version = version_of(request, pk)
    weights, problem = _weights_now(version)
    keys = [key for key in weights.baseline if isinstance(key, uuid.UUID)] if weights else []
    form = ViewForm(request.POST or None, securities=list(Security.objects.filter(pk__in=keys)))
    if request.method == "POST" and form.is_valid() and "change" not in request.POST:
        try:
            if not version.is_draft and "seen" not in request.POST:
                return _view_preview(request, version, form)
            publish_view(version=version, by=request.user, seen=request.POST.get("seen", ""), **form.what())
        except DomainError as error:
            if error.code == "publication_changed":
                return _view_preview(request, version, form, changed=str(error))
            show_error(form, error)
        else:
            if version.is_draft:
                messages.success(request, _("The view is on the draft and is published with it."))
                return redirect("models_portfolio:draft_edit", version.pk)
            messages.success(request, _("The view is published."))
            return redirect("models_portfolio:model_detail", version.model_id)
    context = {"form": form, "version": version, "model": version.model, "problem": problem}
    return render(request, "models_portfolio/view_form.html", context)


def _weights_now(version: ModelVersion) -> Any:
    book = ModelBook(max(version.effective_from, today()), trial={version.model_id: version})
    return weights_or_problem(book, version.model_id)


def _moved(publication: Publication) -> Difference | None:
    """Return what a view, or its end, changes on the day from which it does; None where that cannot be had."""
    version = publication.version
    for day, after in publication.weights.items():
        before, _problem = weights_or_problem(
            ModelBook(day, trial={version.model_id: version}), version.model_id
        )
        return difference(before.weights, after.weights) if before else None
    return None


def _view_preview(
    request: PersonRequest, version: ModelVersion, form: ViewForm, changed: str = ""
) -> HttpResponse:
    """Show what followers receive with a view; the form comes along hidden."""
    view = planned_view(version=version, **form.what())
    publication = publication_of(version, view)
    context = {
        **_shown(publication),
        "difference": _moved(publication),
        "view": view,
        "typed": [(name, request.POST.get(name, "")) for name in form.fields],
        "changed": changed,
    }
    return render(request, "models_portfolio/view_publish.html", context, status=409 if changed else 200)


@signed_in("model.edit")
def view_end(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Show what followers receive when a view ends, and end it today; one on a draft is taken off at once."""
    views = View.objects.visible_to(request.user).own().select_related("version__model", "security")
    view = get_object_or_404(views, pk=pk)
    if request.method == "POST":
        end_view(view=view, by=request.user, seen=request.POST.get("seen", "") if view.is_published else None)
        messages.success(
            request, _("The view has ended.") if view.is_published else _("The view is removed.")
        )
    elif view.is_published and (view.valid_to is None or view.valid_to > max(today(), view.valid_from)):
        publication = publication_of(view.version, view, ends=True)
        context = {**_shown(publication), "view": view, "difference": _moved(publication)}
        return render(request, "models_portfolio/view_end.html", context)
    if view.is_published:
        return redirect("models_portfolio:model_detail", view.version.model_id)
    return redirect("models_portfolio:draft_edit", view.version_id)
