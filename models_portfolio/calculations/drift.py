"""Measure how far a portfolio has moved from its targets."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal

from models_portfolio.calculations.weights import CASH, ZERO, Key


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """Hold a band around each target: a fraction of it, but never narrower than `floor`.

    The floor keeps lines of one percent from trading all the time. `portfolio` is a limit on the
    drift of the whole, None for no limit.
    """

    relative: Decimal = Decimal("0.20")
    floor: Decimal = Decimal("0.0025")
    portfolio: Decimal | None = None

    def width(self, target: Decimal) -> Decimal:
        """Return how far a line may be from `target`, as a fraction of the portfolio."""
        return max(self.floor, self.relative * target)


@dataclass(frozen=True, slots=True, kw_only=True)
class LineDrift:
    """Hold a line's distance from its target; `relative` is None at target 0."""

    key: Key
    weight: Decimal
    target: Decimal
    absolute: Decimal
    relative: Decimal | None
    is_outside_model: bool
    is_outside_band: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Hold the drift of all lines; `portfolio` is the one-way turnover to target."""

    lines: tuple[LineDrift, ...]
    portfolio: Decimal
    is_outside_tolerance: bool


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


def measure_drift(
    weights: Mapping[Key, Decimal],
    targets: Mapping[Key, Decimal],
    *,
    tolerance: Tolerance | None = None,
) -> Drift:
    """Return a = w − t and a / t by line, and ½Σ|a| for the portfolio.

    Targets come first, in their order, then what is held outside the model. Without a tolerance
    nothing is outside it.
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
                is_outside_model=not target and bool(weight),
                is_outside_band=tolerance is not None and abs(absolute) > tolerance.width(target),
            )
        )
    portfolio = sum((abs(line.absolute) for line in lines), ZERO) / 2
    is_outside = any(line.is_outside_band for line in lines)
    if tolerance is not None and tolerance.portfolio is not None:
        is_outside = is_outside or portfolio > tolerance.portfolio
    return Drift(lines=tuple(lines), portfolio=portfolio, is_outside_tolerance=is_outside)
