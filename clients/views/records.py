"""What is kept about a client: edit forms, identity, profile, payout accounts, notes and tasks."""

import uuid
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts.errors import DomainError
from accounts.models import AuditEntry, Role
from accounts.rights import may
from accounts.views_base import PersonRequest, signed_in
from clients import services, words
from clients.forms import KycForm, NoteForm, PayoutAccountForm, QuestionnaireForm, ReviewForm, TaskForm
from clients.models import Client, KycEvidence, KycStatus, PayoutAccount, Task
from clients.views.onboarding import WhoPage


def _own_client(request: PersonRequest, pk: uuid.UUID, *rights: str) -> Client:
    client: Client = get_object_or_404(Client.objects.with_right(request.user, *rights).own(), pk=pk)
    return client


def _changed_by(client: Client) -> AuditEntry | None:
    return AuditEntry.objects.filter(kind="clients.client", record_id=client.pk).first()


@signed_in("client.edit")
def client_edit(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Change who a client is; a conflicting change shows both versions."""
    client = _own_client(request, pk, "client.edit")
    page = WhoPage(request, client)
    if page.save():
        messages.success(request, _("Saved."))
        return redirect("clients:client_detail", client.pk)
    return page.render("clients/client_form.html", {"changed_by": _changed_by(client)})


@signed_in(["client.edit", "kyc.edit"])
def kyc(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Record that a client's identity was checked, or block the client."""
    client = _own_client(request, pk, "client.edit", "kyc.edit")
    known = KycStatus.objects.filter(client=client).first()
    if request.method == "POST" and "block" in request.POST:
        services.block_kyc(client=client, by=request.user)
        messages.success(request, _("Blocked. Orders that buy wait until the client is checked again."))
        return redirect("clients:client_detail", client.pk)
    initial: dict[str, Any] = {"checked_on": timezone.localdate()}
    if known is not None:
        initial["is_politically_exposed"] = known.is_politically_exposed
    form = KycForm(request.POST if request.method == "POST" else None, initial=initial)
    if request.method == "POST" and form.is_valid():
        data = {name: value for name, value in form.cleaned_data.items() if name != "marker"}
        services.record_kyc(
            client=client, by=request.user, may_clear_exposed=may(request.user, "kyc.edit", client), **data
        )
        messages.success(request, _("The identity check is recorded."))
        return redirect("clients:client_detail", client.pk)
    context = {
        "client": client,
        "form": form,
        "known": known,
        "evidence": KycEvidence.objects.filter(client=client).order_by("-seen_on"),
    }
    return render(request, "clients/kyc_form.html", context)


@signed_in("client.edit")
def profile_renew(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Go through the questionnaire again; running mandates keep the profile they were signed on."""
    client = _own_client(request, pk, "client.edit")
    form = QuestionnaireForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        profile = services.record_questionnaire(client=client, answers=form.answers(), by=request.user)
        text = _("The new profile is %(level)s of 7: %(name)s.") % {
            "level": profile.level,
            "name": words.level_name(profile.level),
        }
        messages.success(request, text)
        return redirect("clients:client_detail", client.pk)
    last = client.risk_profiles.order_by("-number").first()
    return render(request, "clients/profile_form.html", {"client": client, "form": form, "last": last})


@signed_in("client.edit")
def review_plan(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Set when the client is seen next."""
    client = _own_client(request, pk, "client.edit")
    data = request.POST if request.method == "POST" else None
    form = ReviewForm(data, initial={"next_review_date": client.next_review_date})
    if request.method == "POST" and form.is_valid():
        services.plan_review(client=client, day=form.cleaned_data["next_review_date"], by=request.user)
        messages.success(request, _("Saved."))
        return redirect("clients:client_detail", client.pk)
    return render(request, "clients/review_form.html", {"client": client, "form": form})


@signed_in("client.edit")
def payout_account_create(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Enter an account that money may be paid out to."""
    client = _own_client(request, pk, "client.edit")
    form = PayoutAccountForm(
        request.POST if request.method == "POST" else None, initial={"holder": client.name}
    )
    if request.method == "POST" and form.is_valid():
        try:
            services.enter_payout_account(client=client, by=request.user, **form.cleaned_data)
        except (DomainError, ValidationError) as error:
            form.refuse(error)
        else:
            messages.success(request, _("Entered. A colleague verifies it before money can be paid out."))
            return redirect("clients:client_detail", client.pk)
    return render(request, "clients/payout_account_form.html", {"client": client, "form": form})


@require_POST
@signed_in(["client.edit", "payout.verify"])
def payout_account_verify(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Verify an account that a colleague entered."""
    clients = Client.objects.with_right(request.user, "client.edit", "payout.verify").own()
    account = get_object_or_404(PayoutAccount.objects.own().filter(client__in=clients), pk=pk)
    services.verify_payout_account(account=account, by=request.user)
    messages.success(request, _("Verified. Money can be paid out to this account."))
    return redirect("clients:client_detail", account.client_id)


@require_POST
@signed_in("note.edit")
def note_create(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Keep a private note."""
    client, form = _own_client(request, pk, "note.edit"), NoteForm(request.POST)
    if form.is_valid():
        services.write_note(client=client, by=request.user, **form.cleaned_data)
    else:
        messages.error(request, _("Write the note first."))
    return redirect(f"{reverse('clients:client_detail', args=[client.pk])}#notes")


@require_POST
@signed_in("note.edit")
def task_create(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Promise something by a day."""
    client, form = _own_client(request, pk, "note.edit"), TaskForm(request.POST)
    if form.is_valid():
        services.promise_task(client=client, by=request.user, **form.cleaned_data)
    else:
        messages.error(request, _("Say what you promised, and by when."))
    return redirect(f"{reverse('clients:client_detail', args=[client.pk])}#tasks")


@require_POST
@signed_in("note.edit", roles=[Role.ADVISOR])
def task_finish(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Mark a task as done."""
    clients = Client.objects.with_right(request.user, "note.edit").own()
    task = get_object_or_404(Task.objects.own().filter(client__in=clients), pk=pk)
    services.finish_task(task=task, by=request.user)
    return redirect(f"{reverse('clients:client_detail', args=[task.client_id])}#tasks")
