"""The four steps of a new client: which are done, and where to go on."""

import uuid
from dataclasses import dataclass

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.views_base import PersonRequest
from clients.models import Mandate


@dataclass(frozen=True, slots=True)
class Step:
    """One step of four: where it is, and whether it is done, here, or still to come."""

    number: int
    title: str
    url: str
    is_done: bool
    is_here: bool


def steps(here: int, mandate: Mandate | None) -> list[Step]:
    """Return the four steps; those whose input is there are done and can be gone back to."""
    urls = ["", "", "", ""]
    done = [False] * 4
    if mandate is not None:
        names = ("clients:who", "clients:profile", "models_portfolio:offer_step", "clients:review")
        urls = [reverse(name, args=[mandate.pk]) for name in names]
        is_planned = mandate.risk_profile_id is not None and mandate.amount is not None
        done = [True, is_planned, is_planned and mandate.offer is not None, False]
        # A step opens once the one before it is done.
        urls[2:] = [url if done[index] else "" for index, url in enumerate(urls[2:], start=1)]
    titles = (_("Who"), _("Profile"), _("Plan"), _("Review and sign"))
    return [
        Step(index + 1, title, urls[index], done[index], index + 1 == here)
        for index, title in enumerate(titles)
    ]


def next_url(mandate: Mandate) -> str:
    """Return the URL of the first step that is not done."""
    waiting = next(step for step in steps(0, mandate) if not step.is_done)
    return waiting.url or reverse("clients:profile", args=[mandate.pk])


def draft_of(request: PersonRequest, pk: uuid.UUID) -> Mandate | None:
    """Return a mandate that the person may edit, with what has been changed since it was returned."""
    mandates = Mandate.objects.editable_by(request.user).select_related("client", "risk_profile")
    mandate: Mandate | None = mandates.filter(pk=pk).first()
    if mandate is not None:
        mandate.take_revision()
    return mandate


def no_draft(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Lead to the page of a mandate that is no draft any more whoever may write to it; to others it is a 404."""
    mandate = get_object_or_404(Mandate.objects.with_right(request.user, "mandate.edit").own(), pk=pk)
    if mandate.status == Mandate.Status.WITHDRAWN:
        text = _("This mandate was withdrawn.")
    else:
        text = _("This mandate was submitted already.")
    if request.method == "POST":
        text = f"{text} {_('What you sent now was not recorded.')}"
    messages.warning(request, text)
    return redirect("clients:mandate_detail", mandate.pk)
