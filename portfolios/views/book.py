"""The book of portfolios: what a portfolio manager starts the day with."""

import datetime
from collections.abc import Collection
from decimal import Decimal
from typing import Any

from django.db.models import Case, Count, DecimalField, F, OuterRef, Q, QuerySet, Subquery, Sum, When
from django.db.models.functions import Coalesce, NullIf
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from accounts import formatting
from accounts.lists import ListView
from accounts.models import User
from accounts.period import Period, parse_period
from accounts.rights import can
from accounts.views_base import signed_in
from portfolios.attention import reasons_with
from portfolios.calculations.valuation import cross_rate
from portfolios.filters import BookFilter
from portfolios.models import YEAR_END, Portfolio, Valuation
from portfolios.services.figures import period_returns
from portfolios.services.market import rates_as_of
from portfolios.tables import BookTable
from portfolios.tasks import start_valuation

_FRACTION = DecimalField(max_digits=24, decimal_places=10)
# Of the client and the model, read for the rows of a page.
_NAMES = ("mandate__client__name", "mandate__client__retired_at", "assignment__model__name")


class BookView(ListView):
    """List the portfolios that a person may see, with what needs attention.

    Queries do not grow with the book: the list itself reads only latest valuations, and what costs
    more is read for the rows of the page alone.
    """

    table_class = BookTable
    filterset_class = BookFilter
    template_name = "portfolios/book.html"
    head_template = "portfolios/_book_head.html"
    title = _("Book")
    empty_title = _("No portfolios yet")
    empty_text = _("A portfolio opens here when a mandate is accepted.")

    @property
    def period(self) -> Period:
        """Return the period that the URL asks for."""
        return parse_period(self.request.GET, today=timezone.now().date(), default="ytd")

    def get_queryset(self) -> QuerySet[Portfolio]:
        queryset = (
            Portfolio.objects.visible_to(self.request.user)
            .in_book()
            .only("origin", "number", "currency", "manager_name")
            .annotate(
                value=F("latest__market_value"),
                cash_value=F("latest__cash_value"),
                drift=F("latest__drift"),
                value_date=F("latest__date"),
            )
        )
        sort = self.request.GET.get("sort", "")
        if "cash_weight" in sort:
            queryset = queryset.annotate(
                cash_weight=_share(F("latest__cash_value"), F("latest__market_value"))
            )
        if "model_name" in sort:
            queryset = queryset.annotate(model_name=F("assignment__model__name"))
        if "period_return" in sort:
            queryset = queryset.annotate(growth=_growth(self.period))
        return queryset

    def get_table_kwargs(self) -> dict[str, Any]:
        self.totals = self._totals()
        return {"count": self.totals["count"], "currencies": self.totals["currencies"]}

    def get_table(self, **kwargs: Any) -> BookTable:
        table: BookTable = super().get_table(**kwargs)
        rows = self._rows(table)
        self._complete(rows)
        if not any(portfolio.origin for portfolio in rows):
            table.columns.hide("origin")
        if not can(self.request.user, "proposal.make"):
            table.columns.hide("choose")
        if len({portfolio.manager_name for portfolio in rows}) == 1 and not self.exports:
            # A column that says the same in every row only takes room.
            table.columns.hide("manager_name")
        return table

    def _rows(self, table: BookTable) -> list[Any]:
        if self.exports:
            return list(table.data.data)
        return [row.record for row in table.paginated_rows]

    def _complete(self, rows: list[Any]) -> None:
        """Add what sorting all portfolios need not read."""
        ids = [portfolio.pk for portfolio in rows]
        returns = period_returns(ids, self.period.from_date, self.period.to_date)
        found = {pk: (reasons, *others) for pk, reasons, others in reasons_with(ids, *_NAMES)}
        for portfolio in rows:
            portfolio.reasons, client, retired, portfolio.model_name = found[portfolio.pk]
            portfolio.client_name = None if retired else client
            portfolio.period_return = returns[portfolio.pk].net
            portfolio.cash_weight = _fraction(portfolio.cash_value, portfolio.value)

    def get_empty_action(self) -> tuple[Any, str] | None:
        return None

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        return {
            **context,
            "period": self.period,
            "totals": self.totals,
            "may_propose": can(self.request.user, "proposal.make"),
            "may_value": can(self.request.user, "portfolio.manage"),
        }

    def _totals(self) -> dict[str, Any]:
        """Sum all filtered portfolios in the institution's currency; None where a rate is missing, and ``note`` says which."""
        currency = getattr(getattr(self.request, "tenant", None), "currency", "EUR")
        rows = list(
            self.get_table_data()
            .order_by()
            .values("currency")
            .annotate(count=Count("pk"), known=Count("value"), total=Sum("value"), cash=Sum("cash_value"))
            .values_list("currency", "count", "known", "total", "cash")
        )
        today = timezone.now().date()
        quotes = rates_as_of({currency, *(row[0] for row in rows)}, today)
        per_euro = {code: quote.per_euro for code, quote in quotes.items()}
        rates = {
            row[0]: cross_rate(per_euro, from_currency=row[0], to_currency=currency) or Decimal(0)
            for row in rows
        }
        missing = {
            currency if code in per_euro else code
            for code, _count, _known, total, cash in rows
            if not rates[code] and (total or cash)
        }
        value, cash = (
            None if missing else sum(((row[i] or 0) * rates[row[0]] for row in rows), Decimal(0))
            for i in (3, 4)
        )
        unknown = sum(row[1] - row[2] for row in rows)
        return {
            "currency": currency,
            "note": _note(missing, unknown),
            "currencies": [row[0] for row in rows],
            "count": sum(row[1] for row in rows),
            "unknown": unknown,
            "value": value,
            "cash": cash,
            "cash_share": cash / value if cash is not None and value else None,
            "inputs": [(f"EUR/{code}", formatting.rate(quotes[code].per_euro)) for code in sorted(quotes)],
        }


def _note(missing: Collection[str], unknown: int) -> str:
    """Say what a total lacks: a rate, so that there is none, or the portfolios without a value."""
    if missing:
        return gettext("There is no exchange rate for %(currency)s.") % {
            "currency": ", ".join(sorted(missing))
        }
    if not unknown:
        return ""
    left_out = ngettext(
        "Without %(count)s portfolio whose value is not available.",
        "Without %(count)s portfolios whose value is not available.",
        unknown,
    )
    return left_out % {"count": formatting.number(unknown)}


def _fraction(part: Decimal | None, whole: Decimal | None) -> Decimal | None:
    return None if part is None or whole is None or whole <= 0 else round(part / whole, 10)


def _share(part: Any, whole: Any) -> Case:
    return Case(
        When(latest__market_value__gt=0, then=part / NullIf(whole, Decimal(0))), output_field=_FRACTION
    )


def _growth(period: Period) -> Any:
    """Return the expression of a portfolio's return over the period, to sort by."""
    closing: Any = F("latest__return_index")
    if period.is_custom:
        closing = _index(date__lte=period.to_date)
    opening: Any = _index(date__lte=period.from_date)
    if (period.from_date.month, period.from_date.day) == (12, 31):
        # Nearly all have been valued in the last days of the year, which have an index of their own.
        last_days = Q(date__range=(period.from_date - datetime.timedelta(days=2), period.from_date))
        opening = Coalesce(_index(YEAR_END & last_days), opening)
    opening = Case(When(opened_on__lte=period.from_date, then=opening))
    return Case(
        When(latest__market_value__isnull=False, then=closing / _or_one(opening)), output_field=_FRACTION
    )


def _index(*conditions: Q, **days: datetime.date) -> Subquery:
    """Return the last return index of a portfolio on the days that are asked for."""
    of_portfolio = Valuation.objects.filter(*conditions, portfolio=OuterRef("pk"), **days)
    return Subquery(of_portfolio.order_by("-date").values("return_index")[:1])


def _or_one(expression: Any) -> Any:
    return Coalesce(expression, Decimal(1), output_field=_FRACTION)


@signed_in("portfolio.manage")
def value_now(request: HttpRequest) -> HttpResponseBase:
    """Have all portfolios valued now and show how far it is."""
    if request.method != "POST":
        return redirect("portfolios:book")
    assert isinstance(request.user, User)
    job = start_valuation(by=request.user)
    return redirect("accounts:job", job.pk)
