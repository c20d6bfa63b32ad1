"""Apply additive views to a baseline of weights, and show stated beside applied tilts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_DOWN, Decimal
from enum import StrEnum

from models_portfolio.calculations.weights import ONE, ZERO, Key

# The decimals to which the spread residual is cut; the rest goes to the largest line.
WEIGHT_DECIMALS = 10


class NotAppliedReason(StrEnum):
    """Why a view does not tilt a model's weights, wholly or in part."""

    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    OTHER_BASELINE = "other_baseline"
    NOT_IN_BASELINE = "not_in_baseline"
    LOCKED = "locked"
    INFEASIBLE = "infeasible"


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineLine:
    """Hold a line of the baseline with the bounds its weight may move in."""

    key: Key
    weight: Decimal
    asset_class: str = ""
    lower: Decimal = ZERO
    upper: Decimal = ONE
    is_locked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tilt:
    """Hold a view: `tilt` as a fraction (+0.05 is five points over) on a component or a class.

    Exactly one of `component` and `asset_class` is given. `valid_to` is the first day on which it
    no longer counts, None for open. With `baseline` it counts for that version alone.
    """

    id: Key
    tilt: Decimal
    valid_from: date
    valid_to: date | None = None
    component: Key | None = None
    asset_class: str = ""
    baseline: Key | None = None

    def __post_init__(self) -> None:
        if (self.component is None) == (not self.asset_class):
            raise ValueError("A view is on a component or on an asset class, one of the two.")


@dataclass(frozen=True, slots=True, kw_only=True)
class TiltedLine:
    """Hold a line with the tilt stated for it, the one applied, and the weight that results."""

    key: Key
    baseline: Decimal
    stated: Decimal
    applied: Decimal
    weight: Decimal
    is_viewed: bool
    is_locked: bool
    is_clipped: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NotApplied:
    """Hold a view that does not count, and why."""

    id: Key
    reason: NotAppliedReason


@dataclass(frozen=True, slots=True, kw_only=True)
class TiltedWeights:
    """Hold the result of applying views.

    When it is infeasible the weights are the baseline's, `shortfall` is what found no room
    (positive: weight left over, negative: weight lacking), and `no_room` are the lines at their
    bounds.
    """

    lines: tuple[TiltedLine, ...]
    not_applied: tuple[NotApplied, ...]
    is_feasible: bool
    shortfall: Decimal
    no_room: tuple[Key, ...]

    @property
    def weights(self) -> dict[Key, Decimal]:
        """Return the resulting weight by key; they sum to 1 when the baseline does."""
        return {line.key: line.weight for line in self.lines}


def apply_views(
    baseline: Sequence[BaselineLine],
    views: Sequence[Tilt],
    *,
    as_of: date,
    baseline_id: Key | None = None,
) -> TiltedWeights:
    """Return w = b + v on viewed lines and the residual −Σv spread over neutral, unlocked ones.

    The residual goes by baseline weight; what a bound cuts off is spread again over the others.
    A view on a class is divided among its unlocked lines by baseline weight. Nothing is scaled:
    if the neutral lines have no room, it is infeasible and the baseline stands.
    """
    not_applied: list[NotApplied] = []
    stated = {line.key: ZERO for line in baseline}
    viewed: set[Key] = set()
    counted: list[Tilt] = []
    for view in views:
        reason = _reason_not_to_apply(view, as_of, baseline_id)
        if reason is None:
            shares = _shares(view, baseline)
            if isinstance(shares, NotAppliedReason):
                reason = shares
            else:
                counted.append(view)
                for key, share in shares.items():
                    stated[key] += share
                    viewed.add(key)
        if reason is not None:
            not_applied.append(NotApplied(id=view.id, reason=reason))
    weights = {
        line.key: min(max(line.weight + stated[line.key], line.lower), line.upper)
        if line.key in viewed
        else line.weight
        for line in baseline
    }
    residual = sum((line.weight for line in baseline), ZERO) - sum(weights.values(), ZERO)
    neutral = [line for line in baseline if line.key not in viewed and not line.is_locked]
    left = _spread(residual, neutral, weights)
    if left:
        not_applied += [NotApplied(id=v.id, reason=NotAppliedReason.INFEASIBLE) for v in counted]
        weights_out = {line.key: line.weight for line in baseline}
        no_room = tuple(line.key for line in neutral)
    else:
        weights_out, no_room = weights, ()
    return TiltedWeights(
        lines=tuple(
            TiltedLine(
                key=line.key,
                baseline=line.weight,
                stated=stated[line.key],
                applied=weights_out[line.key] - line.weight,
                weight=weights_out[line.key],
                is_viewed=line.key in viewed,
                is_locked=line.is_locked,
                is_clipped=line.key in viewed and weights[line.key] != line.weight + stated[line.key],
            )
            for line in baseline
        ),
        not_applied=tuple(not_applied),
        is_feasible=not left,
        shortfall=left,
        no_room=no_room,
    )


def _reason_not_to_apply(view: Tilt, as_of: date, baseline_id: Key | None) -> NotAppliedReason | None:
    if as_of < view.valid_from:
        return NotAppliedReason.NOT_YET_VALID
    if view.valid_to is not None and as_of >= view.valid_to:
        return NotAppliedReason.EXPIRED
    if view.baseline is not None and baseline_id is not None and view.baseline != baseline_id:
        return NotAppliedReason.OTHER_BASELINE
    return None


def _shares(view: Tilt, baseline: Sequence[BaselineLine]) -> Mapping[Key, Decimal] | NotAppliedReason:
    """Divide a view among the lines it is on, or say why it is on none."""
    if view.component is not None:
        named = [line for line in baseline if line.key == view.component]
    else:
        named = [line for line in baseline if line.asset_class == view.asset_class]
    free = [line for line in named if not line.is_locked]
    if not named:
        return NotAppliedReason.NOT_IN_BASELINE
    if not free:
        return NotAppliedReason.LOCKED
    if len(free) == 1:
        return {free[0].key: view.tilt}
    base = sum((line.weight for line in free), ZERO)
    if not base:
        return NotAppliedReason.NOT_IN_BASELINE
    return _proportional(view.tilt, {line.key: line.weight for line in free})


def _proportional(amount: Decimal, weights: Mapping[Key, Decimal]) -> dict[Key, Decimal]:
    """Divide `amount` by weight, cut to `WEIGHT_DECIMALS`, with the rest on the largest."""
    base = sum(weights.values(), ZERO)
    unit = ONE.scaleb(-WEIGHT_DECIMALS)
    parts = {
        key: (amount * weight / base).quantize(unit, rounding=ROUND_DOWN) for key, weight in weights.items()
    }
    largest = max(weights, key=lambda key: weights[key])
    parts[largest] += amount - sum(parts.values(), ZERO)
    return parts


def _spread(residual: Decimal, lines: Sequence[BaselineLine], weights: dict[Key, Decimal]) -> Decimal:
    """Spread `residual` over `lines` into `weights` within bounds; return what found no room."""
    left = residual
    open_lines = {line.key: line for line in lines if line.weight}
    while left and open_lines:
        parts = _proportional(left, {key: line.weight for key, line in open_lines.items()})
        full = [
            key
            for key, line in open_lines.items()
            if not line.lower <= weights[key] + parts[key] <= line.upper
        ]
        if not full:
            for key, part in parts.items():
                weights[key] += part
            return ZERO
        # Lines that a bound stops are fixed there; the others share what is left anew.
        for key in full:
            line = open_lines.pop(key)
            bound = line.upper if left > 0 else line.lower
            left -= bound - weights[key]
            weights[key] = bound
    return left
