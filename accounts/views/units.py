"""The tree of branches and desks."""

import uuid

from django.contrib import messages
from django.db import transaction
from django.db.models import Count
from django.http import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts import services
from accounts.errors import DomainError
from accounts.forms import UnitForm, show_error, tree_of
from accounts.models import Unit
from accounts.rights import can
from accounts.views_base import PersonRequest, signed_in


@signed_in(("people.edit", "people.read"))
def tree(request: PersonRequest) -> HttpResponseBase:
    """Show the units with how many people hold a role in each."""
    units = Unit.objects.annotate(people=Count("role_assignments__user", distinct=True))
    context = {"units": tree_of(units), "may_edit": can(request.user, "people.edit")}
    return render(request, "accounts/unit_list.html", context)


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
