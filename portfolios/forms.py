"""Forms of this app."""

from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.amounts import AmountField, NumberField
from accounts.currencies import check_currency
from accounts.errors import DomainError
from clients.countries import check_country
from portfolios.models import PriceSource, Security

_DAY = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")


class CurrencyField(forms.CharField):
    """The three letters of a currency, small ones too."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("widget", forms.TextInput(attrs={"size": 4, "autocapitalize": "characters"}))
        kwargs.setdefault("max_length", 3)
        super().__init__(**kwargs)

    def clean(self, value: Any) -> str:
        text = str(super().clean(value))
        try:
            return check_currency(text) if text else ""
        except DomainError as error:
            raise forms.ValidationError(str(error)) from error


class SecurityForm(forms.ModelForm):
    """A security; its ISIN is fixed once it exists."""

    isin = forms.CharField(
        label=_("ISIN"),
        max_length=14,
        required=False,
        help_text=_("Twelve characters. Leave it empty where there is none; it cannot be added later."),
    )
    replaced_by = forms.CharField(
        label=_("Replaced by (ISIN)"),
        max_length=14,
        required=False,
        help_text=_(
            "Where this ISIN is wrong or no longer used: that of the security in its place. This one ends."
        ),
    )

    class Meta:
        model = Security
        fields = (
            "isin", "name", "ticker", "kind", "asset_class", "sector", "country", "currency", "price_unit",
            "lot_size", "quantity_decimals", "coupon_rate", "maturity_date", "is_active",
        )  # fmt: skip
        field_classes = {"currency": CurrencyField, "lot_size": NumberField, "coupon_rate": NumberField}
        widgets = {"maturity_date": _DAY}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            self.fields["isin"].disabled = True
            self.fields["isin"].help_text = _(
                "An ISIN is not edited. A correction is a new security that replaces this one."
            )
            self.initial["replaced_by"] = getattr(self.instance.replaced_by, "isin", None)
        else:
            del self.fields["replaced_by"]

    def clean_replaced_by(self) -> Security | None:
        isin = self.cleaned_data["replaced_by"].strip().upper()
        found: Security | None = Security.objects.current().filter(isin=isin).first() if isin else None
        if isin and found is None:
            raise forms.ValidationError(_("There is no security with this ISIN yet. Create it first."))
        return found

    def clean_country(self) -> str:
        code = str(self.cleaned_data["country"]).strip().upper()
        check_country(code)
        return code

    def clean_isin(self) -> str:
        return (self.cleaned_data["isin"] or "").strip().upper()

    def validate_unique(self) -> None:
        """Leave a taken ISIN to the service, which says what to do."""


class SourceForm(forms.ModelForm):
    """Where prices come from, and which of several counts."""

    class Meta:
        model = PriceSource
        fields = ("code", "name", "preference", "is_redistributable", "is_simulated")
        help_texts = {
            "preference": _(
                "Where several of your sources know a price of one day, the lowest number counts. A newer price counts"
                " before an older one, whatever its source."
            ),
            "is_redistributable": _(
                "Partners get the prices of this source with the securities they follow."
            ),
            "is_simulated": _("Each price of this source is marked as simulated wherever it is shown."),
        }

    def clean_code(self) -> str:
        return str(self.cleaned_data["code"]).strip().upper()


class ImportForm(forms.Form):
    """A file to import, and where it comes from."""

    kind = forms.ChoiceField(
        label=_("What is in it"),
        choices=[("prices", _("Closing prices")), ("rates", _("Exchange rates of the ECB"))],
        initial="prices",
    )
    file = forms.FileField(
        label=_("File"),
        help_text=_(
            "CSV with date, isin or ticker, close, currency; or the date and one column per ticker. "
            "Or the ECB's eurofxref-hist.zip or eurofxref-daily.xml. Packed files too, up to 30 MB."
        ),
        error_messages={"empty": _("The file is empty. Choose the one with the figures.")},
    )
    source = forms.ModelChoiceField(
        label=_("Source"),
        queryset=PriceSource.objects.none(),
        required=False,
        empty_label=_("A new source"),
        help_text=_("For exchange rates the source is the European Central Bank."),
    )
    new_source = forms.CharField(label=_("Code of a new source"), max_length=30, required=False)
    is_redistributable = forms.BooleanField(
        label=_("The new source may be passed on to partners"), required=False
    )
    is_simulated = forms.BooleanField(label=_("The prices of the new source are simulated"), required=False)
    currency = CurrencyField(
        label=_("Currency of new securities"),
        required=False,
        help_text=_("For tickers that are not known yet and whose rows name no currency."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["source"].queryset = PriceSource.objects.own().current()  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("kind") == "prices" and not cleaned.get("source") and not cleaned.get("new_source"):
            self.add_error("source", _("Choose the source, or enter a code for a new one."))
        return cleaned


class BankEntryForm(forms.Form):
    """Cash that arrived, as the bank's statement has it."""

    value_date = forms.DateField(label=_("Value date"), widget=_DAY)
    amount = AmountField(label=_("Amount"), places=4)
    currency = CurrencyField(label=_("Currency"))
    payer = forms.CharField(label=_("Payer"), max_length=200, required=False)
    reference = forms.CharField(label=_("Payment reference"), max_length=140, required=False)

    def __init__(self, *args: Any, currency: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["value_date"].initial = timezone.now().date()
        self.fields["currency"].initial = currency


class BankFileForm(forms.Form):
    """A statement with arrived cash."""

    file = forms.FileField(
        label=_("File"),
        help_text=_(
            "CSV with the columns value_date, amount, currency, payer, reference. Entries already here are left out."
        ),
    )


class ReasonForm(forms.Form):
    """Why something is done."""

    reason = forms.CharField(label=_("Why"), max_length=200, error_messages={"required": _("Say why.")})


class NoteForm(forms.Form):
    """What goes to the advisor with an answer."""

    note = forms.CharField(
        label=_("To the advisor"), widget=forms.Textarea(attrs={"rows": 2}), required=False, max_length=2000
    )
