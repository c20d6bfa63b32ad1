"""What a proposal is checked against before it is approved, in words."""

import datetime
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.formatting import day as day_text
from accounts.formatting import money, percent
from models_portfolio.models import ModelAssignment
from trading.models import Proposal, ProposalLine, Side
from trading.services.gates import kyc_problem, profile_problem
from trading.services.policy import STALE_AFTER_DAYS
from trading.services.proposals import Moved


@dataclass(frozen=True)
class Check:
    """One check: ``tone`` is ok, note, warn (look twice) or stop (cannot be approved so)."""

    tone: str
    title: str
    text: str = ""

    @property
    def icon(self) -> str:
        """Return the mark that goes with the tone."""
        return {"ok": "circle-check", "note": "info-circle", "warn": "alert-triangle", "stop": "circle-x"}[
            self.tone
        ]


def check_proposal(
    proposal: Proposal,
    lines: Iterable[ProposalLine],
    moved: list[Moved],
    *,
    barred: list[str],
    uncovered: list[str],
    day: datetime.date,
) -> list[Check]:
    """Return all checks of a proposal, as of ``day``.

    ``barred`` says which trades are not allowed now, ``uncovered`` what is not there for them any more.
    """
    traded = [line for line in lines if line.side]
    has_buys = any(line.side == Side.BUY for line in traded)
    return [
        _kyc(proposal, has_buys, day),
        _profile(proposal, has_buys, day),
        _barriers(proposal, barred),
        _cash(proposal, uncovered),
        _drift(proposal, day),
        *_prices(proposal, traded, moved, day),
        *_open_orders(proposal),
    ]


def _kyc(proposal: Proposal, has_buys: bool, day: datetime.date) -> Check:
    problem = kyc_problem(proposal.portfolio, day)
    if not problem:
        return Check("ok", _("KYC is in order"))
    if has_buys:
        return Check("warn", problem, _("Purchases wait until it is in order; sales go ahead."))
    return Check("note", problem, _("Nothing is bought here, so nothing waits."))


def _profile(proposal: Proposal, has_buys: bool, day: datetime.date) -> Check:
    problem = profile_problem(proposal.portfolio, day)
    if not problem:
        return Check("ok", _("The risk profile is valid"))
    if has_buys:
        return Check("stop", problem, _("It blocks purchases. Renew it, or propose again without them."))
    return Check("note", problem, _("Purchases are left out; sales stay possible."))


def _barriers(proposal: Proposal, barred_now: list[str]) -> Check:
    if barred_now:
        return Check("stop", " ".join(barred_now), _("Propose again, or take the trade out by hand."))
    barred = [
        (each["name"], barrier)
        for each in proposal.inputs.get("instruments", {}).values()
        for barrier in each["barriers"]
        if barrier["because"] in ("mandate", "restricted_list")
    ]
    if not barred:
        return Check("ok", _("No restriction concerns these securities"))
    names = "; ".join(dict.fromkeys(f"{name}: {barrier['note']}" for name, barrier in barred))
    return Check("note", _("Restrictions are observed"), names)


def _cash(proposal: Proposal, uncovered: list[str]) -> Check:
    if uncovered:
        return Check("stop", " ".join(uncovered), _("Work the proposal out again."))
    currency = proposal.inputs.get("currency", "")
    if proposal.cash_after is None:
        return Check("stop", _("Cash after the trades is not available"), _("A price or rate is missing."))
    amount = money(proposal.cash_after, currency)
    if proposal.cash_after < 0:
        return Check("stop", _("Cash would be negative: %(amount)s") % {"amount": amount})
    return Check("ok", _("Cash after the trades: %(amount)s") % {"amount": amount})


def _drift(proposal: Proposal, day: datetime.date) -> Check:
    if proposal.drift_after is None or proposal.drift_before is None:
        return Check("note", _("Drift is not measured without a model"))
    assignment = (
        ModelAssignment.objects.current()
        .as_of(day)
        .filter(portfolio=proposal.portfolio_id)
        .select_related("model")
        .first()
    )
    tolerance = assignment.model.drift_tolerance if assignment else Decimal(1)
    words = _("Drift %(before)s before, %(after)s after") % {
        "before": percent(proposal.drift_before),
        "after": percent(proposal.drift_after),
    }
    if proposal.drift_after > tolerance:
        return Check(
            "warn", words, _("Still outside the tolerated %(limit)s.") % {"limit": percent(tolerance)}
        )
    return Check("ok", words)


def _prices(
    proposal: Proposal, traded: list[ProposalLine], moved: list[Moved], day: datetime.date
) -> Iterable[Check]:
    instruments = proposal.inputs.get("instruments", {})
    used = [instruments[str(line.security_id)] for line in traded if str(line.security_id) in instruments]
    dates = [datetime.date.fromisoformat(each["price_date"]) for each in used if each["price_date"]]
    if dates:
        oldest = min(dates)
        stale = [each["name"] for each in used if each["price_date"] and _is_stale(each["price_date"], day)]
        if stale:
            yield Check(
                "warn",
                _("Old prices: %(names)s") % {"names": ", ".join(stale)},
                _("Oldest of %(day)s.") % {"day": day_text(oldest)},
            )
        else:
            yield Check("ok", _("Prices are of %(day)s or later") % {"day": day_text(oldest)})
    if any(each["is_simulated"] for each in used):
        yield Check("note", _("Some prices are simulated"), _("They are no market prices."))
    for each in moved:
        change = percent(each.change) if each.change is not None else _("gone")
        yield Check(
            "warn", _("%(name)s has moved by %(change)s since") % {"name": each.security, "change": change}
        )


def _is_stale(price_date: str, day: datetime.date) -> bool:
    return (day - datetime.date.fromisoformat(price_date)).days > STALE_AFTER_DAYS


def _open_orders(proposal: Proposal) -> Iterable[Check]:
    count = len(proposal.inputs.get("open_orders", []))
    if count:
        yield Check(
            "note",
            ngettext("%(n)d open order counts as done", "%(n)d open orders count as done", count)
            % {"n": count},
        )
