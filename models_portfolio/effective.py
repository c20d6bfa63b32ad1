"""The weights that models have on a day: versions in force, sub-models looked through, views applied."""

import datetime
import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from models_portfolio.calculations.views import BaselineLine, Tilt, TiltedWeights, apply_views
from models_portfolio.calculations.weights import (
    CASH,
    ONE,
    ZERO,
    Key,
    ModelError,
    ModelTarget,
    TargetKind,
    flatten,
)
from models_portfolio.models import Adoption, ModelVersion, Target, View
from portfolios.models import Security

Weights = Mapping[Key, Decimal]


def today() -> datetime.date:
    """Return the day in UTC, the same in every process and for every user."""
    return timezone.now().date()


@dataclass(frozen=True)
class ModelWeights:
    """What one model comes down to on a day: the baseline by security, and what its views make of it."""

    version: ModelVersion
    baseline: Weights
    tilted: TiltedWeights
    views: tuple[View, ...]

    @property
    def weights(self) -> dict[Key, Decimal]:
        """Return the weight by security id, and of cash under ``CASH``; they sum to 1."""
        return {key: weight for key, weight in self.tilted.weights.items() if weight}


@dataclass
class ModelBook:
    """All models as of one day, read once; ask for as many as needed.

    Own models count as published, received ones as adopted. ``trial`` puts another version of a
    model in the place of the one in force, with all its views: a draft, or one not adopted yet.
    """

    day: datetime.date
    trial: Mapping[uuid.UUID, ModelVersion] = field(default_factory=dict)
    # Weights that stand for a version's stored targets, while a draft is being edited.
    trial_targets: Mapping[uuid.UUID, list[Target]] = field(default_factory=dict)
    # Views that are not saved yet, beside a version's stored ones.
    trial_views: Mapping[uuid.UUID, list[View]] = field(default_factory=dict)
    # Views that are taken as ended.
    without_views: Collection[uuid.UUID] = ()
    # True shows received versions and views as their owner published them, adopted or not.
    as_published: bool = False

    def __post_init__(self) -> None:
        self.versions = {**self._in_force(), **self.trial}
        version_ids = [version.pk for version in self.versions.values()]
        self.targets: dict[uuid.UUID, list[Target]] = {}
        for target in Target.objects.current().filter(version__in=version_ids):
            self.targets.setdefault(target.version_id, []).append(target)
        self.targets.update(self.trial_targets)
        self.views: dict[uuid.UUID, list[View]] = {}
        for view in self._counted_views(version_ids):
            if view.pk not in self.without_views:
                self.views.setdefault(view.version_id, []).append(view)
        for version_id, views in self.trial_views.items():
            self.views.setdefault(version_id, []).extend(views)
        securities = {t.security_id for lines in self.targets.values() for t in lines if t.security_id}
        self.asset_classes: dict[uuid.UUID, str] = dict(
            Security.objects.filter(pk__in=securities).values_list("pk", "asset_class")
        )
        self._done: dict[uuid.UUID, ModelWeights | None] = {}

    def _in_force(self) -> dict[uuid.UUID, ModelVersion]:
        versions = (
            ModelVersion.objects.current()
            .filter(state=ModelVersion.State.PUBLISHED, effective_from__lte=self.day)
            .select_related("model")
            .order_by("effective_from", "number")
        )
        if not self.as_published:
            versions = versions.filter(Q(origin__isnull=True) | Exists(accepted_adoptions()))
        return {version.model_id: version for version in versions}

    def _counted_views(self, version_ids: list[uuid.UUID]) -> Iterable[View]:
        tried = [version.pk for version in self.trial.values()]
        accepted = Adoption.objects.filter(view=OuterRef("pk"), decision=Adoption.Decision.ACCEPTED)
        published = Q(published_at__isnull=False)
        if not self.as_published:
            published &= Q(origin__isnull=True) | Q(Exists(accepted))
        return (
            View.objects.current()
            .filter(Q(version__in=version_ids) & (published | Q(version__in=tried)))
            .select_related("security")
        )

    def of(self, model_id: uuid.UUID) -> ModelWeights | None:
        """Return what a model comes down to; None where it has no version in force.

        Raises ModelError where sub-models go in a circle, too deep, or have no version.
        """
        if model_id not in self._done:
            self._done[model_id] = self._work_out(model_id, ())
        return self._done[model_id]

    def weights(self, model_id: uuid.UUID) -> dict[Key, Decimal] | None:
        """Return a model's weights in force, or None where they cannot be had."""
        try:
            found = self.of(model_id)
        except ModelError:
            return None
        return found.weights if found else None

    def _work_out(self, model_id: uuid.UUID, above: tuple[uuid.UUID, ...]) -> ModelWeights | None:
        version = self.versions.get(model_id)
        if version is None:
            return None
        lines = self.targets.get(version.pk, [])
        if not above:
            # Finds circles, too deep nesting and missing versions, for the whole tree at once.
            flatten(model_id, {key: self._own_lines(key) for key in self.versions})
        below: dict[Key, list[ModelTarget]] = {model_id: self._own_lines(model_id)}
        for line in lines:
            if line.sub_model_id is not None:
                if line.sub_model_id not in self._done:
                    self._done[line.sub_model_id] = self._work_out(line.sub_model_id, (*above, model_id))
                part = self._done[line.sub_model_id]
                below[line.sub_model_id] = _as_targets(part.weights) if part else []
        baseline = flatten(model_id, below)
        views = tuple(self.views.get(version.pk, ()))
        tilted = apply_views(
            self._baseline_lines(baseline, lines, below),
            [_tilt(view) for view in views],
            as_of=self.day,
            baseline_id=version.pk,
        )
        return ModelWeights(version=version, baseline=baseline, tilted=tilted, views=views)

    def _own_lines(self, model_id: uuid.UUID) -> list[ModelTarget]:
        version = self.versions[model_id]
        return [as_model_target(line) for line in self.targets.get(version.pk, [])]

    def _baseline_lines(
        self, baseline: Weights, lines: list[Target], below: Mapping[Key, list[ModelTarget]]
    ) -> list[BaselineLine]:
        direct: dict[Key, Target] = {
            line.security_id or CASH: line for line in lines if line.sub_model_id is None
        }
        through = {
            part.key: line
            for line in lines
            if line.sub_model_id is not None
            for part in below.get(line.sub_model_id, ())
        }
        result = []
        for key, weight in baseline.items():
            line = direct.get(key)
            # Bounds are stated for a line by itself: what sub-models add moves freely.
            is_alone = line is not None and key not in through
            locked_by = line or through.get(key)
            result.append(
                BaselineLine(
                    key=key,
                    weight=weight,
                    asset_class=self.asset_classes.get(key, "") if isinstance(key, uuid.UUID) else "",
                    lower=line.minimum_weight if line is not None and is_alone else ZERO,
                    upper=line.maximum_weight if line is not None and is_alone else ONE,
                    is_locked=locked_by is not None and locked_by.is_locked,
                )
            )
        return result


def accepted_adoptions() -> Any:
    """Return the adoptions that accept the version of the outer query."""
    return Adoption.objects.filter(
        version=OuterRef("pk"), view__isnull=True, decision=Adoption.Decision.ACCEPTED
    )


def as_model_target(line: Target) -> ModelTarget:
    """Return a target as the calculations want it."""
    if line.sub_model_id is not None:
        return ModelTarget(kind=TargetKind.MODEL, weight=line.weight, key=line.sub_model_id)
    if line.security_id is not None:
        return ModelTarget(kind=TargetKind.SECURITY, weight=line.weight, key=line.security_id)
    return ModelTarget(kind=TargetKind.CASH, weight=line.weight)


def _as_targets(weights: Weights) -> list[ModelTarget]:
    return [
        ModelTarget(kind=TargetKind.CASH, weight=weight)
        if key == CASH
        else ModelTarget(kind=TargetKind.SECURITY, weight=weight, key=key)
        for key, weight in weights.items()
    ]


def _tilt(view: View) -> Tilt:
    return Tilt(
        id=view.pk,
        tilt=view.tilt,
        valid_from=view.valid_from,
        valid_to=view.valid_to,
        component=view.security_id,
        asset_class=view.asset_class,
        baseline=view.version_id,
    )
