"""What pages show of models: weights with their arithmetic, differences, followers, effects."""

import datetime
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.formatting import percent
from accounts.models import User
from clients.duties import Duty, performs
from clients.models import Mandate
from models_portfolio.calculations.drift import measure_drift, without
from models_portfolio.calculations.views import NotAppliedReason
from models_portfolio.calculations.weights import CASH, ZERO, Key, ModelError, VersionDiff, diff_versions
from models_portfolio.effective import ModelBook, ModelWeights
from models_portfolio.models import ModelAssignment, ModelPortfolio, ModelVersion, Offer, Target, View
from models_portfolio.services.following import exclusions, held_weights
from models_portfolio.services.publication import Publication
from portfolios.models import Portfolio, Security, Valuation

EXPIRES_SOON = datetime.timedelta(days=7)
# Below this an order would be smaller than the house's minimum trade.
SMALLEST_TRADE = Decimal(250)

NOT_APPLIED = {
    NotAppliedReason.EXPIRED: gettext_lazy("ended"),
    NotAppliedReason.NOT_YET_VALID: gettext_lazy("not begun yet"),
    NotAppliedReason.OTHER_BASELINE: gettext_lazy("made for another version"),
    NotAppliedReason.NOT_IN_BASELINE: gettext_lazy("not applied: nothing of this in the version"),
    NotAppliedReason.LOCKED: gettext_lazy("not applied: locked in the version"),
    NotAppliedReason.INFEASIBLE: gettext_lazy("not applied: no room in the neutral lines"),
}


@dataclass(frozen=True)
class WeightRow:
    """A line of a version with its views: baseline, stated and applied tilt, resulting weight."""

    name: str
    security: Security | None
    baseline: Decimal
    stated: Decimal
    applied: Decimal
    weight: Decimal
    is_viewed: bool
    is_locked: bool
    is_clipped: bool

    @property
    def asset_class(self) -> str:
        """Return the asset class in words."""
        return self.security.get_asset_class_display() if self.security else str(_("Cash"))

    @property
    def percent(self) -> str:
        """Return the weight as a CSS length."""
        return css_percent(self.weight)

    @property
    def baseline_percent(self) -> str:
        """Return the baseline as a CSS length."""
        return css_percent(self.baseline)


@dataclass(frozen=True)
class ViewRow:
    """A view with whether it counts today."""

    view: View
    about: str
    state: str
    label: str
    expires_soon: bool
    days_left: int | None


@dataclass(frozen=True)
class ChangeRow:
    """A line of a difference."""

    name: str
    kind: str
    old: Decimal
    new: Decimal
    change: Decimal


@dataclass(frozen=True)
class Difference:
    """What two sets of weights differ in."""

    rows: list[ChangeRow]
    turnover: Decimal

    @property
    def is_empty(self) -> bool:
        """Say whether nothing changed."""
        return not self.rows


def css_percent(weight: Decimal | None) -> str:
    """Return a weight as a CSS length, cut to 0–100 %."""
    return f"{float(min(max(weight or ZERO, ZERO), Decimal(1))) * 100:.3f}%"


def names_of(keys: Iterable[Key]) -> dict[Key, Security | None]:
    """Return the securities behind keys; None for cash."""
    ids = [key for key in keys if isinstance(key, uuid.UUID)]
    found: dict[Key, Security | None] = {CASH: None}
    found.update({s.pk: s for s in Security.objects.filter(pk__in=ids)})
    return found


def weight_rows(weights: ModelWeights) -> list[WeightRow]:
    """Return the lines of a version, the largest first."""
    securities = names_of(weights.baseline)
    rows = [
        WeightRow(
            name=str(securities.get(line.key) or _("Cash")),
            security=securities.get(line.key),
            baseline=line.baseline,
            stated=line.stated,
            applied=line.applied,
            weight=line.weight,
            is_viewed=line.is_viewed,
            is_locked=line.is_locked,
            is_clipped=line.is_clipped,
        )
        for line in weights.tilted.lines
    ]
    return sorted(rows, key=lambda row: (-row.weight, row.name))


@dataclass(frozen=True)
class TargetRow:
    """A line of a draft beside what it was in the version before: ``was`` None is new, ``target`` None goes."""

    was: Target | None
    target: Target | None

    @property
    def name(self) -> str:
        """Return what people call the line."""
        return str(self.target or self.was)

    @property
    def change(self) -> Decimal:
        """Return how many points the weight changes."""
        return (self.target.weight if self.target else ZERO) - (self.was.weight if self.was else ZERO)

    @property
    def has_other_bounds(self) -> bool:
        """Say whether the line was there with other bounds."""
        if self.was is None or self.target is None:
            return False
        return (self.was.minimum_weight, self.was.maximum_weight) != (
            self.target.minimum_weight,
            self.target.maximum_weight,
        )

    @property
    def is_same(self) -> bool:
        """Say whether nothing changes."""
        if self.was is None or self.target is None:
            return False
        return not self.change and not self.has_other_bounds and self.was.is_locked == self.target.is_locked


def target_rows(before: ModelVersion | None, targets: Iterable[Target]) -> list[TargetRow]:
    """Return the lines of a draft, and those of the version before that go: the largest change first."""
    lines = before.targets.select_related("security", "sub_model") if before else []
    old = {(line.security_id, line.sub_model_id): line for line in lines}
    rows = [TargetRow(old.pop((each.security_id, each.sub_model_id), None), each) for each in targets]
    rows += [TargetRow(line, None) for line in old.values()]
    return sorted(rows, key=lambda row: (-abs(row.change), row.name))


def rows_to_publish(publication: Publication) -> list[ViewRow]:
    """Return the views that are published with a draft, each as it counts on its first day."""
    rows = []
    begins = min(publication.weights, default=publication.version.effective_from)
    for view in publication.views:
        day = max(view.valid_from, begins)
        weights = publication.weights.get(day)
        missed = weights.tilted.not_applied if weights else ()
        reason = next((item.reason for item in missed if item.id == view.pk), None)
        if view.valid_to is not None and view.valid_to <= day:
            reason = NotAppliedReason.EXPIRED
        state = "active" if reason is None else "warning"
        rows.append(_view_row(view, state, str(NOT_APPLIED[reason]) if reason else _("counts"), day))
    return rows


def _view_row(view: View, state: str, label: str, day: datetime.date) -> ViewRow:
    left = (view.valid_to - day).days if view.valid_to else None
    return ViewRow(
        view=view,
        about=str(view.security or view.get_asset_class_display()),
        state=state,
        label=label,
        expires_soon=left is not None and 0 < left <= EXPIRES_SOON.days,
        days_left=left,
    )


def view_rows(version: ModelVersion, weights: ModelWeights | None, day: datetime.date) -> list[ViewRow]:
    """Return a version's views, those that count first."""
    reasons = {item.id: item.reason for item in weights.tilted.not_applied} if weights else {}
    counted = {view.pk for view in weights.views} if weights else set()
    rows = []
    for view in version.views.current().select_related("security"):
        reason = reasons.get(view.pk)
        if not view.is_published:
            state, label = "draft", _("with the draft")
        elif view.pk not in counted and version.is_received:
            state, label = "waiting", _("waits for your decision")
        elif reason is None:
            state, label = "active", _("counts")
        elif reason is NotAppliedReason.NOT_YET_VALID:
            state, label = "pending", str(NOT_APPLIED[reason])
        elif reason is NotAppliedReason.EXPIRED:
            state, label = "closed", str(NOT_APPLIED[reason])
        else:
            state, label = "warning", str(NOT_APPLIED[reason])
        rows.append(_view_row(view, state, label, day))
    order = {"active": 0, "waiting": 1, "warning": 2, "pending": 3, "draft": 4, "closed": 5}
    return sorted(rows, key=lambda row: (order[row.state], row.about))


def stored_weights(version: ModelVersion) -> dict[Key, Decimal]:
    """Return a version's own lines by name, sub-models as one line."""
    weights: dict[Key, Decimal] = {}
    for line in version.targets.select_related("security", "sub_model"):
        weights[str(line)] = line.weight
    return weights


def difference(old: dict[Key, Decimal], new: dict[Key, Decimal]) -> Difference:
    """Compare two sets of weights, by name or by security id."""
    found: VersionDiff = diff_versions(old, new)
    securities = names_of([*old, *new])
    labels = {"added": _("Added"), "removed": _("Removed"), "changed": _("Changed")}
    rows = [
        ChangeRow(_name(line.key, securities), labels[kind], line.old, line.new, line.change)
        for kind in labels
        for line in getattr(found, kind)
    ]
    rows.sort(key=lambda row: (-abs(row.change), row.name))
    return Difference(rows, found.turnover)


def _name(key: Key, securities: dict[Key, Security | None]) -> str:
    if key == CASH:
        return str(_("Cash"))
    return str(securities.get(key) or key)


def weights_or_problem(book: ModelBook, model_id: uuid.UUID) -> tuple[ModelWeights | None, str]:
    """Return a model's weights, or a sentence why they cannot be had."""
    try:
        return book.of(model_id), ""
    except ModelError:
        return None, _(
            "The weights cannot be worked out: a sub-model has no version in force, or the models go in a circle."
        )


def asset_class_chart(rows: list[WeightRow]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the option and the table of bars by asset class."""
    totals: dict[str, Decimal] = {}
    for row in rows:
        totals[row.asset_class] = totals.get(row.asset_class, ZERO) + row.weight
    ordered = sorted(totals.items(), key=lambda item: -item[1])
    option = {
        "roboblock": {"format": "percent"},
        "tooltip": {"trigger": "axis"},
        "grid": {"left": 8, "right": 24, "top": 4, "bottom": 4, "containLabel": True},
        "xAxis": {"type": "value"},
        "yAxis": {"type": "category", "inverse": True, "data": [name for name, _weight in ordered]},
        "series": [{"type": "bar", "barMaxWidth": 18, "data": [weight for _name, weight in ordered]}],
    }
    table = {
        "headers": [_("Asset class"), _("Weight")],
        "rows": [[name, percent(weight)] for name, weight in ordered],
    }
    return option, table


# Who follows.


@dataclass(frozen=True)
class FollowingPortfolio:
    """A portfolio that follows a model, now and as it would be with other weights."""

    portfolio: Portfolio
    valuation: Valuation | None
    drift_after: Decimal | None = None
    trades: int | None = None

    @property
    def drift(self) -> Decimal | None:
        """Return the drift from the weights in force."""
        return self.valuation.drift if self.valuation else None

    @property
    def value(self) -> Decimal | None:
        """Return the last value."""
        return self.valuation.market_value if self.valuation else None

    @property
    def traded_amount(self) -> Decimal | None:
        """Return the estimated one-way turnover as an amount."""
        if self.value is None or self.drift_after is None:
            return None
        return self.value * self.drift_after


def following(model: ModelPortfolio, user: User, day: datetime.date) -> list[FollowingPortfolio]:
    """Return the own portfolios that follow a model and that ``user`` may see, the most drifted first."""
    ids = (
        ModelAssignment.objects.current()
        .filter(model=model, origin__isnull=True)
        .filter(valid_from__lte=day, valid_to__isnull=True)
    ).values("portfolio")
    portfolios = (
        Portfolio.objects.visible_to(user)
        .filter(pk__in=ids, origin__isnull=True, closed_on__isnull=True)
        .select_related("mandate__client")
    )
    latest = {v.portfolio_id: v for v in Valuation.objects.filter(portfolio__in=ids, is_latest=True)}
    rows = [FollowingPortfolio(portfolio, latest.get(portfolio.pk)) for portfolio in portfolios]
    return sorted(rows, key=lambda row: (-(row.drift or ZERO), row.portfolio.number))


def effect(rows: list[FollowingPortfolio], weights: dict[Key, Decimal]) -> list[FollowingPortfolio]:
    """Return what new weights would mean for portfolios: drift, which is turnover, and trades."""
    ids = [row.portfolio.pk for row in rows]
    held, excluded = held_weights(ids), exclusions(ids, weights.keys())
    result = []
    for row in rows:
        own = held.get(row.portfolio.pk)
        if own is None:
            result.append(row)
            continue
        drift = measure_drift(own, without(weights, excluded[row.portfolio.pk]))
        value = row.value or ZERO
        trades = sum(
            1 for line in drift.lines if line.key != CASH and abs(line.absolute) * value >= SMALLEST_TRADE
        )
        result.append(FollowingPortfolio(row.portfolio, row.valuation, drift.portfolio, trades))
    return sorted(result, key=lambda row: (-(row.drift_after or ZERO), row.portfolio.number))


def models_to_adopt() -> set[uuid.UUID]:
    """Return the received models that this institution itself manages by.

    They come with an offer under an agreement that leaves management here, or are part of one that
    does.
    """
    found: set[uuid.UUID] = set()
    offers = Offer.objects.current().received().exclude(agreement=None)
    answers: dict[uuid.UUID | None, bool] = {}
    for model_id, agreement in offers.values_list("model", "agreement"):
        if agreement not in answers:
            answers[agreement] = performs(Duty.MANAGEMENT, Mandate(agreement=agreement))
        if answers[agreement]:
            found.add(model_id)
    followed = ModelAssignment.objects.own().filter(
        model__origin__isnull=False, portfolio__origin__isnull=True
    )
    found.update(followed.values_list("model", flat=True))
    waiting = list(found)
    while waiting:
        below = set(
            Target.objects.current()
            .filter(version__model__in=waiting, sub_model__isnull=False)
            .values_list("sub_model", flat=True)
        )
        waiting = [pk for pk in below if pk is not None and pk not in found]
        found.update(waiting)
    return found
