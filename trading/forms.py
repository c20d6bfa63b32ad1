"""Forms of proposals and orders."""

from decimal import Decimal

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.amounts import AmountField, NumberField, WholeNumberField
from trading.models import Proposal
from trading.services.orders import MAXIMUM_PARTS


class ProposeForm(forms.Form):
    """How to propose for one or many portfolios."""

    mode = forms.ChoiceField(
        label=_("Mode"), choices=Proposal.Mode.choices, initial=Proposal.Mode.TO_TARGET, required=False
    )
    cash_wanted = AmountField(
        label=_("Cash to raise"),
        required=False,
        takes_zero=True,
        help_text=_("For raising cash only, in the portfolio's currency; withdrawals are kept anyway."),
    )
    reason = forms.ChoiceField(
        label=_("Reason"), choices=[("", _("Find out")), *Proposal.Reason.choices], required=False
    )

    def clean_mode(self) -> str:
        """Return the mode, to target where none is named."""
        return self.cleaned_data["mode"] or Proposal.Mode.TO_TARGET

    def clean_cash_wanted(self) -> Decimal:
        """Return the amount, nothing where none is named."""
        return self.cleaned_data["cash_wanted"] or Decimal(0)


class CorrectForm(forms.Form):
    """The terms of an allocation that was rejected; its quantity stays."""

    price = NumberField(label=_("Price"), min_value=0, max_digits=24, decimal_places=10)
    fees = AmountField(label=_("Fees"), takes_zero=True, places=4)
    settlement_date = forms.DateField(
        label=_("Settlement date"), widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )


class SendForm(forms.Form):
    """In how many parts the paper broker fills."""

    fill_parts = WholeNumberField(
        label=_("Fill in parts"), min_value=1, max_value=MAXIMUM_PARTS, initial=1, required=False
    )

    def clean_fill_parts(self) -> int:
        """Return the number of parts, one where none is named."""
        return self.cleaned_data["fill_parts"] or 1
