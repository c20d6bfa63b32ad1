"""The desk of operations, and settlements."""

import uuid
from typing import Any

from django.contrib import messages
from django.db.models import Exists, OuterRef, Prefetch, QuerySet
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from accounts.formatting import day as day_text
from accounts.lists import ListView
from accounts.models import Role, User
from accounts.rights import can
from accounts.views_base import PersonRequest, admits, signed_in
from clients.duties import Duty
from clients.models import ClientInstruction
from clients.partners import held_up
from models_portfolio.effective import today
from portfolios.models import BankEntry, Holding, Portfolio
from portfolios.querysets import PortfolioQuerySet
from portfolios.services.cash_matching import MATCHES, visible_entries
from portfolios.services.handover import to_take_over
from portfolios.services.holdings import open_instructions
from trading.filters import SettlementFilter
from trading.models import Allocation, Order, Settlement
from trading.services import record_failure, retry, settle
from trading.tables import SettlementTable

DESK_ROLES = (Role.OPERATIONS, Role.PORTFOLIO_MANAGER, Role.COMPLIANCE)
ROWS = 10
SETTLE = "settlement.edit"


@signed_in(roles=DESK_ROLES)
def desk(request: PersonRequest) -> HttpResponse:
    """Show what operations has to do today: cash, orders, settlements, instructions."""
    template = "trading/_desk.html" if request.GET.get("part") == "live" else "trading/desk.html"
    return render(request, template, _desk_context(request.user))


def _desk_context(user: User) -> dict[str, Any]:
    visible = Portfolio.objects.visible_to(user)
    own, settled_here = visible.own().values("pk"), visible.performed_here(Duty.SETTLEMENT)
    work = {
        **_settlement_work(user, settled_here),
        **_trading_work(user, own, settled_here),
        **_instruction_work(user, own, settled_here),
    }
    shown: dict[str, Any] = {name: rows[:ROWS] for name, rows in work.items()}
    for name in ("expected", "instructions"):
        shown[name] = list(shown[name])
    due = work["pending"].filter(expected_date__lte=today())
    waiting = Order.objects.own().filter(portfolio__in=own, state__in=["approved", "waiting"])
    return {
        **shown,
        **{f"{name}_count": rows.count() for name, rows in work.items()},
        "due_count": due.count(),
        "waiting_count": waiting.count(),
        "held_up": held_up([*shown["expected"], *shown["instructions"]]),
        "can_settle": can(user, SETTLE),
        "can_match": can(user, MATCHES),
        "reads_cash": admits(user, MATCHES, (Role.COMPLIANCE,)),
    }


def _settlement_work(user: User, settled_here: PortfolioQuerySet) -> dict[str, QuerySet[Any]]:
    """Return what has to settle, arrive, or be taken over or booked out, by its name on the page."""
    settlements = (
        _with_right(Settlement.objects.own().filter(portfolio__in=settled_here.values("pk")), user)
        .select_related("portfolio", "allocation__order__security")
        .order_by("expected_date", "pk")
    )
    held = Prefetch("holdings", Holding.objects.something().select_related("security"), to_attr="held")
    arrived = visible_entries(user).filter(state=BankEntry.State.UNMATCHED).select_related("portfolio")
    late = settled_here.closed_but_holding().select_related("mandate__client").prefetch_related(held)
    return {
        "failed": settlements.filter(state=Settlement.State.FAILED),
        "pending": settlements.filter(state=Settlement.State.PENDING),
        "arrived": arrived.order_by("value_date", "pk"),
        "late": late.order_by("closed_on", "number"),
        "handovers": to_take_over(settled_here),
    }


def _trading_work(
    user: User, own: QuerySet[Any, Any], settled_here: PortfolioQuerySet
) -> dict[str, QuerySet[Any]]:
    """Return what is in the market, and what of it awaits an answer or a booking, by its name on the page."""
    in_market = Order.objects.own().filter(portfolio__in=own, state__in=["sent", "new", "partially_filled"])
    unbooked = Allocation.objects.refused_by_ledger().filter(portfolio__in=settled_here.values("pk"))
    rejected = Allocation.objects.rejected(user)
    return {
        "in_market": in_market.select_related("portfolio", "security").order_by("sent_at", "pk"),
        "unbooked": unbooked.select_related("portfolio", "order__security").order_by("created_at", "pk"),
        "to_affirm": Allocation.objects.to_affirm(user).select_related("portfolio", "order__security"),
        "rejected": rejected.select_related("portfolio", "order__security", "affirmation").order_by(
            "created_at", "pk"
        ),
    }


def _instruction_work(
    user: User, own: QuerySet[Any, Any], settled_here: PortfolioQuerySet
) -> dict[str, QuerySet[Any]]:
    """Return the announced deposits and the other open instructions, by their name on the page."""
    expected = open_instructions(ClientInstruction.Kind.DEPOSIT).filter(
        mandate__portfolio__in=settled_here.values("pk")
    )
    instructions = (
        ClientInstruction.objects.visible_to(user)
        .unanswered()
        .filter(mandate__portfolio__in=own)
        .exclude(kind=ClientInstruction.Kind.DEPOSIT)
        .order_by("sent_at", "pk")
    )
    named = ("mandate__client", "mandate__portfolio")
    return {
        "expected": expected.select_related(*named).order_by("sent_at", "pk"),
        "instructions": instructions.select_related(*named),
    }


def _with_right(settlements: QuerySet[Settlement], user: User) -> QuerySet[Settlement]:
    """Annotate ``may_change``: whether ``user`` settles for that portfolio."""
    ours = Portfolio.objects.with_right(user, SETTLE).filter(pk=OuterRef("portfolio"))
    return settlements.annotate(may_change=Exists(ours))


class SettlementList(ListView):
    """Settlements of the portfolios that a person may see."""

    roles = DESK_ROLES
    table_class = SettlementTable
    filterset_class = SettlementFilter
    title = gettext_lazy("Settlements")
    empty_title = gettext_lazy("No settlements yet")
    empty_text = gettext_lazy("Each fill is delivered and paid for some days later; that is followed here.")

    def get_queryset(self) -> QuerySet[Settlement]:
        rows = Settlement.objects.visible_to(self.request.user)
        return _with_right(rows, self.request.user).select_related("portfolio", "allocation__order__security")

    def get_table_kwargs(self) -> dict[str, Any]:
        left_out = [] if can(self.request.user, SETTLE) else ["actions"]
        if not Settlement.objects.current().received().exists():
            left_out.append("origin")
        return {"exclude": left_out}


@require_POST
@signed_in(SETTLE)
def settlement_change(request: PersonRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Confirm a settlement, record that it failed, or try it again."""
    settlement = get_object_or_404(Settlement.objects.with_right(request.user, SETTLE).own(), pk=pk)
    action = request.POST.get("action")
    if action == "fail":
        record_failure(settlement=settlement, reason=request.POST.get("reason", ""), by=request.user)
        messages.success(request, _("The failure is recorded."))
    elif action == "retry":
        again = retry(settlement=settlement, by=request.user)
        messages.success(request, _("Expected again on %(day)s.") % {"day": day_text(again.expected_date)})
    else:
        settle(settlement=settlement, by=request.user)
        messages.success(request, _("Settled."))
    back = request.META.get("HTTP_REFERER", "")
    if url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()}):
        return redirect(back)
    return redirect("trading:settlement_list")
