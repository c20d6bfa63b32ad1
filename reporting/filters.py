"""Filters of the list of reports."""

import django_filters
from django.db.models import Q, QuerySet
from django.forms import DateInput, SearchInput
from django.utils.translation import gettext_lazy as _

from clients.querysets import client_named
from reporting.models import RELEASED, Report
from reporting.tables import STATUSES

_DAY = {"type": "date"}


class ReportFilter(django_filters.FilterSet):
    """Narrow reports down by words, state and the end of their period."""

    q = django_filters.CharFilter(
        label=_("Client, portfolio or number"), method="by_words", widget=SearchInput
    )
    status = django_filters.ChoiceFilter(label=_("State"), choices=list(STATUSES.items()), method="by_status")
    since = django_filters.DateFilter(
        label=_("Period until, from"),
        field_name="period_to",
        lookup_expr="gte",
        widget=DateInput(attrs=_DAY),
    )
    until = django_filters.DateFilter(
        label=_("Period until, to"), field_name="period_to", lookup_expr="lte", widget=DateInput(attrs=_DAY)
    )

    class Meta:
        model = Report
        fields: tuple[str, ...] = ()

    def by_words(self, queryset: QuerySet[Report], name: str, value: str) -> QuerySet[Report]:
        """Return the reports whose number, title, portfolio or client contains the words."""
        return queryset.filter(
            Q(number__icontains=value)
            | Q(title__icontains=value)
            | Q(portfolio__number__icontains=value)
            | client_named(value, "portfolio__mandate")
        )

    def by_status(self, queryset: QuerySet[Report], name: str, value: str) -> QuerySet[Report]:
        """Return the reports in the state that people see."""
        is_released = Q(release__isnull=False, release__retired_at=None)
        if value == RELEASED:
            return queryset.filter(is_released)
        return queryset.filter(state=value).exclude(is_released)
