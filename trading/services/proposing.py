"""Work out proposals for one or many portfolios."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.errors import DomainError
from accounts.models import User, audit
from clients.duties import Duty, performs, require
from models_portfolio.calculations.weights import CASH, ZERO, Key
from models_portfolio.effective import ModelBook, today
from models_portfolio.models import ModelAssignment
from portfolios.models import Portfolio
from trading.calculations.proposal import ProposedLine, Rebalance, RebalanceInputs
from trading.calculations.rebalance import rebalance
from trading.models import Allocation, Proposal, ProposalLine
from trading.services.gates import ending_problem
from trading.services.inputs import Stored, gather, read

State = Proposal.State
_INVESTING = (Proposal.Mode.TO_TARGET, Proposal.Mode.INVEST_CASH)
OPEN_STATES = (State.DRAFT, State.PROPOSED, State.APPROVED)
_WEIGHT, _MONEY = Decimal("1e-10"), Decimal("1e-4")
# More cash than the model wants by this much is taken to be new money.
_NEW_CASH = Decimal("0.02")


def propose(
    *,
    portfolio: Portfolio,
    by: User,
    mode: str = Proposal.Mode.TO_TARGET,
    cash_wanted: Decimal = ZERO,
    reason: str = "",
) -> Proposal:
    """Work out a draft for one portfolio, also where nothing is to be traded.

    A draft that is there already is replaced. Raises DomainError where a partner manages the
    portfolio, a proposal is on its way, or no model is followed.
    """
    stored = gather([portfolio.pk], mode=mode, cash_wanted=cash_wanted)
    proposal = _make(portfolio, stored[portfolio.pk], by, reason)
    assert proposal is not None
    return proposal


@dataclass(frozen=True)
class Outcome:
    """What became of one portfolio in a run over many: a proposal, nothing to do, or why not."""

    portfolio: Portfolio
    proposal: Proposal | None = None
    refusal: str = ""


def propose_each(
    *, portfolios: Collection[Portfolio], by: User, mode: str = Proposal.Mode.TO_TARGET, reason: str = ""
) -> list[Outcome]:
    """Work out drafts for many portfolios from inputs read together; one that fails stops no other.

    Portfolios with nothing to trade get no proposal.
    """
    book = ModelBook(today())
    stored = gather([portfolio.pk for portfolio in portfolios], mode=mode, book=book)
    outcomes = []
    for portfolio in portfolios:
        try:
            proposal = _make(portfolio, stored[portfolio.pk], by, reason, keeps_empty=False)
        except DomainError as error:
            outcomes.append(Outcome(portfolio, refusal=str(error)))
        else:
            outcomes.append(Outcome(portfolio, proposal=proposal))
    return outcomes


@transaction.atomic
def _make(
    portfolio: Portfolio, stored: Stored, by: User, reason: str, *, keeps_empty: bool = True
) -> Proposal | None:
    portfolio = (
        Portfolio.objects.select_for_update(of=("self",)).select_related("mandate").get(pk=portfolio.pk)
    )
    require_managed(portfolio)
    _require_lasting(portfolio, stored["mode"])
    _require_no_open(portfolio)
    _require_booked(portfolio)
    inputs = read(stored)
    if not inputs.targets and stored["mode"] in _INVESTING:
        raise DomainError(
            "no_model",
            _("%(number)s follows no model with a version in force. Assign or accept one first.")
            % {"number": portfolio.number},
        )
    result = rebalance(inputs)
    if not keeps_empty and not result.trades:
        if result.value is None:
            raise DomainError("not_valued", _missing_words(result, stored))
        return None
    proposal = Proposal.objects.create(
        portfolio=portfolio,
        reason=reason or _reason(portfolio, stored, result),
        mode=stored["mode"],
        state=State.DRAFT,
        model_version_id=stored["version"],
        inputs=stored,
        made_by=by,
    )
    write_lines(proposal, result, is_computed=True)
    audit("proposed", proposal, by=by, portfolio=str(portfolio.pk), mode=stored["mode"])
    return proposal


def require_managed(portfolio: Portfolio) -> None:
    """Raise DomainError unless this institution manages the portfolio, and it is open."""
    if portfolio.is_received or portfolio.retired_at is not None:
        raise DomainError(
            "received",
            _("Your partner manages %(number)s. Send an instruction instead.") % {"number": portfolio.number},
        )
    if portfolio.closed_on is not None:
        raise DomainError("closed", _("%(number)s is closed.") % {"number": portfolio.number})
    require(Duty.MANAGEMENT, portfolio.mandate)


def _require_lasting(portfolio: Portfolio, mode: str) -> None:
    """Refuse to invest for a mandate that ends."""
    ending = ending_problem(portfolio) if mode in _INVESTING else ""
    if ending:
        raise DomainError(
            "mandate_ending",
            _("%(why)s Nothing is bought any more: choose to liquidate, or to raise cash.") % {"why": ending},
        )


def _require_no_open(portfolio: Portfolio) -> None:
    open_one = Proposal.objects.filter(portfolio=portfolio, state__in=OPEN_STATES).first()
    if open_one is None:
        return
    # A draft that somebody submits at this moment is no draft any more.
    if Proposal.objects.filter(pk=open_one.pk, state=State.DRAFT).update(state=State.VOID):
        return
    open_one.refresh_from_db()
    if open_one.state not in OPEN_STATES:
        return
    raise DomainError(
        "open_proposal",
        _("%(number)s has a proposal that is %(state)s. Finish or discard it first.")
        % {"number": portfolio.number, "state": open_one.get_state_display().lower()},
        data={"proposal": str(open_one.pk)},
    )


def _require_booked(portfolio: Portfolio) -> None:
    """Refuse while fills are not in the holdings yet: another party has not affirmed them, or a ledger refused them."""
    waiting = Allocation.objects.unbooked().filter(portfolio=portfolio).count()
    if waiting and not performs(Duty.SETTLEMENT, portfolio.mandate):
        raise DomainError(
            "not_affirmed",
            ngettext(
                "%(n)d fill of %(number)s is not affirmed by your partner, so the holdings lack it. Propose again "
                "once it is affirmed, or put right what was rejected.",
                "%(n)d fills of %(number)s are not affirmed by your partner, so the holdings lack them. Propose "
                "again once they are affirmed, or put right what was rejected.",
                waiting,
            )
            % {"n": waiting, "number": portfolio.number},
        )
    if Allocation.objects.refused_by_ledger().filter(portfolio=portfolio).exists():
        raise DomainError(
            "not_booked",
            _("A fill of %(number)s is not booked, and its order says why. Propose again once it is.")
            % {"number": portfolio.number},
        )


def _missing_words(result: Rebalance, stored: Stored) -> str:
    names = [
        stored["instruments"][str(line.security)]["name"]
        for line in result.lines
        if line.reason.value in ("missing_price", "missing_rate")
    ]
    return _("The value is not available: no price or rate for %(names)s.") % {"names": ", ".join(names[:5])}


def _reason(portfolio: Portfolio, stored: Stored, result: Rebalance) -> str:
    """Return the trigger that fits what is found, where nobody named one."""
    Reason = Proposal.Reason
    if stored["mode"] in (Proposal.Mode.RAISE_CASH, Proposal.Mode.LIQUIDATE):
        return Reason.CASH_OUT if stored["mode"] == Proposal.Mode.RAISE_CASH else Reason.MANUAL
    if stored["mode"] == Proposal.Mode.INVEST_CASH:
        return Reason.CASH_IN
    if not stored["holdings"]:
        return Reason.FIRST_INVESTMENT
    last = (
        Proposal.objects.filter(portfolio=portfolio, state=State.SENT, model_version__isnull=False)
        .order_by("-created_at")
        .first()
    )
    if last is not None and (
        str(last.model_version_id) != stored["version"]
        or set(last.inputs.get("views", [])) != set(stored["views"])
    ):
        return Reason.MODEL_CHANGE
    if stored["withdrawals"]:
        return Reason.CASH_OUT
    cash_target = Decimal(stored["targets"].get(CASH, 0))
    if result.value and result.cash_before and result.cash_before / result.value > cash_target + _NEW_CASH:
        return Reason.CASH_IN
    assignment = (
        ModelAssignment.objects.as_of(today()).filter(portfolio=portfolio).select_related("model").first()
    )
    if assignment and result.drift_before and result.drift_before > assignment.model.drift_tolerance:
        return Reason.DRIFT
    return Reason.MANUAL


def write_lines(proposal: Proposal, result: Rebalance, *, is_computed: bool) -> None:
    """Store what the trades come to: the lines, and one for cash."""
    before: dict[Key, ProposalLine] = {}
    if not is_computed:
        before = {line.security_id: line for line in proposal.lines.all()}
    proposal.lines.all().delete()
    currency = result.inputs.currency
    lines = [
        _line(proposal, line, result.inputs, proposal.inputs, before.get(line.security))
        for line in result.lines
    ]
    value = result.value
    after = value - result.fees if value is not None else None
    lines.append(
        ProposalLine(
            proposal=proposal,
            security=None,
            currency=currency,
            current_weight=_share(result.cash_before, value),
            target_weight=result.inputs.targets.get(CASH, ZERO) if result.inputs.targets else None,
            proposed_weight=_share(result.cash_after, after),
            amount=(result.cash_after or ZERO) - (result.cash_before or ZERO),
            reason="cash",
        )
    )
    ProposalLine.objects.bulk_create(lines)
    proposal.turnover = _rounded(result.turnover)
    proposal.drift_before = _rounded(result.drift_before)
    proposal.drift_after = _rounded(result.drift_after)
    proposal.cash_after = None if result.cash_after is None else result.cash_after.quantize(_MONEY)
    proposal.save(update_fields=["turnover", "drift_before", "drift_after", "cash_after"])


def _line(
    proposal: Proposal,
    line: ProposedLine,
    inputs: RebalanceInputs,
    stored: Stored,
    before: ProposalLine | None,
) -> ProposalLine:
    instrument = stored["instruments"][str(line.security)]
    data: dict[str, Any] = {"fees": str(line.fees.quantize(_MONEY))}
    if line.limited_by is not None:
        data["limited_by"] = line.limited_by.value
    if instrument["barriers"]:
        data["barriers"] = instrument["barriers"]
    side = line.side.value if line.side else ""
    is_edited = before is not None and (before.computed_side, before.computed_quantity) != (
        side,
        line.quantity,
    )
    reason = line.reason.value
    if before is not None:
        reason = "edited" if is_edited else before.reason if before.reason != "edited" else reason
        if not is_edited and before.reason == "edited":
            reason = before.reason_data.get("computed_reason", reason)
        data["computed_reason"] = before.reason_data.get("computed_reason", before.reason)
    return ProposalLine(
        proposal=proposal,
        security_id=uuid.UUID(str(line.security)),
        current_weight=_rounded(line.current_weight),
        target_weight=line.target_weight if inputs.targets else None,
        proposed_weight=_rounded(line.proposed_weight),
        current_quantity=line.current_quantity,
        side=side,
        quantity=line.quantity,
        computed_side=before.computed_side if before else side,
        computed_quantity=before.computed_quantity if before else line.quantity,
        price=line.price,
        currency=line.currency,
        amount=line.amount.quantize(_MONEY),
        reason=reason,
        reason_data=data,
    )


def _rounded(value: Decimal | None) -> Decimal | None:
    return None if value is None else value.quantize(_WEIGHT)


def _share(part: Decimal | None, whole: Decimal | None) -> Decimal | None:
    return None if part is None or not whole else (part / whole).quantize(_WEIGHT)
