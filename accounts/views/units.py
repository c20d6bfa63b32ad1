"""The tree of branches and desks."""

import uuid
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.db.models import Count
from django.http import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from accounts import services
from accounts.errors import DomainError
from accounts.filters import PlacedUnit, TreeFilter, placed
from accounts.forms import UnitForm, show_error
from accounts.lists import PAGE_SIZES, ListView
from accounts.models import Unit
from accounts.rights import can
from accounts.tables import UnitTable
from accounts.views_base import PersonRequest, signed_in


class UnitList(ListView):
    """Show the tree of units with how many people hold a role in each."""

    template_name = "accounts/unit_list.html"
    right = ("people.edit", "people.read")
    title = gettext_lazy("Units")
    subtitle = gettext_lazy("Branches and desks. A role in a unit holds for all units below it.")
    table_class = UnitTable
    empty_title = gettext_lazy("No units yet")
    empty_text = gettext_lazy(
        "Units say whose clients and portfolios a person sees. Without any, roles hold for the whole institution."
    )
    # A tree is read as a whole.
    paginate_by = PAGE_SIZES[-1]

    def get_queryset(self) -> list[PlacedUnit]:
        return placed(Unit.objects.annotate(people=Count("role_assignments__user", distinct=True)))

    def get_filterset(self, queryset: Any) -> TreeFilter:
        return TreeFilter(self.request.GET, queryset)

    def get_table_kwargs(self) -> dict[str, Any]:
        may_edit = can(self.request.user, "people.edit")
        is_tree = not any(self.request.GET.get(name) for name in ("q", "kind", "sort"))
        left_out = ([] if may_edit else ["below"]) + (["place"] if is_tree and not self.exports else [])
        return {"may_edit": may_edit, "is_tree": is_tree, "exclude": left_out}

    def get_empty_action(self) -> tuple[Any, Any] | None:
        if not can(self.request.user, "people.edit"):
            return None
        return gettext_lazy("Create the first unit"), reverse("accounts:unit_create")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_context_data(**kwargs), "may_edit": can(self.request.user, "people.edit")}


@signed_in("people.edit")
def create(request: PersonRequest) -> HttpResponseBase:
    """Create a unit."""
    form = UnitForm(request.POST or None, initial={"parent": request.GET.get("parent")})
    if request.method == "POST" and form.is_valid():
        try:
            services.create_unit(by=request.user, **form.cleaned_data)
        except DomainError as error:
            show_error(form, error)
        else:
            messages.success(request, _("The unit is there."))
            return redirect("accounts:units")
    return render(request, "accounts/unit_form.html", {"form": form})


@signed_in("people.edit")
def edit(request: PersonRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Rename or move a unit."""
    unit = get_object_or_404(Unit, pk=pk)
    form = UnitForm(request.POST or None, instance=unit)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        stored = Unit.objects.get(pk=pk)
        try:
            with transaction.atomic():
                if stored.parent_id != (data["parent"].pk if data["parent"] else None):
                    services.move_unit(unit=stored, parent=data["parent"], by=request.user)
                if (stored.name, stored.kind) != (data["name"], data["kind"]):
                    services.rename_unit(unit=stored, name=data["name"], kind=data["kind"], by=request.user)
        except DomainError as error:
            show_error(form, error)
        else:
            messages.success(request, _("Saved."))
            return redirect("accounts:units")
    return render(request, "accounts/unit_form.html", {"form": form, "unit": Unit.objects.get(pk=pk)})


@require_POST
@signed_in("people.edit")
def delete(request: PersonRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Delete a unit that nothing belongs to."""
    unit = get_object_or_404(Unit, pk=pk)
    try:
        services.delete_unit(unit=unit, by=request.user)
    except DomainError as error:
        messages.error(request, str(error.message))
        return redirect("accounts:unit_edit", pk)
    messages.success(request, _("The unit is deleted."))
    return redirect("accounts:units")
