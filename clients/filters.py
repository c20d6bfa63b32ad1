"""Filters of the lists of clients, mandates and instructions."""

from typing import Any

import django_filters
from django.db.models import Q, QuerySet
from django.forms import HiddenInput, SearchInput
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from clients.calculations.states import MandateState
from clients.day import AHEAD
from clients.models import (
    INSTRUCTION_STATES,
    MANDATE_STATES,
    Client,
    ClientInstruction,
    KycStatus,
    Mandate,
)

KYC_STATES = [*KycStatus.State.choices, ("expiring", _("Expires within 60 days"))]
# What is still going on, as agreements count it.
OPEN_MANDATES = {
    "undecided": (_("Not decided"), (MandateState.SUBMITTED, MandateState.RETURNED)),
    "running": (_("Not closed"), (MandateState.ACCEPTED, MandateState.ACTIVE, MandateState.CLOSING)),
}


class ClientFilter(django_filters.FilterSet):
    """Narrow clients down by words, kind, status and identity check."""

    q = django_filters.CharFilter(label=_("Name or number"), method="by_words", widget=SearchInput)
    kind = django_filters.ChoiceFilter(label=_("Kind"), empty_label=_("Any"), choices=Client.Kind.choices)
    status = django_filters.ChoiceFilter(
        label=_("Status"), empty_label=_("Any"), choices=Client.Status.choices
    )
    kyc = django_filters.ChoiceFilter(
        label=_("KYC"), empty_label=_("Any"), choices=KYC_STATES, method="by_kyc"
    )
    mine = django_filters.ChoiceFilter(
        label=_("Advisor"), empty_label=_("Any"), choices=[("yes", _("Me"))], method="by_advisor"
    )

    class Meta:
        model = Client
        fields: tuple[str, ...] = ()

    def by_words(self, queryset: QuerySet[Client], name: str, value: str) -> QuerySet[Client]:
        """Return the clients whose name or number contains the words."""
        return queryset.filter(Q(name__icontains=value) | Q(number__icontains=value))

    def by_kyc(self, queryset: QuerySet[Client], name: str, value: str) -> QuerySet[Client]:
        """Return the clients whose identity check stands so."""
        if value == "expiring":
            return queryset.filter(kyc__valid_until__lte=timezone.localdate() + AHEAD)
        return queryset.filter(kyc__state=value)

    def by_advisor(self, queryset: QuerySet[Client], name: str, value: str) -> QuerySet[Client]:
        """Return the clients of the person who looks."""
        return queryset.filter(advisor=self.request.user)


class MandateFilter(django_filters.FilterSet):
    """Narrow mandates down by words, state and manager."""

    q = django_filters.CharFilter(label=_("Client or number"), method="by_words", widget=SearchInput)
    state = django_filters.ChoiceFilter(
        label=_("State"),
        empty_label=_("Any"),
        method="by_state",
        choices=[
            *((name, label) for name, (label, _states) in OPEN_MANDATES.items()),
            *((str(s), label) for s, label in MANDATE_STATES.items()),
        ],
    )
    manager = django_filters.CharFilter(
        label=_("Manager"), field_name="manager_name", lookup_expr="icontains", widget=SearchInput
    )
    agreement = django_filters.UUIDFilter(widget=HiddenInput)

    class Meta:
        model = Mandate
        fields: tuple[str, ...] = ()

    def by_state(self, queryset: Any, name: str, value: str) -> Any:
        """Return the mandates that stand so, or in one of the states that are summed up in a word."""
        return queryset.filter(
            computed_state__in=OPEN_MANDATES[value][1] if value in OPEN_MANDATES else [value]
        )

    def by_words(self, queryset: Any, name: str, value: str) -> Any:
        """Return the mandates whose number or client contains the words."""
        return queryset.filter(
            Q(number__icontains=value) | Q(client__name__icontains=value) | Q(offer_name__icontains=value)
        )


class InboxFilter(django_filters.FilterSet):
    """Narrow the inbox down by words, identity check and whether it waits for a decision here."""

    q = django_filters.CharFilter(label=_("Client or number"), method="by_words", widget=SearchInput)
    state = django_filters.ChoiceFilter(
        label=_("State"),
        empty_label=_("Any"),
        field_name="computed_state",
        choices=[("submitted", _("Waits for a decision")), ("returned", _("Returned to the advisor"))],
    )
    kyc = django_filters.ChoiceFilter(
        label=_("KYC"), empty_label=_("Any"), field_name="client__kyc__state", choices=KycStatus.State.choices
    )

    class Meta:
        model = Mandate
        fields: tuple[str, ...] = ()

    by_words = MandateFilter.by_words


class InstructionFilter(django_filters.FilterSet):
    """Narrow instructions down by words, kind and where they stand."""

    q = django_filters.CharFilter(label=_("Client or reference"), method="by_words", widget=SearchInput)
    kind = django_filters.ChoiceFilter(
        label=_("Kind"), empty_label=_("Any"), choices=ClientInstruction.Kind.choices
    )
    state = django_filters.ChoiceFilter(
        label=_("Stands"),
        empty_label=_("Any"),
        method="by_state",
        choices=[("open", _("Not done")), *((str(s), label) for s, label in INSTRUCTION_STATES.items())],
    )
    agreement = django_filters.UUIDFilter(field_name="mandate__agreement", widget=HiddenInput)

    class Meta:
        model = ClientInstruction
        fields: tuple[str, ...] = ()

    def by_state(self, queryset: Any, name: str, value: str) -> Any:
        """Return the instructions that stand so, or all that are not done."""
        return queryset.open() if value == "open" else queryset.filter(computed_state=value)

    def by_words(self, queryset: Any, name: str, value: str) -> Any:
        """Return the instructions whose client, mandate or reference contains the words."""
        reference = value.replace(" ", "")
        return queryset.filter(
            Q(mandate__client__name__icontains=value)
            | Q(mandate__number__icontains=value)
            | Q(reference__icontains=reference)
        )
