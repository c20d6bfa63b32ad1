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
from django.views.decorators.http import require_POST

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
    """Create a token and show it, once."""
    form = TokenForm(request.POST or None, initial={"user": request.GET.get("user")})
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            token, text = services.create_token(
                user=data["user"],
                name=data["name"],
                expires_at=form.expires_at(),
                may_write=data["may_write"],
                by=request.user,
            )
        except DomainError as error:
            show_error(form, error)
        else:
            return render(request, "accounts/token_created.html", {"token": token, "text": text})
    return render(request, "accounts/token_form.html", {"form": form})


@require_POST
@signed_in("token.edit")
def revoke(request: PersonRequest, pk: uuid.UUID) -> HttpResponseBase:
    """End a token at once."""
    token = get_object_or_404(ApiToken, pk=pk)
    services.revoke_token(token=token, by=request.user)
    messages.success(request, _("The token “%(name)s” no longer works.") % {"name": token.name})
    return redirect("accounts:tokens")
