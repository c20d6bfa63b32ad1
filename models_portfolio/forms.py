"""Forms of models, versions, views and offers."""

import datetime
from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.amounts import AmountField, NumberField, WholeNumberField
from models_portfolio.effective import today
from models_portfolio.models import ModelPortfolio, ModelVersion
from portfolios.models import Benchmark, Security

CURRENCIES = ["EUR", "CHF", "USD", "GBP", "JPY", "SEK", "NOK", "DKK"]
RISK_LEVELS = [(level, str(level)) for level in range(1, 8)]


class DateInput(forms.DateInput):
    """A day, picked with the browser's own calendar."""

    input_type = "date"

    def __init__(self, **attrs: Any) -> None:
        super().__init__(attrs=attrs, format="%Y-%m-%d")


class PercentField(NumberField):
    """A fraction that people enter in percent, or in percentage points."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("max_digits", 12)
        kwargs.setdefault("decimal_places", 8)
        super().__init__(**kwargs)

    def clean(self, value: Any) -> Decimal | None:
        cleaned = super().clean(value)
        return None if cleaned is None else cleaned / 100

    def read(self, text: str) -> str:
        """Read a comma as a point: there are no thousands of percent."""
        return text.strip().replace(",", ".").replace("−", "-")

    def prepare_value(self, value: Any) -> Any:
        return shown_percent(value) if isinstance(value, Decimal) else value


def shown_percent(value: Decimal) -> str:
    """Return a fraction as the percent that an input shows."""
    return f"{(value * 100).normalize():f}"


class ModelForm(forms.ModelForm):
    """What describes a model."""

    drift_tolerance = PercentField(
        label=_("Tolerated drift, %"),
        min_value=0,
        max_value=100,
        help_text=_("A portfolio further than this from its targets, in one-way turnover, needs attention."),
    )
    risk_level = forms.TypedChoiceField(
        label=_("Risk level"), choices=RISK_LEVELS, coerce=int, help_text=_("1 is the lowest, 7 the highest.")
    )
    currency = forms.ChoiceField(label=_("Currency"), choices=[(code, code) for code in CURRENCIES])
    benchmark = forms.ModelChoiceField(
        label=_("Benchmark"), queryset=Benchmark.objects.none(), required=False
    )

    class Meta:
        model = ModelPortfolio
        fields = ("code", "name", "currency", "risk_level", "drift_tolerance", "benchmark", "description")
        widgets = {"description": forms.Textarea(attrs={"rows": 3})}
        help_texts = {"code": _("A short name for tables, for example BAL-EUR.")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        benchmark = self.fields["benchmark"]
        assert isinstance(benchmark, forms.ModelChoiceField)
        benchmark.queryset = Benchmark.objects.current()
        if not self.instance._state.adding:
            # What others know the model by stays.
            for name in ("code", "currency"):
                del self.fields[name]
        else:
            self.initial.setdefault("drift_tolerance", Decimal("0.05"))
            self.initial.setdefault("risk_level", 4)


class PublishForm(forms.Form):
    """From when a version counts, and why it changed."""

    effective_from = forms.DateField(label=_("Effective from"), widget=DateInput())
    comment = forms.CharField(
        label=_("Why it changed"),
        widget=forms.Textarea(attrs={"rows": 2}),
        required=False,
        help_text=_("Followers read this."),
    )

    def __init__(self, *args: Any, version: ModelVersion, **kwargs: Any) -> None:
        kwargs.setdefault(
            "initial", {"effective_from": max(version.effective_from, today()), "comment": version.comment}
        )
        super().__init__(*args, **kwargs)


class ViewForm(forms.Form):
    """A view on a security or an asset class of a version."""

    about = forms.ChoiceField(
        label=_("On"), help_text=_("A security of the version, or a whole asset class.")
    )
    tilt = PercentField(
        label=_("Over- or underweight, points"),
        help_text=_("Percentage points: 2 is two points over, −2 two points under."),
        # Keyboards of phones for decimals may have no minus.
        widget=forms.TextInput(attrs={"inputmode": "text"}),
    )
    rationale = forms.CharField(
        label=_("Rationale"), widget=forms.Textarea(attrs={"rows": 3}), help_text=_("Followers read this.")
    )
    valid_from = forms.DateField(label=_("Valid from"), widget=DateInput())
    valid_to = forms.DateField(
        label=_("Valid to"),
        widget=DateInput(),
        required=False,
        help_text=_("The first day on which it no longer counts. Empty: until it is ended."),
    )

    def __init__(self, *args: Any, securities: list[Security], **kwargs: Any) -> None:
        kwargs.setdefault(
            "initial",
            {"valid_from": today(), "valid_to": today() + datetime.timedelta(days=90)},
        )
        super().__init__(*args, **kwargs)
        self.securities = {str(security.pk): security for security in securities}
        classes = [
            (f"class:{value}", label)
            for value, label in Security.AssetClass.choices
            if any(security.asset_class == value for security in securities)
        ]
        choices = [(key, security.name) for key, security in self.securities.items()]
        about = self.fields["about"]
        assert isinstance(about, forms.ChoiceField)
        about.choices = [(_("Securities"), choices), (_("Asset classes"), classes)]

    def what(self) -> dict[str, Any]:
        """Return what the view says, and on what, as the services want it."""
        says = {**self.cleaned_data}
        about: str = says.pop("about")
        if about.startswith("class:"):
            return {**says, "asset_class": about.removeprefix("class:")}
        return {**says, "security": self.securities[about]}


class OfferForm(forms.Form):
    """What an offer of a model says to those who choose it."""

    name = forms.CharField(label=_("Name"), max_length=150)
    summary = forms.CharField(
        label=_("In plain words"), widget=forms.Textarea(attrs={"rows": 3}), required=False
    )
    minimum_amount = AmountField(label=_("Minimum"), takes_zero=True)
    management_fee = PercentField(label=_("Management fee a year, %"), min_value=0, max_value=10)
    custody_fee = PercentField(label=_("Custody fee a year, %"), min_value=0, max_value=10)
    product_cost = PercentField(label=_("Cost of the funds a year, %"), min_value=0, max_value=10)
    horizon_years = WholeNumberField(label=_("Suggested horizon in years"), min_value=1, max_value=50)


class AssignForm(forms.Form):
    """Which model a portfolio is to follow."""

    model = forms.ModelChoiceField(
        label=_("Model"),
        queryset=ModelPortfolio.objects.none(),
        help_text=_("The portfolio follows it from today; the trades are a proposal of their own."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choice = self.fields["model"]
        assert isinstance(choice, forms.ModelChoiceField)
        choice.queryset = ModelPortfolio.objects.current().filter(versions__state="published").distinct()


class ReasonForm(forms.Form):
    """Why something is declined."""

    reason = forms.CharField(
        label=_("Reason"),
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("Kept with the decision; it stays here."),
    )
