"""The page of one portfolio: the same for who manages it and for who follows it at a partner."""

import datetime
import uuid
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.db.models import Exists, OuterRef
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import formatting
from accounts.lists import Export, ListView, table_for
from accounts.models import User, audit_export, audit_reading
from accounts.period import Period, parse_period
from accounts.rights import PORTFOLIO_ROLES, may, reach
from accounts.views_base import signed_in
from clients.duties import Duty
from portfolios.attention import LATE, reasons_of
from portfolios.calculations.returns import annualise
from portfolios.charts import allocation_chart, return_chart, too_few, value_chart
from portfolios.duties import performs_for
from portfolios.filters import TransactionFilter
from portfolios.models import Handover, Holding, Portfolio, Transaction
from portfolios.services.benchmarks import Comparison, benchmarks_for, compare
from portfolios.services.chain import first_day, load_chain
from portfolios.services.figures import REASONS, Day, money_weighted_over, return_over
from portfolios.services.handover import moved_on, ready
from portfolios.services.holdings import commitments, derive_holdings
from portfolios.tables import HoldingTable, TransactionTable
from portfolios.tables_orders import PortfolioOrderTable
from portfolios.views.handover import may_book_out, may_take_over

TABS = {
    "overview": gettext_lazy("Overview"),
    "holdings": gettext_lazy("Holdings"),
    "transactions": gettext_lazy("Transactions"),
    "orders": gettext_lazy("Orders"),
    "reports": gettext_lazy("Reports"),
}


def visible_portfolio(request: HttpRequest, pk: uuid.UUID) -> Portfolio:
    """Return a portfolio that the person may see, with its mandate, client, model and last value; or 404."""
    assert isinstance(request.user, User)
    portfolio: Portfolio = get_object_or_404(
        Portfolio.objects.visible_to(request.user).select_related("mandate__client", "unit"), pk=pk
    )
    return portfolio


def _frame(request: HttpRequest, portfolio: Portfolio, tab: str) -> dict[str, Any]:
    """Return what every tab shows around its content, and write down who read a partner's portfolio."""
    assert isinstance(request.user, User)
    audit_reading(portfolio, by=request.user)
    # The model stands to the left of this app, hence the reverse accessor.
    assignment = portfolio.model_assignments.filter(valid_to=None).select_related("model__benchmark").first()
    is_own = portfolio.origin is None
    reasons = reasons_of([portfolio.pk]).get(portfolio.pk, [])
    is_late = any(reason.code == LATE for reason in reasons)
    return {
        "portfolio": portfolio,
        "tab": tab,
        "tabs": TABS,
        "model": assignment.model if assignment else None,
        "leads_to_model": is_own and bool(reach(request.user, PORTFOLIO_ROLES)),
        "latest": portfolio.valuations.filter(is_latest=True).first(),
        "reasons": reasons,
        **(_rest(request.user, portfolio) if is_late else {}),
        "is_own": is_own,
        "may_propose": is_own
        and portfolio.closed_on is None
        and may(request.user, "proposal.make", portfolio),
        "may_report": may(request.user, "report.make", portfolio) and performs_for(Duty.REPORTING, portfolio),
    }


def _rest(user: User, portfolio: Portfolio) -> dict[str, Any]:
    """Return what is to be said of a portfolio that is closed, but holds something."""
    rest = list(Holding.objects.something().filter(portfolio=portfolio).select_related("security"))
    return {
        "rest": rest,
        "rest_is_owed": any(each.quantity < 0 for each in rest),
        "has_moved_on": moved_on(portfolio) is not None,
        "is_kept_here": performs_for(Duty.SETTLEMENT, portfolio),
        "may_book_out": may_book_out(user, portfolio),
    }


@signed_in()
def overview(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Show value, returns, allocation and cash over a period."""
    assert isinstance(request.user, User)
    portfolio = visible_portfolio(request, pk)
    frame = _frame(request, portfolio, "overview")
    latest = frame["latest"]
    today = latest.date if latest and portfolio.closed_on else timezone.now().date()
    first = first_day(portfolio)
    period = parse_period(request.GET, today=today, first=first, default="1y")
    chain = load_chain(portfolio, period.from_date, period.to_date)
    days = chain.days
    benchmark = compare(
        portfolio, request.GET.get("benchmark", ""), frame["model"], period.from_date, period.to_date
    )
    holdings = _decorated(
        Holding.objects.something()
        .filter(portfolio=portfolio)
        .select_related("security")
        .order_by("-market_value", "pk")
    )
    handover = (
        Handover.objects.current().filter(mandate=portfolio.mandate_id).select_related("mandate").first()
    )
    return render(
        request,
        "portfolios/portfolio_overview.html",
        {
            **frame,
            "period": period,
            "benchmark": benchmark,
            "benchmarks": benchmarks_for(portfolio),
            "tiles": _tiles(frame, period, days, benchmark),
            "value_chart": value_chart(days, portfolio.currency),
            "return_chart": return_chart(days, benchmark, period.from_date, chain.changes),
            "too_few": too_few(days),
            "changes": chain.changes,
            "handover": handover,
            "takes_over": handover is not None
            and ready().filter(pk=handover.pk).exists()
            and may_take_over(request.user, handover.mandate),
            "by_class": allocation_chart(holdings, _class_of, "class", portfolio.currency),
            "by_currency": allocation_chart(holdings, _currency_of, "currency", portfolio.currency),
            "cash": _cash_lines(portfolio, [each for each in holdings if each.security_id is None]),
            "largest": [holding for holding in holdings if holding.security_id][:8],
            "days": days,
            "accounts": portfolio.accounts.current(),
        },
    )


def _class_of(holding: Holding) -> str:
    return str(holding.security.get_asset_class_display()) if holding.security else _("Cash")


def _currency_of(holding: Holding) -> str:
    return holding.currency


def _cash_lines(portfolio: Portfolio, cash: Sequence[Holding]) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = [
        {"holding": each, "promised": each.quantity - each.available_quantity} for each in cash
    ]
    promised = [line for line in lines if line["promised"]]
    if portfolio.origin is None and promised:
        known = commitments([portfolio.pk]).get(portfolio.pk, {})
        for line in promised:
            if (found := known.get(line["holding"].currency)) is not None:
                line["open_buys"], line["withdrawals"] = found.open_buys, found.withdrawals
    return lines


def _tiles(
    frame: dict[str, Any], period: Period, days: Sequence[Day], benchmark: Comparison | None
) -> list[dict[str, Any]]:
    portfolio, latest, model = frame["portfolio"], frame["latest"], frame["model"]
    last = days[-1] if days else None
    change = return_over(days, period.from_date)
    money_weighted = money_weighted_over(days, period.from_date)
    length = (change.end - change.start).days if change.start and change.end else 0
    yearly = annualise(change.net, days=length) if change.net is not None else None
    flows = sum((day.inflow - day.outflow for day in days if day.date > period.from_date), Decimal(0))
    gain = None
    if last is not None and last.value is not None and days[0].value is not None:
        opening = days[0].value if days[0].date <= period.from_date else Decimal(0)
        gain = last.value - opening - flows
    why = REASONS.get(change.reason) if change.reason else ""
    why_money = REASONS.get(money_weighted.reason) if money_weighted.reason else ""
    return [
        {
            "kind": "money",
            "label": _("Value"),
            "value": last.value if last else None,
            "unit": portfolio.currency,
            "as_of": last.date if last else None,
            "note": last.problem if last else _("No value yet."),
            "simulated": bool(last and last.is_simulated),
            "how": _("Each holding × its last price × the rate of the day, and cash by trade date."),
            "inputs": [(_("Gain in the period"), gain, "money"), (_("Net inflow in the period"), flows, "money")],
        },
        {
            "kind": "signed",
            "label": _("Return, net"),
            "value": change.net,
            "note": why or (_("%(rate)s a year") % {"rate": _percent(yearly.value)} if yearly and yearly.value is not None else ""),
            "how": _("Time-weighted: Π (value + outflow) ÷ (value of the day before + inflow) − 1, each day, after fees."),
            "inputs": [(_("From the close of"), change.start, "day"), (_("To the close of"), change.end, "day"),
                       (_("Inflows count"), _("at the start of the day"), ""), (_("Outflows count"), _("at its end"), "")],
        },
        {
            "kind": "signed",
            "label": _("Return, gross"),
            "value": change.gross,
            "note": why or _("before management and custody fees"),
            "how": _("As the net return, with the day's fees added back to its value."),
            "inputs": [(_("Fees in the period"), sum((day.fees for day in days if day.date > period.from_date), Decimal(0)), "money")],
        },
        {
            "kind": "signed",
            "label": _("Money-weighted"),
            "value": money_weighted.period,
            "note": why_money or (_("%(rate)s a year") % {"rate": _percent(money_weighted.annual)} if length >= 365 else ""),
            "how": _("The rate r at which Σ flow × (1 + r)^(−days ÷ 365) is zero (XIRR), for the period."),
            "inputs": [(_("Days"), money_weighted.days, "number")],
        },
        *([] if benchmark is None else [
            {
                "kind": "signed",
                "label": benchmark.name,
                "value": benchmark.total,
                "note": benchmark.note,
                "how": _("Level at the end ÷ level at the start − 1, in the portfolio's currency."),
                "inputs": [(_("From the close of"), benchmark.start, "day"), (_("To the close of"), benchmark.end, "day")],
            }
        ]),
        {
            "kind": "percent",
            "label": _("Drift"),
            "value": latest.drift if latest else None,
            "note": _("tolerated: %(tolerance)s") % {"tolerance": _percent(model.drift_tolerance)} if model else _("follows no model"),
            "as_of": latest.date if latest else None,
            "how": _("½ Σ |weight − target|: the part of the value to be traded to reach the model."),
            "inputs": [],
        },
    ]  # fmt: skip


def _percent(value: Decimal | None) -> str:
    return formatting.percent(value)


@signed_in()
def holdings(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Show what is held now, or was held on an earlier day."""
    assert isinstance(request.user, User)
    portfolio = visible_portfolio(request, pk)
    frame = _frame(request, portfolio, "holdings")
    latest = frame["latest"]
    today = timezone.now().date()
    as_of = _day(request.GET.get("as_of")) or today
    as_of = min(max(as_of, portfolio.opened_on), today)
    if as_of == today:
        held = Holding.objects.current().filter(portfolio=portfolio).select_related("security")
        rows = list(held.order_by("-market_value", "pk"))
        shown_day = max((row.price_date for row in rows if row.price_date), default=today)
    else:
        rows = derive_holdings([portfolio], as_of)[portfolio.pk]
        shown_day = as_of
    rows = _decorated(row for row in rows if row.quantity or row.settled_quantity)
    table = table_for(request, HoldingTable, rows, currency=portfolio.currency)
    exporter = _export(request, table, f"holdings-{portfolio.number}-{as_of}")
    if exporter is not None:
        # What was held on an earlier day is worked out here: it is the portfolio that is taken out.
        audit_export([portfolio], by=request.user)
        return exporter
    return render(
        request,
        "portfolios/portfolio_holdings.html",
        {
            **frame,
            "table": table,
            "rows": rows,
            "as_of": as_of,
            "shown_day": shown_day,
            "is_today": as_of == today,
            "today": today,
            "latest": latest,
            "problems": sorted({row.problem for row in rows if row.problem}),
        },
    )


def _export(request: HttpRequest, table: Any, name: str) -> HttpResponse | None:
    wanted = request.GET.get("_export")
    if not Export.is_valid_format(wanted):
        return None
    response: HttpResponse = Export(export_format=wanted, table=table).response(filename=f"{name}.{wanted}")
    return response


def _day(text: str | None) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(text) if text else None
    except ValueError:
        return None


def _decorated(holdings_: Any) -> list[Holding]:
    """Split each unrealised gain into its price and its currency part, the largest value first."""
    rows = sorted(
        holdings_, key=lambda row: (row.security_id is None, -(row.market_value or Decimal(0)), row.currency)
    )
    for row in rows:
        row.price_gain = row.currency_gain = None
        gain = row.unrealised_gain
        if gain is None or row.average_cost is None or not row.quantity or row.price is None:
            continue
        local_value = row.quantity * row.price
        is_percent = row.security.price_unit == "percent"
        local_value = local_value / 100 if is_percent else local_value
        if not local_value:
            continue
        rate = row.market_value / local_value
        row.price_gain = ((local_value - row.average_cost * row.quantity) * rate).quantize(Decimal("0.01"))
        row.currency_gain = gain - row.price_gain
    return rows


class PortfolioTransactions(ListView):
    """List the ledger of one portfolio."""

    table_class = TransactionTable
    filterset_class = TransactionFilter
    template_name = "portfolios/portfolio_transactions.html"
    title = gettext_lazy("Transactions")
    empty_title = gettext_lazy("Nothing booked yet")
    empty_text = gettext_lazy("Entries appear here when cash arrives and orders are filled.")

    def get_queryset(self) -> Any:
        self.portfolio = visible_portfolio(self.request, self.kwargs["pk"])
        reversals = Transaction.objects.filter(reverses=OuterRef("pk"))
        return (
            Transaction.objects.current()
            .filter(portfolio=self.portfolio)
            .select_related("security", "portfolio")
            .annotate(is_reversed=Exists(reversals))
        )

    def get_table_kwargs(self) -> dict[str, Any]:
        return {"exclude": ("portfolio",)}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        return {**context, **_frame(self.request, self.portfolio, "transactions"), "title": _("Transactions")}


class PortfolioOrders(ListView):
    """List the orders of one portfolio; they stand to the left of this app and come by name."""

    table_class = PortfolioOrderTable
    template_name = "portfolios/portfolio_orders.html"
    title = gettext_lazy("Orders")
    empty_title = gettext_lazy("No orders yet")
    empty_text = gettext_lazy("Orders follow from an approved proposal.")

    def get_queryset(self) -> Any:
        self.portfolio = visible_portfolio(self.request, self.kwargs["pk"])
        return self.portfolio.orders.current().select_related("security")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        orders = self.portfolio.orders
        return {
            **super().get_context_data(**kwargs),
            **_frame(self.request, self.portfolio, "orders"),
            "title": _("Orders"),
            "is_moving": orders.current().filter(state__in=orders.model.OPEN).exists(),
        }


@signed_in()
def reports(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Show the reports made of a portfolio."""
    portfolio = visible_portfolio(request, pk)
    listed = (
        portfolio.reports.current()
        .select_related("release")
        .defer("pdf", "content")
        .order_by("-period_to")[:200]
    )
    return render(
        request,
        "portfolios/portfolio_reports.html",
        {**_frame(request, portfolio, "reports"), "reports": listed},
    )
