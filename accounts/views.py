"""Pages that every person has, and the lists of the institution's own records."""

from django.conf import settings
from django.contrib.auth import login
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from accounts.demo import demo_users
from accounts.filters import AuditFilter
from accounts.lists import ListView
from accounts.models import AuditEntry, User
from accounts.tables import AuditTable
from accounts.views_base import signed_in


@signed_in()
def home(request: HttpRequest) -> HttpResponseBase:
    """Lead each person to the page where their day starts."""
    return redirect(import_string(settings.FIRST_PAGE_RESOLVER)(request.user))


@require_POST
@signed_in()
def preferences(request: HttpRequest) -> HttpResponseBase:
    """Change one preference from the user menu and go back to the page."""
    user = request.user
    assert isinstance(user, User)
    changed = []
    if request.POST.get("theme") in User.Theme.values:
        user.theme = request.POST["theme"]
        changed.append("theme")
    if request.POST.get("language") in dict(settings.LANGUAGES):
        user.language = request.POST["language"]
        changed.append("language")
    if request.POST.get("hides_amounts") in {"0", "1"}:
        user.hides_amounts = request.POST["hides_amounts"] == "1"
        changed.append("hides_amounts")
    user.save(update_fields=changed)
    return redirect(_local(request, request.POST.get("next", "/")))


@require_POST
def demo_sign_in(request: HttpRequest) -> HttpResponseBase:
    """Sign in as a demo person without a password; there is no such page outside a demo."""
    institution = getattr(request, "tenant", None)
    if not settings.DEMO or not getattr(institution, "is_demo", False):
        raise Http404
    try:
        user = get_object_or_404(demo_users(), pk=request.POST.get("user"))
    except ValidationError as error:
        raise Http404 from error
    login(request, user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return redirect(_local(request, request.POST.get("next", "/")))


def _local(request: HttpRequest, url: str) -> str:
    """Return ``url`` where it stays on this host, else the first page."""
    is_local = url_has_allowed_host_and_scheme(url, allowed_hosts={request.get_host()})
    return url if is_local and url.startswith("/") else "/"


class AuditList(ListView):
    """Show who did what, when."""

    right = ("audit.read", "people.edit")
    title = _("Audit trail")
    table_class = AuditTable
    filterset_class = AuditFilter
    empty_title = _("Nothing has been done yet")
    empty_text = _("Every change that a person makes is written down here.")

    def get_queryset(self) -> QuerySet[AuditEntry]:
        return AuditEntry.objects.all()
