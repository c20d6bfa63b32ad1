"""Keep pages to their own scripts, apply each user's preferences, and turn refused changes into pages that say what to do."""

import datetime
import logging
import zoneinfo
from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.utils import timezone, translation
from django.utils.http import url_has_allowed_host_and_scheme

from accounts import formatting
from accounts.errors import refusal_of

logger = logging.getLogger(__name__)
GetResponse = Callable[[HttpRequest], HttpResponse]


# Scripts come from here and from nowhere else, none of them in a page. Styles may stand in a page:
# charts and the institution's colour do.
POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)


class ContentSecurityPolicyMiddleware:
    """Tell browsers to run no script but the platform's own files."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if response.get("Content-Type", "").startswith("text/html"):
            response.headers.setdefault("Content-Security-Policy", POLICY)
        return response


class PartMessagesMiddleware:
    """Bring the messages of a change along when only a part of the page is answered."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        # Polls read nothing: the message may belong to the page that is about to load.
        is_change = getattr(request, "htmx", False) and request.method not in {"GET", "HEAD"}
        is_part = (
            response.status_code == 200
            and not response.streaming
            and response.get("Content-Type", "").startswith("text/html")
            and "HX-Redirect" not in response
            and "HX-Refresh" not in response
            and b"<html" not in response.content[:500]
        )
        if is_change and is_part and len(messages.get_messages(request)):
            shown = render_to_string("components/messages.html", request=request)
            response.content += f'<div id="messages" hx-swap-oob="innerHTML">{shown}</div>'.encode()
        return response


class PreferencesMiddleware:
    """Write dates and numbers, and tell the time, as the user who is signed in chose."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        # A thread serves one request after another: nobody inherits the choice of the one before.
        formatting.hide_amounts(False)
        user = getattr(request, "user", None)
        is_tenant = getattr(getattr(request, "tenant", None), "schema_name", "public") != "public"
        if is_tenant and user is not None and user.is_authenticated:
            translation.activate(user.locale)
            request.LANGUAGE_CODE = translation.get_language()
            formatting.hide_amounts(user.hides_amounts)
            with timezone.override(_zone(user.time_zone)):
                response = self.get_response(request)
            # Neither the browser nor anything on the way keeps what was shown to one person.
            response.headers.setdefault("Cache-Control", "private, no-store")
            return response
        return self.get_response(request)


def _zone(name: str) -> datetime.tzinfo:
    """Return a time zone by its name; the platform's where this machine knows none of that name."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return timezone.get_default_timezone()


class DomainErrorMiddleware:
    """Answer a refusal that no view caught: back to the page with its sentence, or 409.

    Where somebody opens an address that only a form sends to (a bookmark, or signing in again after
    sending one), a page says so instead of an empty one.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if isinstance(response, HttpResponseNotAllowed) and request.method == "GET" and not response.content:
            shown = render(request, "405.html", status=response.status_code)
            shown.headers["Allow"] = response.headers["Allow"]
            return shown
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        refusal = refusal_of(exception)
        if refusal is None:
            return None
        if refusal is not exception:
            logger.warning("Refused: %s", request.path, exc_info=exception)
        back_url = request.headers.get("referer", "")
        if not url_has_allowed_host_and_scheme(back_url, allowed_hosts={request.get_host()}):
            back_url = "/"
        if request.method == "POST" and not getattr(request, "htmx", False) and back_url != "/":
            messages.error(request, str(refusal.message))
            return redirect(back_url)
        return render(request, "409.html", {"error": refusal, "back_url": back_url}, status=409)
