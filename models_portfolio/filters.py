"""Filters of the lists of models."""

import django_filters
from django.db.models import Q, QuerySet
from django.forms import SearchInput
from django.utils.translation import gettext_lazy as _

from models_portfolio.models import ModelPortfolio


class ModelFilter(django_filters.FilterSet):
    """Narrow models down by name, risk and owner."""

    q = django_filters.CharFilter(label=_("Name or code"), method="by_words", widget=SearchInput)
    risk_level = django_filters.ChoiceFilter(
        label=_("Risk"), choices=[(level, str(level)) for level in range(1, 8)]
    )
    whose = django_filters.ChoiceFilter(
        label=_("Whose"), method="by_owner", choices=[("own", _("Own")), ("received", _("Received"))]
    )

    class Meta:
        model = ModelPortfolio
        fields: tuple[str, ...] = ()

    def by_words(self, queryset: QuerySet[ModelPortfolio], name: str, value: str) -> QuerySet[ModelPortfolio]:
        """Return the models whose name or code contains the words."""
        return queryset.filter(Q(name__icontains=value) | Q(code__icontains=value))

    def by_owner(self, queryset: QuerySet[ModelPortfolio], name: str, value: str) -> QuerySet[ModelPortfolio]:
        """Return own or received models."""
        return queryset.filter(origin__isnull=value == "own")
