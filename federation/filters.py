"""Filters of the lists of agreements and of their timelines."""

import django_filters
from django.db.models import Q, QuerySet
from django.forms import DateInput, SearchInput
from django.utils.translation import gettext_lazy as _

from federation.agreements.timeline import EventKind
from federation.models import Agreement, AgreementEvent, Side


class AgreementFilter(django_filters.FilterSet):
    """Narrow agreements down by words, state, side and way of working."""

    q = django_filters.CharFilter(label=_("Name or partner"), method="by_words", widget=SearchInput)
    state = django_filters.ChoiceFilter(label=_("State"), choices=Agreement.State.choices)
    side = django_filters.ChoiceFilter(label=_("Our side"), choices=Side.choices, method="by_side")
    preset = django_filters.ChoiceFilter(label=_("Way of working"), choices=Agreement.Preset.choices)

    class Meta:
        model = Agreement
        fields: tuple[str, ...] = ()

    def by_words(self, queryset: QuerySet[Agreement], name: str, value: str) -> QuerySet[Agreement]:
        """Return the agreements whose name or partner contains the words."""
        return queryset.filter(Q(name__icontains=value) | Q(partner_name__icontains=value))

    def by_side(self, queryset: QuerySet[Agreement], name: str, value: str) -> QuerySet[Agreement]:
        """Return the agreements in which this institution is on that side."""
        return queryset.filter(Q(("is_manager", value == Side.MANAGER)))


class TimelineFilter(django_filters.FilterSet):
    """Narrow a timeline down by what happened and when."""

    kind = django_filters.ChoiceFilter(label=_("What"), choices=EventKind.choices)
    since = django_filters.DateFilter(
        label=_("From"), field_name="at", lookup_expr="date__gte", widget=DateInput(attrs={"type": "date"})
    )
    until = django_filters.DateFilter(
        label=_("To"), field_name="at", lookup_expr="date__lte", widget=DateInput(attrs={"type": "date"})
    )

    class Meta:
        model = AgreementEvent
        fields: tuple[str, ...] = ()
