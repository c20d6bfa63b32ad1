"""The platform's front page: its institutions, who works with whom in public, and the way in."""

import uuid
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.core import signing
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django_tenants.utils import tenant_context

from accounts.demo import DemoPerson, demo_people, demo_users
from federation.agreements.presets import PRESETS
from federation.models import Agreement, Domain, Institution
from federation.views.base import institution_of

SALT = "federation.demo-entrance"
# How long a link of the front page works: it is made anew each time the page is loaded.
LINK_SECONDS = 30 * 60


@dataclass
class Card:
    """An institution on the front page."""

    institution: Institution
    url: str
    is_manager: bool
    is_channel: bool
    people: list[tuple[DemoPerson, str]] = field(default_factory=list)
    partners: list[str] = field(default_factory=list)


def public_relations() -> list[Agreement]:
    """Return the agreements that may be shown to everybody.

    Who works with whom is confidential. It is shown where both parties agreed to be listed, and
    between institutions of the demonstration while demo mode is on.
    """
    listed = Q(is_listed_by_manager=True, is_listed_by_channel=True)
    if settings.DEMO:
        listed |= Q(manager__is_demo=True, channel__is_demo=True)
    agreements = Agreement.objects.filter(listed, state__in=["active", "winding_down"])
    hosted = agreements.filter(manager__schema_name__isnull=False, channel__schema_name__isnull=False)
    return list(hosted.select_related("manager", "channel").order_by("manager__name", "channel__name"))


def front(request: HttpRequest) -> HttpResponse:
    """Show the institutions of this platform."""
    relations = public_relations()
    managers = {agreement.manager_id for agreement in relations}
    channels = {agreement.channel_id for agreement in relations}
    domains = {domain.tenant_id: domain.domain for domain in Domain.objects.filter(is_primary=True)}
    cards = [
        Card(
            institution=institution,
            url=_url(request, domains[institution.pk]),
            is_manager=institution.is_manager or institution.pk in managers,
            is_channel=institution.is_channel or institution.pk in channels,
            people=_people(institution),
            partners=_partners(institution, relations),
        )
        for institution in Institution.objects.exclude(schema_name="public")
        if institution.pk in domains
    ]
    return render(
        request,
        "public/front.html",
        {
            "cards": cards,
            "relations": relations,
            "picture": picture(relations),
            "presets": list(PRESETS.values()),
            "is_demo": settings.DEMO and any(card.people for card in cards),
        },
    )


def _url(request: HttpRequest, domain: str) -> str:
    port = request.get_port()
    usual = {"http": "80", "https": "443"}[request.scheme or "http"]
    return f"{request.scheme}://{domain}" + ("" if port == usual else f":{port}")


def _people(institution: Institution) -> list[tuple[DemoPerson, str]]:
    """Return the demo people of an institution, each with the token of its link."""
    if not settings.DEMO or not institution.is_demo:
        return []
    with tenant_context(institution):
        people = demo_people()
    return [(person, entrance_token(institution, person.pk)) for person in people]


def _partners(institution: Institution, relations: list[Agreement]) -> list[str]:
    return [
        agreement.partner_of(institution).short_name
        for agreement in relations
        if institution.pk in {agreement.manager_id, agreement.channel_id}
    ]


ROW, TOP, LEFT, RIGHT, BOX, WIDTH = 92, 46, 20, 640, 240, 900


def picture(relations: list[Agreement]) -> dict[str, Any] | None:
    """Return the drawing of who works with whom: managers on the left, channels on the right, lines between.

    Coordinates are in the units of the drawing, ``WIDTH`` wide. None where there is nothing to draw.
    """
    if not relations:
        return None
    managers = list({agreement.manager_id: agreement.manager for agreement in relations}.values())
    channels = list({agreement.channel_id: agreement.channel for agreement in relations}.values())
    rows = max(len(managers), len(channels))

    def column(institutions: list[Institution], x: int) -> dict[uuid.UUID, dict[str, Any]]:
        offset = (rows - len(institutions)) * ROW / 2
        return {
            institution.pk: {"institution": institution, "x": x, "y": TOP + offset + index * ROW}
            for index, institution in enumerate(institutions)
        }

    left, right = column(managers, LEFT), column(channels, RIGHT)
    lines = []
    for agreement in relations:
        start, end = left[agreement.manager_id], right[agreement.channel_id]
        y1, y2 = start["y"] + 28, end["y"] + 28
        x1, x2 = LEFT + BOX, RIGHT
        middle = (x1 + x2) / 2
        lines.append(
            {
                "agreement": agreement,
                "path": f"M {x1} {y1:.0f} C {middle:.0f} {y1:.0f}, {middle:.0f} {y2:.0f}, {x2} {y2:.0f}",
                "is_advice": agreement.preset == Agreement.Preset.ADVICE,
                "colour": agreement.manager.colour,
            }
        )
    return {
        "width": WIDTH,
        "height": TOP + rows * ROW,
        "box": BOX,
        "nodes": [*left.values(), *right.values()],
        "lines": lines,
        "left": LEFT,
        "right": RIGHT,
    }


def entrance_token(institution: Institution, user_id: uuid.UUID) -> str:
    """Return the signed token with which a demo person is signed in on the institution's domain."""
    return signing.dumps({"i": institution.pk.hex, "u": user_id.hex}, salt=SALT, compress=True)


def demo_enter(request: HttpRequest, token: str) -> HttpResponse:
    """Sign in as the demo person that the front page's link names; there is no such page outside a demo."""
    institution = institution_of(request)
    if not settings.DEMO or not getattr(institution, "is_demo", False):
        raise Http404
    try:
        named = signing.loads(token, salt=SALT, max_age=LINK_SECONDS)
    except signing.SignatureExpired:
        messages.info(request, _("That link has grown old. Choose a person below."))
        return redirect(settings.LOGIN_URL)
    except signing.BadSignature as error:
        raise Http404 from error
    if named["i"] != institution.pk.hex:
        raise Http404
    user = get_object_or_404(demo_users(), pk=uuid.UUID(named["u"]))
    login(request, user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return redirect("/")


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Say that the page does not exist, without a session: the platform's own host has none."""
    return render(request, "public/404.html", status=404)
