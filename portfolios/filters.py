"""Filters of the lists of this app."""

from collections.abc import Iterator
from typing import Any

import django_filters as filters
from django import forms
from django.apps import apps
from django.db.models import Q, QuerySet
from django.forms import DateInput, SearchInput
from django.utils.translation import gettext_lazy as _
from django_filters.fields import ModelChoiceField, ModelChoiceIterator

from accounts.models import Unit
from clients.querysets import client_named
from portfolios.attention import LATE, REASONS, in_need
from portfolios.models import BankEntry, ImportBatch, Portfolio, PriceSource, Security, Transaction
from portfolios.services.differences import differing

_DAY = {"widget": DateInput(attrs={"type": "date"})}


def _reasons() -> list[tuple[str, Any]]:
    return [("any", _("Any reason")), *((code, reason.label) for code, reason in REASONS.items())]


class _AtOnce(ModelChoiceIterator):
    """The choices of a few rows, read at once: the cursor that is opened else takes three statements more."""

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        yield "", self.field.empty_label
        yield from map(self.choice, self.queryset)


class _FewRowsField(ModelChoiceField):
    iterator = _AtOnce


class _FewRows(filters.ModelChoiceFilter):
    """Choose among a few rows."""

    field_class = _FewRowsField


class _ModelField(_FewRows):
    """Choose among models, which stand to the left of this app and are therefore found by name."""

    def get_queryset(self, request: Any) -> QuerySet[Any]:
        if not apps.is_installed("models_portfolio"):
            return Unit.objects.none()
        return apps.get_model("models_portfolio", "ModelPortfolio").objects.visible_to(request.user)


class BookFilter(filters.FilterSet):
    """Narrow the book down."""

    q = filters.CharFilter(label=_("Number, name or client"), method="by_words", widget=SearchInput)
    attention = filters.ChoiceFilter(
        label=_("Attention"), empty_label=_("All"), choices=_reasons, method="by_attention"
    )
    unit = _FewRows(label=_("Desk"), empty_label=_("All"), queryset=Unit.objects.all(), method="by_unit")
    model = _ModelField(
        label=_("Model"), empty_label=_("All"), field_name="assignment__model", queryset=Unit.objects.none()
    )
    currency = filters.ChoiceFilter(label=_("Currency"), empty_label=_("All"))
    manager = filters.ChoiceFilter(label=_("Manager"), empty_label=_("All"), field_name="manager_name")
    closed = filters.BooleanFilter(
        label=_("With closed ones"), method="with_closed", widget=forms.CheckboxInput, initial=False
    )
    agreement = filters.UUIDFilter(field_name="mandate__agreement", widget=forms.HiddenInput)

    class Meta:
        model = Portfolio
        fields: tuple[str, ...] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Offered is what occurs among the portfolios that the person may see.
        visible = Portfolio.objects.visible_to(self.request.user).order_by()
        found = set(visible.values_list("currency", "manager_name").distinct())
        self.filters["currency"].extra["choices"] = [
            (code, code) for code in sorted({code for code, _name in found})
        ]
        self.filters["manager"].extra["choices"] = [
            (name, name) for name in sorted({name for _code, name in found if name})
        ]

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        queryset = super().filter_queryset(queryset)
        wanted = self.form.cleaned_data
        with_closed = wanted.get("closed") or wanted.get("attention") == LATE
        return queryset if with_closed else queryset.filter(closed_on__isnull=True)

    def by_words(self, queryset: QuerySet[Any], _name: str, value: str) -> QuerySet[Any]:
        """Return portfolios whose number, name or client contains the words."""
        return queryset.filter(
            Q(number__icontains=value) | Q(name__icontains=value) | client_named(value, "mandate")
        )

    def by_attention(self, queryset: QuerySet[Any], _name: str, value: str) -> QuerySet[Any]:
        """Return portfolios that need attention for a reason."""
        return in_need(queryset, value)

    def by_unit(self, queryset: QuerySet[Any], _name: str, value: Unit) -> QuerySet[Any]:
        """Return the portfolios of a desk and all below it."""
        return queryset.filter(unit__path__startswith=value.path)

    def with_closed(self, queryset: QuerySet[Any], _name: str, _value: bool) -> QuerySet[Any]:
        """Leave the choice to ``filter_queryset``, which hides closed portfolios by default."""
        return queryset


class TransactionFilter(filters.FilterSet):
    """Narrow a ledger down."""

    type = filters.ChoiceFilter(label=_("Type"), empty_label=_("All"), choices=Transaction.Type.choices)
    q = filters.CharFilter(label=_("Security or text"), method="by_words", widget=SearchInput)
    since = filters.DateFilter(label=_("From"), field_name="trade_date", lookup_expr="gte", **_DAY)
    until = filters.DateFilter(label=_("To"), field_name="trade_date", lookup_expr="lte", **_DAY)

    class Meta:
        model = Transaction
        fields: tuple[str, ...] = ()

    def by_words(self, queryset: QuerySet[Any], _name: str, value: str) -> QuerySet[Any]:
        """Return the entries whose security or text contains the words."""
        return queryset.filter(
            Q(security__name__icontains=value) | Q(security__isin__iexact=value) | Q(text__icontains=value)
        )


class SecurityFilter(filters.FilterSet):
    """Narrow the securities down."""

    q = filters.CharFilter(label=_("Name, ISIN or ticker"), method="by_words", widget=SearchInput)
    kind = filters.ChoiceFilter(label=_("Kind"), empty_label=_("All"), choices=Security.Kind.choices)
    asset_class = filters.ChoiceFilter(
        label=_("Asset class"), empty_label=_("All"), choices=Security.AssetClass.choices
    )
    is_active = filters.BooleanFilter(label=_("Active"))
    differs = filters.BooleanFilter(label=_("A partner calls it differently"), method="by_difference")

    class Meta:
        model = Security
        fields: tuple[str, ...] = ()

    def by_words(self, queryset: QuerySet[Any], _name: str, value: str) -> QuerySet[Any]:
        """Return the securities whose name, ISIN or ticker contains the words."""
        return queryset.filter(Q(name__icontains=value) | Q(isin__icontains=value) | Q(ticker__iexact=value))

    def by_difference(self, queryset: QuerySet[Any], _name: str, value: bool) -> QuerySet[Any]:
        """Return the securities that a partner calls differently, or the others."""
        condition = Q(pk__in=differing())
        return queryset.filter(condition if value else ~condition)


class PriceFilter(filters.FilterSet):
    """Narrow prices down."""

    q = filters.CharFilter(label=_("Security"), method="by_words", widget=SearchInput)
    source = filters.ModelChoiceFilter(
        label=_("Source"), empty_label=_("All"), queryset=PriceSource.objects.current()
    )
    since = filters.DateFilter(label=_("From"), field_name="date", lookup_expr="gte", **_DAY)
    until = filters.DateFilter(label=_("To"), field_name="date", lookup_expr="lte", **_DAY)

    def by_words(self, queryset: QuerySet[Any], _name: str, value: str) -> QuerySet[Any]:
        """Return the prices of securities whose name, ISIN or ticker contains the words."""
        found = Security.objects.filter(
            Q(name__icontains=value) | Q(isin__iexact=value) | Q(ticker__iexact=value)
        )
        return queryset.filter(security__in=found.values("pk"))


class RateFilter(filters.FilterSet):
    """Narrow exchange rates down."""

    currency = filters.CharFilter(
        label=_("Currency"), lookup_expr="iexact", widget=SearchInput(attrs={"size": 4})
    )
    source = filters.ModelChoiceFilter(
        label=_("Source"), empty_label=_("All"), queryset=PriceSource.objects.current()
    )
    since = filters.DateFilter(label=_("From"), field_name="date", lookup_expr="gte", **_DAY)
    until = filters.DateFilter(label=_("To"), field_name="date", lookup_expr="lte", **_DAY)


class ImportFilter(filters.FilterSet):
    """Narrow imports down by file, kind, source and state."""

    q = filters.CharFilter(
        label=_("File"), field_name="file_name", lookup_expr="icontains", widget=SearchInput
    )
    kind = filters.ChoiceFilter(
        label=_("Kind"),
        empty_label=_("All"),
        choices=[("prices", _("Prices")), ("rates", _("Exchange rates"))],
    )
    source = filters.ModelChoiceFilter(
        label=_("Source"), empty_label=_("All"), queryset=PriceSource.objects.own().order_by("name")
    )
    state = filters.ChoiceFilter(label=_("State"), empty_label=_("All"), choices=ImportBatch.State.choices)

    class Meta:
        model = ImportBatch
        fields: tuple[str, ...] = ()


class SourceFilter(filters.FilterSet):
    """Narrow sources of prices down by words and by whose they are."""

    q = filters.CharFilter(label=_("Name or code"), method="by_words", widget=SearchInput)
    whose = filters.ChoiceFilter(
        label=_("Whose"),
        empty_label=_("All"),
        method="by_owner",
        choices=[("own", _("Own")), ("received", _("Received"))],
    )

    class Meta:
        model = PriceSource
        fields: tuple[str, ...] = ()

    def by_words(self, queryset: QuerySet[Any], _name: str, value: str) -> QuerySet[Any]:
        """Return the sources whose name or code contains the words."""
        return queryset.filter(Q(name__icontains=value) | Q(code__icontains=value))

    def by_owner(self, queryset: QuerySet[Any], _name: str, value: str) -> QuerySet[Any]:
        """Return own or received sources."""
        return queryset.filter(origin__isnull=value == "own")


class BankEntryFilter(filters.FilterSet):
    """Narrow the arrived cash down."""

    state = filters.ChoiceFilter(label=_("State"), empty_label=_("All"), choices=BankEntry.State.choices)
    q = filters.CharFilter(label=_("Payer or reference"), method="by_words", widget=SearchInput)

    class Meta:
        model = BankEntry
        fields: tuple[str, ...] = ()

    def by_words(self, queryset: QuerySet[Any], _name: str, value: str) -> QuerySet[Any]:
        """Return the entries whose payer or reference contains the words."""
        return queryset.filter(Q(payer__icontains=value) | Q(reference__icontains=value))
