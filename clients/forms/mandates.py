"""What is entered about a mandate, on both sides."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from stdnum import isin

from accounts.amounts import AmountField
from accounts.models import Unit
from clients.forms.base import CURRENCIES, ConflictAware, DateInput, DomainForm, not_in_future
from clients.models import Mandate, MandateRestriction

MISSING = [
    ("identity", _("Proof of identity")),
    ("source_of_funds", _("Where the money comes from")),
    ("risk_profile", _("Risk profile")),
    ("signature", _("Signature of every owner")),
    ("representatives", _("Representatives and beneficial owners")),
    ("tax", _("Tax residence")),
    ("restrictions", _("Wishes that cannot be met as they stand")),
]
# Where the sales side puts it right: a page of the mandate, and what to ask of it; the rest goes into the answer.
_MENDED_AT = {
    "identity": ("clients:profile", "?again=kyc"),
    "risk_profile": ("clients:profile", "?again=profile"),
    "representatives": ("clients:who", ""),
    "restrictions": ("clients:mandate_detail", "#restrictions"),
}


def mending(mandate: Mandate, missing: Sequence[str]) -> list[tuple[str, str]]:
    """Return each thing that is missing with the address where it is put right, "" where there is none."""
    keys = {str(label): key for key, label in MISSING}
    places = [(each, _MENDED_AT.get(keys.get(each, ""))) for each in missing]
    return [
        (each, reverse(place[0], args=[mandate.pk]) + place[1] if place else "") for each, place in places
    ]


class PlanForm(ConflictAware):
    """What is to be invested."""

    amount = AmountField(label=_("Planned amount"), help_text=_("What the client wants to invest at first."))
    currency = forms.ChoiceField(label=_("Currency"), choices=CURRENCIES)
    name = forms.CharField(
        label=_("Name of the mandate"),
        max_length=120,
        required=False,
        help_text=_("As the client calls it, such as “Retirement”. The manager sees it."),
    )


class SubmitForm(DomainForm):
    """The signature, and the client's authorisation to disclose where there is a manager to disclose to."""

    signed_on = forms.DateField(
        label=_("Signed by the client on"), validators=[not_in_future], widget=DateInput()
    )
    disclosure_authorised = forms.BooleanField(
        label=_("The client has authorised this in writing"),
        error_messages={
            "required": _("Without the client's authorisation nothing may be disclosed to the manager.")
        },
    )
    disclosure_authorised_on = forms.DateField(
        label=_("Authorised on"), validators=[not_in_future], widget=DateInput()
    )

    def __init__(self, *args: Any, discloses: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not discloses:
            del self.fields["disclosure_authorised"], self.fields["disclosure_authorised_on"]


class AnswerForm(DomainForm):
    """The answer to a manager who returned a mandate."""

    answer = forms.CharField(
        label=_("Your answer to the manager"), widget=forms.Textarea(attrs={"rows": 3}), max_length=4000
    )


class WithdrawForm(DomainForm):
    """Why a mandate is withdrawn."""

    reason = forms.CharField(label=_("Why"), max_length=500, required=False)


class RestrictionForm(DomainForm):
    """Something the client does not want, or wants kept."""

    kind = forms.ChoiceField(label=_("Wish"), choices=MandateRestriction.Kind.choices)
    value = forms.CharField(label=_("ISIN or sector"), max_length=60)
    note = forms.CharField(label=_("Note"), max_length=200, required=False)

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        value = data.get("value", "")
        if value and data.get("kind") != MandateRestriction.Kind.EXCLUDE_SECTOR:
            data["value"] = isin.compact(value)
            if not isin.is_valid(value):
                self.add_error("value", _("This is not a valid ISIN. It has 12 letters and digits."))
        return data


class DecisionForm(DomainForm):
    """A decision on a submitted mandate; which fields count depends on the button."""

    submission = forms.IntegerField(widget=forms.HiddenInput)
    unit = forms.ModelChoiceField(label=_("Desk"), queryset=Unit.objects.none(), required=False)
    missing = forms.MultipleChoiceField(
        label=_("What is missing?"),
        choices=MISSING,
        widget=forms.CheckboxSelectMultiple(attrs={"class": "form-check-input"}),
        required=False,
    )
    reason = forms.CharField(
        label=_("To the advisor"), widget=forms.Textarea(attrs={"rows": 3}), max_length=4000, required=False
    )

    def __init__(self, *args: Any, units: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["unit"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = units
        field.empty_label = None

    def missing_labels(self) -> list[str]:
        """Return what was ticked, in words: the decision says it in the manager's language."""
        labels = dict(MISSING)
        return [str(labels[each]) for each in self.cleaned_data.get("missing", [])]

    def look_again(self, submission: int) -> None:
        """Keep what was typed, and let the next attempt be about this submission."""
        given: Any = self.data
        self.data = typed = given.copy()
        typed["submission"] = str(submission)
