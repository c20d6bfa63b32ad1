"""People, their roles and grants: the administrator's pages, which compliance reads."""

import uuid
from typing import Any

from allauth.account.decorators import reauthentication_required
from django.contrib import messages
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse, reverse_lazy
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from accounts import services
from accounts.adapters import own_url
from accounts.errors import DomainError
from accounts.filters import PersonFilter
from accounts.forms import InvitationForm, PersonForm, RoleForm, show_error
from accounts.lists import ListView
from accounts.models import Invitation, User
from accounts.rights import can
from accounts.services import grants
from accounts.tables import PersonTable
from accounts.views_base import PersonRequest, form_on, signed_in

READ = ("people.edit", "people.read")
CANDIDATES = 10


def people() -> QuerySet[User]:
    """Return everybody, with whether an invitation is open."""
    open_invitation = Invitation.objects.filter(
        user=OuterRef("pk"), accepted_at=None, expires_at__gt=timezone.now()
    )
    return User.objects.annotate(is_invited=Exists(open_invitation))


class PersonList(ListView):
    """Show the people of the institution with their roles."""

    template_name = "accounts/person_list.html"
    right = READ
    title = gettext_lazy("People")
    table_class = PersonTable
    filterset_class = PersonFilter
    empty_action = (gettext_lazy("Invite the first person"), reverse_lazy("accounts:person_invite"))

    def get_queryset(self) -> QuerySet[User]:
        return people().prefetch_related("role_assignments__unit")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_context_data(**kwargs), "may_edit": can(self.request.user, "people.edit")}


@signed_in("people.edit")
def invite(request: PersonRequest) -> HttpResponseBase:
    """Invite a person by e-mail."""
    form = InvitationForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            invitation, secret = services.invite_person(
                email=data["email"],
                full_name=data["full_name"],
                job_title=data["job_title"],
                language=data["language"],
                assignments=[(data["role"], data["unit"])],
                by=request.user,
            )
        except DomainError as error:
            show_error(form, error)
        else:
            _deliver(request, invitation, secret)
            return redirect("accounts:person_detail", invitation.user_id)
    return render(request, "accounts/person_form.html", {"form": form, "is_new": True})


def _deliver(request: PersonRequest, invitation: Invitation, secret: str) -> None:
    link = own_url(request, reverse("accounts:invitation", args=[secret]))
    institution = getattr(request, "tenant", None)
    try:
        services.deliver_invitation(
            invitation, link=link, institution_name=getattr(institution, "name", request.get_host())
        )
    except DomainError as error:
        messages.error(request, str(error.message))
    else:
        messages.success(
            request, _("An invitation is on its way to %(email)s.") % {"email": invitation.user.email}
        )


@signed_in(READ)
def detail(request: PersonRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Show a person's roles, grants and tokens."""
    return _page(request, get_object_or_404(people(), pk=pk))


def _page(request: PersonRequest, person: User, *, role_form: RoleForm | None = None) -> HttpResponseBase:
    kind, number = request.GET.get("kind", "client"), request.GET.get("q", "").replace("\x00", "").strip()
    found: list[tuple[uuid.UUID, str]] = []
    may_edit = can(request.user, "people.edit")
    if may_edit and kind in grants.GRANTABLE and number:
        records = grants.candidates(kind, number)[:CANDIDATES]
        found = [(record.pk, grants.label_of(record)) for record in records]
    has_credentials = person.has_credentials
    context: dict[str, Any] = {
        "person": person,
        "assignments": person.role_assignments.select_related("unit").order_by("role"),
        "grants": grants.grants_of(person),
        "tokens": person.api_tokens.all(),
        "role_form": role_form or RoleForm(),
        "may_edit": may_edit,
        # Nobody widens their own reach.
        "may_change_rights": may_edit and person.pk != request.user.pk,
        "kinds": [(key, label) for key, (_model, label) in grants.GRANTABLE.items()],
        "kind": kind,
        "number": number,
        "found": found,
        "has_credentials": has_credentials,
        # One's own is switched off in the profile.
        "may_remove_second_factor": may_edit and person.pk != request.user.pk and person.has_second_factor,
        "may_invite_again": not (person.is_active or has_credentials)
        and person.invitations.filter(accepted_at=None).exists(),
    }
    return render(request, "accounts/person_detail.html", context)


@signed_in("people.edit")
def edit(request: PersonRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Change how a person is named."""
    person = get_object_or_404(User, pk=pk)
    form = PersonForm(request.POST or None, instance=person)
    if request.method == "POST" and form.is_valid():
        services.change_person(user=person, by=request.user, **form.cleaned_data)
        messages.success(request, _("Saved."))
        return redirect("accounts:person_detail", pk)
    return render(request, "accounts/person_form.html", {"form": form, "person": person})


@signed_in("people.edit")
@form_on("accounts:person_detail")
def add_role(request: PersonRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Give a person a role."""
    person = get_object_or_404(people(), pk=pk)
    form = RoleForm(request.POST)
    if form.is_valid():
        try:
            services.assign_role(user=person, by=request.user, **form.cleaned_data)
        except DomainError as error:
            show_error(form, error)
        else:
            messages.success(request, _("The role holds from now on."))
            return redirect("accounts:person_detail", pk)
    return _page(request, person, role_form=form)


def _attempt(request: PersonRequest, change: Any, done: str) -> None:
    """Make a change and say so, or say why it was refused."""
    try:
        change()
    except DomainError as error:
        messages.error(request, str(error.message))
    else:
        messages.success(request, done)


@require_POST
@signed_in("people.edit")
def remove_role(request: PersonRequest, pk: uuid.UUID, assignment: uuid.UUID) -> HttpResponseBase:
    """Take a role away."""
    person = get_object_or_404(User, pk=pk)
    held = person.role_assignments.filter(pk=assignment).first()
    if held is None:
        messages.error(request, _("This role is gone already."))
        return redirect("accounts:person_detail", pk)
    _attempt(
        request, lambda: services.remove_role(assignment=held, by=request.user), _("The role is taken away.")
    )
    return redirect("accounts:person_detail", pk)


@require_POST
@signed_in("people.edit")
def add_grant(request: PersonRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Let a person see one client or portfolio."""
    person = get_object_or_404(User, pk=pk)
    try:
        record = uuid.UUID(request.POST.get("record", ""))
    except ValueError:
        messages.error(request, _("Choose one of the records found."))
        return redirect("accounts:person_detail", pk)
    _attempt(
        request,
        lambda: services.grant(
            user=person, kind=request.POST.get("kind", ""), record_id=record, by=request.user
        ),
        _("Granted."),
    )
    return redirect("accounts:person_detail", pk)


@require_POST
@signed_in("people.edit")
def remove_grant(request: PersonRequest, pk: uuid.UUID, grant: int) -> HttpResponseBase:
    """Take a single grant away."""
    person = get_object_or_404(User, pk=pk)
    _attempt(
        request,
        lambda: services.revoke_grant(user=person, grant_id=grant, by=request.user),
        _("The grant is taken away."),
    )
    return redirect("accounts:person_detail", pk)


@require_POST
@signed_in("people.edit")
def deactivate(request: PersonRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Shut a person out."""
    person = get_object_or_404(User, pk=pk)
    _attempt(
        request,
        lambda: services.deactivate_person(user=person, by=request.user),
        _("%(name)s can no longer sign in, and their tokens have ended.") % {"name": person.full_name},
    )
    return redirect("accounts:person_detail", pk)


@require_POST
@signed_in("people.edit")
def reactivate(request: PersonRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Let a person in again."""
    person = get_object_or_404(User, pk=pk)
    _attempt(
        request,
        lambda: services.reactivate_person(user=person, by=request.user),
        _("%(name)s can sign in again, as before. Sessions and tokens that ended stay ended.")
        % {"name": person.full_name},
    )
    return redirect("accounts:person_detail", pk)


@signed_in("people.edit")
@form_on("accounts:person_detail")
@reauthentication_required
def remove_second_factor(request: PersonRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Remove the second factor that a person has lost; who does it proves first who they are."""
    person = get_object_or_404(User, pk=pk)
    _attempt(
        request,
        lambda: services.remove_second_factor(user=person, by=request.user),
        _("%(name)s signs in with the password alone until they set up another second factor.")
        % {"name": person.full_name},
    )
    return redirect("accounts:person_detail", pk)


@require_POST
@signed_in("people.edit")
def invite_again(request: PersonRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Send a new invitation; the earlier link ends."""
    person = get_object_or_404(User, pk=pk)
    try:
        invitation, secret = services.renew_invitation(user=person, by=request.user)
    except DomainError as error:
        messages.error(request, str(error.message))
    else:
        _deliver(request, invitation, secret)
    return redirect("accounts:person_detail", pk)
