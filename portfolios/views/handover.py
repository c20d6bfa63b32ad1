"""Handover of a client's portfolio to the next manager: begun by the sales side, taken over by the successor."""

import uuid
from decimal import Decimal

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from accounts.errors import DomainError
from accounts.models import User, audit_reading
from accounts.rights import may, roles_with
from accounts.views_base import PersonRequest, signed_in
from clients.calculations.states import InstructionState, MandateState
from clients.duties import Duty, performs
from clients.models import ClientInstruction, Mandate
from clients.services import start_mandate
from clients.services.instructions import ENDED
from portfolios.forms import NoteForm
from portfolios.models import Handover, Portfolio, Valuation
from portfolios.services.handover import (
    TAKES_OVER_IN,
    Ending,
    book_out_rest,
    carry_out,
    complete_as_submitted,
    complete_handover,
    ending_of,
    is_out_of_reach,
    ready,
    snapshot,
    take_over,
    waiting,
)

SETTLES = "settlement.edit"
TAKES_OVER = ("portfolio.manage", SETTLES)


def may_take_over(user: User, mandate: Mandate) -> bool:
    """Say whether a user may book what was handed over under a mandate."""
    return (
        mandate.state in TAKES_OVER_IN
        and performs(Duty.SETTLEMENT, mandate)
        and Mandate.objects.managed_by(user, roles_with(*TAKES_OVER)).filter(pk=mandate.pk).exists()
    )


def may_book_out(user: User, portfolio: Portfolio) -> bool:
    """Say whether a user may book out what a closed portfolio holds."""
    ours = Portfolio.objects.with_right(user, SETTLES).performed_here(Duty.SETTLEMENT)
    return ours.filter(pk=portfolio.pk).exists()


@signed_in("mandate.edit")
def handover_start(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Show what would be handed over of a mandate, and begin the mandate of the next manager."""
    mandate = get_object_or_404(Mandate.objects.to_hand_over(request.user).select_related("client"), pk=pk)
    assert mandate.client is not None
    audit_reading(mandate.shown_portfolio, by=request.user)
    successor = mandate.successor
    if request.method == "POST" and successor is None:
        started = start_mandate(
            client=mandate.client, by=request.user, predecessor=mandate, amount=_latest_value(mandate)
        )
        return redirect("clients:profile", started.pk)
    try:
        taken, problem = snapshot(mandate), ""
    except DomainError as error:
        taken, problem = None, str(error.message)
    return render(
        request,
        "portfolios/handover_start.html",
        {
            "mandate": mandate,
            "client": mandate.client,
            "successor": successor,
            "handover": taken.handover if taken else None,
            "positions": taken.positions if taken else [],
            "problem": problem,
        },
    )


def _latest_value(mandate: Mandate) -> Decimal | None:
    """Return what the portfolio of a mandate was last worth, in whole units of its currency, if that is known."""
    latest = Valuation.objects.current().filter(portfolio__mandate=mandate).order_by("-date").first()
    if latest is None or latest.market_value is None:
        return None
    return Decimal(latest.market_value).quantize(Decimal(1))


@signed_in()
def handover(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Show what was handed over to the manager of a mandate, on both sides."""
    visible = Handover.objects.visible_to(request.user).select_related("mandate__client")
    given = get_object_or_404(visible, mandate=pk)
    audit_reading(given, by=request.user)
    mandate = given.mandate
    is_own, former = not given.is_received, mandate.predecessor
    waits = set(waiting(given).values_list("pk", flat=True))
    positions = given.listed()
    is_begun = len(waits) < len(positions)
    is_waiting = given.booked_out_on is None and not is_begun
    return render(
        request,
        "portfolios/handover_detail.html",
        {
            "mandate": mandate,
            "handover": given,
            "positions": positions,
            "waits": waits if is_begun else (),
            "is_closed": mandate.state == MandateState.CLOSED,
            "portfolio": mandate.shown_portfolio,
            "is_done": is_begun and not waits,
            "is_empty": given.booked_out_on is not None and not positions,
            "is_waiting": is_waiting,
            "former": former if is_own else None,
            "may_instruct_former": Mandate.objects.to_hand_over(request.user)
            .filter(pk=mandate.predecessor_id)
            .exists(),
            "is_unknown": is_own and former is not None and is_out_of_reach(former),
            "may_complete": is_own and is_waiting and may(request.user, "mandate.edit", mandate),
            "may_take_over": ready().filter(pk=given.pk).exists() and may_take_over(request.user, mandate),
        },
    )


@require_POST
@signed_in("mandate.edit")
def handover_complete(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Hand over what the former manager has booked out, or what is known where its agreement has ended."""
    mandate = get_object_or_404(Mandate.objects.with_right(request.user, "mandate.edit").own(), pk=pk)
    former = mandate.predecessor
    get_object_or_404(Handover.objects.own(), mandate=mandate)
    assert former is not None
    if "as_submitted" in request.POST:
        complete_as_submitted(former=former, by=request.user)
    elif complete_handover(former=former, by=request.user) is None:
        raise DomainError(
            "not_booked_out",
            _("What the former manager booked out has not arrived here, or not all of it. Try again later."),
        )
    messages.success(request, _("Handed over. The new manager can book the positions."))
    return redirect("portfolios:handover", mandate.pk)


@require_POST
@signed_in(TAKES_OVER)
def handover_take(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Book what was handed over, with its dates and costs."""
    managed = Mandate.objects.managed_by(request.user, roles_with(*TAKES_OVER))
    mandate = get_object_or_404(Mandate.objects.filter(pk__in=managed.values("pk")), pk=pk)
    given = get_object_or_404(Handover.objects.current().select_related("mandate"), mandate=mandate)
    booked = take_over(handover=given, by=request.user)
    count = len(booked)
    messages.success(
        request,
        ngettext("Booked: %(count)d transfer in kind.", "Booked: %(count)d transfers in kind.", count)
        % {"count": count},
    )
    return redirect("portfolios:portfolio_transactions", mandate.portfolio.pk)


@require_POST
@signed_in(SETTLES)
def rest_book_out(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Book out what a closed portfolio holds because an entry came late."""
    portfolios = Portfolio.objects.with_right(request.user, SETTLES).select_related("mandate")
    portfolio = get_object_or_404(portfolios, pk=pk)
    if book_out_rest(portfolio=portfolio, by=request.user):
        messages.success(request, _("Booked out. Nothing is left in the portfolio."))
    else:
        messages.info(request, _("Nothing is left to book out."))
    return redirect("portfolios:portfolio_detail", portfolio.pk)


@signed_in(("instruction.answer", SETTLES))
def instruction_finish(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Show what an instruction to close books, and book just that; portfolio and mandate close with it."""
    instruction = _to_finish(request.user, pk)
    if instruction.state in {InstructionState.DRAFT, *ENDED}:
        if request.method == "POST":
            messages.warning(request, _("This was answered already. What you sent now was not recorded."))
        return redirect("clients:instruction_detail", pk)
    # From the instruction's page comes what was written there so far, and nothing is booked yet.
    form = NoteForm(request.POST or None)
    refusal = ""
    if "seen" in request.POST and form.is_valid():
        try:
            done = carry_out(
                instruction=instruction,
                by=request.user,
                seen=request.POST["seen"],
                note=form.cleaned_data["note"],
            )
        except DomainError as error:
            refusal = str(error.message)
        else:
            messages.success(request, _finished(done))
            return redirect("clients:instruction_detail", pk)
    ending = ending_of(instruction)
    return render(
        request,
        "portfolios/instruction_finish.html",
        {
            "instruction": instruction,
            "mandate": instruction.mandate,
            "portfolio": ending.portfolio,
            "ending": ending,
            "problem": ending.problem or refusal,
            "form": form,
            "label": _finish_label(ending),
            "valuation": Valuation.objects.current()
            .filter(portfolio=ending.portfolio, is_latest=True)
            .first(),
        },
    )


def _to_finish(user: User, pk: uuid.UUID) -> ClientInstruction:
    """Return an instruction to close that a user may carry out: whoever manages, or keeps the ledger for another."""
    closing = ClientInstruction.objects.current().filter(
        kind__in=ClientInstruction.CLOSING, mandate__portfolio__isnull=False
    )
    instruction: ClientInstruction = get_object_or_404(closing.select_related("mandate__portfolio"), pk=pk)
    if performs(Duty.MANAGEMENT, instruction.mandate):
        right = "instruction.answer"
    elif instruction.kind == ClientInstruction.Kind.TRANSFER_OUT and performs(
        Duty.SETTLEMENT, instruction.mandate
    ):
        right = SETTLES
    else:
        raise Http404
    if not may(user, right, instruction):
        raise Http404
    return instruction


def _finish_label(ending: Ending) -> str:
    """Return what the button does."""
    count = len(ending.positions)
    if not ending.entries:
        return _("Close portfolio and mandate") if ending.closes else ""
    if not count:
        return _("Transfer out the cash and close") if ending.closes else _("Transfer out the cash")
    if ending.closes:
        text = ngettext(
            "Transfer out %(count)d position and close", "Transfer out %(count)d positions and close", count
        )
    else:
        text = ngettext("Transfer out %(count)d position", "Transfer out %(count)d positions", count)
    return text % {"count": count}


def _finished(ending: Ending) -> str:
    if ending.closes:
        return _("Portfolio %(number)s and its mandate are closed. The advisor sees it.") % {
            "number": ending.portfolio.number
        }
    return _("Booked out. Whoever manages the portfolio can close it.")
