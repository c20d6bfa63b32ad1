"""Forms of agreements, their wizard, tokens and the institution itself."""

import datetime
from decimal import Decimal
from typing import Any

from django import forms
from django.core.validators import MaxLengthValidator, RegexValidator
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from stdnum import lei

from accounts.amounts import AmountField, NumberField, WholeNumberField
from accounts.credentials import end_of
from clients.countries import check_country
from federation.agreements.presets import PRESETS, WORDS
from federation.models import Agreement, AgreementVersion, Function, Institution, Side
from federation.scope import objections
from models_portfolio.models import ModelPortfolio

COLOUR = RegexValidator(r"^#[0-9a-fA-F]{6}$", _("Enter a colour such as #1f4e79."))

# Partners print them on the reports that they make: more would fill their pages and their time.
LONGEST_LETTERHEAD = {"address": 500, "footer": 1000}


def day_input() -> forms.DateInput:
    """Return the input of a day, with the browser's own picker."""
    return forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")


def partners_for(institution: Institution) -> QuerySet[Institution]:
    """Return whom ``institution`` can choose: all that are hosted here, and the externals it entered."""
    return (
        Institution.everyone.filter(Q(schema_name__isnull=False) | Q(registered_by=institution))
        .exclude(pk=institution.pk)
        .exclude(schema_name="public")
        .order_by("name")
    )


class PartnerField(forms.ModelChoiceField):  # type: ignore[type-arg]
    """Institutions, the external ones marked."""

    def label_from_instance(self, obj: Any) -> str:
        return (
            str(obj.name) if obj.is_hosted else str(_("%(name)s (not on this platform)") % {"name": obj.name})
        )


class PartnerForm(forms.Form):
    """With whom, and on which side."""

    side = forms.ChoiceField(
        label=_("We are"),
        choices=[
            (Side.CHANNEL, _("the sales channel: the clients are ours")),
            (Side.MANAGER, _("the manager: we manage or advise, the clients are the partner's")),
        ],
        widget=forms.RadioSelect(attrs={"class": "form-check-input"}),
    )
    partner = PartnerField(
        label=_("Partner"), queryset=Institution.everyone.none(), required=False, empty_label=_("Choose…")
    )
    external_name = forms.CharField(
        label=_("Or a partner that is not on this platform"),
        max_length=120,
        required=False,
        help_text=_("Its acceptance is recorded by you; its system reads through the partner API."),
    )
    external_country = forms.CharField(
        label=_("Its country"), max_length=2, required=False, help_text=_("Two letters, such as CH")
    )
    external_lei = forms.CharField(label=_("Its LEI"), max_length=20, required=False)
    external_contact = forms.CharField(label=_("Whom you talk to there"), max_length=200, required=False)
    name = forms.CharField(
        label=_("Name of the agreement"),
        max_length=150,
        required=False,
        help_text=_("Left empty, it is named after both parties."),
    )

    def __init__(self, *args: Any, institution: Institution, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.institution = institution
        partner = self.fields["partner"]
        assert isinstance(partner, forms.ModelChoiceField)
        partner.queryset = partners_for(institution)

    def clean_external_country(self) -> str:
        code = str(self.cleaned_data["external_country"]).upper()
        check_country(code)
        return code

    def clean_external_lei(self) -> str:
        number = str(self.cleaned_data["external_lei"]).upper()
        if number and not lei.is_valid(number):
            raise forms.ValidationError(
                _("This is no valid LEI. Check its 20 characters, or leave it empty.")
            )
        return number

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        name = cleaned.get("external_name", "").strip()
        if cleaned.get("partner") and name:
            self.add_error(
                "partner", _("Choose a partner from the list or enter one that is not on it: one of the two.")
            )
        elif not cleaned.get("partner") and not name and "partner" not in self.errors:
            self.add_error("partner", _("Choose a partner from the list, or enter one that is not on it."))
        if name and Institution.everyone.filter(name__iexact=name, registered_by=self.institution).exists():
            self.add_error(
                "external_name", _("You have entered this partner before. Choose it from the list.")
            )
        return cleaned


class WorkForm(forms.Form):
    """The way of working: a preset, or who performs each function and which of them stay private."""

    preset = forms.ChoiceField(
        label=_("Way of working"),
        choices=[
            *((name, preset.title) for name, preset in PRESETS.items()),
            (Agreement.Preset.CUSTOM.value, _("Divided otherwise")),
        ],
        widget=forms.RadioSelect,
    )

    def __init__(
        self, *args: Any, agreement: Agreement, division: dict[str, str], private: list[str], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        parties = [(side.value, agreement.party(side).short_name) for side in Side]
        for function in Function:
            self.fields[f"who_{function}"] = forms.ChoiceField(
                label=function.label,
                choices=parties,
                required=False,
                initial=division.get(function),
                widget=forms.RadioSelect,
            )
            self.fields[f"private_{function}"] = forms.BooleanField(
                label=_("%(function)s stays private") % {"function": function.label},
                required=False,
                initial=function in private,
            )

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Return the choices of each function with the words that explain it."""
        return [
            {
                "function": function,
                "words": WORDS[function],
                "who": self[f"who_{function}"],
                "private": self[f"private_{function}"],
            }
            for function in Function
        ]

    def values(self) -> dict[str, Any]:
        """Return what ``drafting.divide`` wants."""
        data = self.cleaned_data
        if data["preset"] != Agreement.Preset.CUSTOM:
            return {"preset": data["preset"]}
        return {
            "division": {function.value: data[f"who_{function}"] for function in Function},
            "private": [function.value for function in Function if data[f"private_{function}"]],
        }

    def clean(self) -> dict[str, Any]:
        """Refuse a division that makes no sense, with every reason."""
        cleaned = super().clean() or {}
        if cleaned.get("preset") == Agreement.Preset.CUSTOM and not self.errors:
            values = self.values()
            for sentence in objections(values["division"], values["private"]):
                self.add_error("preset", sentence)
        return cleaned


class WithholdForm(forms.Form):
    """Which kinds and fields of one's own functions are shared; what is not ticked is left out."""

    def __init__(self, *args: Any, entries: dict[str, str], shared: set[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.entries = entries
        for entry, label in entries.items():
            self.fields[entry] = forms.BooleanField(label=label, required=False, initial=entry in shared)

    @property
    def withheld(self) -> list[str]:
        """Return what was not ticked."""
        return [entry for entry in self.entries if not self.cleaned_data[entry]]


class TermsForm(forms.ModelForm):  # type: ignore[type-arg]
    """What both parties sign, and how long records are kept after the end."""

    class Meta:
        model = AgreementVersion
        fields = ["terms", "retention_years"]
        widgets = {"terms": forms.Textarea(attrs={"rows": 8})}
        labels = {
            "terms": _("Terms"),
            "retention_years": _("Years that received records are kept after the end"),
        }
        help_texts = {
            "terms": _(
                "What both parties agree to beyond the division of work. Both accept exactly this text."
            ),
            "retention_years": _("Records of clients are kept at least 5 years by law."),
        }

    def clean_retention_years(self) -> int:
        years = int(self.cleaned_data["retention_years"])
        if not 5 <= years <= 30:
            raise forms.ValidationError(_("Enter between 5 and 30 years."))
        return years


class OfferForm(forms.Form):
    """A model on offer under an agreement, with its price."""

    model = forms.ModelChoiceField(
        label=_("Model"), queryset=ModelPortfolio.objects.none(), empty_label=_("Choose…")
    )
    name = forms.CharField(
        label=_("Name for the client"),
        max_length=150,
        required=False,
        help_text=_("Left empty, the model's name."),
    )
    summary = forms.CharField(
        label=_("In plain words"), required=False, widget=forms.Textarea(attrs={"rows": 2})
    )
    minimum_amount = AmountField(label=_("Minimum"), takes_zero=True, initial=0)
    management_fee = NumberField(
        label=_("Management fee, % a year"),
        min_value=0,
        max_value=10,
        decimal_places=4,
        initial=Decimal("0.80"),
    )
    custody_fee = NumberField(
        label=_("Custody fee, % a year"), min_value=0, max_value=10, decimal_places=4, initial=Decimal("0.15")
    )
    product_cost = NumberField(
        label=_("Cost of the funds, % a year"),
        min_value=0,
        max_value=10,
        decimal_places=4,
        initial=Decimal("0.20"),
    )
    horizon_years = WholeNumberField(
        label=_("Suggested horizon in years"), min_value=1, max_value=50, initial=5
    )

    PERCENT = ("management_fee", "custody_fee", "product_cost")

    def __init__(self, *args: Any, models: QuerySet[ModelPortfolio], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        model = self.fields["model"]
        assert isinstance(model, forms.ModelChoiceField)
        model.queryset = models

    def values(self) -> dict[str, Any]:
        """Return the terms, fees as fractions."""
        return {
            name: value / 100 if name in self.PERCENT else value for name, value in self.cleaned_data.items()
        }


class PartnerAnswerForm(forms.Form):
    """Who answered for a partner that is not on this platform, and when."""

    partner_name = forms.CharField(label=_("Who answered at the partner"), max_length=150)
    answered_on = forms.DateField(label=_("On"), widget=day_input())

    @property
    def answered_at(self) -> datetime.datetime:
        """Return the instant that the day stands for: now for today, else noon UTC."""
        day = self.cleaned_data["answered_on"]
        noon = datetime.datetime.combine(day, datetime.time(12), tzinfo=datetime.UTC)
        return min(noon, timezone.now()) if day <= timezone.localdate() else noon


class ReasonForm(forms.Form):
    """A reason that the partner reads."""

    reason = forms.CharField(label=_("Reason"), widget=forms.Textarea(attrs={"rows": 3}))

    def __init__(self, *args: Any, required: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].required = required
        self.fields["reason"].help_text = _("Your partner reads this.")


class HoldForm(forms.Form):
    """Why and until when sealed records must not be erased."""

    reason = forms.CharField(
        label=_("Reason"),
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("Your partner reads this in the timeline."),
    )
    until = forms.DateField(
        label=_("Until"), required=False, widget=day_input(), help_text=_("Empty: until the hold is lifted.")
    )
    everything = forms.BooleanField(
        label=_("All that is kept under this agreement, not this mandate alone"), required=False
    )


class TokenForm(forms.Form):
    """A credential for the partner's system."""

    name = forms.CharField(label=_("What it is for"), max_length=100)
    expires_on = forms.DateField(
        label=_("Last day"), widget=day_input(), help_text=_("Within a year; the token ends with this day.")
    )

    @property
    def expires_at(self) -> datetime.datetime:
        """Return the instant at which the last day ends."""
        return end_of(self.cleaned_data["expires_on"])


class InstitutionForm(forms.ModelForm):  # type: ignore[type-arg]
    """The institution as its clients and the platform's visitors see it."""

    class Meta:
        model = Institution
        fields = [
            "short_name", "description", "is_manager", "is_channel", "address", "contact", "colour", "footer",
            "language", "lei",
        ]  # fmt: skip
        widgets = {
            "address": forms.Textarea(attrs={"rows": 3}),
            "footer": forms.Textarea(attrs={"rows": 2}),
            "colour": forms.TextInput(attrs={"type": "color", "class": "form-control-color"}),
        }
        help_texts = {
            "description": _("Shown on the platform's front page."),
            "address": _(
                "Printed at the top of reports to your clients, also of those a partner makes for you."
            ),
            "colour": _("Used on your letterhead and on your pages."),
            "language": _("Reports to your clients are written in it. Pages are in English."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["colour"].validators.append(COLOUR)
        for name, longest in LONGEST_LETTERHEAD.items():
            self.fields[name].validators.append(MaxLengthValidator(longest))
        self.fields["language"] = forms.ChoiceField(
            label=self.fields["language"].label,
            choices=[("en", _("English")), ("de", _("German"))],
            help_text=self.fields["language"].help_text,
        )

    def clean_short_name(self) -> str:
        """Return the name, which partners read beside every record; nobody goes by another one's."""
        name = str(self.cleaned_data["short_name"])
        if Institution.objects.called(name).exclude(pk=self.instance.pk).exists():
            raise forms.ValidationError(
                _("Another institution goes by this name. Choose a name of your own.")
            )
        return name

    def clean_lei(self) -> str:
        number = str(self.cleaned_data["lei"]).upper()
        if number and not lei.is_valid(number):
            raise forms.ValidationError(
                _("This is no valid LEI. Check its 20 characters, or leave it empty.")
            )
        return number
