"""Filters of the lists of people, tokens and the audit trail."""

from typing import Any

import django_filters
from django.db.models import Q, QuerySet
from django.forms import SearchInput
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.forms import DayInput, UnitChoiceField
from accounts.models import ApiToken, AuditEntry, Role, Unit, User


class UnitFilter(django_filters.ModelChoiceFilter):
    """Rows of a unit and of all below it; ``field_name`` leads to the unit."""

    field_class = UnitChoiceField

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(queryset=Unit.objects.all(), empty_label=_("All"), **kwargs)

    def filter(self, qs: QuerySet[Any], value: Unit | None) -> QuerySet[Any]:
        if value is None:
            return qs
        return qs.filter(**{f"{self.field_name}__path__startswith": value.path}).distinct()


class PersonFilter(django_filters.FilterSet):
    """Narrow people down by words, role, unit and state."""

    q = django_filters.CharFilter(label=_("Name or e-mail"), method="by_words", widget=SearchInput)
    role = django_filters.ChoiceFilter(label=_("Role"), choices=Role, method="by_role", empty_label=_("All"))
    unit = UnitFilter(label=_("Unit"), field_name="role_assignments__unit")
    state = django_filters.ChoiceFilter(
        label=_("State"),
        method="by_state",
        empty_label=_("All"),
        choices=[("active", _("Active")), ("invited", _("Invited")), ("inactive", _("Not active"))],
    )

    class Meta:
        model = User
        fields: tuple[str, ...] = ()

    def by_words(self, queryset: QuerySet[User], name: str, value: str) -> QuerySet[User]:
        """Return the people whose name or e-mail address contains the words."""
        return queryset.filter(Q(full_name__icontains=value) | Q(email__icontains=value))

    def by_role(self, queryset: QuerySet[User], name: str, value: str) -> QuerySet[User]:
        """Return the people who hold a role anywhere."""
        return queryset.filter(role_assignments__role=value).distinct()

    def by_state(self, queryset: QuerySet[User], name: str, value: str) -> QuerySet[User]:
        """Return the people who are active, invited, or neither."""
        if value == "active":
            return queryset.filter(is_active=True)
        # Annotated by the list of people.
        return queryset.filter(Q(is_invited=value == "invited"), is_active=False)


class TokenFilter(django_filters.FilterSet):
    """Narrow tokens down by words and by whether they work."""

    q = django_filters.CharFilter(label=_("Name or person"), method="by_words", widget=SearchInput)
    state = django_filters.ChoiceFilter(
        label=_("State"),
        method="by_state",
        empty_label=_("All"),
        choices=[("active", _("Active")), ("over", _("Expired or revoked"))],
    )

    class Meta:
        model = ApiToken
        fields: tuple[str, ...] = ()

    def by_words(self, queryset: QuerySet[ApiToken], name: str, value: str) -> QuerySet[ApiToken]:
        """Return the tokens whose name or person contains the words."""
        return queryset.filter(Q(name__icontains=value) | Q(user__full_name__icontains=value))

    def by_state(self, queryset: QuerySet[ApiToken], name: str, value: str) -> QuerySet[ApiToken]:
        """Return the tokens that work, or those that no longer do."""
        usable = Q(revoked_at=None, expires_at__gt=timezone.now())
        return queryset.filter(usable) if value == "active" else queryset.exclude(usable)


class AuditFilter(django_filters.FilterSet):
    """Narrow the audit trail down by words and days."""

    q = django_filters.CharFilter(label=_("Who or what"), method="by_words", widget=SearchInput)
    since = django_filters.DateFilter(
        label=_("From"), field_name="at", lookup_expr="date__gte", widget=DayInput
    )
    until = django_filters.DateFilter(
        label=_("To"), field_name="at", lookup_expr="date__lte", widget=DayInput
    )

    class Meta:
        model = AuditEntry
        fields: tuple[str, ...] = ()

    def by_words(self, queryset: QuerySet[AuditEntry], name: str, value: str) -> QuerySet[AuditEntry]:
        """Return the entries whose person, action or kind contains the words."""
        return queryset.filter(
            Q(actor_name__icontains=value) | Q(action__icontains=value) | Q(kind__icontains=value)
        )
