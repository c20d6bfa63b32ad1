"""Orders: the list, one order with its fills, sending and cancelling."""

import uuid
from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST

from accounts.formatting import price, quantity
from accounts.lists import ListView
from accounts.models import Role, audit_reading
from accounts.rights import can, may, roles_of
from accounts.views_base import PersonRequest, ids_in, signed_in
from clients.duties import Duty
from models_portfolio.querysets import MODEL_ROLES
from portfolios.duties import performs_for
from portfolios.models import Portfolio
from trading.filters import OrderFilter
from trading.forms import SendForm
from trading.models import Allocation, Order
from trading.services import cancel, send_each
from trading.services.orders import Sent, orders_to_send
from trading.tables import OrderTable
from trading.views.affirmations import ROLES
from trading.views.desk import SETTLE

# Advisors follow the orders of their clients' portfolios.
ORDER_ROLES = (*MODEL_ROLES, Role.ADVISOR)
# Of so many orders that could not be sent the reasons are told one by one.
SHOWN = 10


class OrderList(ListView):
    """Orders of the portfolios that a person may see."""

    roles = ORDER_ROLES
    table_class = OrderTable
    filterset_class = OrderFilter
    template_name = "trading/order_list.html"
    head_template = "trading/_order_head.html"
    title = gettext_lazy("Orders")
    empty_title = gettext_lazy("No orders yet")
    empty_text = gettext_lazy("An approved proposal becomes orders, one for each portfolio and security.")

    def get_queryset(self) -> QuerySet[Order]:
        return Order.objects.visible_to(self.request.user).select_related("portfolio", "security")

    def get_table_kwargs(self) -> dict[str, Any]:
        left_out = [] if can(self.request.user, "order.send") else ["select"]
        if not Order.objects.current().received().exists():
            left_out.append("origin")
        return {"exclude": left_out}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        may_send = can(self.request.user, "order.send")
        return {
            **super().get_context_data(**kwargs),
            "is_moving": Order.objects.visible_to(self.request.user)
            .filter(state__in=Order.IN_MARKET)
            .exists(),
            "can_send": may_send,
            "to_send": orders_to_send(self.request.user) if may_send else 0,
            "send_form": SendForm(),
        }


@require_POST
@signed_in("order.send")
def orders_send(request: PersonRequest) -> HttpResponseBase:
    """Send the orders chosen, those in one security and side as one block; those that wait or cannot go say why."""
    form = SendForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Choose between 1 and 10 parts."))
        return redirect("trading:order_list")
    chosen = Order.objects.with_right(request.user, "order.send").own()
    chosen = chosen.filter(pk__in=ids_in(request.POST.getlist("choose")))
    if request.POST.get("proposal"):
        asked = ids_in([request.POST["proposal"]])
        if not asked:
            raise Http404
        chosen = chosen.filter(proposal__in=asked)
    orders = list(chosen)
    sent = send_each(
        order_ids=[order.pk for order in orders], fill_parts=form.cleaned_data["fill_parts"], by=request.user
    )
    count = len(orders) - len(sent.refused) - len(sent.waiting)
    if count:
        words = ngettext("%(n)d order sent", "%(n)d orders sent", count) % {"n": count}
        blocks = len(sent.blocks)
        blocks_words = ngettext("in %(n)d block.", "in %(n)d blocks.", blocks) % {"n": blocks}
        messages.success(request, f"{words} {blocks_words}")
    for sentence in _unsent_words(sent):
        messages.warning(request, sentence)
    if request.POST.get("proposal"):
        return redirect("trading:proposal_detail", orders[0].proposal_id)
    return redirect("trading:order_list")


def _unsent_words(sent: Sent) -> list[str]:
    """Return why orders were not sent, those that wait for KYC by themselves last."""
    words = [
        str(error) if order.number in str(error) else f"{order.number}: {error}"
        for order, error in sent.refused
    ]
    words += [
        _("%(number)s waits until KYC is in order, and then goes on by itself: %(why)s")
        % {"number": order.number, "why": why}
        for order, why in sent.waiting
    ]
    more = len(words) - SHOWN
    if more > 0:
        text = ngettext("%(n)d more order was not sent.", "%(n)d more orders were not sent.", more)
        words[SHOWN:] = [text % {"n": more}]
    return words


def _context(request: PersonRequest, pk: uuid.UUID) -> dict[str, Any]:
    orders = Order.objects.visible_to(request.user).select_related(
        "portfolio__mandate__client", "security", "block", "proposal"
    )
    order = get_object_or_404(orders, pk=pk)
    allocations = list(
        order.allocations.current()
        .select_related("execution", "settlement", "affirmation")
        .order_by("trade_date", "created_at")
    )
    may_settle = (
        performs_for(Duty.SETTLEMENT, order.portfolio)
        and Portfolio.objects.with_right(request.user, SETTLE).filter(pk=order.portfolio_id).exists()
    )
    between = set()
    if any(each.answered or not hasattr(each, "settlement") for each in allocations):
        rows = Allocation.objects.between_parties(request.user).filter(order=order)
        between = set(rows.values_list("pk", flat=True))
    sees_answers = bool(roles_of(request.user) & set(ROLES))
    for allocation in allocations:
        # A one-to-one from the other side may not be there yet.
        allocation.settled = getattr(allocation, "settlement", None)
        allocation.is_between = allocation.pk in between
        allocation.has_page = allocation.is_between and sees_answers
        if allocation.settled is not None:
            allocation.settled.may_change = may_settle
    is_own = not order.is_received
    return {
        "order": order,
        "portfolio": order.portfolio,
        "allocations": allocations,
        "events": _events(order, allocations),
        "share": order.filled_quantity / order.quantity if order.quantity else None,
        "others": order.block.orders.count() - 1 if order.block else 0,
        "can_cancel": is_own and order.state in Order.OPEN and may(request.user, "order.send", order),
        "can_settle": may_settle,
        "sees_proposal": is_own and can(request.user, "proposal.make"),
        "is_live": order.state in (*Order.OPEN, Order.State.FILLED),
    }


def _events(order: Order, allocations: list[Any]) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = [{"at": order.created_at, "title": _("Approved"), "icon": "circle-check"}]
    if order.state == Order.State.WAITING:
        events.append(
            {"at": order.created_at, "title": _("Waits"), "text": order.state_note, "icon": "clock-pause"}
        )
    if order.sent_at:
        events.append({"at": order.sent_at, "title": _("Sent to the market"), "icon": "send"})
    for allocation in allocations:
        events.append(
            {
                "at": allocation.created_at,
                "title": _("Filled %(quantity)s at %(price)s")
                % {
                    "quantity": quantity(allocation.quantity),
                    "price": price(allocation.price, allocation.currency),
                },
                "icon": "arrows-exchange",
            }
        )
    if order.closed_at and order.state in (Order.State.CANCELLED, Order.State.REJECTED, Order.State.EXPIRED):
        events.append(
            {
                "at": order.closed_at,
                "title": order.get_state_display(),
                "text": order.state_note,
                "icon": "circle-x",
                "tone": "bad",
            }
        )
    elif order.closed_at:
        events.append({"at": order.closed_at, "title": _("Filled"), "icon": "circle-check", "tone": "good"})
    return events


@signed_in(roles=ORDER_ROLES)
def order_detail(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Show an order with its fills and their settlement; follows along while it is open."""
    context = _context(request, pk)
    audit_reading(context["order"], by=request.user)
    if request.GET.get("part") == "live":
        return render(request, "trading/_order.html", context)
    return render(request, "trading/order_detail.html", context)


@require_POST
@signed_in("order.send")
def order_cancel(request: PersonRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Cancel what is left of an order."""
    order = get_object_or_404(Order.objects.with_right(request.user, "order.send").own(), pk=pk)
    cancel(order=order, note=request.POST.get("note", ""), by=request.user)
    messages.success(request, _("Cancelled. What was filled stays."))
    return redirect("trading:order_detail", order.pk)
