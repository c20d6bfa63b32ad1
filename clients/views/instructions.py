"""What clients ask for: from the advisor's form to the outcome on the managing side."""

import json
import uuid
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST
from stdnum import iso11649

from accounts.errors import DomainError
from accounts.lists import ListView
from accounts.models import audit_reading
from accounts.rights import can, may
from accounts.views_base import PersonRequest, signed_in
from clients import services, wealth
from clients.calculations.states import InstructionState, MandateState
from clients.duties import Duty, performs
from clients.filters import InstructionFilter
from clients.forms import InstructionForm, OutcomeForm
from clients.models import ClientInstruction, InstructionOutcome, Mandate
from clients.partners import partners
from clients.services.bookings import booked_for
from clients.services.instructions import ENDED
from clients.tables import InstructionTable
from clients.timeline import instruction_events
from clients.views.clients import READERS
from clients.views.live import live, mark_of

Kind = ClientInstruction.Kind
Outcome = InstructionOutcome.Outcome
# Cash is answered where it is booked: on the desk of whoever keeps the accounts.
_BY_HAND = {Kind.MODEL_CHANGE, *ClientInstruction.CLOSING}


class InstructionList(ListView):
    """All instructions that a person may see, and how many wait for an answer here."""

    roles = READERS
    table_class = InstructionTable
    filterset_class = InstructionFilter
    title = gettext_lazy("Instructions")
    template_name = "clients/instruction_list.html"
    empty_title = gettext_lazy("No instructions yet")
    empty_text = gettext_lazy("Deposits, withdrawals and changes of plan appear here as soon as one is sent.")

    def get_queryset(self) -> QuerySet[ClientInstruction]:
        rows = ClientInstruction.objects.visible_to(self.request.user).with_state()
        return rows.select_related("mandate__client")

    def get_table_kwargs(self) -> dict[str, Any]:
        # Whose a row is says nothing where all are one's own.
        return {"exclude": () if ClientInstruction.objects.received().exists() else ("origin",)}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        if can(self.request.user, "instruction.answer"):
            waiting = ClientInstruction.objects.with_right(
                self.request.user, "instruction.answer"
            ).to_answer()
            context["to_answer"] = waiting.select_related("mandate__client").order_by("sent_at")[:10]
            # Counted where it is shown: not for rows alone.
            context["to_answer_count"] = waiting.count
        return context


@signed_in("instruction.send")
def instruction_create(request: PersonRequest, pk: uuid.UUID, kind: str) -> HttpResponse:
    """Write down a deposit, a withdrawal or the end of a mandate, and send it."""
    mandates = Mandate.objects.with_right(request.user, "instruction.send").own().select_related("client")
    mandate = get_object_or_404(mandates, pk=pk)
    if kind not in {Kind.DEPOSIT, Kind.WITHDRAWAL, *ClientInstruction.CLOSING}:
        raise Http404
    is_to_close = mandate.is_withdrawn_late and kind in ClientInstruction.CLOSING
    if mandate.state not in {MandateState.ACTIVE, MandateState.ACCEPTED} and not is_to_close:
        raise Http404
    data = request.POST if request.method == "POST" else None
    form = InstructionForm(data, kind=kind, mandate=mandate, initial={"currency": mandate.currency})
    if request.method == "POST" and form.is_valid():
        try:
            instruction = _draft(request, mandate, kind, form)
        except (DomainError, ValidationError) as error:
            form.refuse(error)
        else:
            return redirect("clients:instruction_detail", instruction.pk)
    return render(
        request,
        "clients/instruction_form.html",
        {
            "form": form,
            "mandate": mandate,
            "client": mandate.client,
            "kind": kind,
            "title": Kind(kind).label,
            "lacks_account": kind == Kind.WITHDRAWAL and not form.has_account,
            "position": _position(mandate) if kind == Kind.WITHDRAWAL else None,
            "is_held_up": _is_held_up(mandate),
            "is_matched_here": performs(Duty.SETTLEMENT, mandate),
        },
    )


def _position(mandate: Mandate) -> wealth.Position | None:
    """Return what the portfolio of a mandate is worth, as far as it is known here."""
    return next(iter(wealth.positions_of([mandate], timezone.localdate(), known=wealth.rates())), None)


def _is_held_up(mandate: Mandate) -> bool:
    """Say whether a suspension keeps what is sent under a mandate from its manager."""
    partner = partners([mandate.agreement]).get(mandate.agreement) if mandate.agreement else None
    return partner is not None and partner.is_suspended


@transaction.atomic
def _draft(request: PersonRequest, mandate: Mandate, kind: str, form: InstructionForm) -> ClientInstruction:
    typed = {**form.cleaned_data}
    page = typed.pop("page")
    key = None
    if page:
        # Who goes back and asks for something else asks for one more. Nobody chooses the id of a record by it.
        said = [getattr(each, "pk", each) for each in typed.values()]
        said = [request.user.pk, page, kind, "draft" in request.POST, *said]
        key = uuid.uuid5(mandate.pk, json.dumps(said, default=str))
        # Sent twice at once, the second waits here and finds the first.
        Mandate.objects.select_for_update(of=("self",), no_key=True).get(pk=mandate.pk)
        if before := ClientInstruction.objects.filter(pk=key, mandate=mandate).first():
            return before
    instruction = services.draft_instruction(mandate=mandate, kind=kind, by=request.user, pk=key, **typed)
    if "draft" in request.POST:
        messages.success(request, _("Kept as a draft. Send it when the client agrees."))
        return instruction
    messages.success(request, _("Sent. You see here what becomes of it."))
    return services.send_instruction(instruction=instruction, by=request.user)


@signed_in(roles=READERS)
def instruction_detail(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Show one instruction and where it stands; answers appear without a reload."""
    rows = ClientInstruction.objects.visible_to(request.user)
    rows = rows.select_related("mandate__client", "payout_account").prefetch_related("outcomes")
    instruction = get_object_or_404(rows, pk=pk)
    state = instruction.state
    may_answer = (
        may(request.user, "instruction.answer", instruction)
        and ClientInstruction.objects.filter(pk=instruction.pk).to_answer().exists()
    )
    may_send = not instruction.is_received and may(request.user, "instruction.send", instruction)
    reference = instruction.reference
    is_held_up = (
        state == InstructionState.SENT and not instruction.is_received and _is_held_up(instruction.mandate)
    )
    context = {
        "instruction": instruction,
        "mandate": instruction.mandate,
        "client": instruction.mandate.client,
        "state": state,
        "is_held_up": is_held_up,
        "events": sorted(instruction_events(instruction), key=lambda each: each["at"], reverse=True),
        "reference": iso11649.format(reference) if iso11649.is_valid(reference) else reference,
        "form": OutcomeForm(),
        "may_send": may_send and state == InstructionState.DRAFT,
        "may_withdraw": may_send and state not in {*ENDED, InstructionState.IN_PROGRESS},
        "may_answer": may_answer,
        "may_finish": may_answer and instruction.kind in _BY_HAND,
        "is_closing": instruction.kind in ClientInstruction.CLOSING,
        "may_book_out": instruction.kind == Kind.TRANSFER_OUT
        and state in {InstructionState.ACCEPTED, InstructionState.IN_PROGRESS}
        and may(request.user, "settlement.edit", instruction)
        and performs(Duty.SETTLEMENT, instruction.mandate)
        and not performs(Duty.MANAGEMENT, instruction.mandate),
        "is_cash": instruction.kind not in _BY_HAND,
        "booked": booked_for(instruction) if may_answer and state == InstructionState.IN_PROGRESS else None,
        "is_new": state in {InstructionState.SENT, InstructionState.RECEIVED},
    }
    mark = mark_of([state, [each.pk for each in instruction.outcomes.all()], may_answer, is_held_up])
    # Whoever has seen it is told nothing.
    if request.GET.get("seen") != mark:
        audit_reading(instruction, by=request.user)
    return live(request, "clients/instruction_detail.html", "clients/_instruction_live.html", mark, context)


def _own_instruction(request: PersonRequest, pk: uuid.UUID) -> ClientInstruction:
    rows = ClientInstruction.objects.with_right(request.user, "instruction.send").own()
    instruction: ClientInstruction = get_object_or_404(rows, pk=pk)
    return instruction


@require_POST
@signed_in("instruction.send")
def instruction_send(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Send a draft."""
    instruction = services.send_instruction(instruction=_own_instruction(request, pk), by=request.user)
    messages.success(request, _("Sent. You see here what becomes of it."))
    return redirect("clients:instruction_detail", instruction.pk)


@require_POST
@signed_in("instruction.send")
def instruction_withdraw(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Withdraw an instruction that is not being carried out yet."""
    instruction = services.withdraw_instruction(instruction=_own_instruction(request, pk), by=request.user)
    messages.success(request, _("Withdrawn."))
    return redirect("clients:instruction_detail", instruction.pk)


@require_POST
@signed_in("instruction.answer")
def instruction_answer(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Record what became of an instruction; one to close is carried out on a page that shows what it books."""
    rows = ClientInstruction.objects.with_right(request.user, "instruction.answer")
    instruction = get_object_or_404(rows.to_answer(), pk=pk)
    form = OutcomeForm(request.POST)
    if not form.is_valid():
        raise Http404
    outcome, note = form.cleaned_data["outcome"], form.cleaned_data["note"]
    if outcome == Outcome.DONE and instruction.kind in ClientInstruction.CLOSING:
        return redirect("portfolios:instruction_finish", instruction.pk)
    if outcome != Outcome.DONE or instruction.kind in _BY_HAND:
        services.answer_by_hand(instruction=instruction, outcome=outcome, note=note, by=request.user)
    elif instruction.state == InstructionState.IN_PROGRESS:
        services.close_short(instruction=instruction, note=note, by=request.user)
    else:
        raise DomainError("booked_elsewhere", _("Cash is done when it is booked. Do that on the desk."))
    messages.success(request, _("Answered. The advisor sees it."))
    return redirect("clients:instruction_detail", instruction.pk)
