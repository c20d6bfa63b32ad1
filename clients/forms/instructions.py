"""What a client asks for, and what became of it."""

import uuid
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.amounts import AmountField
from clients.forms.base import CURRENCIES, DateInput, DomainForm
from clients.models import ClientInstruction, InstructionOutcome, Mandate, PayoutAccount

Kind = ClientInstruction.Kind


class InstructionForm(DomainForm):
    """A deposit, a withdrawal or the end of a mandate; a change of plan is chosen among offers."""

    # Of the page that was opened: what is sent from it again is the same instruction.
    page = forms.UUIDField(widget=forms.HiddenInput, required=False)
    amount = AmountField(label=_("Amount"))
    currency = forms.ChoiceField(label=_("Currency"), choices=CURRENCIES)
    payout_account = forms.ModelChoiceField(
        label=_("Pay to"), queryset=PayoutAccount.objects.none(), empty_label=None
    )
    wanted_date = forms.DateField(label=_("Wanted by"), widget=DateInput(), required=False)
    note = forms.CharField(
        label=_("Note to the manager"),
        widget=forms.Textarea(attrs={"rows": 2}),
        required=False,
        max_length=2000,
    )

    def __init__(self, *args: Any, kind: str, mandate: Mandate, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["page"] = uuid.uuid4()
        if kind not in {Kind.DEPOSIT, Kind.WITHDRAWAL}:
            del self.fields["amount"], self.fields["currency"]
        if kind == Kind.WITHDRAWAL:
            field = self.fields["payout_account"]
            assert isinstance(field, forms.ModelChoiceField)
            field.queryset = PayoutAccount.objects.current().filter(
                client=mandate.client_id, verified_at__isnull=False
            )
        else:
            del self.fields["payout_account"]

    @property
    def has_account(self) -> bool:
        """Say whether the client has a verified account to pay to."""
        field = self.fields.get("payout_account")
        return isinstance(field, forms.ModelChoiceField) and bool(field.queryset)


class OutcomeForm(DomainForm):
    """What became of an instruction."""

    # Nobody answers by hand that it is open again: that follows from a reversal.
    outcome = forms.ChoiceField(
        choices=[
            each
            for each in InstructionOutcome.Outcome.choices
            if each[0] != InstructionOutcome.Outcome.REOPENED
        ]
    )
    note = forms.CharField(
        label=_("To the advisor"), widget=forms.Textarea(attrs={"rows": 2}), required=False, max_length=2000
    )
