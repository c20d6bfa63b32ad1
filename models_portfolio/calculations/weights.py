"""Validate the weights of a model, look through its sub-models, compare two versions."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from enum import StrEnum
from typing import Final, TypeAlias

Key: TypeAlias = Hashable
ZERO = Decimal(0)
ONE = Decimal(1)

# The key under which the weight of cash stands among the securities.
CASH: Final = "cash"
MAX_DEPTH = 5
# Products of five weights of ten decimals each stay exact.
_DIGITS = 100


class TargetKind(StrEnum):
    """What a line of a version is about."""

    SECURITY = "security"
    CASH = "cash"
    MODEL = "model"


class WeightProblem(StrEnum):
    """Why the lines of a version are no weights."""

    NO_TARGETS = "no_targets"
    NEGATIVE = "negative"
    DUPLICATE = "duplicate"
    SUM_NOT_ONE = "sum_not_one"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTarget:
    """Hold a target of a model: a security or another model by its key, or cash."""

    kind: TargetKind
    weight: Decimal
    key: Key = CASH


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightFinding:
    """Hold what is wrong with a set of weights; `total` is the sum where that is the problem."""

    problem: WeightProblem
    key: Key | None = None
    total: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightChange:
    """Hold a component's weight in two versions; 0 where it is absent."""

    key: Key
    old: Decimal
    new: Decimal

    @property
    def change(self) -> Decimal:
        """Return new less old, as a fraction."""
        return self.new - self.old


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionDiff:
    """Hold what two versions differ in, and half the sum of changes: the one-way turnover."""

    added: tuple[WeightChange, ...]
    removed: tuple[WeightChange, ...]
    changed: tuple[WeightChange, ...]
    unchanged: tuple[WeightChange, ...]
    turnover: Decimal


class ModelError(ValueError):
    """Say that a model cannot be looked through; `path` leads from the model to the trouble."""

    def __init__(self, message: str, path: Sequence[Key]) -> None:
        super().__init__(message)
        self.path = tuple(path)


class ModelCycleError(ModelError):
    """Say that a model contains itself."""


class ModelDepthError(ModelError):
    """Say that models are nested too deep."""


class ModelUnknownError(ModelError):
    """Say that a model names another that has no version in force."""


def weight_findings(targets: Sequence[ModelTarget]) -> tuple[WeightFinding, ...]:
    """Return what is wrong with the weights; nothing when all are ≥ 0 and sum to 1 exactly."""
    findings: list[WeightFinding] = []
    seen: set[tuple[TargetKind, Key]] = set()
    for target in targets:
        key = (target.kind, CASH if target.kind is TargetKind.CASH else target.key)
        if key in seen:
            findings.append(WeightFinding(problem=WeightProblem.DUPLICATE, key=target.key))
        seen.add(key)
        if target.weight < 0:
            findings.append(WeightFinding(problem=WeightProblem.NEGATIVE, key=target.key))
    total = sum((target.weight for target in targets), ZERO)
    if not targets:
        findings.append(WeightFinding(problem=WeightProblem.NO_TARGETS))
    elif total != ONE:
        findings.append(WeightFinding(problem=WeightProblem.SUM_NOT_ONE, total=total))
    return tuple(findings)


def flatten(model: Key, models: Mapping[Key, Sequence[ModelTarget]]) -> dict[Key, Decimal]:
    """Return the weights of the securities, and of `CASH`, with sub-models looked through.

    A security that several sub-models hold is netted into one weight; the sum stays exact.
    `models` holds the targets in force of every model by its key. Raises ModelCycleError,
    ModelDepthError (more than `MAX_DEPTH` models below each other) or ModelUnknownError.
    """
    weights: dict[Key, Decimal] = {}
    with localcontext() as context:
        context.prec = _DIGITS
        _collect(model, ONE, [], models, weights)
    return weights


def diff_versions(old: Mapping[Key, Decimal], new: Mapping[Key, Decimal]) -> VersionDiff:
    """Compare two versions by component; a weight of 0 counts as absent."""
    groups: dict[str, list[WeightChange]] = {"added": [], "removed": [], "changed": [], "same": []}
    turnover = ZERO
    for key in dict.fromkeys([*old, *new]):
        line = WeightChange(key=key, old=old.get(key, ZERO), new=new.get(key, ZERO))
        turnover += abs(line.change)
        if line.old == line.new:
            group = "same"
        elif not line.old:
            group = "added"
        elif not line.new:
            group = "removed"
        else:
            group = "changed"
        if line.old or line.new:
            groups[group].append(line)
    return VersionDiff(
        added=tuple(groups["added"]),
        removed=tuple(groups["removed"]),
        changed=tuple(groups["changed"]),
        unchanged=tuple(groups["same"]),
        turnover=turnover / 2,
    )


def _collect(
    model: Key,
    share: Decimal,
    path: list[Key],
    models: Mapping[Key, Sequence[ModelTarget]],
    weights: dict[Key, Decimal],
) -> None:
    trail = [*path, model]
    names = " → ".join(str(key) for key in trail)
    if model in path:
        raise ModelCycleError(f"The model contains itself: {names}.", trail)
    if len(trail) > MAX_DEPTH:
        raise ModelDepthError(f"Models are nested more than {MAX_DEPTH} deep: {names}.", trail)
    if model not in models:
        raise ModelUnknownError(f"No version is in force: {names}.", trail)
    for target in models[model]:
        weight = share * target.weight
        if target.kind is TargetKind.MODEL:
            _collect(target.key, weight, trail, models, weights)
        else:
            key = CASH if target.kind is TargetKind.CASH else target.key
            weights[key] = weights.get(key, ZERO) + weight
