"""Filters of the lists of proposals, orders and settlements."""

from typing import Any

import django_filters
from django.db.models import Q, QuerySet
from django.forms import DateInput, HiddenInput, SearchInput
from django.utils.translation import gettext_lazy as _

from clients.querysets import client_named
from trading.models import Allocation, Order, Proposal, Settlement, Side


def _day(**kwargs: object) -> django_filters.DateFilter:
    return django_filters.DateFilter(widget=DateInput(attrs={"type": "date"}), **kwargs)


class ProposalFilter(django_filters.FilterSet):
    """Narrow proposals down by words, state and reason."""

    q = django_filters.CharFilter(label=_("Portfolio or client"), method="by_words", widget=SearchInput)
    state = django_filters.ChoiceFilter(label=_("State"), choices=Proposal.State.choices)
    reason = django_filters.ChoiceFilter(label=_("Reason"), choices=Proposal.Reason.choices)

    class Meta:
        model = Proposal
        fields: tuple[str, ...] = ()

    def by_words(self, queryset: QuerySet[Proposal], name: str, value: str) -> QuerySet[Proposal]:
        """Return the proposals whose portfolio or client contains the words."""
        return queryset.filter(
            Q(portfolio__number__icontains=value)
            | Q(portfolio__name__icontains=value)
            | client_named(value, "portfolio__mandate")
        )


class OrderFilter(django_filters.FilterSet):
    """Narrow orders down by words, state, side and day."""

    q = django_filters.CharFilter(
        label=_("Order, portfolio or security"), method="by_words", widget=SearchInput
    )
    state = django_filters.ChoiceFilter(
        label=_("State"), choices=[("open", _("All open")), *Order.State.choices], method="by_state"
    )
    side = django_filters.ChoiceFilter(label=_("Side"), choices=Side.choices)
    since = _day(label=_("From"), field_name="created_at", lookup_expr="date__gte")
    until = _day(label=_("To"), field_name="created_at", lookup_expr="date__lte")
    agreement = django_filters.UUIDFilter(field_name="portfolio__mandate__agreement", widget=HiddenInput)

    class Meta:
        model = Order
        fields: tuple[str, ...] = ()

    def by_words(self, queryset: QuerySet[Order], name: str, value: str) -> QuerySet[Order]:
        """Return the orders whose number, portfolio or security contains the words."""
        return queryset.filter(
            Q(number__istartswith=value)
            | Q(portfolio__number__icontains=value)
            | client_named(value, "portfolio__mandate")
            | Q(security__name__icontains=value)
            | Q(security__isin__istartswith=value)
        )

    def by_state(self, queryset: QuerySet[Order], name: str, value: str) -> QuerySet[Order]:
        """Return the orders in a state, or all that are open."""
        return queryset.filter(state__in=Order.OPEN if value == "open" else [value])


class SettlementFilter(django_filters.FilterSet):
    """Narrow settlements down by words, state and expected day."""

    q = django_filters.CharFilter(
        label=_("Portfolio, order or security"), method="by_words", widget=SearchInput
    )
    state = django_filters.ChoiceFilter(
        label=_("State"), choices=[("open", _("Not settled")), *Settlement.State.choices], method="by_state"
    )
    since = _day(label=_("Expected from"), field_name="expected_date", lookup_expr="gte")
    until = _day(label=_("Expected to"), field_name="expected_date", lookup_expr="lte")
    agreement = django_filters.UUIDFilter(field_name="portfolio__mandate__agreement", widget=HiddenInput)

    class Meta:
        model = Settlement
        fields: tuple[str, ...] = ()

    def by_words(self, queryset: QuerySet[Settlement], name: str, value: str) -> QuerySet[Settlement]:
        """Return the settlements whose portfolio, order or security contains the words."""
        return queryset.filter(
            Q(portfolio__number__icontains=value)
            | Q(allocation__order__number__istartswith=value)
            | Q(allocation__order__security__name__icontains=value)
        )

    def by_state(self, queryset: QuerySet[Settlement], name: str, value: str) -> QuerySet[Settlement]:
        """Return the settlements in a state, or all that have not settled."""
        if value == "open":
            return queryset.exclude(state__in=Settlement.FINAL)
        return queryset.filter(state=value)


class AffirmationFilter(django_filters.FilterSet):
    """Narrow allocations between two parties down by words, answer and day."""

    ANSWERS = (
        ("waiting", _("Waiting")),
        ("affirmed", _("Affirmed")),
        ("rejected", _("Rejected")),
        ("withdrawn", _("Withdrawn")),
    )

    q = django_filters.CharFilter(
        label=_("Portfolio, order or security"), method="by_words", widget=SearchInput
    )
    state = django_filters.ChoiceFilter(
        label=_("Answer"), choices=[("open", _("Not booked")), *ANSWERS], method="by_answer"
    )
    since = _day(label=_("Traded from"), field_name="trade_date", lookup_expr="gte")
    until = _day(label=_("Traded to"), field_name="trade_date", lookup_expr="lte")
    agreement = django_filters.UUIDFilter(field_name="portfolio__mandate__agreement", widget=HiddenInput)

    class Meta:
        model = Allocation
        fields: tuple[str, ...] = ()

    def by_words(self, queryset: QuerySet[Allocation], name: str, value: str) -> QuerySet[Allocation]:
        """Return the allocations whose portfolio, order or security contains the words."""
        return queryset.filter(
            Q(portfolio__number__icontains=value)
            | client_named(value, "portfolio__mandate")
            | Q(order__number__istartswith=value)
            | Q(order__security__name__icontains=value)
            | Q(order__security__isin__istartswith=value)
        )

    def by_answer(self, queryset: Any, name: str, value: str) -> QuerySet[Allocation]:
        """Return the allocations with an answer, or all that count and are booked nowhere."""
        if value == "open":
            queryset = queryset.filter(withdrawn_at=None, settlement__isnull=True)
        else:
            queryset = queryset.filter(answer=value)
        found: QuerySet[Allocation] = queryset
        return found
