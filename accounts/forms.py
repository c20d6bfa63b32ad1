"""Forms of people, units and credentials."""

import datetime
import zoneinfo
from collections.abc import Iterator
from functools import cache
from typing import Any

from django import forms
from django.contrib.auth.password_validation import validate_password
from django.forms.models import ModelChoiceIterator, ModelChoiceIteratorValue
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.credentials import end_of
from accounts.errors import DomainError
from accounts.models import ApiToken, Role, RoleAssignment, Unit, User

WHOLE = _("The whole institution")
WRITING = _("How they are written on pages. Texts are in English.")


def show_error(form: forms.BaseForm, error: DomainError) -> None:
    """Show a refused change at the field that it names, or above the form."""
    form.add_error(error.field if error.field in form.fields else None, str(error.message))


class DayInput(forms.DateInput):
    """A day, chosen with the browser's calendar."""

    input_type = "date"

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__(attrs, format="%Y-%m-%d")


class _Tree(ModelChoiceIterator):
    """The choices of one form, read anew: a field of a form class outlives the institution that is served."""

    def __iter__(self) -> Iterator[tuple[Any, str]]:
        if self.field.empty_label is not None:
            yield "", str(self.field.empty_label)
        for unit, depth in tree_of(self.queryset.all()):
            yield ModelChoiceIteratorValue(unit.pk, unit), "\u2003" * depth + unit.name


class UnitChoiceField(forms.ModelChoiceField):
    """Units as a tree: indented, parents before their children."""

    iterator = _Tree

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("queryset", Unit.objects.all())
        kwargs.setdefault("required", False)
        super().__init__(**kwargs)


def tree_of(units: Any) -> list[tuple[Unit, int]]:
    """Return units with their depth, parents before their children, siblings by name."""
    found = list(units)
    names = {unit.id.hex: unit.name for unit in found}

    def key(unit: Unit) -> list[str]:
        return [names.get(part, "") for part in unit.path.strip("/").split("/")]

    return [(unit, unit.path.count("/") - 2) for unit in sorted(found, key=key)]


class UnitFilterForm(forms.Form):
    """Narrow the units down by words and kind."""

    q = forms.CharField(label=_("Name or place"), required=False, widget=forms.SearchInput())
    kind = forms.ChoiceField(label=_("Kind"), required=False, choices=[("", _("All")), *Unit.Kind.choices])


class InvitationForm(forms.Form):
    """Whom to invite, with a first role."""

    email = forms.EmailField(
        label=_("E-mail"), help_text=_("The invitation goes here; it is also the sign-in.")
    )
    full_name = forms.CharField(label=_("Full name"), max_length=150)
    job_title = forms.CharField(label=_("Job title"), max_length=150, required=False)
    language = forms.ChoiceField(label=_("Dates and numbers"), choices=User.Writing, help_text=WRITING)
    role = forms.ChoiceField(
        label=_("Role"), choices=Role, help_text=_("More roles can be added once the person is invited.")
    )
    unit = UnitChoiceField(
        label=_("Unit"), empty_label=WHOLE, help_text=_("The role holds here and in all units below.")
    )


class AcceptForm(forms.Form):
    """What a person who was invited enters."""

    full_name = forms.CharField(
        label=_("Full name"), max_length=150, widget=forms.TextInput(attrs={"autocomplete": "name"})
    )
    password = forms.CharField(
        label=_("Password"),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_("At least 12 characters. A few words in a row are easy to remember and hard to guess."),
    )
    password_again = forms.CharField(
        label=_("Password again"), widget=forms.PasswordInput(attrs={"autocomplete": "new-password"})
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        self.fields["full_name"].initial = user.full_name

    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        validate_password(password, self.user)
        return password

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if {"password", "password_again"} <= data.keys() and data["password"] != data["password_again"]:
            self.add_error("password_again", _("The two passwords differ. Enter the same twice."))
        return data


class PersonForm(forms.ModelForm):
    """How a person is named."""

    class Meta:
        model = User
        fields = ["full_name", "job_title"]


class RoleForm(forms.ModelForm):
    """A role for a person."""

    role = forms.ChoiceField(label=_("Role"), choices=[("", _("Choose a role")), *Role.choices])
    unit = UnitChoiceField(label=_("Unit"), empty_label=WHOLE)

    class Meta:
        model = RoleAssignment
        fields = ["role", "unit"]


class UnitForm(forms.ModelForm):
    """A unit and where it belongs."""

    parent = UnitChoiceField(label=_("Part of"), empty_label=_("Nothing above it"))

    class Meta:
        model = Unit
        fields = ["name", "kind", "parent"]


class TokenForm(forms.ModelForm):
    """A credential for another system."""

    user = forms.ModelChoiceField(
        label=_("Acts as"),
        queryset=User.objects.none(),
        help_text=_("The token has this person's rights, and is shown to this person alone."),
    )
    expires_on = forms.DateField(
        label=_("Last day"), widget=DayInput, help_text=_("Within a year; the token ends with this day.")
    )

    class Meta:
        model = ApiToken
        fields = ["name", "user", "may_write"]
        help_texts = {
            "name": _("What uses it, so that you recognise it later."),
            "may_write": _("Without this the token can only read."),
        }

    field_order = ["name", "user", "expires_on", "may_write"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        users = self.fields["user"]
        assert isinstance(users, forms.ModelChoiceField)
        users.queryset = User.objects.filter(is_active=True)
        self.fields["expires_on"].initial = timezone.localdate() + datetime.timedelta(days=90)

    def expires_at(self) -> datetime.datetime:
        """Return the instant at which the last day ends."""
        return end_of(self.cleaned_data["expires_on"])


@cache
def _time_zones() -> list[tuple[str, str]]:
    # To list what this machine knows reads a thousand files.
    zones = sorted(
        zone for zone in zoneinfo.available_timezones() if "/" in zone and not zone.startswith("Etc/")
    )
    return [("UTC", "UTC"), *((zone, zone.replace("_", " ")) for zone in zones)]


class ProfileForm(forms.ModelForm):
    """What a person chooses for oneself."""

    class Meta:
        model = User
        fields = ["full_name", "job_title", "language", "time_zone", "theme", "hides_amounts"]
        help_texts = {
            "language": WRITING,
            "hides_amounts": _("Amounts show as dots, for meetings. Percentages stay."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["time_zone"] = forms.ChoiceField(label=_("Time zone"), choices=_time_zones())
