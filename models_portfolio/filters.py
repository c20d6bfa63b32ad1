"""Filters of the lists of models."""

import django_filters
from django.db.models import Q, QuerySet
from django.forms import SearchInput
from django.utils.translation import gettext_lazy as _

from models_portfolio.models import ModelPortfolio

# What an own institution has decided about the newest version of a received model.
DECISIONS = {
    "accepted": _("Accepted"),
    "declined": _("Declined"),
    "attention": _("Waits for you"),
    "warning": _("New view"),
}


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


class ReceivedFilter(ModelFilter):
    """Narrow received models down by name, risk, partner and what was decided."""

    decision = django_filters.ChoiceFilter(
        label=_("Your decision"), field_name="decision", choices=list(DECISIONS.items())
    )
    whose = None

    class Meta:
        model = ModelPortfolio
        fields: tuple[str, ...] = ()
