"""Edit the targets of a draft, or discard it."""

import uuid
from decimal import Decimal
from typing import Any

from django.contrib import messages
from django.db.models import Q
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts.amounts import IN_DIGITS, has_exponent, read_digits
from accounts.errors import DomainError
from accounts.formatting import exact_percent, percent
from accounts.views_base import PersonRequest, ids_in, signed_in
from models_portfolio.effective import ModelBook, today
from models_portfolio.forms import PublishForm, shown_percent
from models_portfolio.models import ModelPortfolio, ModelVersion, Target
from models_portfolio.services import TargetLine, discard_draft, save_draft
from models_portfolio.services.versions import findings
from models_portfolio.showing import view_rows, weights_or_problem
from portfolios.models import Security

RESULTS_SHOWN = 8


def version_of(request: PersonRequest, pk: uuid.UUID) -> ModelVersion:
    """Return an own version that the user may see, or answer 404."""
    versions = ModelVersion.objects.visible_to(request.user).own().select_related("model")
    return get_object_or_404(versions, pk=pk)


def draft_of(request: PersonRequest, pk: uuid.UUID) -> ModelVersion:
    """Return an own draft that the user may edit, or answer 404."""
    version = version_of(request, pk)
    if not version.is_draft:
        raise Http404
    return version


def draft_no_more(request: PersonRequest, version: ModelVersion) -> HttpResponse:
    """Lead who comes back to a draft that is published by now to its model."""
    messages.info(
        request, _("Version %(number)s is published and changes no more.") % {"number": version.number}
    )
    return redirect("models_portfolio:model_detail", version.model_id)


@signed_in("model.edit")
def draft_edit(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Edit a draft's targets; the sum of the weights is shown while typing."""
    draft = version_of(request, pk)
    if not draft.is_draft:
        return draft_no_more(request, draft)
    problem = ""
    rows = [
        _row(target) for target in draft.targets.select_related("security", "sub_model").order_by("-weight")
    ]
    if request.method == "POST":
        rows, lines, problem = _read_rows(request.POST)
        if not problem:
            try:
                save_draft(version=draft, lines=lines, by=request.user, **_typed_beside(request.POST, draft))
            except DomainError as error:
                problem = str(error)
            else:
                messages.success(request, _("The draft is saved."))
                return redirect("models_portfolio:draft_edit", draft.pk)
    weights, _problem = weights_or_problem(
        ModelBook(max(draft.effective_from, today()), trial={draft.model_id: draft}), draft.model_id
    )
    typed = [read_digits(row["weight"]) for row in rows]
    context = {
        "draft": draft,
        "model": draft.model,
        "rows": rows,
        "problem": problem,
        "total": exact_percent(sum(filter(None, typed), Decimal(0)) / 100),
        "whole": percent(1, 0),
        # How the sum is written while weights are typed.
        "like": percent("0.015"),
        "findings": findings(draft),
        "views": view_rows(draft, weights, today()),
        "publish_form": PublishForm(version=draft),
    }
    return render(request, "models_portfolio/draft_form.html", context, status=422 if problem else 200)


def _typed_beside(posted: QueryDict, draft: ModelVersion) -> dict[str, Any]:
    """Return what was typed into the form for publishing, which is kept with the targets as far as it can be."""
    form = PublishForm(posted, version=draft)
    form.is_valid()
    return {name: value for name, value in form.cleaned_data.items() if name in posted}


def _row(target: Target) -> dict[str, Any]:
    return {
        "key": _key(target.security, target.sub_model),
        "name": str(target),
        "detail": _detail(target.security, target.sub_model),
        "weight": shown_percent(target.weight),
        "minimum": shown_percent(target.minimum_weight),
        "maximum": shown_percent(target.maximum_weight),
        "is_locked": target.is_locked,
    }


def _key(security: Security | None, sub_model: ModelPortfolio | None) -> str:
    if security is not None:
        return f"security:{security.pk}"
    return f"model:{sub_model.pk}" if sub_model is not None else "cash"


def _detail(security: Security | None, sub_model: ModelPortfolio | None) -> str:
    if security is not None:
        return " · ".join(
            filter(None, [security.isin, security.get_asset_class_display(), security.currency])
        )
    return (
        _("Sub-model %(code)s") % {"code": sub_model.code} if sub_model else _("In the portfolio's currency")
    )


def _read_rows(posted: QueryDict) -> tuple[list[dict[str, Any]], list[TargetLine], str]:
    """Return the rows as typed, the lines they mean, and a sentence about the first that means none."""
    keys = posted.getlist("key")
    ids = [key.partition(":")[2] for key in keys if ":" in key]
    securities = {f"security:{s.pk}": s for s in Security.objects.current().filter(pk__in=ids_in(ids))}
    models = {f"model:{m.pk}": m for m in ModelPortfolio.objects.current().filter(pk__in=ids_in(ids))}
    rows, lines, problem = [], [], ""
    for key in dict.fromkeys(keys):
        security, sub_model = securities.get(key), models.get(key)
        if security is None and sub_model is None and key != "cash":
            continue
        row: dict[str, Any] = {
            "key": key,
            "name": str(security or sub_model or _("Cash")),
            "detail": _detail(security, sub_model),
            "weight": _typed(posted.get(f"weight-{key}", "")),
            "minimum": _typed(posted.get(f"minimum-{key}", "")) or "0",
            "maximum": _typed(posted.get(f"maximum-{key}", "")) or "100",
            "is_locked": f"locked-{key}" in posted,
        }
        rows.append(row)
        if wrong := _why_no_weights([row[name] for name in ("weight", "minimum", "maximum")]):
            problem = problem or f"{row['name']}: {wrong}"
            continue
        lines.append(
            TargetLine(
                security=security,
                sub_model=sub_model,
                weight=Decimal(row["weight"]) / 100,
                minimum_weight=Decimal(row["minimum"]) / 100,
                maximum_weight=Decimal(row["maximum"]) / 100,
                is_locked=row["is_locked"],
            )
        )
    return rows, lines, problem


def _why_no_weights(typed: list[str]) -> str:
    """Say what to enter in place of the first of these that is no number; "" where all are."""
    for text in typed:
        if has_exponent(text):
            return str(IN_DIGITS)
        if read_digits(text) is None:
            return _("Enter weights as numbers in percent.")
    return ""


def _typed(text: str) -> str:
    return text.strip().replace(",", ".")


@signed_in("model.edit")
def target_search(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Find securities and models to add to a draft."""
    draft = draft_of(request, pk)
    words = request.GET.get("q", "").replace("\x00", "").strip()
    securities: Any = []
    models: Any = []
    if len(words) >= 2:
        securities = (
            Security.objects.visible_to(request.user)
            .filter(is_active=True)
            .filter(Q(name__icontains=words) | Q(isin__istartswith=words) | Q(ticker__istartswith=words))[
                :RESULTS_SHOWN
            ]
        )
        models = (
            ModelPortfolio.objects.visible_to(request.user)
            .exclude(pk=draft.model_id)
            .filter(Q(name__icontains=words) | Q(code__istartswith=words), versions__state="published")
            .distinct()[:RESULTS_SHOWN]
        )
    found = [
        {"key": _key(security, None), "name": security.name, "detail": _detail(security, None)}
        for security in securities
    ]
    found += [
        {"key": _key(None, model), "name": model.name, "detail": _detail(None, model)} for model in models
    ]
    return render(
        request, "models_portfolio/_target_results.html", {"draft": draft, "found": found, "words": words}
    )


@signed_in("model.edit")
def target_row(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Return one more row of the editor."""
    draft = draft_of(request, pk)
    query = QueryDict(mutable=True)
    query["key"] = request.GET.get("key", "")
    rows, _lines, _problem = _read_rows(query)
    return render(
        request, "models_portfolio/_target_row.html", {"draft": draft, "row": rows[0] if rows else None}
    )


@require_POST
@signed_in("model.edit")
def draft_discard(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Discard a draft."""
    draft = draft_of(request, pk)
    has_others = draft.model.versions.exclude(pk=draft.pk).exists()
    if not has_others:
        messages.error(request, _("This is the model's only version. Edit it instead."))
        return redirect("models_portfolio:draft_edit", draft.pk)
    discard_draft(version=draft, by=request.user)
    messages.success(request, _("The draft is discarded."))
    return redirect("models_portfolio:model_detail", draft.model_id)
