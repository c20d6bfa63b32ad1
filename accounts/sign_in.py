"""The forms by which people sign in and choose passwords, in the words of the other pages."""

from typing import Any

from allauth.account import forms
from django.utils.translation import gettext_lazy as _

_LABELS = {
    "login": _("E-mail"),
    "email": _("E-mail"),
    "remember": _("Stay signed in"),
    "oldpassword": _("Current password"),
    "password1": _("New password"),
    "password2": _("New password again"),
}


class _InOurWords:
    """Call fields as other pages do; a label needs no placeholder beside it."""

    fields: dict[str, Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.label = _LABELS.get(name, field.label)
            field.widget.attrs.pop("placeholder", None)


class LoginForm(_InOurWords, forms.LoginForm):
    """Who signs in."""


class ReauthenticateForm(_InOurWords, forms.ReauthenticateForm):
    """That it is they who are signed in."""


class ChangePasswordForm(_InOurWords, forms.ChangePasswordForm):
    """Another password in place of one's own."""


class ResetPasswordForm(_InOurWords, forms.ResetPasswordForm):
    """Where the link to choose a new password goes."""


class ResetPasswordKeyForm(_InOurWords, forms.ResetPasswordKeyForm):
    """The new password that such a link asks for."""
