"""Filters of the lists of people, tokens and the audit trail."""

import uuid
from dataclasses import dataclass
from typing import Any

import django_filters
from django.apps import apps
from django.db.models import Q, QuerySet, Value
from django.db.models.functions import Replace
from django.forms import SearchInput
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.forms import DayInput, UnitChoiceField, UnitFilterForm, tree_of
from accounts.lists import RowFilter
from accounts.models import ApiToken, AuditEntry, Job, Role, Unit, User


class UnitFilter(django_filters.ModelChoiceFilter):
    """Rows of a unit and of all below it; ``field_name`` leads to the unit."""

    field_class = UnitChoiceField

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(queryset=Unit.objects.all(), empty_label=_("All"), **kwargs)

    def filter(self, qs: QuerySet[Any], value: Unit | None) -> QuerySet[Any]:
        if value is None:
            return qs
        return qs.filter(**{f"{self.field_name}__path__startswith": value.path}).distinct()


@dataclass(frozen=True)
class PlacedUnit:
    """A unit where it stands in the tree: ``place`` names it and all above it."""

    pk: uuid.UUID
    name: str
    place: str
    depth: int
    kind: str
    kind_label: str
    people: int


def placed(units: QuerySet[Any]) -> list[PlacedUnit]:
    """Return units, with ``people`` annotated, parents before their children."""
    names = {unit.pk.hex: unit.name for unit in units}
    return [
        PlacedUnit(
            pk=unit.pk,
            name=unit.name,
            place=" › ".join(names[part] for part in unit.path.strip("/").split("/")),
            depth=depth,
            kind=unit.kind,
            kind_label=unit.get_kind_display(),
            people=unit.people,  # type: ignore[attr-defined]
        )
        for unit, depth in tree_of(units)
    ]


class TreeFilter(RowFilter):
    """Narrow the tree of units down."""

    def get_form(self) -> UnitFilterForm:
        return UnitFilterForm(self.data)

    def passes(self, row: PlacedUnit, wanted: dict[str, Any]) -> bool:
        return wanted["q"].lower() in row.place.lower() and wanted["kind"] in {"", row.kind}


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


class JobFilter(django_filters.FilterSet):
    """Narrow long jobs down by words and state."""

    q = django_filters.CharFilter(label=_("What or who"), method="by_words", widget=SearchInput)
    state = django_filters.ChoiceFilter(
        label=_("State"),
        method="by_state",
        empty_label=_("All"),
        choices=[*Job.State.choices, ("incomplete", _("With something left undone"))],
    )

    class Meta:
        model = Job
        fields: tuple[str, ...] = ()

    def by_words(self, queryset: QuerySet[Job], name: str, value: str) -> QuerySet[Job]:
        """Return the jobs whose title or person contains the words."""
        return queryset.filter(Q(title__icontains=value) | Q(created_by__full_name__icontains=value))

    def by_state(self, queryset: QuerySet[Job], name: str, value: str) -> QuerySet[Job]:
        """Return the jobs in a state, or those of which something failed."""
        return queryset.exclude(failures=[]) if value == "incomplete" else queryset.filter(state=value)


# Who did what no person did.
THE_PLATFORM = _("the platform")


def action_words(action: str) -> str:
    """Return what was done as the audit trail shows it."""
    return action.replace(".", " ").replace("_", " ")


class AuditFilter(django_filters.FilterSet):
    """Narrow the audit trail down by words, days, and whether something was changed or a partner's record read."""

    q = django_filters.CharFilter(label=_("Who or what"), method="by_words", widget=SearchInput)
    what = django_filters.ChoiceFilter(
        label=_("What"),
        method="by_what",
        empty_label=_("All"),
        choices=[("done", _("What was done")), ("read", _("Partners' records that were read or exported"))],
    )
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
        """Return the entries whose person, action or kind contains the words, as the list shows them or as exports do."""
        words = action_words(value)
        shown = Replace(Replace("action", Value("."), Value(" ")), Value("_"), Value(" "))
        kinds = [
            model._meta.label_lower
            for model in apps.get_models()
            if value.casefold() in str(model._meta.verbose_name).casefold()
        ]
        condition = Q(actor_name__icontains=value) | Q(shown_action__icontains=words)
        condition |= Q(kind__icontains=value) | Q(kind__in=kinds)
        if value.casefold() in str(THE_PLATFORM).casefold():
            condition |= Q(actor_name="")
        return queryset.alias(shown_action=shown).filter(condition)

    def by_what(self, queryset: QuerySet[AuditEntry], name: str, value: str) -> QuerySet[AuditEntry]:
        """Return the entries of reading partners' records and of their exports, or all others."""
        read = Q(action__in=[AuditEntry.READ, AuditEntry.READ_BY_LIST, AuditEntry.EXPORTED])
        return queryset.filter(read if value == "read" else ~read)
