"""What every page needs: a person who is signed in and has the right to it."""

import uuid
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_required
from django.contrib.auth.mixins import LoginRequiredMixin
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from accounts.models import User
from accounts.rights import can, roles_of

View = Callable[..., HttpResponseBase]


class PersonRequest(HttpRequest):
    """A request of somebody who is signed in: what a view behind ``signed_in`` gets."""

    user: User
    htmx: Any


def ids_in(texts: Iterable[str]) -> list[uuid.UUID]:
    """Return the ids among what a request names; what is none is left out."""
    found = []
    for text in texts:
        try:
            found.append(uuid.UUID(text))
        except ValueError:
            continue
    return found


def admits(user: User, right: str | Iterable[str] | None, roles: Iterable[str] = ()) -> bool:
    """Say whether a page of these rights, or of these roles, is there for a person; with neither it is for all."""
    rights = [right] if isinstance(right, str) else list(right or [])
    wanted = set(roles)
    if not rights and not wanted:
        return True
    return any(can(user, each) for each in rights) or bool(wanted & roles_of(user))


class SignedIn(LoginRequiredMixin):
    """Show the page to people who are signed in and have the right to it; to others it is a 404.

    ``right`` is one right or several of which one is enough; ``roles`` names roles that see the page
    without a right (pages to read). With neither, every person of the institution sees it.
    """

    right: str | Iterable[str] | None = None
    roles: Iterable[str] = ()

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return self.handle_no_permission()
        if not admits(request.user, self.right, self.roles):
            raise Http404
        return super().dispatch(request, *args, **kwargs)


class Unkept:
    """Answer for one caller alone: nothing on the way keeps it."""

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        response.headers.setdefault("Cache-Control", "private, no-store")
        return super().finalize_response(request, response, *args, **kwargs)  # type: ignore[misc]


def form_on(page: str, *named: str) -> Callable[[View], View]:
    """Take what a form of a page sends; lead who asks for the form's own address to that page.

    A refused form is shown again at its own address, which Back and reload ask for. ``named`` are the
    parts of the address that the page's has too, ``pk`` where none is given.
    """

    def decorate(view: View) -> View:
        take = require_POST(view)

        @wraps(view)
        def form(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if request.method == "GET":
                return HttpResponseRedirect(
                    reverse(page, kwargs={each: kwargs[each] for each in named or ("pk",)})
                )
            return take(request, *args, **kwargs)

        return form

    return decorate


def signed_in(
    right: str | Iterable[str] | None = None, *, roles: Iterable[str] = ()
) -> Callable[[View], View]:
    """Decorate a function view as ``SignedIn`` does a class."""

    def decorate(view: View) -> View:
        @login_required
        @wraps(view)
        def page(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            assert isinstance(request.user, User)
            if not admits(request.user, right, roles):
                raise Http404
            return view(request, *args, **kwargs)

        return page

    return decorate
