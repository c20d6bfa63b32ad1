"""The pages on which an advisor and a client choose a plan."""

import uuid
from typing import Any

from django import forms
from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.errors import DomainError
from accounts.views_base import PersonRequest, signed_in
from clients import services, words
from clients.calculations.states import MandateState
from clients.models import ClientInstruction, Mandate
from clients.onboarding import draft_of, no_draft, steps
from models_portfolio.offers import Card, cards, choice_of


class ChoiceForm(forms.Form):
    """The plan that was chosen, with a reason where it does not suit."""

    offer = forms.UUIDField()
    override_reason = forms.CharField(
        label=gettext_lazy("Why does the client want it all the same?"),
        widget=forms.Textarea(attrs={"rows": 2}),
        required=False,
        max_length=2000,
    )
    wanted_date = forms.DateField(required=False)


def _chosen(request: PersonRequest, shown: list[Card]) -> tuple[ChoiceForm, Card]:
    form = ChoiceForm(request.POST)
    if not form.is_valid():
        raise DomainError("choice_invalid", _("Choose one of the plans."))
    card = next((each for each in shown if each.offer.pk == form.cleaned_data["offer"]), None)
    if card is None:
        raise Http404
    return form, card


@signed_in("mandate.edit")
def offer_step(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Step three of a new client: choose a plan among what the managers offer."""
    mandate = draft_of(request, pk)
    if mandate is None:
        return no_draft(request, pk)
    if mandate.risk_profile is None or mandate.amount is None:
        return redirect("clients:profile", mandate.pk)
    is_again = mandate.submission > 0
    shown = cards(
        mandate,
        request.user,
        profile=mandate.risk_profile,
        amount=mandate.amount,
        only_agreement=mandate.agreement,
        is_change=is_again,
    )
    failed: dict[str, Any] = {}
    if request.method == "POST":
        form, card = _chosen(request, shown)
        reason = form.cleaned_data["override_reason"]
        try:
            mandate = services.choose_plan(
                mandate=mandate, choice=choice_of(card), by=request.user, override_reason=reason
            )
        except DomainError as error:
            failed = {"offer": card.offer.pk, "error": error.message, "typed": reason}
        else:
            return redirect("clients:mandate_detail" if is_again else "clients:review", mandate.pk)
    profile = mandate.risk_profile
    assert profile is not None
    return render(
        request,
        "models_portfolio/offer_step.html",
        {
            "mandate": mandate,
            "client": mandate.client,
            "steps": steps(3, mandate),
            "cards": shown,
            "suiting": sum(card.suits for card in shown),
            "waiting": sum(card.waits for card in shown),
            "failed": failed,
            "profile": profile,
            "parts": words.parts(profile),
            "level_name": words.level_name(profile.level),
            "meaning": words.meaning(profile.level),
            "why": words.why(profile),
            "sustainability": words.SUSTAINABILITY.get(profile.sustainability, ""),
            "scale": range(1, 8),
        },
    )


@signed_in("instruction.send")
def offer_change(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Instruct the same manager to follow another plan."""
    mandates = (
        Mandate.objects.with_right(request.user, "instruction.send").own().in_state(MandateState.ACTIVE)
    )
    mandate = get_object_or_404(mandates.select_related("client"), pk=pk)
    profile = mandate.client.valid_profile() if mandate.client else None
    shown = [
        card
        for card in cards(
            mandate,
            request.user,
            profile=profile,
            amount=None,
            only_agreement=mandate.agreement,
            is_change=True,
        )
        if not card.is_chosen
    ]
    failed: dict[str, Any] = {}
    if request.method == "POST":
        form, card = _chosen(request, shown)
        reason = form.cleaned_data["override_reason"]
        try:
            instruction = _instruct(request, mandate, card, form)
        except DomainError as error:
            failed = {"offer": card.offer.pk, "error": error.message, "typed": reason}
        else:
            messages.success(request, _("Sent. You see here what becomes of it."))
            return redirect("clients:instruction_detail", instruction.pk)
    return render(
        request,
        "models_portfolio/offer_change.html",
        {
            "mandate": mandate,
            "client": mandate.client,
            "cards": shown,
            "failed": failed,
            "profile": profile,
            "level_name": words.level_name(profile.level) if profile else "",
            "scale": range(1, 8),
            "is_change": True,
        },
    )


@transaction.atomic
def _instruct(request: PersonRequest, mandate: Mandate, card: Card, form: ChoiceForm) -> ClientInstruction:
    reason = form.cleaned_data["override_reason"].strip()
    if not card.suits and not card.can_override:
        raise DomainError("offer_unsuitable", card.reasons[0].message)
    if not card.suits and not reason:
        raise DomainError(
            "override_needs_reason",
            _("This plan does not suit the profile. Say why the client wants it all the same."),
        )
    instruction = services.draft_instruction(
        mandate=mandate,
        kind=ClientInstruction.Kind.MODEL_CHANGE,
        by=request.user,
        new_plan=services.NewPlan(offer=card.offer.pk, name=card.offer.name),
        wanted_date=form.cleaned_data["wanted_date"],
        note=_("The client’s reason: %(reason)s") % {"reason": reason} if not card.suits else "",
    )
    return services.send_instruction(instruction=instruction, by=request.user)
