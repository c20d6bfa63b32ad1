"""Pages that every person has, and the audit trail."""

import uuid
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from accounts import services
from accounts.demo import demo_users
from accounts.errors import DomainError
from accounts.filters import AuditFilter, JobFilter
from accounts.forms import AcceptForm, ProfileForm, show_error
from accounts.jobs import failures_for
from accounts.lists import ListView
from accounts.models import AuditEntry, Job, User
from accounts.named import entries_for, named
from accounts.rights import can
from accounts.search import SHORTEST, search
from accounts.tables import AuditTable, JobTable
from accounts.views_base import PersonRequest, signed_in

SIGN_IN_BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
# htmx stops to poll on this status.
STOP_POLLING = 286


@signed_in()
def home(request: PersonRequest) -> HttpResponseBase:
    """Lead each person to the page where their day starts."""
    return redirect(import_string(settings.FIRST_PAGE_RESOLVER)(request.user))


@signed_in()
def profile(request: PersonRequest) -> HttpResponseBase:
    """Show and change one's own name and preferences."""
    person = User.objects.get(pk=request.user.pk)
    form = ProfileForm(request.POST or None, instance=person)
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, _("Saved."))
        return redirect("accounts:profile")
    assignments = request.user.role_assignments.select_related("unit").order_by("role")
    context = {"form": form, "assignments": assignments, "tokens": request.user.api_tokens.all()}
    return render(request, "accounts/profile.html", context)


@require_POST
@signed_in()
def preferences(request: PersonRequest) -> HttpResponseBase:
    """Change one preference from the user menu and go back to the page."""
    user = request.user
    changed = []
    if request.POST.get("theme") in User.Theme.values:
        user.theme = request.POST["theme"]
        changed.append("theme")
    if request.POST.get("language") in User.Writing.values:
        user.language = request.POST["language"]
        changed.append("language")
    if request.POST.get("hides_amounts") in {"0", "1"}:
        user.hides_amounts = request.POST["hides_amounts"] == "1"
        changed.append("hides_amounts")
    user.save(update_fields=changed)
    return redirect(_local(request, request.POST.get("next", "/")))


def _local(request: HttpRequest, url: str) -> str:
    """Return ``url`` where it stays on this host, else the first page."""
    is_local = url_has_allowed_host_and_scheme(url, allowed_hosts={request.get_host()})
    return url if is_local and url.startswith("/") else "/"


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
    login(request, user, backend=SIGN_IN_BACKEND)
    return redirect(_local(request, request.POST.get("next", "/")))


@sensitive_post_parameters()
@never_cache
def accept_invitation(request: HttpRequest, secret: str) -> HttpResponseBase:
    """Let a person in who was invited: name and password, then the first page."""
    invitation = services.find_invitation(secret)
    if invitation is None:
        return render(request, "accounts/invitation_over.html", status=404)
    form = AcceptForm(request.POST or None, user=invitation.user)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            user = services.accept_invitation(
                secret=secret, full_name=data["full_name"], password=data["password"]
            )
        except DomainError as error:
            show_error(form, error)
        else:
            login(request, user, backend=SIGN_IN_BACKEND)
            messages.success(request, _("Welcome. You are signed in."))
            return redirect("accounts:home")
    context = {"form": form, "invitation": invitation}
    return render(request, "accounts/invitation_accept.html", context)


@signed_in()
def search_page(request: PersonRequest) -> HttpResponseBase:
    """Show what the person may see of the words looked for."""
    query = request.GET.get("q", "").strip()
    user = request.user
    context = {
        "search_query": query,
        "groups": search(user, query),
        "is_too_short": len(query) < SHORTEST,
    }
    is_part = request.htmx and request.htmx.target == "results"
    response = render(request, "accounts/_results.html" if is_part else "accounts/search.html", context)
    response["Vary"] = "HX-Request, HX-Target, Cookie"
    return response


def _jobs(user: User) -> QuerySet[Job]:
    """Return the jobs that ``user`` may follow: one's own; administrators follow all."""
    return Job.objects.all() if can(user, "people.edit") else Job.objects.filter(Q(created_by=user))


class JobList(ListView):
    """Show the long jobs that a person may follow, to come back to one that was left."""

    title = gettext_lazy("Long jobs")
    subtitle = gettext_lazy("What was started and goes on by itself; kept for 90 days")
    table_class = JobTable
    filterset_class = JobFilter
    empty_title = gettext_lazy("Nothing has been started yet")
    empty_text = gettext_lazy(
        "Valuing the book, proposing for many portfolios and making many reports go on here while you do something else."
    )

    def get_queryset(self) -> QuerySet[Job]:
        return _jobs(self.request.user).select_related("created_by")

    def get_table_kwargs(self) -> dict[str, Any]:
        return {} if can(self.request.user, "people.edit") else {"exclude": ["created_by"]}


def _job_context(request: PersonRequest, found: Job) -> dict[str, Any]:
    return {
        "job": found,
        "failures": failures_for(request.user, found),
        # Where it leads, and what is tried again, is within reach of who began it.
        "is_own": found.created_by_id == request.user.pk,
    }


@signed_in()
def job(request: PersonRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Show how far a job is; works without scripts too."""
    found = get_object_or_404(_jobs(request.user), pk=pk)
    return render(request, "accounts/job_detail.html", _job_context(request, found))


@signed_in()
def job_state(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Answer a poll with how far the job is; the last answer ends the polling."""
    found = get_object_or_404(_jobs(request.user), pk=pk)
    is_job_page = "page" in request.GET
    context = {**_job_context(request, found), "is_job_page": is_job_page}
    response = render(request, "components/job.html", context)
    if found.is_over and is_job_page:
        # The page around it shows more once the work is done.
        response["HX-Refresh"] = "true"
    elif found.is_over:
        response.status_code = STOP_POLLING
    return response


class AuditList(ListView):
    """Show who did what, when."""

    right = ("audit.read", "people.edit")
    title = gettext_lazy("Audit trail")
    subtitle = gettext_lazy(
        "Who did what; and who read or exported a partner's records: each record once a day, lists of the API once a day "
        "for each kind and partner"
    )
    table_class = AuditTable
    filterset_class = AuditFilter
    empty_title = gettext_lazy("Nothing has been done yet")
    empty_text = gettext_lazy(
        "Every change that a person makes is written down here, and who reads a partner's records, once a day each."
    )

    def get_queryset(self) -> QuerySet[AuditEntry]:
        return entries_for(self.request.user)

    def get_table(self, **kwargs: Any) -> AuditTable:
        table: AuditTable = super().get_table(**kwargs)
        entries = [row.record for row in table.page.object_list]
        spoken_of = [{each.kind: str(each.record_id), **each.data} for each in entries]
        table.named = named(self.request.user, spoken_of)
        return table
