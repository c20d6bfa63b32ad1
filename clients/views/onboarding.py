"""A new client in four steps; the draft mandate is the state, so each step can be resumed."""

import uuid
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts.errors import DomainError
from accounts.lists import whole_number
from accounts.views_base import PersonRequest, signed_in
from clients import disclosure, services, wishes, words
from clients.forms import KycForm, PartyFormSet, PlanForm, QuestionnaireForm, SubmitForm, WhoForm
from clients.forms.who import stored, stored_parties
from clients.models import Client, KycStatus, Mandate
from clients.onboarding import draft_of, next_url, no_draft, steps
from clients.partners import partners

_PARTY_FIELDS = ("role", "name", "birth_date", "country", "national_id")
_MOST_PARTIES = 50


class WhoPage:
    """The form of step one: a posted one, or one that only changes its kind or number of lines."""

    def __init__(self, request: PersonRequest, client: Client | None) -> None:
        self.request, self.client = request, client
        self.is_redraw = "_switch" in request.POST or "_add" in request.POST
        self.is_sent = request.method == "POST" and not self.is_redraw
        asked = request.POST.get("kind") or request.GET.get("kind") or (client.kind if client else "")
        self.kind = asked if asked in Client.Kind.values else Client.Kind.PERSON.value
        self.form = self._form()
        self.parties = self._parties() if self.kind == Client.Kind.COMPANY else None
        self.same: list[Client] = []

    def _form(self) -> WhoForm:
        initial: dict[str, Any] = {"language": "en", "currency": "EUR"}
        if self.client:
            initial = {**stored(self.client), "kind": self.client.kind}
        if self.is_sent:
            return WhoForm(self.request.POST, kind=self.kind, initial=initial)
        form = WhoForm(kind=self.kind, initial=initial)
        typed = {name: value for name, value in self.request.POST.items() if name in form.fields}
        form.initial.update(typed, kind=self.kind)
        return form

    def _parties(self) -> Any:
        if self.is_sent:
            return PartyFormSet(self.request.POST, prefix="party")
        lines = self._typed_lines() if self.is_redraw else []
        if "_add" in self.request.POST:
            lines.append({})
        return PartyFormSet(initial=lines or stored_parties(self.client), prefix="party")

    def _typed_lines(self) -> list[dict[str, Any]]:
        count = min(whole_number(self.request.POST.get("party-TOTAL_FORMS", ""), 0), _MOST_PARTIES)
        return [
            {name: self.request.POST.get(f"party-{index}-{name}", "") for name in _PARTY_FIELDS}
            for index in range(count)
        ]

    def is_valid(self) -> bool:
        """Say whether the form may be saved: filled in, and nobody whom the person sees here already."""
        valid = self.form.is_valid()
        if self.parties is not None:
            valid = self.parties.is_valid() and valid
        if valid:
            self.known = services.who_may_be(
                self.form.people(),
                by=self.request.user,
                registration_number=self.form.cleaned_data.get("registration_number", ""),
                but_not=self.client,
            )
            self.same = [] if self.form.cleaned_data["is_someone_else"] else list(self.known.seen[:5])
        return valid and not self.same

    @transaction.atomic
    def save(self) -> Client | None:
        """Enter or change the client that was sent; None where it was refused, which the form shows."""
        if not self.is_sent or not self.is_valid():
            return None
        client = self._saved()
        if client is not None:
            services.note_known(client, self.known, by=self.request.user)
        return client

    def _saved(self) -> Client | None:
        parties = self.parties.parties() if self.parties is not None else self.form.second_person()
        kind = self.form.cleaned_data["kind"]
        fields, contacts, by = self.form.client_fields(), self.form.contacts(), self.request.user
        try:
            if self.client is None:
                return services.create_client(
                    kind=kind, fields=fields, parties=parties, contacts=contacts, by=by
                )
            return services.change_client(
                client=self.client, kind=kind, fields=fields, parties=parties, contacts=contacts, by=by
            )
        except (DomainError, ValidationError) as error:
            self.form.refuse(error)
            return None

    def render(self, template: str, context: dict[str, Any]) -> HttpResponse:
        """Show the page, or only its fields when just these are drawn again."""
        context |= {
            "form": self.form,
            "parties": self.parties,
            "kind": self.kind,
            "kinds": Client.Kind.choices,
            "client": self.client,
            "same": self.same,
        }
        return render(self.request, "clients/_who.html" if self.is_redraw else template, context)


@signed_in("client.edit")
def client_create(request: PersonRequest) -> HttpResponse:
    """Step one for somebody new."""
    page = WhoPage(request, None)
    with transaction.atomic():
        client = page.save()
        if client is not None:
            mandate = services.start_mandate(client=client, by=request.user)
            return redirect("clients:profile", mandate.pk)
    return page.render("clients/onboarding_who.html", {"steps": steps(1, None)})


@signed_in("client.edit")
def who(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Step one again, for a draft."""
    mandate = draft_of(request, pk)
    if mandate is None:
        return no_draft(request, pk)
    page = WhoPage(request, mandate.client)
    if page.save():
        return redirect(next_url(mandate))
    return page.render("clients/onboarding_who.html", {"mandate": mandate, "steps": steps(1, mandate)})


@require_POST
@signed_in("mandate.edit")
def mandate_start(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Start a mandate for a client who is here already."""
    client = get_object_or_404(Client.objects.with_right(request.user, "mandate.edit").own(), pk=pk)
    mandate = services.start_mandate(client=client, by=request.user)
    return redirect("clients:profile", mandate.pk)


class ProfilePage:
    """Step two: identity, questionnaire and what is to be invested, in one form."""

    def __init__(self, request: PersonRequest, mandate: Mandate) -> None:
        client = mandate.client
        assert client is not None
        self.request, self.mandate, self.client = request, mandate, client
        today = timezone.localdate()
        self.known_kyc = KycStatus.objects.filter(client=client).first()
        self.known_profile = client.valid_profile()
        again = request.GET.get("again", "")
        checked = self.known_kyc is not None and bool(
            self.known_kyc.checked_on and self.known_kyc.valid_until and self.known_kyc.valid_until >= today
        )
        data = request.POST if request.method == "POST" else None
        self.kyc = None if checked and again != "kyc" else KycForm(data, initial={"checked_on": today})
        self.questions = None if self.known_profile and again != "profile" else QuestionnaireForm(data)
        plan = {"amount": mandate.amount, "currency": mandate.currency, "name": mandate.name}
        self.plan = PlanForm(data, initial=plan, prefix="plan")

    def is_valid(self) -> bool:
        """Say whether all three parts are filled in."""
        forms = [form for form in (self.kyc, self.questions, self.plan) if form is not None]
        # Each is asked, so that all errors show at once.
        valid = [form.is_valid() for form in forms]
        return all(valid)

    @transaction.atomic
    def save(self) -> Mandate:
        """Record the check, draw the profile, and plan the mandate on it."""
        by, profile = self.request.user, self.known_profile
        if self.kyc is not None:
            data = {name: value for name, value in self.kyc.cleaned_data.items() if name != "marker"}
            services.record_kyc(client=self.client, by=by, **data)
        if self.questions is not None:
            profile = services.record_questionnaire(
                client=self.client, answers=self.questions.answers(), by=by
            )
        assert profile is not None
        data = {name: value for name, value in self.plan.cleaned_data.items() if name != "marker"}
        return services.plan_mandate(mandate=self.mandate, risk_profile=profile, by=by, **data)


@signed_in("mandate.edit")
def profile(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Step two: identity, risk profile, and what is to be invested."""
    draft = draft_of(request, pk)
    if draft is None:
        return no_draft(request, pk)
    page = ProfilePage(request, draft)
    if request.method == "POST" and page.is_valid():
        try:
            mandate = page.save()
        except DomainError as error:
            page.plan.refuse(error)
        else:
            return redirect("models_portfolio:offer_step", mandate.pk)
    shown = page.known_profile
    return render(
        request,
        "clients/onboarding_profile.html",
        {
            "page": page,
            "mandate": page.mandate,
            "client": page.client,
            **(wishes.shown(page.mandate.wishes) if page.mandate.predecessor_id else {}),
            "steps": steps(2, page.mandate),
            "profile": shown,
            "profile_parts": words.parts(shown) if shown else [],
            "level_name": words.level_name(shown.level) if shown else "",
            "meaning": words.meaning(shown.level) if shown else "",
        },
    )


@signed_in("mandate.submit")
def review(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Step four: look over everything, sign, authorise the disclosure, submit."""
    mandate = draft_of(request, pk)
    if mandate is None:
        return no_draft(request, pk)
    if mandate.offer is None or mandate.client is None:
        return redirect(next_url(mandate))
    if mandate.submission:
        return redirect("clients:mandate_detail", mandate.pk)
    discloses = mandate.agreement is not None
    today = timezone.localdate()
    form = SubmitForm(
        request.POST if request.method == "POST" else None,
        discloses=discloses,
        initial={"signed_on": today, "disclosure_authorised_on": today},
    )
    if request.method == "POST" and form.is_valid():
        try:
            services.submit_mandate(
                mandate=mandate,
                by=request.user,
                signed_on=form.cleaned_data["signed_on"],
                disclosure_authorised_on=form.cleaned_data.get("disclosure_authorised_on"),
            )
        except DomainError as error:
            form.refuse(error)
        else:
            messages.success(request, _("Submitted. You see here what becomes of it."))
            return redirect("clients:mandate_detail", mandate.pk)
    partner = partners([mandate.agreement]).get(mandate.agreement) if mandate.agreement else None
    return render(
        request,
        "clients/onboarding_review.html",
        {
            "form": form,
            "mandate": mandate,
            "client": mandate.client,
            "steps": steps(4, mandate),
            "partner": partner,
            "may_instruct_former": Mandate.objects.to_hand_over(request.user)
            .filter(pk=mandate.predecessor_id)
            .exists(),
            "disclosure_text": disclosure.text(disclosure.VERSION, mandate.manager_name) if discloses else "",
            "disclosure_version": disclosure.VERSION,
            "parties": mandate.client.parties.current(),
            "contacts": mandate.client.contact_details.current(),
            **wishes.shown(mandate.restrictions.current()),
            "level_name": words.level_name(mandate.risk_profile.level) if mandate.risk_profile else "",
        },
    )
