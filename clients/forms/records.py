"""What is kept about a client beside who it is."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from stdnum import iban

from clients.forms.base import ConflictAware, DateInput, DomainForm

EVIDENCE = [
    ("passport", _("Passport")),
    ("identity_card", _("Identity card")),
    ("register_extract", _("Extract of the commercial register")),
    ("video_identification", _("Video identification")),
]


class KycForm(ConflictAware):
    """That the client's identity was checked, and on what the check rests."""

    checked_on = forms.DateField(label=_("Identity checked on"), widget=DateInput())
    evidence_kind = forms.ChoiceField(label=_("Seen"), choices=EVIDENCE)
    evidence_reference = forms.CharField(
        label=_("Number of the document"),
        max_length=200,
        help_text=_("Stays with your institution; no partner sees it."),
    )
    is_politically_exposed = forms.BooleanField(
        label=_("Politically exposed"),
        required=False,
        help_text=_("Operations look again before a politically exposed client is approved."),
    )

    def clean_checked_on(self) -> Any:
        value = self.cleaned_data["checked_on"]
        if value > timezone.localdate():
            raise ValidationError(_("The check lies in the future."))
        return value


class PayoutAccountForm(DomainForm):
    """An account that money may be paid out to."""

    iban = forms.CharField(label=_("IBAN"), max_length=50)
    holder = forms.CharField(
        label=_("Account holder"), max_length=200, help_text=_("The client itself: no third party is paid.")
    )

    def clean_iban(self) -> str:
        """Return a valid IBAN, compact (ISO 13616)."""
        value = iban.compact(self.cleaned_data["iban"])
        if not iban.is_valid(value):
            raise ValidationError(_("This is not a valid IBAN. Compare it with the client's letter."))
        return str(value)


class NoteForm(DomainForm):
    """A private note."""

    text = forms.CharField(label=_("Note"), widget=forms.Textarea(attrs={"rows": 2}))


class TaskForm(DomainForm):
    """Something promised, by a day."""

    title = forms.CharField(label=_("What did you promise?"), max_length=200)
    due_date = forms.DateField(label=_("By"), widget=DateInput())


class ReviewForm(ConflictAware):
    """When the client is seen next."""

    next_review_date = forms.DateField(label=_("Next review"), widget=DateInput(), required=False)
