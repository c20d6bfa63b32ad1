"""Filters of the lists of agreements and of their timelines."""

from typing import Any

import django_filters
from django.db.models import Q, QuerySet
from django.forms import DateInput, SearchInput
from django.utils.translation import gettext_lazy as _

from federation.agreements.sharing import kind_name
from federation.agreements.timeline import EventKind, about
from federation.models import Agreement, AgreementEvent, ParkedRow, Side, Stream


class AgreementFilter(django_filters.FilterSet):
    """Narrow agreements down by words, state, side and way of working."""

    q = django_filters.CharFilter(label=_("Name or partner"), method="by_words", widget=SearchInput)
    state = django_filters.ChoiceFilter(
        label=_("State"),
        method="by_state",
        choices=[
            *Agreement.State.choices,
            ("suspended", _("Suspended")),
            ("needs_answer", _("Waits for your answer")),
        ],
    )
    side = django_filters.ChoiceFilter(label=_("Our side"), choices=Side.choices, method="by_side")
    preset = django_filters.ChoiceFilter(label=_("Way of working"), choices=Agreement.Preset.choices)

    class Meta:
        model = Agreement
        fields: tuple[str, ...] = ()

    def by_words(self, queryset: QuerySet[Agreement], name: str, value: str) -> QuerySet[Agreement]:
        """Return the agreements whose name or partner contains the words."""
        return queryset.filter(Q(name__icontains=value) | Q(partner_name__icontains=value))

    def by_state(self, queryset: QuerySet[Agreement], name: str, value: str) -> QuerySet[Agreement]:
        """Return the agreements in a state, or with something suspended, or that wait for this institution."""
        if value == "suspended":
            stopped = Q(suspended_at__isnull=False) | Q(new_mandates_suspended_at__isnull=False)
            return queryset.filter(stopped, state__in=[Agreement.State.ACTIVE, Agreement.State.WINDING_DOWN])
        return queryset.filter(Q(("needs_answer", True)) if value == "needs_answer" else Q(state=value))

    def by_side(self, queryset: QuerySet[Agreement], name: str, value: str) -> QuerySet[Agreement]:
        """Return the agreements in which this institution is on that side."""
        return queryset.filter(Q(("is_manager", value == Side.MANAGER)))


def _streams(request: Any) -> QuerySet[Stream]:
    """Return the mirrors of the agreement whose timeline is asked for."""
    return Stream.objects.select_related("owner", "receiver").filter(
        agreement=request.resolver_match.kwargs["pk"]
    )


class TimelineFilter(django_filters.FilterSet):
    """Narrow a timeline down by what happened and when."""

    kind = django_filters.ChoiceFilter(label=_("What"), choices=EventKind.choices)
    stream = django_filters.ModelChoiceFilter(
        label=_("Mirror"), method="by_stream", queryset=_streams, empty_label=_("All")
    )
    since = django_filters.DateFilter(
        label=_("From"), field_name="at", lookup_expr="date__gte", widget=DateInput(attrs={"type": "date"})
    )
    until = django_filters.DateFilter(
        label=_("To"), field_name="at", lookup_expr="date__lte", widget=DateInput(attrs={"type": "date"})
    )

    class Meta:
        model = AgreementEvent
        fields: tuple[str, ...] = ()

    def by_stream(
        self, queryset: QuerySet[AgreementEvent], name: str, value: Stream
    ) -> QuerySet[AgreementEvent]:
        """Return what happened to a mirror, suspensions of its agreement among it."""
        return queryset.filter(about(value))


def _kinds(request: Any) -> list[tuple[str, str]]:
    """Return the kinds of a mirror's parked rows, each with its name."""
    parked = ParkedRow.objects.filter(stream=request.resolver_match.kwargs["pk"])
    labels = parked.order_by().values_list("kind", flat=True).distinct()
    return sorted(((label, kind_name(label)) for label in labels), key=lambda pair: pair[1])


class ParkedFilter(django_filters.FilterSet):
    """Narrow parked rows down by kind, rule and whether they were skipped."""

    kind = django_filters.ChoiceFilter(label=_("Kind"))
    reason = django_filters.CharFilter(label=_("Rule"), lookup_expr="icontains", widget=SearchInput)
    skipped = django_filters.ChoiceFilter(
        label=_("State"),
        method="by_state",
        choices=[("no", _("Tried again")), ("yes", _("Skipped"))],
    )

    class Meta:
        model = ParkedRow
        fields: tuple[str, ...] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.filters["kind"].extra["choices"] = _kinds(self.request)

    def by_state(self, queryset: QuerySet[ParkedRow], name: str, value: str) -> QuerySet[ParkedRow]:
        """Return the rows that were skipped, or those that were not."""
        return queryset.filter(skipped_at__isnull=value != "yes")
