"""Forms that say what to do: refusals at their field, and conflicting edits side by side."""

import datetime
import hashlib
from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.errors import DomainError

CURRENCIES = [
    (code, code)
    for code in ("EUR", "CHF", "USD", "GBP", "SEK", "NOK", "DKK", "PLN", "CZK", "JPY", "AUD", "CAD")
]

# Nobody is known to have reached this age.
OLDEST = 125


def in_the_past(birth_date: datetime.date) -> None:
    """Raise ValidationError for a date of birth that is today or later, or of nobody who lives."""
    today = timezone.localdate()
    if birth_date >= today:
        raise ValidationError(_("A date of birth lies in the past."), code="birth_date_not_past")
    # A browser takes the year 70 for a whole one.
    if birth_date.year < today.year - OLDEST:
        raise ValidationError(
            _("Check the year of birth, and write it with four digits."), code="birth_date_too_early"
        )


def not_in_future(day: datetime.date) -> None:
    """Raise ValidationError for a day on which nothing can be signed yet."""
    if day > timezone.localdate():
        raise ValidationError(
            _("This day lies in the future. Enter the day that stands on the document."), code="day_in_future"
        )


class DateInput(forms.DateInput):
    """A day, picked by the browser's own control."""

    input_type = "date"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(format="%Y-%m-%d", **kwargs)


class DomainForm(forms.Form):
    """A form that shows a service's refusal where it belongs, and keeps what was typed."""

    def refuse(self, error: DomainError | ValidationError) -> None:
        """Show why the change was refused, at its field where one is at fault."""
        if isinstance(error, DomainError):
            self.add_error(error.field if error.field in self.fields else None, str(error.message))
            return
        messages = error.message_dict if hasattr(error, "error_dict") else {"__all__": error.messages}
        for name, texts in messages.items():
            self.add_error(name if name in self.fields else None, texts)


@dataclass(frozen=True)
class Difference:
    """A field that somebody else changed meanwhile: what is stored now, and what was typed."""

    label: str
    stored: str
    typed: str


class ConflictAware(DomainForm):
    """A form that notices when the record changed since it was opened, and shows both versions.

    ``initial`` is what is stored now. Sending the form once more overwrites on purpose.
    """

    marker = forms.CharField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.differences: list[Difference] = []
        self.initial["marker"] = self._marker()

    def _marker(self) -> str:
        # What is stored, whichever of it this form shows: a client's kind decides on the fields.
        stored = [(name, _text(value)) for name, value in sorted(self.initial.items()) if name != "marker"]
        return hashlib.sha256(repr(stored).encode()).hexdigest()[:16]

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if self.initial and data.get("marker") and data["marker"] != self.initial["marker"]:
            self.differences = [
                Difference(str(field.label or name), _text(self.initial.get(name)), _text(self[name].value()))
                for name, field in self.fields.items()
                if name != "marker" and _text(self.initial.get(name)) != _text(self[name].value())
            ]
            # The next attempt is made in sight of both versions.
            given: Any = self.data
            self.data = typed = given.copy()
            typed[self.add_prefix("marker")] = self.initial["marker"]
            raise ValidationError(
                _("Somebody changed this while you were editing. Compare both versions, then save again."),
                code="conflict",
            )
        return data


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, bool):
        return "on" if value else ""
    return str(value)
