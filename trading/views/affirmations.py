"""Allocations that one party trades and the other settles: the list, one allocation, the answers."""

import uuid
from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST

from accounts.errors import DomainError
from accounts.lists import ListView
from accounts.models import Role, audit_reading
from accounts.rights import can
from accounts.views_base import PersonRequest, form_on, ids_in, signed_in
from trading.filters import AffirmationFilter
from trading.forms import CorrectForm
from trading.models import Affirmation, Allocation
from trading.querysets import AllocationQuerySet
from trading.services import affirm, correct, reject_allocation, withdraw
from trading.tables import AffirmationTable
from trading.views.desk import SETTLE

ROLES = (Role.OPERATIONS, Role.PORTFOLIO_MANAGER, Role.COMPLIANCE)


def _allocations(request: PersonRequest) -> AllocationQuerySet:
    found: AllocationQuerySet = (
        Allocation.objects.between_parties(request.user)
        .with_answer()
        .select_related("portfolio__mandate__client", "order__security", "affirmation")
    )
    return found


def _ours(request: PersonRequest) -> AllocationQuerySet:
    """Return those that this person may do something about."""
    found: AllocationQuerySet = _allocations(request).filter(
        pk__in=Allocation.objects.with_right(request.user, SETTLE).values("pk")
    )
    return found


class AffirmationList(ListView):
    """Allocations between two parties with their answers."""

    roles = ROLES
    table_class = AffirmationTable
    filterset_class = AffirmationFilter
    template_name = "trading/affirmation_list.html"
    head_template = "trading/_affirmation_head.html"
    title = gettext_lazy("Affirmations")
    empty_title = gettext_lazy("Nothing to affirm")
    empty_text = gettext_lazy(
        "Where one party trades and another settles, whoever settles affirms or rejects each allocation. "
        "No agreement divides the work like that, or nothing is traded yet."
    )

    def get_queryset(self) -> QuerySet[Allocation]:
        return _allocations(self.request)

    def get_table_kwargs(self) -> dict[str, Any]:
        return {"exclude": [] if can(self.request.user, SETTLE) else ["select"]}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        user = self.request.user
        return {
            **super().get_context_data(**kwargs),
            "may_answer": can(user, SETTLE),
            "to_affirm": Allocation.objects.to_affirm(user).count(),
            "rejected": Allocation.objects.rejected(user).count(),
        }


@require_POST
@signed_in(SETTLE)
def affirm_chosen(request: PersonRequest) -> HttpResponseBase:
    """Affirm the allocations chosen, and say which could not be."""
    chosen = ids_in(request.POST.getlist("choose"))
    ours = Allocation.objects.with_right(request.user, SETTLE).filter(pk__in=chosen)
    found = list(
        Allocation.objects.to_affirm(request.user)
        .filter(pk__in=ours.values("pk"))
        .values_list("pk", flat=True)
    )
    done = affirm(allocation_ids=found, by=request.user)
    if done.count:
        words = ngettext(
            "%(n)d allocation is affirmed and booked.",
            "%(n)d allocations are affirmed and booked.",
            done.count,
        )
        messages.success(request, words % {"n": done.count})
    for allocation, why in done.refused:
        messages.error(request, f"{allocation.order.number}: {why}")
    if not done.count and not done.refused:
        messages.error(request, _("Nothing chosen waits for an answer any more. The list is up to date now."))
    return redirect("trading:affirmation_list")


def _page(
    request: PersonRequest,
    allocation: Allocation,
    form: CorrectForm | None = None,
    error: DomainError | None = None,
) -> HttpResponse:
    answer, is_own = allocation.answered, not allocation.is_received
    is_open = allocation.withdrawn_at is None
    may = Allocation.objects.with_right(request.user, SETTLE).filter(pk=allocation.pk).exists()
    is_rejected = answer is not None and answer.state == Affirmation.State.REJECTED
    return render(
        request,
        "trading/allocation_detail.html",
        {
            "allocation": allocation,
            "order": allocation.order,
            "portfolio": allocation.portfolio,
            "answer": answer,
            "settled": getattr(allocation, "settlement", None),
            "may_answer": may and not is_own and is_open and answer is None,
            "may_put_right": may and is_own and is_open and is_rejected,
            "anew": Allocation.objects.current().filter(replaces=allocation).first(),
            "form": form or CorrectForm(initial=_terms(allocation)),
            "error": error,
        },
        status=200 if error is None and (form is None or not form.errors) else 409,
    )


def _terms(allocation: Allocation) -> dict[str, Any]:
    return {name: getattr(allocation, name) for name in ("price", "fees", "settlement_date")}


@signed_in(roles=ROLES)
def allocation_detail(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Show an allocation with its answer, and what is to be done about it."""
    allocation = get_object_or_404(_allocations(request), pk=pk)
    audit_reading(allocation, by=request.user)
    return _page(request, allocation)


@signed_in(SETTLE)
@form_on("trading:allocation_detail")
def allocation_answer(request: PersonRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Affirm one allocation, or reject it with a reason."""
    allocation = get_object_or_404(_ours(request).received(), pk=pk)
    if request.POST.get("answer") == "reject":
        try:
            reject_allocation(allocation=allocation, reason=request.POST.get("reason", ""), by=request.user)
        except DomainError as error:
            return _page(request, allocation, error=error)
        messages.success(request, _("Rejected. Your partner reads the reason and puts it right."))
        return redirect("trading:affirmation_list")
    done = affirm(allocation_ids=[allocation.pk], by=request.user)
    if done.refused:
        return _page(request, allocation, error=DomainError("refused", done.refused[0][1]))
    messages.success(request, _("Affirmed and booked."))
    return redirect("trading:affirmation_list")


@signed_in(SETTLE)
@form_on("trading:allocation_detail")
def allocation_correct(request: PersonRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Allocate anew what was rejected."""
    allocation = get_object_or_404(_ours(request).own(), pk=pk)
    form = CorrectForm(request.POST)
    if not form.is_valid():
        return _page(request, allocation, form)
    try:
        anew = correct(allocation=allocation, by=request.user, **form.cleaned_data)
    except DomainError as error:
        form.add_error(error.field if error.field in form.fields else None, str(error.message))
        return _page(request, allocation, form)
    messages.success(request, _("Allocated anew. Your partner answers this one."))
    return redirect("trading:allocation_detail", anew.pk)


@signed_in(SETTLE)
@form_on("trading:allocation_detail")
def allocation_withdraw(request: PersonRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Withdraw a rejected allocation for good."""
    allocation = get_object_or_404(_ours(request).own(), pk=pk)
    try:
        withdraw(allocation=allocation, note=request.POST.get("note", ""), by=request.user)
    except DomainError as error:
        return _page(request, allocation, error=error)
    messages.success(request, _("Withdrawn. The order has that much less."))
    return redirect("trading:order_detail", allocation.order_id)
