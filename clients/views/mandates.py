"""The list of mandates, and one mandate with what both sides did."""

import uuid
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from accounts.errors import DomainError
from accounts.lists import ListView
from accounts.models import audit_reading
from accounts.rights import can, may, roles_with
from accounts.views_base import PersonRequest, signed_in
from clients import disclosure, services, wealth, wishes, words
from clients.calculations.states import MandateState
from clients.filters import MandateFilter
from clients.forms import AnswerForm, RestrictionForm, WithdrawForm
from clients.forms.mandates import mending
from clients.models import ClientInstruction, Mandate
from clients.onboarding import draft_of, next_url, no_draft
from clients.partners import Partner, partners
from clients.services.mandates import WITHDRAWABLE
from clients.tables import MandateTable
from clients.timeline import events_of
from clients.views.clients import READERS
from clients.views.live import live, mark_of

_ENDED = {MandateState.REJECTED, MandateState.WITHDRAWN, MandateState.CLOSED}


class MandateList(ListView):
    """All mandates that a person may see, own and received."""

    roles = READERS
    table_class = MandateTable
    filterset_class = MandateFilter
    title = gettext_lazy("Mandates")
    empty_title = gettext_lazy("No mandates yet")
    empty_text = gettext_lazy(
        "A mandate begins with a client: who it is, the risk profile, a plan, a signature."
    )

    def get_queryset(self) -> QuerySet[Mandate]:
        rows = Mandate.objects.visible_to(self.request.user).with_state().with_book()
        return rows.select_related("client")

    def get_table_kwargs(self) -> dict[str, Any]:
        # Whose a row is says nothing where all are one's own.
        return {"exclude": () if Mandate.objects.received().exists() else ("origin",)}

    def get_empty_action(self) -> tuple[Any, str] | None:
        if can(self.request.user, "client.edit"):
            return gettext_lazy("New client"), reverse("clients:client_create")
        return None


def _own_mandate(request: PersonRequest, pk: uuid.UUID, right: str) -> Mandate:
    mandate: Mandate = get_object_or_404(Mandate.objects.with_right(request.user, right).own(), pk=pk)
    return mandate


@signed_in(roles=READERS)
def mandate_detail(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Show one mandate; what the other side does appears without a reload."""
    mandates = Mandate.objects.visible_to(request.user).select_related("client", "risk_profile")
    mandate = get_object_or_404(mandates.prefetch_related("decisions", "restrictions"), pk=pk)
    rows = ClientInstruction.objects.current().filter(mandate=mandate)
    instructions = list(rows.prefetch_related("outcomes").order_by("-created_at"))
    state = mandate.state
    positions = wealth.positions_of([mandate], timezone.localdate(), known=wealth.rates())
    position = next(iter(positions), None)
    partner = _partner_of(mandate)
    mark = mark_of(
        [
            state,
            partner and (partner.is_suspended, partner.is_ending, partner.has_ended),
            mandate.history,
            [each.pk for each in mandate.decisions.all()],
            [each.pk for each in mandate.wishes],
            mandate.revision,
            [(each.pk, each.state, len(each.outcomes.all())) for each in instructions],
            position and (position.value, position.as_of),
        ]
    )
    # Whoever has seen it is told nothing.
    if request.GET.get("seen") != mark:
        audit_reading(mandate, by=request.user)
    return live(
        request,
        "clients/mandate_detail.html",
        "clients/_mandate_live.html",
        mark,
        {**_context(request, mandate, instructions, position), "partner": partner},
    )


def _partner_of(mandate: Mandate) -> Partner | None:
    """Return who manages an own mandate that has been submitted and has not ended, as its agreement stands."""
    if mandate.is_received or mandate.is_draft or not mandate.agreement or mandate.state in _ENDED:
        return None
    return partners([mandate.agreement]).get(mandate.agreement)


def _context(request: PersonRequest, mandate: Mandate, instructions: Any, position: Any) -> dict[str, Any]:
    state, is_own, user = mandate.state, not mandate.is_received, request.user
    last = mandate.decisions.all()
    may_submit = is_own and may(user, "mandate.submit", mandate)
    may_instruct = is_own and may(user, "instruction.send", mandate)
    profile = mandate.risk_profile
    decided = next((each for each in reversed(last) if each.outcome in {"returned", "rejected"}), None)
    return {
        "mandate": mandate,
        "client": mandate.client,
        "state": state,
        "instructions": instructions,
        "events": events_of(mandate, instructions, position.portfolio if position else None),
        "position": position,
        "last_decision": decided,
        "missing": mending(mandate, decided.missing) if decided else [],
        "level_name": words.level_name(profile.level) if profile else "",
        "authorisation": disclosure.text(mandate.disclosure_text, mandate.manager_name)
        if mandate.agreement
        else "",
        "answer_form": AnswerForm(),
        "withdraw_form": WithdrawForm(),
        "restriction_form": RestrictionForm(),
        **wishes.shown(mandate.wishes),
        "is_draft": mandate.is_draft,
        "may_answer": state == MandateState.RETURNED and may_submit,
        "may_withdraw": state in WITHDRAWABLE and may_submit,
        "may_restrict": is_own and state not in _ENDED and may(user, "mandate.edit", mandate),
        "may_instruct": state == MandateState.ACTIVE and may_instruct,
        "may_instruct_former": Mandate.objects.to_hand_over(user).filter(pk=mandate.predecessor_id).exists(),
        "may_close": not is_own and _may_close(request, mandate),
        "may_instruct_closing": mandate.is_withdrawn_late and may_instruct,
        "may_decide": state == MandateState.SUBMITTED and may(user, "mandate.decide", mandate),
    }


def _may_close(request: PersonRequest, mandate: Mandate) -> bool:
    managed = Mandate.objects.managed_by(request.user, roles_with("mandate.decide")).managed_here()
    return (
        can(request.user, "mandate.decide")
        and mandate.is_withdrawn_late
        and managed.filter(pk=mandate.pk).exists()
    )


@require_POST
@signed_in("mandate.decide")
def mandate_close(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Close a mandate that was withdrawn when its portfolio was open already: no instruction is needed."""
    managed = Mandate.objects.managed_by(request.user, roles_with("mandate.decide"))
    mandate = get_object_or_404(managed.managed_here(), pk=pk)
    if not mandate.is_withdrawn_late:
        raise DomainError(
            "mandate_not_withdrawn", _("The client has to ask for it: wait for an instruction.")
        )
    asked = ClientInstruction.objects.to_answer().filter(mandate=mandate, kind__in=ClientInstruction.CLOSING)
    instruction = asked.first()
    if instruction is not None:
        messages.info(request, _("The client asks for this by an instruction. What it books is shown there."))
        return redirect("clients:instruction_detail", instruction.pk)
    services.close_mandate(mandate=mandate, by=request.user)
    messages.success(request, _("Closed. The sales channel sees it."))
    return redirect("clients:mandate_detail", mandate.pk)


@signed_in("mandate.edit")
def mandate_resume(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Go to the first step of a draft that is not done."""
    mandate = draft_of(request, pk)
    return no_draft(request, pk) if mandate is None else redirect(next_url(mandate))


@require_POST
@signed_in("mandate.submit")
def mandate_answer(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Answer a manager who returned a mandate, and submit it again."""
    mandate, form = _own_mandate(request, pk, "mandate.submit"), AnswerForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Answer what the manager asked for, then submit again."))
        return redirect("clients:mandate_detail", mandate.pk)
    services.submit_mandate(
        mandate=mandate,
        by=request.user,
        signed_on=mandate.signed_on or timezone.localdate(),
        disclosure_authorised_on=mandate.disclosure_authorised_on,
        answer=form.cleaned_data["answer"],
    )
    messages.success(request, _("Submitted again with your answer."))
    return redirect("clients:mandate_detail", mandate.pk)


@require_POST
@signed_in("mandate.submit")
def mandate_withdraw(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Withdraw a mandate that is not managed yet."""
    form = WithdrawForm(request.POST)
    reason = form.cleaned_data["reason"] if form.is_valid() else ""
    mandate = services.withdraw_mandate(
        mandate=_own_mandate(request, pk, "mandate.submit"), by=request.user, reason=reason
    )
    messages.success(request, _("Withdrawn. The manager no longer sees it."))
    return redirect("clients:mandate_detail", mandate.pk)


@require_POST
@signed_in("mandate.edit")
def restriction_add(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Add a wish to a mandate; the list of wishes is drawn again."""
    mandate, form = _own_mandate(request, pk, "mandate.edit"), RestrictionForm(request.POST)
    if form.is_valid():
        try:
            services.add_restriction(mandate=mandate, by=request.user, **form.cleaned_data)
        except (DomainError, ValidationError) as error:
            form.refuse(error)
        else:
            form = RestrictionForm()
    return _restrictions(request, mandate, form)


@require_POST
@signed_in("mandate.edit")
def restriction_remove(request: PersonRequest, pk: uuid.UUID, restriction_pk: uuid.UUID) -> HttpResponse:
    """Remove a wish from a mandate; the list of wishes is drawn again."""
    mandate = _own_mandate(request, pk, "mandate.edit")
    restriction = next((each for each in mandate.wishes if str(each.pk) == str(restriction_pk)), None)
    if restriction is None or restriction.is_received:
        raise Http404
    services.remove_restriction(restriction=restriction, by=request.user)
    return _restrictions(request, mandate, RestrictionForm())


def _restrictions(request: PersonRequest, mandate: Mandate, form: RestrictionForm) -> HttpResponse:
    mandate.refresh_from_db(fields=["revision"])
    if not request.htmx:
        if form.errors:
            messages.error(request, _("Enter a valid ISIN, or the name of a sector."))
        return redirect("clients:mandate_detail", mandate.pk)
    return render(
        request,
        "clients/_restrictions.html",
        {
            "mandate": mandate,
            **wishes.shown(mandate.wishes),
            "restriction_form": form,
            "may_restrict": True,
        },
    )
