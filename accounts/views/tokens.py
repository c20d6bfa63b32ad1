"""API tokens of users."""

import uuid

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts import services
from accounts.errors import DomainError
from accounts.filters import TokenFilter
from accounts.forms import TokenForm, show_error
from accounts.lists import ListView
from accounts.models import ApiToken
from accounts.tables import TokenTable
from accounts.views_base import PersonRequest, signed_in


class TokenList(ListView):
    """Show the tokens with which other systems act for people."""

    template_name = "accounts/token_list.html"
    right = "token.edit"
    title = gettext_lazy("API tokens")
    table_class = TokenTable
    filterset_class = TokenFilter
    empty_title = gettext_lazy("No tokens yet")
    empty_text = gettext_lazy("With a token another system reads or writes with a person's rights.")
    empty_action = (gettext_lazy("Create a token"), reverse_lazy("accounts:token_create"))

    def get_queryset(self) -> QuerySet[ApiToken]:
        return ApiToken.objects.select_related("user", "created_by")


@never_cache
@signed_in("token.edit")
def create(request: PersonRequest) -> HttpResponseBase:
    """Create a token: one's own is shown, once; that of somebody else waits for them."""
    form = TokenForm(request.POST or None, initial={"user": request.GET.get("user")})
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            token = services.permit_token(
                user=data["user"],
                name=data["name"],
                expires_at=form.expires_at(),
                may_write=data["may_write"],
                by=request.user,
            )
        except DomainError as error:
            show_error(form, error)
        else:
            if token.user_id == request.user.pk:
                return _show(request, token)
            messages.success(
                request,
                _("%(name)s finds the token under “Profile and preferences” and has it shown there, once.")
                % {"name": token.user.full_name},
            )
            return redirect("accounts:tokens")
    return render(request, "accounts/token_form.html", {"form": form})


@never_cache
@require_http_methods(["GET", "POST"])
@signed_in()
def show(request: PersonRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Show a token that waits for the person it acts as, once; who comes back to the page is led to the profile."""
    token = get_object_or_404(ApiToken, pk=pk, user=request.user)
    if request.method == "GET":
        return redirect("accounts:profile")
    try:
        return _show(request, token)
    except DomainError as error:
        messages.error(request, str(error.message))
        return redirect("accounts:profile")


def _show(request: PersonRequest, token: ApiToken) -> HttpResponseBase:
    text = services.show_token(token=token, by=request.user)
    return render(request, "accounts/token_created.html", {"token": token, "text": text})


@require_POST
@signed_in("token.edit")
def revoke(request: PersonRequest, pk: uuid.UUID) -> HttpResponseBase:
    """End a token at once."""
    token = get_object_or_404(ApiToken, pk=pk)
    services.revoke_token(token=token, by=request.user)
    messages.success(request, _("The token “%(name)s” no longer works.") % {"name": token.name})
    return redirect("accounts:tokens")
