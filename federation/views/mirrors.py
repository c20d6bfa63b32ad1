"""The mirrors: each direction of each agreement, in step or how far behind, live."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.views_base import signed_in
from federation.mirror.status import streams_of
from federation.models import Agreement
from federation.views.base import institution_of, may_edit

RIGHTS = ("mirror.control", "agreement.read")


def _context(request: HttpRequest) -> dict[str, Any]:
    institution = institution_of(request)
    agreements = {
        agreement.pk: agreement
        for agreement in Agreement.objects.visible_to(institution)
        .filter(state__in=["active", "winding_down"])
        .select_related("manager", "channel")
        .prefetch_related("suspensions")
        .order_by("name", "pk")
    }
    own = {
        agreement.pk: {
            each.what
            for each in agreement.suspensions.all()
            if each.institution_id == institution.pk and each.resumed_at is None
        }
        for agreement in agreements.values()
    }
    groups: dict[Any, list[Any]] = {pk: [] for pk in agreements}
    for stream in streams_of(institution):
        if stream.agreement.pk in groups:
            groups[stream.agreement.pk].append(stream)
    return {
        "institution_id": institution.pk,
        "groups": [
            {
                "agreement": agreement,
                "partner": agreement.partner_of(institution),
                "streams": groups[pk],
                "is_suspended_by_us": "everything" in own[pk],
            }
            for pk, agreement in agreements.items()
        ],
        "may_edit": may_edit(request),
    }


@signed_in(RIGHTS)
def mirrors(request: HttpRequest) -> HttpResponse:
    """Show every mirror; the part below the heading polls."""
    return render(request, "federation/mirrors.html", _context(request))


@signed_in(RIGHTS)
def mirrors_live(request: HttpRequest) -> HttpResponse:
    """Return the part that polls."""
    return render(request, "federation/_mirrors.html", _context(request))
