"""What all forms say of a field that was left empty or is out of bounds."""

from typing import Any

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils.translation import gettext_lazy as _


def say_what_to_enter() -> None:
    """Have every form say what to enter, in place of that something is required or out of bounds.

    A field takes its words when it is made: this comes before any form is read in.
    """
    required: dict[type[forms.Field], Any] = {
        forms.Field: _("Fill this in."),
        forms.ChoiceField: _("Choose one."),
        forms.DateField: _("Enter a day."),
        forms.DecimalField: _("Enter a number."),
        forms.EmailField: _("Enter an e-mail address."),
        forms.FileField: _("Choose a file."),
        forms.BooleanField: _("Tick this to go on."),
    }
    for field, words in required.items():
        field.default_error_messages = {**vars(field).get("default_error_messages", {}), "required": words}
    MinValueValidator.message = _("Enter %(limit_value)s or more.")
    MaxValueValidator.message = _("Enter %(limit_value)s or less.")
