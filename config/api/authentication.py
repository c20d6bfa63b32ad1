"""Who calls: a user by token, or by the session of the browser that shows the documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _
from rest_framework import authentication, exceptions, permissions
from rest_framework.request import Request

from accounts.models import ApiToken, User
from accounts.services.tokens import find_token

if TYPE_CHECKING:
    # The framework's views read this module's classes from the settings while they load.
    from rest_framework.views import APIView


class UserTokenAuthentication(authentication.BaseAuthentication):
    """Read ``Authorization: Bearer rbu_…`` and act with the rights of that token's user."""

    keyword = "Bearer"

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        keyword, _space, text = request.headers.get("Authorization", "").partition(" ")
        if not keyword:
            return None
        token = find_token(text.strip()) if keyword.lower() == self.keyword.lower() else None
        if token is None:
            raise exceptions.AuthenticationFailed(
                _("This token is unknown here, expired or revoked. Ask an administrator for a new one.")
            )
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return self.keyword


class IsCaller(permissions.IsAuthenticated):
    """Let everybody in who may call any part of the API: users, and partners with an agreement's token."""


class IsUser(permissions.BasePermission):
    """Let users of this institution in, with a token that may write for what writes."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not isinstance(request.user, User):
            return False
        if request.method in permissions.SAFE_METHODS or request.auth is None:
            return True
        self.message = _("This token may only read. Ask an administrator for one that may write.")
        return isinstance(request.auth, ApiToken) and request.auth.may_write
