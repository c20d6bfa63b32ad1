"""The four steps of a new client: which are done, and where to go on."""

from dataclasses import dataclass

from django.urls import reverse
from django.utils.translation import gettext as _

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
