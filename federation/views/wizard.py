"""The wizard: from a partner to a proposal, one page a step, each saved and open to come back to."""

import uuid
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from accounts.errors import DomainError
from accounts.models import audit
from accounts.views_base import signed_in
from federation import scope
from federation.agreements import drafting, offers, proposals
from federation.agreements.difference import difference
from federation.agreements.presets import PRESETS, preset_of
from federation.agreements.sharing import division_shown, entry_name, withholdable
from federation.forms import OfferForm, PartnerForm, TermsForm, WithholdForm, WorkForm
from federation.models import Agreement, AgreementVersion, Institution, Side
from federation.views.agreements import draft_or_404
from federation.views.base import (
    EDIT,
    agreement_or_404,
    institution_of,
    say,
    show_refusal,
    sides,
    user_of,
)
from federation.views.previews import preview_shown
from models_portfolio.models import ModelPortfolio, Offer

STEPS: dict[str, str | Promise] = {
    "partner": gettext_lazy("Partner"),
    "work": gettext_lazy("Way of working"),
    "sharing": gettext_lazy("What is shared"),
    "offers": gettext_lazy("Models on offer"),
    "preview": gettext_lazy("What the partner will see"),
    "propose": gettext_lazy("Terms and proposal"),
}

# What the button sends that narrows and leaves the terms as they are in force.
KEEPING_TERMS = "keeping_terms"


def steps_for(version: AgreementVersion | None) -> list[str]:
    """Return the steps of a draft; the parties stay once it was proposed, and offers once it was agreed."""
    if version is None or version.agreement.state == Agreement.State.DRAFT:
        return list(STEPS)
    is_agreed = version.agreement.version is not None
    return [step for step in STEPS if step != "partner" and not (is_agreed and step == "offers")]


def _page(request: HttpRequest, step: str, version: AgreementVersion | None, **context: Any) -> HttpResponse:
    steps = steps_for(version)
    place = steps.index(step)

    def url(name: str) -> str:
        return reverse("federation:draft_step", args=[version.agreement_id, name]) if version else ""

    about = sides(version.agreement, institution_of(request)) if version else {"us": institution_of(request)}
    return render(
        request,
        f"federation/wizard_{step}.html",
        {
            **about,
            "version": version,
            "step": step,
            "step_title": STEPS[step],
            "steps": [
                {"label": STEPS[name], "url": url(name), "is_current": name == step, "is_done": index < place}
                for index, name in enumerate(steps)
            ],
            "back_url": url(steps[place - 1]) if place and version else reverse("federation:agreements"),
            **context,
        },
    )


def _next(version: AgreementVersion, step: str) -> HttpResponse:
    steps = steps_for(version)
    return redirect("federation:draft_step", version.agreement_id, steps[steps.index(step) + 1])


def _chosen_partner(form: PartnerForm, request: HttpRequest) -> Institution:
    data = form.cleaned_data
    if data["partner"] is not None:
        partner: Institution = data["partner"]
        return partner
    return drafting.register_external(
        by=user_of(request),
        institution=institution_of(request),
        name=data["external_name"],
        country=data["external_country"],
        lei=data["external_lei"],
        contact=data["external_contact"],
    )


@signed_in(EDIT)
def agreement_new(request: HttpRequest) -> HttpResponse:
    """Choose the partner and the side: that is the draft."""
    institution = institution_of(request)
    initial = {
        "side": Side.MANAGER if institution.is_manager and not institution.is_channel else Side.CHANNEL
    }
    form = PartnerForm(request.POST or None, institution=institution, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            with transaction.atomic():
                agreement = drafting.draft(
                    by=user_of(request),
                    institution=institution,
                    partner=_chosen_partner(form, request),
                    side=form.cleaned_data["side"],
                    name=form.cleaned_data["name"],
                )
        except DomainError as error:
            show_refusal(form, error)
        else:
            return redirect("federation:draft_step", agreement.pk, "work")
    return _page(request, "partner", None, form=form)


def _partner(request: HttpRequest, version: AgreementVersion) -> HttpResponse:
    institution, agreement = institution_of(request), version.agreement
    initial = {
        "side": agreement.side_of(institution),
        "partner": agreement.partner_of(institution),
        "name": agreement.name,
    }
    form = PartnerForm(request.POST or None, institution=institution, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            with transaction.atomic():
                drafting.set_parties(
                    version,
                    by=user_of(request),
                    institution=institution,
                    partner=_chosen_partner(form, request),
                    side=form.cleaned_data["side"],
                    name=form.cleaned_data["name"],
                )
        except DomainError as error:
            show_refusal(form, error)
        else:
            return _next(version, "partner")
    return _page(request, "partner", version, form=form)


def _work(request: HttpRequest, version: AgreementVersion) -> HttpResponse:
    chosen = preset_of(version.division, version.private)
    form = WorkForm(
        request.POST or None,
        initial={"preset": chosen},
        agreement=version.agreement,
        division=version.division,
        private=version.private,
    )
    if request.method == "POST" and form.is_valid():
        try:
            drafting.divide(
                version, by=user_of(request), institution=institution_of(request), **form.values()
            )
        except DomainError as error:
            for sentence in error.data.get("objections") or [error.message]:
                form.add_error("preset", sentence)
        else:
            return _next(version, "work")
    pictures = [
        {
            "preset": preset,
            "is_chosen": name == (form["preset"].value() or chosen),
            "division": division_shown(
                AgreementVersion(
                    agreement=version.agreement, division=preset.division, private=list(preset.private)
                )
            ),
        }
        for name, preset in PRESETS.items()
    ]
    return _page(
        request,
        "work",
        version,
        form=form,
        pictures=pictures,
        is_custom=(form["preset"].value() or chosen) == Agreement.Preset.CUSTOM,
    )


def _sharing(request: HttpRequest, version: AgreementVersion) -> HttpResponse:
    institution = institution_of(request)
    side = version.agreement.side_of(institution)
    entries = withholdable(version.division, version.private, side)
    form = WithholdForm(
        request.POST or None,
        entries={entry: entry_name(entry) for entry in entries},
        shared=set(entries) - set(version.withheld),
    )
    if request.method == "POST" and form.is_valid():
        drafting.withhold(version, by=user_of(request), institution=institution, withheld=form.withheld)
        return _next(version, "sharing")
    return _page(
        request,
        "sharing",
        version,
        form=form,
        division=division_shown(version),
        choices=_choices(form, entries),
    )


def _choices(form: WithholdForm, entries: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Return, by kind, the box of the kind itself (None where it is needed) and those of its fields."""
    grouped: dict[str, dict[str, Any]] = {}
    for entry in entries:
        is_kind = entry in scope.by_label()
        label = entry if is_kind else entry.rpartition(".")[0]
        group = grouped.setdefault(label, {"box": None, "fields": []})
        if is_kind:
            group["box"] = form[entry]
        else:
            group["fields"].append({"box": form[entry], "name": entry_name(entry).partition(": ")[2]})
    return grouped


def offer_form(request: HttpRequest, agreement: Agreement, *, bound: bool) -> OfferForm:
    """Return the form of a further offer: own models that are not offered under this agreement yet."""
    offered = Offer.objects.own().filter(agreement=agreement.pk).values("model")
    models = ModelPortfolio.objects.own().current().exclude(pk__in=offered)
    return OfferForm(request.POST if bound else None, models=models)


def _offers(request: HttpRequest, version: AgreementVersion) -> HttpResponse:
    institution, agreement = institution_of(request), version.agreement
    is_manager = agreement.side_of(institution) == Side.MANAGER
    adds = request.method == "POST" and "add" in request.POST and is_manager
    form = offer_form(request, agreement, bound=adds) if is_manager else None
    if request.method == "POST" and not adds:
        return _next(version, "offers")
    if adds and form is not None and form.is_valid():
        try:
            offers.offer(agreement, by=user_of(request), institution=institution, **form.values())
        except DomainError as error:
            show_refusal(form, error)
        else:
            return redirect("federation:draft_step", agreement.pk, "offers")
    own = Offer.objects.own().filter(agreement=agreement.pk).select_related("model")
    return _page(request, "offers", version, form=form, offers=own)


def _preview(request: HttpRequest, version: AgreementVersion) -> HttpResponse:
    if request.method == "POST":
        return _next(version, "preview")
    return _page(
        request, "preview", version, division=division_shown(version), kinds=preview_shown(request, version)
    )


def _proposed(version: AgreementVersion, partner: Institution) -> str:
    """Return what came of a proposal, and what comes next."""
    if version.in_force_from is not None:
        return _("In force: what you no longer share stopped crossing.")
    if partner.is_hosted:
        return _("Proposed. Your partner finds it in its list of agreements.")
    return _(
        "Proposed. %(partner)s is not on this platform: send it the wording, and record its answer here."
    ) % {"partner": partner.short_name}


def _propose(request: HttpRequest, version: AgreementVersion) -> HttpResponse:
    institution, agreement = institution_of(request), version.agreement
    form = TermsForm(request.POST or None, instance=version)
    if request.method == "POST" and form.is_valid():
        wording = form.cleaned_data
        if request.POST.get("narrow") == KEEPING_TERMS and agreement.version is not None:
            wording = {name: getattr(agreement.version, name) for name in wording}
        drafting.word(version, by=user_of(request), institution=institution, **wording)
        if "save" in request.POST:
            say(request, _("Saved. Your partner sees nothing of it until you propose."))
            return redirect("federation:agreement_detail", agreement.pk)
        try:
            proposed = proposals.propose(
                version, by=user_of(request), institution=institution, alone="narrow" in request.POST
            )
        except DomainError as error:
            show_refusal(form, error)
        else:
            say(request, _proposed(proposed, agreement.partner_of(institution)))
            return redirect("federation:agreement_detail", agreement.pk)
    version.refresh_from_db(fields=["terms", "retention_years"])
    version.agreement = agreement
    change = difference(agreement.version, version) if agreement.version else None
    side = agreement.side_of(institution)
    return _page(
        request,
        "propose",
        version,
        form=form,
        difference=change,
        takes_one=change is not None and change.takes_one(side),
        takes_one_keeping_terms=change is not None and change.without_terms().takes_one(side),
        keeping_terms=KEEPING_TERMS,
        division=division_shown(version),
    )


PAGES = {
    "partner": _partner,
    "work": _work,
    "sharing": _sharing,
    "offers": _offers,
    "preview": _preview,
    "propose": _propose,
}


@signed_in(EDIT)
def draft_step(request: HttpRequest, pk: uuid.UUID, step: str) -> HttpResponse:
    """Show and save one step of a draft."""
    agreement = agreement_or_404(request, pk)
    if step not in STEPS:
        raise Http404
    try:
        version = draft_or_404(request, agreement)
    except Http404:
        # The browser's Back leads here once it was proposed or discarded, as does a page that is open elsewhere.
        if request.method == "POST":
            messages.error(request, _("Nothing was saved: this draft was proposed or discarded meanwhile."))
        return redirect("federation:agreement_detail", agreement.pk)
    if step not in steps_for(version):
        raise Http404
    return PAGES[step](request, version)


@require_POST
@signed_in(EDIT)
def draft_discard(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Throw a draft away."""
    version = draft_or_404(request, agreement_or_404(request, pk))
    left = drafting.discard(version, by=user_of(request), institution=institution_of(request))
    say(request, _("The draft is gone."))
    return redirect("federation:agreement_detail", left.pk) if left else redirect("federation:agreements")


@require_POST
@signed_in(EDIT)
def offer_remove(request: HttpRequest, pk: uuid.UUID, offer_pk: uuid.UUID) -> HttpResponse:
    """Take an offer out of an agreement that was never in force."""
    agreement = agreement_or_404(request, pk)
    draft_or_404(request, agreement)
    offers.remove(agreement, offer_pk, by=user_of(request), institution=institution_of(request))
    audit("agreement.changed", agreement, by=user_of(request))
    return redirect("federation:draft_step", agreement.pk, "offers")
