"""Work out the trades that bring a portfolio to its targets, and say why each is or is not made.

Order of work: reserves, restrictions, sells, buys within cash with the largest shortfall first,
minimum trade, leftover cash to the most underweight. Everything is valued in the portfolio's
currency. Sells and buys of one proposal are taken to be paid together.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from models_portfolio.calculations.drift import without
from models_portfolio.calculations.weights import ZERO, Key
from trading.calculations.proposal import (
    Mode,
    ProposedLine,
    ReasonCode,
    Rebalance,
    RebalanceInputs,
    Restriction,
    Side,
)
from trading.calculations.rounds import Planner, Round

# Costs lower the value that targets are a part of, which may call for another small trade, and
# so on; each round is smaller than the last by about the rate of costs.
_MAX_ROUNDS = 50
# What a line that trades as far as it should is noted with after its trade.
_REACHED = (ReasonCode.AT_TARGET, ReasonCode.EXCLUDED, ReasonCode.BELOW_LOT, ReasonCode.CASH_SUFFICES)


def rebalance(inputs: RebalanceInputs) -> Rebalance:
    """Propose trades by the mode, and say of every other line why it does not trade.

    Cash never goes below the reserve by a purchase, nothing is sold short, a security with an
    open order waits for it. Liquidation happens only in its own mode: a portfolio without a
    model trades nothing. Run again on the result, it proposes nothing. Raises ValueError when
    targets are negative or do not sum to 1, when a holding is short, or an instrument is missing.
    """
    planner = Planner(inputs)
    unvalued = [k for k in planner.keys if planner.effective[k] and planner.units[k] is None]
    if unvalued and inputs.mode is not Mode.LIQUIDATE:
        notes = dict.fromkeys(planner.keys, ReasonCode.VALUE_NOT_AVAILABLE)
        notes |= {key: planner.missing(key) for key in unvalued}
        return _result(planner, {}, Round(notes=notes), is_valued=False)
    trades: dict[Key, Decimal] = {}
    for _ in range(_MAX_ROUNDS):
        step = planner.round(planner.after(trades))
        if not step.trades:
            break
        for key, quantity in step.trades.items():
            trades[key] = trades.get(key, ZERO) + quantity
    trades = {key: quantity for key, quantity in trades.items() if quantity}
    return _result(planner, trades, step, is_valued=not unvalued)


def evaluate(inputs: RebalanceInputs, trades: Mapping[Key, Decimal]) -> Rebalance:
    """Return what given trades come to (signed quantities), in the place of those by the rules.

    Raises ValueError as `rebalance` does.
    """
    planner = Planner(inputs)
    unvalued = [k for k in planner.keys if planner.effective[k] and planner.units[k] is None]
    wanted = {key: quantity for key, quantity in trades.items() if quantity}
    notes = {key: planner.resting(key) for key in planner.keys}
    return _result(planner, wanted, Round(notes=notes), is_valued=not unvalued)


def _result(planner: Planner, trades: dict[Key, Decimal], last: Round, *, is_valued: bool) -> Rebalance:
    before, after = planner.after({}), planner.after(trades)
    old, new = planner.values(before), planner.values(after)
    total = sum(old.values(), ZERO) + before.cash if is_valued else None
    new_total = sum(new.values(), ZERO) + after.cash if is_valued else None
    old_weights, new_weights = _weights(old, total), _weights(new, new_total)
    lines = tuple(
        _line(
            planner,
            key,
            trades.get(key, ZERO),
            last,
            weights=(
                old_weights[key] if old_weights else None,
                new_weights[key] if new_weights else None,
            ),
        )
        for key in planner.keys
    )
    aims = None
    if planner.inputs.targets:
        excluded = {key for key in planner.keys if planner.has(key, Restriction.EXCLUDED)}
        wanted = without(planner.inputs.targets, excluded)
        aims = {key: wanted.get(key, ZERO) for key in planner.keys}
    return Rebalance(
        inputs=planner.inputs,
        lines=lines,
        value=total,
        cash_before=before.cash if is_valued else None,
        cash_after=after.cash if is_valued else None,
        fees=sum((line.fees for line in lines), ZERO),
        turnover=_distance(old_weights, new_weights),
        drift_before=_distance(old_weights, aims),
        drift_after=_distance(new_weights, aims),
    )


def _line(
    planner: Planner,
    key: Key,
    signed: Decimal,
    last: Round,
    *,
    weights: tuple[Decimal | None, Decimal | None],
) -> ProposedLine:
    instrument, unit = planner.inputs.instruments[key], planner.units[key]
    amount = abs(signed) * (unit or ZERO)
    note = last.notes.get(key)
    return ProposedLine(
        security=key,
        side=None if not signed else Side.BUY if signed > 0 else Side.SELL,
        quantity=abs(signed),
        price=instrument.price,
        currency=instrument.currency,
        rate=instrument.rate,
        amount=amount,
        fees=planner.policy.fee(amount),
        reason=_trade_reason(planner, key, signed) if signed else note or ReasonCode.AT_TARGET,
        limited_by=note if signed and note not in _REACHED else None,
        current_quantity=planner.effective[key],
        current_weight=weights[0],
        target_weight=planner.targets.get(key, ZERO),
        proposed_weight=weights[1],
    )


def _trade_reason(planner: Planner, key: Key, signed: Decimal) -> ReasonCode:
    mode = planner.inputs.mode
    if signed > 0:
        return ReasonCode.UNDERWEIGHT if planner.effective[key] else ReasonCode.NEW_POSITION
    if mode is Mode.LIQUIDATE:
        return ReasonCode.LIQUIDATION
    if mode is Mode.RAISE_CASH:
        return ReasonCode.CASH_NEEDED
    if planner.has(key, Restriction.EXCLUDED):
        return ReasonCode.EXCLUDED
    return ReasonCode.OVERWEIGHT if planner.targets.get(key) else ReasonCode.NOT_IN_MODEL


def _weights(values: dict[Key, Decimal], total: Decimal | None) -> dict[Key, Decimal] | None:
    if not total or total < 0:
        return None
    return {key: value / total for key, value in values.items()}


def _distance(weights: dict[Key, Decimal] | None, others: dict[Key, Decimal] | None) -> Decimal | None:
    """Return ½Σ|a − b| over the securities and cash, which is what the securities leave."""
    if weights is None or others is None:
        return None
    gaps = [weights[key] - others[key] for key in weights]
    gaps.append(sum(gaps, ZERO))
    return sum((abs(gap) for gap in gaps), ZERO) / 2
