"""Securities, their prices, exchange rates, and the sources of both."""

import uuid
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.db.models import QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.errors import DomainError
from accounts.lists import ListView
from accounts.models import User
from accounts.period import parse_period
from accounts.rights import can
from accounts.views_base import signed_in
from portfolios.charts import price_chart
from portfolios.filters import PriceFilter, RateFilter, SecurityFilter, SourceFilter
from portfolios.forms import SecurityForm, SourceForm
from portfolios.models import ExchangeRate, Holding, Portfolio, Price, PriceSource, Security
from portfolios.services.differences import differences_of
from portfolios.services.market import load_prices, newest_price, prices_as_of
from portfolios.services.securities import (
    change_security,
    create_security,
    replace_security,
    save_source,
)
from portfolios.tables_reference import PriceTable, RateTable, SecurityTable, SourceTable

_EDIT = "security.edit"
_KNOWN = {
    "last_price": ("known_last_price", "close"),
    "price_date": ("known_price_date", "date"),
    "source": ("known_source", "source__name"),
}


class SecurityList(ListView):
    """List the securities with their last prices."""

    table_class = SecurityTable
    filterset_class = SecurityFilter
    template_name = "portfolios/security_list.html"
    title = gettext_lazy("Securities")
    empty_title = gettext_lazy("No securities yet")
    empty_text = gettext_lazy("Create one, or import a file of prices: unknown securities are offered there.")

    def get_queryset(self) -> QuerySet[Security]:
        queryset = Security.objects.visible_to(self.request.user)
        # The prices of a page are read for its rows alone, those of all securities only to sort by them.
        for column, (name, field) in _KNOWN.items():
            if self.request.GET.get("sort", "").lstrip("-") == column:
                queryset = queryset.annotate(**{name: newest_price(timezone.now().date(), field)})
        return queryset

    def get_empty_action(self) -> tuple[Any, str] | None:
        return (_("Create a security"), reverse("portfolios:security_create")) if self._may_edit() else None

    def _may_edit(self) -> bool:
        return can(self.request.user, _EDIT)

    def get_table(self, **kwargs: Any) -> SecurityTable:
        table: SecurityTable = super().get_table(**kwargs)
        rows = list(table.data.data) if self.exports else [row.record for row in table.paginated_rows]
        prices = prices_as_of([security.pk for security in rows], timezone.now().date())
        differences = differences_of(rows)
        for security in rows:
            price = prices.get(security.pk)
            security.last_price = price.close if price else None
            security.price_date = price.date if price else None
            security.price_source = price.source_name if price else ""
            security.is_simulated = bool(price and price.is_simulated)
            security.differences = differences.get(security.pk, [])
        return table

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_context_data(**kwargs), "may_edit": self._may_edit()}


@signed_in()
def detail(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Show a security with its prices, listings, and the visible portfolios that hold it."""
    assert isinstance(request.user, User)
    security = get_object_or_404(
        Security.objects.visible_to(request.user).select_related("replaced_by"), pk=pk
    )
    today = timezone.now().date()
    first = (
        Price.objects.current()
        .filter(security=security)
        .order_by("date")
        .values_list("date", flat=True)
        .first()
    )
    period = parse_period(request.GET, today=today, first=first, default="1y")
    prices = load_prices([security.pk], since=period.from_date, until=period.to_date).get(security.pk, [])
    visible = Portfolio.objects.visible_to(request.user)
    held = (
        Holding.objects.current()
        .filter(security=security, portfolio__in=visible.values("pk"))
        .exclude(quantity=0)
        .select_related("portfolio__mandate__client")
        .order_by("-quantity", "pk")
    )
    sources = {price.source_name: price.is_simulated for price in prices}
    return render(
        request,
        "portfolios/security_detail.html",
        {
            "security": security,
            "period": period,
            "last": prices[-1] if prices else None,
            "has_prices": first is not None,
            "sources": sources.items(),
            "prices": price_chart([(price.date, price.close) for price in prices], security.currency),
            "listings": security.listings.current(),
            "differences": differences_of([security]).get(security.pk, []),
            "holdings": held[:50],
            "held_total": held.aggregate(Sum("quantity"))["quantity__sum"],
            "held_by": held.count(),
            "may_edit": can(request.user, _EDIT) and security.origin is None,
        },
    )


@signed_in(_EDIT)
def create(request: HttpRequest) -> HttpResponse:
    """Create a security."""
    assert isinstance(request.user, User)
    form = SecurityForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            security = create_security(by=request.user, **form.cleaned_data)
        except DomainError as error:
            form.add_error(error.field if error.field in form.fields else None, str(error.message))
        else:
            messages.success(request, _("Created. Import prices so that holdings of it can be valued."))
            return redirect("portfolios:security_detail", security.pk)
    return render(request, "portfolios/security_form.html", {"form": form, "security": None})


@signed_in(_EDIT)
def edit(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Change a security of one's own."""
    assert isinstance(request.user, User)
    security = get_object_or_404(Security.objects.visible_to(request.user).own(), pk=pk)
    form = SecurityForm(request.POST or None, instance=security)
    if request.method == "POST" and form.is_valid():
        changed = {name: form.cleaned_data[name] for name in form.changed_data}
        try:
            with transaction.atomic():
                changed_one = change_security(security=security, by=request.user, **changed)
                if "replaced_by" in changed:
                    replace_security(
                        security=changed_one, replacement=changed["replaced_by"], by=request.user
                    )
        except DomainError as error:
            form.add_error(error.field if error.field in form.fields else None, str(error.message))
        else:
            messages.success(request, _("Saved."))
            return redirect("portfolios:security_detail", security.pk)
    return render(
        request,
        "portfolios/security_form.html",
        {"form": form, "security": security},
    )


class PriceList(ListView):
    """List closing prices of all sources."""

    table_class = PriceTable
    filterset_class = PriceFilter
    template_name = "portfolios/price_list.html"
    title = gettext_lazy("Prices")
    empty_title = gettext_lazy("No prices yet")
    empty_text = gettext_lazy("Import a file of closing prices first.")

    def get_queryset(self) -> QuerySet[Price]:
        return (
            Price.objects.current().select_related("security", "source").order_by("-date", "security__name")
        )

    def get_empty_action(self) -> tuple[Any, str] | None:
        may_import = can(self.request.user, "price.import")
        return (_("Import prices"), reverse("portfolios:import_create")) if may_import else None


class RateList(ListView):
    """List exchange rates of all sources."""

    table_class = RateTable
    filterset_class = RateFilter
    template_name = "portfolios/price_list.html"
    title = gettext_lazy("Exchange rates")
    empty_title = gettext_lazy("No exchange rates yet")
    empty_text = gettext_lazy("Import the ECB's eurofxref-hist.zip first.")

    def get_queryset(self) -> QuerySet[ExchangeRate]:
        return ExchangeRate.objects.current().select_related("source").order_by("-date", "currency")

    def get_empty_action(self) -> tuple[Any, str] | None:
        may_import = can(self.request.user, "price.import")
        return (_("Import rates"), reverse("portfolios:import_create")) if may_import else None


class SourceList(ListView):
    """Show where prices come from and in which order they count."""

    right = (_EDIT, "price.import")
    table_class = SourceTable
    filterset_class = SourceFilter
    template_name = "portfolios/source_list.html"
    title = gettext_lazy("Sources of prices")
    subtitle = gettext_lazy(
        "The newest price or rate counts, whoever sends it. Where several sources know one of the same day, your own come"
        " first, by their order; then what partners sent."
    )
    empty_title = gettext_lazy("No sources yet")
    empty_text = gettext_lazy("A source is created with the first import.")

    def get_queryset(self) -> QuerySet[PriceSource]:
        return PriceSource.objects.current()

    def get_empty_action(self) -> tuple[Any, str] | None:
        return _("Import a file"), reverse("portfolios:import_create")


@signed_in((_EDIT, "price.import"))
def source_edit(request: HttpRequest, pk: uuid.UUID | None = None) -> HttpResponse:
    """Create or change a source of one's own."""
    assert isinstance(request.user, User)
    source = get_object_or_404(PriceSource.objects.own().current(), pk=pk) if pk else None
    form = SourceForm(request.POST or None, instance=source)
    if request.method == "POST" and form.is_valid():
        try:
            save_source(source=source, by=request.user, **form.cleaned_data)
        except DomainError as error:
            form.add_error(error.field if error.field in form.fields else None, str(error.message))
        else:
            messages.success(request, _("Saved. The order counts from the next valuation on."))
            return redirect("portfolios:source_list")
    return render(request, "portfolios/source_form.html", {"form": form, "source": source})
