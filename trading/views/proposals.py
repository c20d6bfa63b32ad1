"""Show proposals, and decide on them."""

import datetime
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST

from accounts.amounts import IN_DIGITS, has_exponent, read_digits
from accounts.errors import DomainError
from accounts.lists import ListView
from accounts.models import User
from accounts.rights import can, may
from accounts.views_base import PersonRequest, form_on, ids_in, signed_in
from models_portfolio.effective import today
from models_portfolio.querysets import MODEL_ROLES
from trading.checks import check_proposal
from trading.filters import ProposalFilter
from trading.forms import ProposeForm, SendForm
from trading.models import Order, Proposal, Side
from trading.services import approve, discard, edit, reject, send, submit
from trading.services.proposals import barred_trades, moved_prices, uncovered_trades
from trading.showing import line_rows
from trading.tables import ProposalTable

State = Proposal.State
LARGEST_QUANTITY = Decimal(10) ** 12


class ProposalList(ListView):
    """Proposals of the portfolios that a person may see."""

    roles = MODEL_ROLES
    table_class = ProposalTable
    filterset_class = ProposalFilter
    template_name = "trading/proposal_list.html"
    head_template = "trading/_proposal_head.html"
    title = gettext_lazy("Proposals")
    empty_title = gettext_lazy("No proposals yet")
    empty_text = gettext_lazy(
        "Choose portfolios in the book and propose: their trades appear here, for somebody else to approve."
    )

    def get_queryset(self) -> QuerySet[Proposal]:
        proposals = (
            Proposal.objects.visible_to(self.request.user)
            .select_related("portfolio__mandate__client", "made_by")
            .annotate(trade_count=Count("lines", filter=~Q(lines__side="")))
        )
        return proposals if self.request.GET.get("state") else proposals.exclude(state=State.VOID)

    def get_empty_action(self) -> tuple[Any, str] | None:
        return (
            (_("Open the book"), reverse("portfolios:book"))
            if can(self.request.user, "proposal.make")
            else None
        )

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {
            **super().get_context_data(**kwargs),
            "can_make": can(self.request.user, "proposal.make"),
            "can_approve": can(self.request.user, "proposal.approve"),
        }


def _found(proposals: QuerySet[Proposal], pk: uuid.UUID) -> Proposal:
    proposals = proposals.select_related(
        "portfolio__mandate__client__kyc",
        "portfolio__mandate__risk_profile",
        "model_version__model",
        "made_by",
        "proposed_by",
        "decided_by",
    )
    return get_object_or_404(proposals, pk=pk)


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def _as_shown(request: PersonRequest, pk: uuid.UUID, right: str) -> Proposal:
    """Return the proposal at the revision that the page showed; one that names none is refused later."""
    proposal = _found(Proposal.objects.with_right(request.user, right), pk)
    proposal.revision = _number(request.POST.get("revision", ""))
    return proposal


@signed_in(roles=MODEL_ROLES)
def proposal_detail(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Show current, target and proposed side by side, with reasons and checks."""
    proposal = _found(Proposal.objects.visible_to(request.user), pk)
    user = request.user
    # Lines are read after the revision: a change in between makes the revision old, never the lines.
    lines = line_rows(proposal)
    is_open = proposal.state in (State.DRAFT, State.PROPOSED)
    moved = moved_prices(proposal) if is_open else []
    barred = barred_trades(proposal) if is_open else []
    uncovered = uncovered_trades(proposal) if is_open else []
    is_own_work = user.pk in (proposal.proposed_by_id, proposal.made_by_id)
    can_make, can_approve = (may(user, right, proposal) for right in ("proposal.make", "proposal.approve"))
    orders = list(proposal.orders.select_related("security").order_by("number"))
    can_edit = can_make and proposal.state in (State.DRAFT, State.PROPOSED, State.APPROVED)
    is_unsent = not any(order.sent_at for order in orders)
    context = {
        "proposal": proposal,
        "portfolio": proposal.portfolio,
        "lines": lines,
        "buys": sum(1 for row in lines if row.line.side == Side.BUY),
        "sells": sum(1 for row in lines if row.line.side == Side.SELL),
        "costs": sum((row.fees for row in lines), Decimal(0)),
        "checks": check_proposal(
            proposal, [row.line for row in lines], moved, barred=barred, uncovered=uncovered, day=today()
        ),
        "moved": " ".join(each.seen for each in moved),
        "orders": orders,
        "currency": proposal.inputs.get("currency", proposal.portfolio.currency),
        "day": datetime.date.fromisoformat(day) if (day := proposal.inputs.get("as_of")) else None,
        "is_editing": "edit" in request.GET and can_edit and is_unsent,
        "can_edit": can_edit and is_unsent,
        "can_discard": can_edit,
        "can_submit": can_make and proposal.state == State.DRAFT and any(row.line.side for row in lines),
        "can_approve": can_approve and proposal.state == State.PROPOSED and not is_own_work,
        "waits_for_other": proposal.state == State.PROPOSED and is_own_work,
        "can_send": any(order.state == Order.State.APPROVED for order in orders)
        and may(user, "order.send", proposal),
        "can_redo": can_make and proposal.state == State.DRAFT,
        "propose_form": ProposeForm(initial={"mode": proposal.mode}),
        "history": _history(proposal),
    }
    return render(request, "trading/proposal_detail.html", context)


def _history(proposal: Proposal) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = [
        {
            "at": proposal.created_at,
            "who": _name(proposal.made_by),
            "title": _("Worked out"),
            "icon": "calculator",
        }
    ]
    if proposal.proposed_at:
        events.append(
            {
                "at": proposal.proposed_at,
                "who": _name(proposal.proposed_by),
                "title": _("Submitted for approval"),
                "text": proposal.note,
                "icon": "send",
            }
        )
    if proposal.decided_at:
        is_rejected = proposal.state == State.REJECTED
        events.append(
            {
                "at": proposal.decided_at,
                "who": _name(proposal.decided_by),
                "title": _("Rejected") if is_rejected else _("Approved"),
                "text": proposal.decision_note,
                "tone": "bad" if is_rejected else "good",
                "icon": "circle-x" if is_rejected else "circle-check",
            }
        )
    return events


def _name(user: User | None) -> str:
    return user.full_name if user else ""


@signed_in("proposal.make")
@form_on("trading:proposal_detail")
def proposal_edit(request: PersonRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Set quantities by hand; everything is worked out again."""
    proposal = _as_shown(request, pk, "proposal.make")
    quantities: dict[uuid.UUID, Decimal] = {}
    for line in proposal.lines.filter(security__isnull=False).select_related("security"):
        typed = request.POST.get(f"quantity-{line.security_id}")
        if typed is None or line.security_id is None:
            continue
        text = typed.strip().replace("−", "-").replace("'", "").replace("’", "").replace(" ", "")
        typed_quantity = read_digits(text or "0")
        if typed_quantity is not None and abs(typed_quantity) < LARGEST_QUANTITY:
            quantities[line.security_id] = typed_quantity
        else:
            wrong = IN_DIGITS if has_exponent(text) else _("Enter a number of units.")
            messages.error(request, f"{line.security}: {wrong}")
            return redirect(f"{reverse('trading:proposal_detail', args=[proposal.pk])}?edit")
    try:
        edit(proposal=proposal, quantities=quantities, by=request.user)
    except DomainError as error:
        messages.error(request, error.message)
        return redirect(f"{reverse('trading:proposal_detail', args=[proposal.pk])}?edit")
    messages.success(request, _("Worked out again. The proposal is a draft until it is submitted."))
    return redirect("trading:proposal_detail", proposal.pk)


@require_POST
@signed_in("proposal.make")
def proposal_submit(request: PersonRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Submit a draft for approval."""
    proposal = _as_shown(request, pk, "proposal.make")
    submit(proposal=proposal, by=request.user, note=request.POST.get("note", ""))
    messages.success(request, _("Submitted. Somebody else can approve it now."))
    return redirect("trading:proposal_detail", proposal.pk)


@require_POST
@signed_in("proposal.approve")
def proposal_approve(request: PersonRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Approve a proposal, and send its orders where asked to."""
    proposal = _as_shown(request, pk, "proposal.approve")
    form = SendForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Choose between 1 and 10 parts."))
        return redirect("trading:proposal_detail", proposal.pk)
    with transaction.atomic():
        orders = approve(
            proposal=proposal,
            by=request.user,
            note=request.POST.get("note", ""),
            accepted_moves=request.POST.get("accept_moved", "").split(),
        )
        ready = [order.pk for order in orders if order.state == Order.State.APPROVED]
        sends = "send" in request.POST and bool(ready) and may(request.user, "order.send", proposal)
        if sends:
            send(order_ids=ready, fill_parts=form.cleaned_data["fill_parts"], by=request.user)
    messages.success(request, _approval_words(orders, sends))
    return redirect("trading:proposal_detail", proposal.pk)


def _approval_words(orders: list[Order], sends: bool) -> str:
    waiting = sum(1 for order in orders if order.state == Order.State.WAITING)
    if sends:
        words = _("Approved and sent to the market.")
    else:
        words = format_html(
            ngettext(
                'Approved: <a href="{url}">{n} order</a> is ready to be sent.',
                'Approved: <a href="{url}">{n} orders</a> are ready to be sent.',
                len(orders) - waiting,
            ),
            url=f"{reverse('trading:order_list')}?state={Order.State.APPROVED}",
            n=len(orders) - waiting,
        )
    if waiting:
        also = ngettext("%(n)d purchase waits for KYC.", "%(n)d purchases wait for KYC.", waiting)
        return format_html("{} {}", words, also % {"n": waiting})
    return words


@require_POST
@signed_in("proposal.approve")
def proposal_reject(request: PersonRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Reject a proposal with a reason."""
    proposal = _as_shown(request, pk, "proposal.approve")
    reject(proposal=proposal, reason=request.POST.get("reason", ""), by=request.user)
    messages.success(request, _("Rejected."))
    return redirect("trading:proposal_detail", proposal.pk)


@require_POST
@signed_in("proposal.make")
def proposal_discard(request: PersonRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Put a proposal aside."""
    proposal = _as_shown(request, pk, "proposal.make")
    discard(proposal=proposal, by=request.user)
    messages.success(request, _("Discarded."))
    return redirect("trading:proposal_list")


def _chosen(request: PersonRequest) -> dict[uuid.UUID, int]:
    """Return the proposals chosen in the list, each with the revision that the list showed."""
    chosen = {}
    for text in request.POST.getlist("choose"):
        key, _dot, revision = text.partition(".")
        chosen.update(dict.fromkeys(ids_in([key]), _number(revision)))
    return chosen


def _decided(action: str, count: int) -> str:
    texts = {
        "submit": ngettext("%(n)d proposal submitted.", "%(n)d proposals submitted.", count),
        "approve": ngettext("%(n)d proposal approved.", "%(n)d proposals approved.", count),
        "discard": ngettext("%(n)d proposal discarded.", "%(n)d proposals discarded.", count),
    }
    return texts[action] % {"n": count}


@require_POST
@signed_in(("proposal.make", "proposal.approve"))
def proposals_decide(request: PersonRequest) -> HttpResponseBase:
    """Submit or approve many proposals; those that cannot be say why, the others go on."""
    action = request.POST.get("action", "")
    actions: dict[str, tuple[str, Callable[..., Any], str]] = {
        "submit": ("proposal.make", submit, State.DRAFT),
        "approve": ("proposal.approve", approve, State.PROPOSED),
        "discard": ("proposal.make", discard, ""),
    }
    if action not in actions or not can(request.user, actions[action][0]):
        messages.error(request, _("Choose what to do."))
        return redirect("trading:proposal_list")
    right, service, wanted = actions[action]
    chosen = _chosen(request)
    proposals = Proposal.objects.with_right(request.user, right).filter(pk__in=chosen)
    done, refused = 0, []
    for proposal in proposals.select_related("portfolio"):
        if wanted and proposal.state != wanted:
            refused.append(f"{proposal.portfolio.number}: {proposal.get_state_display().lower()}")
            continue
        proposal.revision = chosen[proposal.pk]
        try:
            service(proposal=proposal, by=request.user)
        except DomainError as error:
            refused.append(f"{proposal.portfolio.number}: {error}")
        else:
            done += 1
    if done:
        messages.success(request, _decided(action, done))
    for sentence in refused[:10]:
        messages.warning(request, sentence)
    if not done and not refused:
        messages.error(request, _("Choose at least one proposal."))
    return redirect("trading:proposal_list")
