"""Parts of pages that ask again every second or two, and are drawn again only when something changed."""

import hashlib
from collections.abc import Iterable
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render

from accounts.views_base import PersonRequest


def mark_of(parts: Iterable[Any]) -> str:
    """Return a short mark of what a part shows: the same mark, the same part."""
    return hashlib.sha256(repr(list(parts)).encode()).hexdigest()[:16]


def live(request: PersonRequest, page: str, part: str, mark: str, context: dict[str, Any]) -> HttpResponse:
    """Answer with the page; to a part that asks again with the part, or with nothing if it is the same.

    What is being typed in a part stays, since an unchanged part is not drawn again.
    """
    if "seen" not in request.GET:
        return render(request, page, {**context, "mark": mark})
    if request.GET["seen"] == mark:
        return HttpResponse(status=204)
    return render(request, part, {**context, "mark": mark, "is_update": True})
