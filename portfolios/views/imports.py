"""Imports of prices and rates: upload, preview, confirm, follow, undo."""

import uuid
from datetime import date
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from accounts.errors import DomainError
from accounts.lists import ListView
from accounts.models import User
from accounts.views_base import signed_in
from portfolios.filters import ImportFilter
from portfolios.forms import ImportForm
from portfolios.models import ImportBatch, PriceSource
from portfolios.services.imports import MAXIMUM_UPLOAD, PRICES, confirm_import, preview_import, undo_import
from portfolios.services.securities import ecb_source, save_source
from portfolios.tables_reference import ImportTable
from portfolios.tasks import revalue_after_undo, run_import

_RIGHT = "price.import"
SHOWN_ERRORS = 50


class ImportList(ListView):
    """List the imports with their states."""

    right = _RIGHT
    table_class = ImportTable
    filterset_class = ImportFilter
    template_name = "portfolios/import_list.html"
    title = gettext_lazy("Imports")
    empty_title = gettext_lazy("Nothing imported yet")
    empty_text = gettext_lazy(
        "Import closing prices or the ECB's exchange rates. You see what would happen first."
    )

    def get_queryset(self) -> QuerySet[ImportBatch]:
        return ImportBatch.objects.select_related("source").defer("content", "before", "summary")

    def get_empty_action(self) -> tuple[Any, str] | None:
        return _("Import a file"), reverse("portfolios:import_create")


@signed_in(_RIGHT)
def create(request: HttpRequest) -> HttpResponse:
    """Take a file and show what importing it would do."""
    assert isinstance(request.user, User)
    form = ImportForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        upload = form.cleaned_data["file"]
        try:
            if upload.size > MAXIMUM_UPLOAD:
                raise DomainError(
                    "file_too_big", _("The file is larger than 30 MB. Split it by year."), field="file"
                )
            with transaction.atomic():
                batch = preview_import(
                    kind=form.cleaned_data["kind"],
                    file_name=upload.name,
                    content=upload.read(),
                    source=_source(form.cleaned_data, request.user),
                    currency=form.cleaned_data["currency"],
                    by=request.user,
                )
        except DomainError as error:
            form.add_error(error.field if error.field in form.fields else None, str(error.message))
        else:
            return redirect("portfolios:import_detail", batch.pk)
    return render(request, "portfolios/import_form.html", {"form": form})


def _source(cleaned: dict[str, Any], user: User) -> PriceSource:
    if cleaned["kind"] != PRICES:
        return ecb_source()
    if cleaned["source"]:
        return cleaned["source"]
    code = cleaned["new_source"].strip().upper()
    existing: PriceSource | None = PriceSource.objects.own().filter(code=code).first()
    return existing or save_source(
        code=code,
        name=cleaned["new_source"].strip(),
        is_redistributable=cleaned["is_redistributable"],
        is_simulated=cleaned["is_simulated"],
        by=user,
    )


def _batch(pk: uuid.UUID) -> ImportBatch:
    return get_object_or_404(ImportBatch.objects.select_related("source").defer("content", "before"), pk=pk)


@signed_in(_RIGHT)
def detail(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Show a preview to be confirmed, how far an import is, or what it did; part of it updates by itself."""
    batch = _batch(pk)
    context = {
        "batch": batch,
        "summary": batch.summary,
        "days": [
            date.fromisoformat(batch.summary[end]) for end in ("from", "until") if batch.summary.get(end)
        ],
        "sample": [
            {**row, "date": date.fromisoformat(row["date"])} for row in batch.summary.get("sample", [])
        ],
        "errors": batch.summary.get("errors", [])[:SHOWN_ERRORS],
        "more_errors": max(0, batch.summary.get("error_count", 0) - SHOWN_ERRORS),
        "is_running": batch.state in (ImportBatch.State.QUEUED, ImportBatch.State.RUNNING),
        "may_confirm": batch.state in (ImportBatch.State.PREVIEW, ImportBatch.State.FAILED)
        and bool(batch.rows_total),
        "may_undo": batch.may_be_undone,
    }
    is_part = bool(getattr(request, "htmx", False))
    return render(
        request, "portfolios/_import_state.html" if is_part else "portfolios/import_detail.html", context
    )


@require_POST
@signed_in(_RIGHT)
def confirm(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Queue a previewed import, with the new securities that were chosen."""
    assert isinstance(request.user, User)
    batch = _batch(pk)
    create_ = [
        {
            "key": key,
            "name": request.POST.get(f"name-{key}", ""),
            "currency": request.POST.get(f"currency-{key}", ""),
            "asset_class": request.POST.get(f"class-{key}", ""),
        }
        for key in request.POST.getlist("create")
        if key in {entry["key"] for entry in batch.summary.get("unknown", [])}
    ]
    try:
        with transaction.atomic():
            is_first = batch.state == ImportBatch.State.PREVIEW
            confirm_import(batch=batch, by=request.user, create=create_ if is_first else None)
            run_import.delay_on_commit(str(batch.pk))
    except DomainError as error:
        messages.error(request, error.message)
    return redirect("portfolios:import_detail", batch.pk)


@require_POST
@signed_in(_RIGHT)
def undo(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Take back a finished import as a whole."""
    assert isinstance(request.user, User)
    try:
        with transaction.atomic():
            batch = undo_import(batch=_batch(pk), by=request.user)
            since = batch.summary.get("revalue_since")
            if since:
                revalue_after_undo.delay_on_commit(str(batch.pk), since)
    except DomainError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, _("Undone. Values that rested on it are worked out again."))
    return redirect("portfolios:import_detail", pk)
