"""Let people change, submit, approve or refuse a proposal.

The proposal that a service is given is the one that the person looked at: a revision other than the
stored one is refused, so nobody decides on trades that another has changed meanwhile.
"""

import datetime
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.errors import DomainError
from accounts.formatting import money
from accounts.models import User, audit
from clients.duties import Duty, require
from models_portfolio.calculations.weights import ZERO, Key
from models_portfolio.effective import today
from portfolios.models import Security
from trading.calculations.proposal import Rebalance, RebalanceInputs
from trading.calculations.rebalance import evaluate
from trading.models import Order, Proposal, Side
from trading.services.cover import Cover, Trade, lock_portfolios
from trading.services.gates import ending_problem, profile_problem
from trading.services.inputs import load_market, read
from trading.services.orders import create_orders
from trading.services.policy import PRICE_TOLERANCE
from trading.services.proposing import OPEN_STATES, require_managed, write_lines
from trading.services.restrictions import Restrictions

State = Proposal.State


@dataclass(frozen=True)
class Moved:
    """A price that is no longer what the proposal was worked out with."""

    security: Security
    before: Decimal
    now: Decimal | None

    @property
    def change(self) -> Decimal | None:
        """Return the change as a fraction, None where the price is gone."""
        return None if self.now is None else self.now / self.before - 1

    @property
    def seen(self) -> str:
        """Return what stands for this move in a form: another value once the price is another."""
        return f"{self.security.pk}:{'' if self.now is None else format(self.now.normalize(), 'f')}"


def _locked(proposal: Proposal, *states: str) -> Proposal:
    """Return the proposal locked for change, or raise DomainError where it changed or is past that."""
    # Its orders first, as whoever sends them does: what is being sent now counts as sent.
    list(proposal.orders.select_for_update().order_by("number").values_list("pk"))
    locked = (
        Proposal.objects.select_for_update(of=("self",))
        .select_related("portfolio__mandate__client")
        .get(pk=proposal.pk)
    )
    if locked.state not in states:
        raise DomainError(
            "proposal_state",
            _("This proposal is %(state)s by now. Reload the page.")
            % {"state": locked.get_state_display().lower()},
        )
    if locked.revision != proposal.revision:
        raise DomainError(
            "proposal_changed", _("This proposal has changed since you opened it. Look at it again.")
        )
    return locked


@transaction.atomic
def edit(*, proposal: Proposal, quantities: Mapping[uuid.UUID, Decimal], by: User) -> Proposal:
    """Set the trades by hand: signed quantities by security, the others stay.

    Everything is worked out again from the stored inputs. The proposal is a draft afterwards, and
    orders of an approval are cancelled. Raises DomainError for a short sale, a quantity that
    cannot be traded, a restriction, more purchases than there is cash, or where orders have been sent.
    """
    proposal = _locked(proposal, *OPEN_STATES)
    _require_unsent(proposal)
    _withdraw_approval(proposal, by)
    trades: dict[Key, Decimal] = {
        line.security_id: -line.quantity if line.side == Side.SELL else line.quantity
        for line in proposal.lines.all()
        if line.security_id is not None
    }
    trades.update({key: value for key, value in quantities.items() if key in trades})
    inputs = read(proposal.inputs)
    for key, quantity in trades.items():
        _check_trade(inputs, key, quantity)
    result = evaluate(inputs, trades)
    if any(quantity > 0 for quantity in trades.values()):
        _require_cash(result)
    write_lines(proposal, result, is_computed=False)
    proposal.state = State.DRAFT
    proposal.revision += 1
    proposal.made_by = by
    proposal.proposed_by = proposal.proposed_at = proposal.decided_by = proposal.decided_at = None
    proposal.decision_note = ""
    proposal.save()
    audit("edited", proposal, by=by)
    return proposal


def _require_cash(result: Rebalance) -> None:
    """Refuse purchases that take cash which the rules keep, as they do when they work trades out."""
    if result.value is None or result.cash_after is None:
        return
    inputs = result.inputs
    kept = inputs.policy.kept(result.value - result.fees)
    if result.cash_after < kept:
        raise DomainError(
            "not_covered",
            _(
                "These purchases cost %(missing)s more than is free for them: %(kept)s stays in cash, for"
                " withdrawals that the client has asked for, rounding and the portfolio's minimum. Buy less or sell"
                " more."
            )
            % {
                "missing": money(kept - result.cash_after, inputs.currency),
                "kept": money(kept, inputs.currency),
            },
        )


def _require_unsent(proposal: Proposal) -> None:
    """Refuse to trade by a proposal again of which orders have been sent: they would be made a second time."""
    if proposal.orders.filter(sent_at__isnull=False).exists():
        raise DomainError(
            "orders_sent",
            _("Orders of this proposal have been sent. Discard what is left of it, and propose again."),
        )


def _check_trade(inputs: RebalanceInputs, key: Key, quantity: Decimal) -> None:
    if not quantity:
        return
    instrument = inputs.instruments[key]
    name = Security.objects.only("name").get(pk=str(key)).name
    held = inputs.holdings.get(key, ZERO)
    if any(order.security == key for order in inputs.open_orders):
        raise DomainError(
            "open_order", _("%(name)s has an open order. Wait for it or cancel it.") % {"name": name}
        )
    if instrument.unit_value is None:
        raise DomainError("missing_price", _("%(name)s has no price or rate.") % {"name": name})
    barriers = {restriction.value for restriction in instrument.restrictions}
    if quantity > 0 and barriers & {"do_not_buy", "excluded"}:
        raise DomainError("do_not_buy", _("%(name)s may not be bought here.") % {"name": name})
    if quantity < 0 and "do_not_sell" in barriers:
        raise DomainError("do_not_sell", _("%(name)s may not be sold here.") % {"name": name})
    if -quantity > held:
        raise DomainError(
            "short_sale",
            _("%(name)s: only %(held)s are held, so no more can be sold.")
            % {"name": name, "held": f"{held.normalize():f}"},
        )
    is_exit = -quantity == held
    if not is_exit and instrument.floor(abs(quantity)) != abs(quantity):
        raise DomainError(
            "lot_size",
            _("%(name)s trades in multiples of %(lot)s.")
            % {"name": name, "lot": f"{instrument.step.normalize():f}"},
        )


def _withdraw_approval(proposal: Proposal, by: User) -> None:
    """Cancel the orders of an approval that are not in the market yet."""
    if proposal.state != State.APPROVED:
        return
    waiting = proposal.orders.filter(state__in=[Order.State.APPROVED, Order.State.WAITING])
    waiting.update(
        state=Order.State.CANCELLED, state_note=_("The proposal was changed"), closed_at=timezone.now()
    )
    audit("approval_voided", proposal, by=by)


@transaction.atomic
def submit(*, proposal: Proposal, by: User, note: str = "") -> Proposal:
    """Hand a draft to somebody else for approval."""
    proposal = _locked(proposal, State.DRAFT)
    require_managed(proposal.portfolio)
    if not proposal.lines.exclude(side="").exists():
        raise DomainError("no_trades", _("There is nothing to trade in this proposal. Discard it."))
    _require_unrestricted(proposal)
    proposal.state = State.PROPOSED
    proposal.proposed_by, proposal.proposed_at = by, timezone.now()
    proposal.note = note.strip() or proposal.note
    proposal.save(update_fields=["state", "proposed_by", "proposed_at", "note"])
    audit("submitted", proposal, by=by)
    return proposal


def moved_prices(proposal: Proposal, day: datetime.date | None = None) -> list[Moved]:
    """Return the traded securities whose price moved beyond tolerance since the proposal."""
    traded = {line.security_id: line for line in proposal.lines.all() if line.side and line.security_id}
    market = load_market(list(traded), [proposal.inputs["currency"]], day or today())
    moved = []
    for key, line in traded.items():
        now = market.price(key)
        if line.price and (now is None or abs(now / line.price - 1) > PRICE_TOLERANCE):
            moved.append(Moved(market.securities[key], line.price, now))
    return moved


def barred_trades(proposal: Proposal, day: datetime.date | None = None) -> list[str]:
    """Return why trades of the proposal are not allowed now, in words, whatever held when it was made."""
    lines = proposal.lines.exclude(side="").select_related("security")
    traded = [(line.security, line.side) for line in lines if line.security]
    mandate_id = proposal.portfolio.mandate_id
    restrictions = Restrictions([mandate_id], [security.pk for security, _side in traded], day or today())
    problems = [restrictions.problem(mandate_id, security, side) for security, side in traded]
    return [problem for problem in problems if problem]


def uncovered_trades(proposal: Proposal) -> list[str]:
    """Return what cash or securities are not there now for the proposal's trades, in words.

    A security with an open order is left out, as it is when orders are made.
    """
    portfolio = proposal.portfolio
    busy = set(portfolio.orders.filter(state__in=Order.OPEN).values_list("security", flat=True))
    lines = proposal.lines.exclude(side="").select_related("security")
    trades = [Trade.of_line(line, portfolio) for line in lines if line.security_id not in busy]
    if not trades:
        return []
    cover = Cover(trades)
    problems = [*(cover.lacks_units(trade) for trade in trades), cover.lacks_cash(trades)]
    return [problem for problem in problems if problem]


def _require_unrestricted(proposal: Proposal) -> None:
    barred = barred_trades(proposal)
    if barred:
        raise DomainError(
            "restricted",
            _("%(why)s Propose again, or take the trade out by hand.") % {"why": " ".join(barred)},
        )


@transaction.atomic
def approve(
    *, proposal: Proposal, by: User, note: str = "", accepted_moves: Collection[str] = ()
) -> list[Order]:
    """Approve a submitted proposal and create its orders; return them.

    The approver is neither who made nor who submitted it. ``accepted_moves`` are those that a page showed, as
    ``Moved.seen`` says them. Raises DomainError where others have moved by more than 2 %, purchases are blocked by
    a stale risk profile, a restriction has come since that bars a trade, or cash or securities that the trades need
    are not there any more.
    """
    proposal = _locked(proposal, State.PROPOSED)
    _require_unsent(proposal)
    portfolio = proposal.portfolio
    require_managed(portfolio)
    require(Duty.TRADING, portfolio.mandate)
    if by.pk in (proposal.proposed_by_id, proposal.made_by_id):
        raise DomainError("own_proposal", _("Somebody else has to approve what you proposed."))
    buys = proposal.lines.filter(side=Side.BUY).exists()
    ending = ending_problem(portfolio) if buys else ""
    if ending:
        raise DomainError(
            "mandate_ending", _("%(why)s Nothing is bought any more: refuse.") % {"why": ending}
        )
    stale = profile_problem(portfolio, today()) if buys else ""
    if stale:
        raise DomainError("stale_profile", _("%(why)s It blocks purchases: propose again.") % {"why": stale})
    _require_unrestricted(proposal)
    moved = moved_prices(proposal)
    if any(each.seen not in accepted_moves for each in moved):
        raise DomainError(
            "price_moved",
            _("Prices have moved by more than 2%% since the proposal: %(names)s. Confirm, or propose again.")
            % {"names": ", ".join(str(each.security) for each in moved)},
            data={"securities": [str(each.security.pk) for each in moved]},
        )
    lock_portfolios([portfolio.pk])
    uncovered = uncovered_trades(proposal)
    if uncovered:
        raise DomainError(
            "not_covered", _("%(why)s Work the proposal out again.") % {"why": " ".join(uncovered)}
        )
    proposal.state = State.APPROVED
    proposal.decided_by, proposal.decided_at, proposal.decision_note = by, timezone.now(), note.strip()
    proposal.save(update_fields=["state", "decided_by", "decided_at", "decision_note"])
    audit("approved", proposal, by=by, moved=[str(each.security.pk) for each in moved])
    return create_orders(proposal=proposal, by=by)


@transaction.atomic
def reject(*, proposal: Proposal, by: User, reason: str) -> Proposal:
    """Refuse a submitted proposal, saying why."""
    proposal = _locked(proposal, State.PROPOSED)
    if not reason.strip():
        raise DomainError(
            "reason_missing", _("Say why, so that the proposal can be improved."), field="reason"
        )
    proposal.state = State.REJECTED
    proposal.decided_by, proposal.decided_at, proposal.decision_note = by, timezone.now(), reason.strip()
    proposal.save(update_fields=["state", "decided_by", "decided_at", "decision_note"])
    audit("rejected", proposal, by=by)
    return proposal


@transaction.atomic
def discard(*, proposal: Proposal, by: User) -> Proposal:
    """Put a proposal aside; orders of an approval that are not in the market are cancelled."""
    proposal = _locked(proposal, *OPEN_STATES)
    _withdraw_approval(proposal, by)
    proposal.state = State.VOID
    proposal.save(update_fields=["state"])
    audit("discarded", proposal, by=by)
    return proposal
