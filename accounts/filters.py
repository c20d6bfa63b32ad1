"""Filters of the lists of people and of the audit trail."""

import django_filters
from django.db.models import Q, QuerySet
from django.forms import DateInput, SearchInput
from django.utils.translation import gettext_lazy as _

from accounts.models import AuditEntry


class AuditFilter(django_filters.FilterSet):
    """Narrow the audit trail down by words and days."""

    q = django_filters.CharFilter(label=_("Who or what"), method="by_words", widget=SearchInput)
    since = django_filters.DateFilter(
        label=_("From"), field_name="at", lookup_expr="date__gte", widget=DateInput(attrs={"type": "date"})
    )
    until = django_filters.DateFilter(
        label=_("To"), field_name="at", lookup_expr="date__lte", widget=DateInput(attrs={"type": "date"})
    )

    class Meta:
        model = AuditEntry
        fields: tuple[str, ...] = ()

    def by_words(self, queryset: QuerySet[AuditEntry], name: str, value: str) -> QuerySet[AuditEntry]:
        """Return the entries whose person, action or kind contains the words."""
        return queryset.filter(
            Q(actor_name__icontains=value) | Q(action__icontains=value) | Q(kind__icontains=value)
        )
