"""Switches of an agreement: suspend, resume, wind down, end, and being named in public."""

import uuid

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts.adapters import own_url
from accounts.errors import DomainError
from accounts.views_base import form_on, signed_in
from federation.agreements import life, offers, tokens
from federation.agreements.open_work import open_work
from federation.forms import ReasonForm, TokenForm
from federation.models import Agreement, AgreementToken, Side, Suspension
from federation.views.base import (
    EDIT,
    agreement_or_404,
    institution_of,
    say,
    sees_records,
    show_refusal,
    sides,
    user_of,
)
from federation.views.wizard import offer_form


def _back(request: HttpRequest, agreement: Agreement) -> HttpResponse:
    url = request.POST.get("next", "")
    if url.startswith("/") and url_has_allowed_host_and_scheme(url, allowed_hosts={request.get_host()}):
        return redirect(url)
    return redirect("federation:agreement_detail", agreement.pk)


@require_POST
@signed_in(EDIT)
def switch(request: HttpRequest, pk: uuid.UUID, what: str, action: str) -> HttpResponse:
    """Suspend or resume new mandates or everything, with effect at once."""
    agreement = agreement_or_404(request, pk)
    if what not in Suspension.What.values or action not in {"suspend", "resume"}:
        raise Http404
    by, institution = user_of(request), institution_of(request)
    if action == "suspend":
        reason = request.POST.get("reason", "").strip()
        life.suspend(agreement, by=by, institution=institution, what=what, reason=reason)
        say(request, _("Suspended. From this moment on nothing new crosses.") if what == "everything"
            else _("Suspended. No new mandate crosses from this moment on."))  # fmt: skip
    else:
        life.resume(agreement, by=by, institution=institution, what=what)
        say(request, _("Resumed. What has changed since is on its way."))
    return _back(request, agreement)


@signed_in(EDIT)
def wind_down(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """State what winding down means, then do it."""
    agreement = agreement_or_404(request, pk)
    form = ReasonForm(request.POST or None, required=False)
    if request.method == "POST" and form.is_valid():
        life.wind_down(
            agreement,
            by=user_of(request),
            institution=institution_of(request),
            reason=form.cleaned_data["reason"],
        )
        say(request, _("The agreement winds down. It takes no new mandates."))
        return redirect("federation:agreement_detail", agreement.pk)
    if agreement.state != Agreement.State.ACTIVE:
        # The browser's Back leads here once it has been done.
        return redirect("federation:agreement_detail", agreement.pk)
    about = sides(agreement, institution_of(request))
    return render(
        request,
        "federation/wind_down.html",
        {**about, "form": form, "open_work": open_work(agreement), "sees_records": sees_records(request)},
    )


@signed_in(EDIT)
def terminate(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """State what ending means and what is still open, then end an agreement with nothing open."""
    agreement = agreement_or_404(request, pk)
    institution = institution_of(request)
    form = ReasonForm(request.POST or None, required=False)
    if request.method == "POST" and form.is_valid():
        try:
            life.terminate(
                agreement, by=user_of(request), institution=institution, reason=form.cleaned_data["reason"]
            )
        except DomainError as error:
            show_refusal(form, error)
        else:
            say(request, _("The agreement has ended."))
            return redirect("federation:agreement_detail", agreement.pk)
    if agreement.state not in {Agreement.State.ACTIVE, Agreement.State.WINDING_DOWN}:
        return redirect("federation:agreement_detail", agreement.pk)
    here, elsewhere = life.open_anywhere(agreement, institution)
    return render(
        request,
        "federation/terminate.html",
        {
            **sides(agreement, institution),
            "form": form,
            "open_work": here,
            "sees_records": sees_records(request),
            "open_at_partner": elsewhere,
            "version": agreement.version,
        },
    )


@require_POST
@signed_in(EDIT)
def cut(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """End an agreement at once, whatever is open."""
    agreement = agreement_or_404(request, pk)
    life.cut(
        agreement,
        by=user_of(request),
        institution=institution_of(request),
        reason=request.POST.get("reason", ""),
    )
    say(request, _("Cut off. Nothing crosses any more; the timeline says what was left open."))
    return redirect("federation:agreement_detail", agreement.pk)


@require_POST
@signed_in(EDIT)
def listing(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Agree to be named in public as working together, or no longer."""
    agreement = agreement_or_404(request, pk)
    agreed = request.POST.get("agreed") == "1"
    life.list_publicly(agreement, by=user_of(request), institution=institution_of(request), agreed=agreed)
    return redirect("federation:agreement_detail", agreement.pk)


@signed_in(EDIT)
def offer_add(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Offer a further model under an agreement."""
    agreement = agreement_or_404(request, pk)
    institution = institution_of(request)
    if agreement.side_of(institution) != Side.MANAGER or not agreement.takes_offers:
        raise Http404
    form = offer_form(request, agreement, bound=request.method == "POST")
    if request.method == "POST" and form.is_valid():
        try:
            offers.offer(agreement, by=user_of(request), institution=institution, **form.values())
        except DomainError as error:
            show_refusal(form, error)
        else:
            say(
                request,
                _("Offered. Your partner sees it within moments.")
                if agreement.is_live
                else _("Offered. Your partner sees it once records cross."),
            )
            return redirect("federation:agreement_detail", agreement.pk)
    return render(request, "federation/offer_form.html", {**sides(agreement, institution), "form": form})


@require_POST
@signed_in(EDIT)
def offer_switch(request: HttpRequest, pk: uuid.UUID, offer_pk: uuid.UUID) -> HttpResponse:
    """Open an offer for new mandates, or close it."""
    agreement = agreement_or_404(request, pk)
    offers.set_open(
        agreement,
        offer_pk,
        by=user_of(request),
        institution=institution_of(request),
        is_open=request.POST.get("open") == "1",
    )
    return redirect("federation:agreement_detail", agreement.pk)


@signed_in("token.edit")
@form_on("federation:agreement_detail")
def token_make(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Make a token and show it, once."""
    agreement = agreement_or_404(request, pk)
    institution = institution_of(request)
    form = TokenForm(request.POST)
    text = ""
    if form.is_valid():
        try:
            _token, text = tokens.make_token(
                agreement,
                by=user_of(request),
                institution=institution,
                name=form.cleaned_data["name"],
                expires_at=form.expires_at,
            )
        except DomainError as error:
            show_refusal(form, error)
    base = own_url(request, "/api/v1/agreement/")
    response = render(
        request,
        "federation/token_made.html",
        {**sides(agreement, institution), "form": form, "text": text, "base": base},
        status=200 if text else 422,
    )
    response["Cache-Control"] = "no-store"
    return response


@require_POST
@signed_in("token.edit")
def token_revoke(request: HttpRequest, pk: uuid.UUID, token_pk: uuid.UUID) -> HttpResponse:
    """Revoke a token at once."""
    agreement = agreement_or_404(request, pk)
    institution = institution_of(request)
    token = get_object_or_404(AgreementToken, pk=token_pk, agreement=agreement, issuer=institution)
    tokens.revoke_token(token, by=user_of(request), institution=institution)
    say(request, _("Revoked. The token is refused from now on."))
    return redirect("federation:agreement_detail", agreement.pk)
