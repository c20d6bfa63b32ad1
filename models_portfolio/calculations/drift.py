"""Measure how far a portfolio has moved from its targets."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal

from models_portfolio.calculations.weights import CASH, ZERO, Key


@dataclass(frozen=True, slots=True, kw_only=True)
class LineDrift:
    """Hold a line's distance from its target; `relative` is None at target 0."""

    key: Key
    weight: Decimal
    target: Decimal
    absolute: Decimal
    relative: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Hold the drift of all lines; `portfolio` is the one-way turnover to target."""

    lines: tuple[LineDrift, ...]
    portfolio: Decimal


def without(targets: Mapping[Key, Decimal], excluded: Collection[Key]) -> dict[Key, Decimal]:
    """Return the weights to reach where some securities are excluded: the others share theirs, cash keeps its own.

    Where nothing else is left, the whole stays in cash.
    """
    left = {key: weight for key, weight in targets.items() if key not in excluded}
    gone = sum((weight for key, weight in targets.items() if key in excluded), ZERO)
    shared = sum((weight for key, weight in left.items() if key != CASH), ZERO)
    if not gone:
        return left
    if not shared:
        return {CASH: sum(targets.values(), ZERO)}
    return {key: weight if key == CASH else weight * (shared + gone) / shared for key, weight in left.items()}


def measure_drift(weights: Mapping[Key, Decimal], targets: Mapping[Key, Decimal]) -> Drift:
    """Return a = w − t and a / t by line, and ½Σ|a| for the portfolio.

    Targets come first, in their order, then what is held outside the model.
    """
    lines: list[LineDrift] = []
    for key in dict.fromkeys([*targets, *weights]):
        weight, target = weights.get(key, ZERO), targets.get(key, ZERO)
        absolute = weight - target
        lines.append(
            LineDrift(
                key=key,
                weight=weight,
                target=target,
                absolute=absolute,
                relative=absolute / target if target else None,
            )
        )
    return Drift(lines=tuple(lines), portfolio=sum((abs(line.absolute) for line in lines), ZERO) / 2)
