"""Create models, edit drafts, publish versions."""

import datetime
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.errors import DomainError
from accounts.formatting import exact_percent, percent
from accounts.models import Unit, User, audit
from models_portfolio.calculations.weights import (
    ModelCycleError,
    ModelDepthError,
    ModelError,
    ModelUnknownError,
    WeightFinding,
    WeightProblem,
    weight_findings,
)
from models_portfolio.effective import ModelBook, as_model_target, today
from models_portfolio.models import ModelPortfolio, ModelVersion, Offer, Target, View
from models_portfolio.services.following import model_changed
from models_portfolio.services.publication import require_seen
from portfolios.models import Benchmark, Security


@dataclass(frozen=True, kw_only=True)
class TargetLine:
    """A line of a draft: a security, another model, or cash where both are None."""

    weight: Decimal
    security: Security | None = None
    sub_model: ModelPortfolio | None = None
    minimum_weight: Decimal = Decimal(0)
    maximum_weight: Decimal = Decimal(1)
    is_locked: bool = False

    @property
    def name(self) -> str:
        """Return what people call the line."""
        return str(self.security or self.sub_model or _("Cash"))


def require_own(model: ModelPortfolio) -> None:
    """Raise DomainError where the model belongs to a partner."""
    if model.is_received:
        raise DomainError("received", _("This model belongs to your partner, who alone can change it."))


def _require_draft(version: ModelVersion) -> ModelVersion:
    """Return the version locked for change, or raise DomainError where it is published."""
    locked = ModelVersion.objects.select_for_update().select_related("model").filter(pk=version.pk).first()
    if locked is None:
        raise DomainError(
            "draft_gone",
            _("Somebody has discarded this draft meanwhile. Start a new one from the model's page."),
        )
    require_own(locked.model)
    if not locked.is_draft:
        raise DomainError(
            "version_published", _("A published version never changes. Start a new draft from it instead.")
        )
    return locked


@transaction.atomic
def create_model(
    *,
    code: str,
    name: str,
    currency: str,
    risk_level: int,
    by: User,
    description: str = "",
    drift_tolerance: Decimal = Decimal("0.05"),
    benchmark: Benchmark | None = None,
    unit: Unit | None = None,
) -> ModelPortfolio:
    """Create a model with an empty first draft."""
    model = ModelPortfolio(
        code=code.strip(),
        name=name.strip(),
        currency=currency,
        risk_level=risk_level,
        description=description,
        drift_tolerance=drift_tolerance,
        benchmark=benchmark,
        unit=unit,
    )
    try:
        with transaction.atomic():
            model.save(force_insert=True)
    except IntegrityError as error:
        raise DomainError(
            "code_taken", _("This model code is taken. Choose another."), field="code"
        ) from error
    ModelVersion.objects.create(model=model, number=1, effective_from=today())
    audit("created", model, by=by, code=model.code)
    return model


@transaction.atomic
def edit_model(*, model: ModelPortfolio, by: User, **changes: Any) -> ModelPortfolio:
    """Change what describes a model: name, description, tolerance, benchmark; its risk until it is used.

    Raises DomainError where offers or portfolios rest on its risk level: clients have agreed to that.
    """
    # Read anew: a form may have set on ``model`` what it was sent.
    model = ModelPortfolio.objects.select_for_update().get(pk=model.pk)
    require_own(model)
    changed = [name for name, value in changes.items() if getattr(model, name) != value]
    if "risk_level" in changed and (model.offers.exists() or model.assignments.exists()):
        raise DomainError(
            "model_used",
            _("Offers or portfolios rest on this. Create another model, and let them follow that one."),
            field="risk_level",
        )
    for field in changed:
        setattr(model, field, changes[field])
    model.save(update_fields=changed)
    audit("edited", model, by=by, fields=sorted(changed))
    return model


@transaction.atomic
def new_draft(*, model: ModelPortfolio, by: User) -> ModelVersion:
    """Start a draft with the targets, and the views still running, of the newest version.

    Raises DomainError where the model has a draft already.
    """
    model = ModelPortfolio.objects.select_for_update().get(pk=model.pk)
    require_own(model)
    newest = model.versions.order_by("-number").first()
    if newest is not None and newest.is_draft:
        raise DomainError("draft_exists", _("This model has a draft already. Publish or discard it first."))
    draft = ModelVersion.objects.create(
        model=model, number=newest.number + 1 if newest else 1, effective_from=today()
    )
    if newest is not None:
        Target.objects.bulk_create(
            Target(
                version=draft,
                security_id=line.security_id,
                sub_model_id=line.sub_model_id,
                weight=line.weight,
                minimum_weight=line.minimum_weight,
                maximum_weight=line.maximum_weight,
                is_locked=line.is_locked,
            )
            for line in newest.targets.all()
        )
        View.objects.bulk_create(
            View(
                version=draft,
                security_id=view.security_id,
                asset_class=view.asset_class,
                tilt=view.tilt,
                rationale=view.rationale,
                valid_from=max(view.valid_from, today()),
                valid_to=view.valid_to,
            )
            for view in newest.views.all()
            if view.valid_to is None or view.valid_to > today()
        )
    audit("drafted", draft, by=by, number=draft.number)
    return draft


@transaction.atomic
def save_draft(
    *,
    version: ModelVersion,
    lines: Sequence[TargetLine],
    by: User,
    effective_from: datetime.date | None = None,
    comment: str | None = None,
) -> ModelVersion:
    """Replace a draft's targets; a draft may be incomplete, but no line may be there twice."""
    version = _require_draft(version)
    seen: set[tuple[uuid.UUID | None, uuid.UUID | None]] = set()
    for line in lines:
        key = (
            line.security.pk if line.security else None,
            line.sub_model.pk if line.sub_model else None,
        )
        if key in seen:
            raise DomainError("duplicate", _("%(name)s is there twice. Keep one line.") % {"name": line.name})
        seen.add(key)
        if not 0 <= line.weight <= 1:
            raise DomainError(
                "weight_range", _("%(name)s: a weight lies between 0%% and 100%%.") % {"name": line.name}
            )
        if not (0 <= line.minimum_weight <= 1 and 0 <= line.maximum_weight <= 1):
            raise DomainError(
                "bounds_range", _("%(name)s: bounds lie between 0%% and 100%%.") % {"name": line.name}
            )
    version.targets.all().delete()
    Target.objects.bulk_create(
        Target(
            version=version,
            security=line.security,
            sub_model=line.sub_model,
            weight=line.weight,
            minimum_weight=line.minimum_weight,
            maximum_weight=line.maximum_weight,
            is_locked=line.is_locked,
        )
        for line in lines
    )
    if effective_from is not None:
        version.effective_from = effective_from
    if comment is not None:
        version.comment = comment
    version.save(update_fields=["effective_from", "comment"])
    audit("edited", version, by=by, lines=len(lines))
    return version


@transaction.atomic
def prepare_draft(
    *, version: ModelVersion, effective_from: datetime.date, comment: str, by: User
) -> ModelVersion:
    """Set from which day a draft is to count, and why it changed, before it is published."""
    version = _require_draft(version)
    version.effective_from, version.comment = effective_from, comment
    _require_day(version)
    version.save(update_fields=["effective_from", "comment"])
    audit("edited", version, by=by, effective_from=str(effective_from))
    return version


def _require_day(version: ModelVersion) -> None:
    if version.effective_from < today():
        raise DomainError(
            "effective_in_past",
            _("A version takes effect today or later. Choose another day."),
            field="effective_from",
        )


@transaction.atomic
def discard_draft(*, version: ModelVersion, by: User) -> None:
    """Delete a draft; the versions before it stay as they are."""
    version = _require_draft(version)
    audit("discarded", version, by=by, number=version.number)
    version.views.all().delete()
    version.targets.all().delete()
    version.delete()


def findings(version: ModelVersion, lines: Iterable[Target] | None = None) -> list[str]:
    """Return, in sentences, what keeps a draft from being published; nothing where it is ready."""
    targets = list(version.targets.select_related("security", "sub_model") if lines is None else lines)
    names = {target.security_id or target.sub_model_id: str(target) for target in targets}
    sentences = []
    for finding in weight_findings([as_model_target(target) for target in targets]):
        name = names.get(finding.key, _("Cash"))
        sentences.append(_words(finding, name))
    for target in targets:
        if not target.minimum_weight <= target.weight <= target.maximum_weight:
            sentences.append(_("%(name)s lies outside its own bounds.") % {"name": target})
        if target.security is not None and not target.security.is_active:
            sentences.append(_("%(name)s is no longer traded: replace it.") % {"name": target})
    if not sentences:
        sentences += _sub_model_findings(version, targets)
    return sentences


def _words(finding: WeightFinding, name: object) -> str:
    if finding.problem is WeightProblem.NO_TARGETS:
        return _("Add at least one target.")
    if finding.problem is WeightProblem.SUM_NOT_ONE:
        values = {"total": exact_percent(finding.total or Decimal(0)), "whole": percent(1, 0)}
        return _("The weights sum to %(total)s, not to %(whole)s.") % values
    if finding.problem is WeightProblem.NEGATIVE:
        return _("%(name)s has a weight below zero.") % {"name": name}
    return _("%(name)s is there twice.") % {"name": name}


def _sub_model_findings(version: ModelVersion, targets: list[Target]) -> list[str]:
    day = max(version.effective_from, today())
    book = ModelBook(day, trial={version.model_id: version}, trial_targets={version.pk: targets})
    try:
        weights = book.of(version.model_id)
    except ModelCycleError:
        return [_("The model contains itself through a sub-model. Remove that line.")]
    except ModelDepthError:
        return [_("Models are nested more than five deep. Flatten one of them.")]
    except (ModelUnknownError, ModelError):
        return [_("A sub-model has no published version in force on that day. Publish it first.")]
    sentences = []
    if weights is not None and not weights.tilted.is_feasible:
        sentences.append(
            _("The views find no room in the neutral lines. Lower a tilt or widen bounds before publishing.")
        )
    below = _models_below(version.model_id, book)
    offered = set(Offer.objects.own().filter(model__in=below).values_list("model", "agreement"))
    for agreement in Offer.objects.own().filter(model=version.model_id).values_list("agreement", flat=True):
        missing = [model for model in below if agreement and (model, agreement) not in offered]
        for sub_model in ModelPortfolio.objects.filter(pk__in=missing):
            sentences.append(
                _("The sub-model %(name)s is not offered everywhere this model is. Offer it there first.")
                % {"name": sub_model}
            )
    return list(dict.fromkeys(sentences))


def _models_below(model_id: uuid.UUID, book: ModelBook) -> set[uuid.UUID]:
    found: set[uuid.UUID] = set()
    waiting = [model_id]
    while waiting:
        version = book.versions.get(waiting.pop())
        for line in book.targets.get(version.pk, []) if version else []:
            if line.sub_model_id is not None and line.sub_model_id not in found:
                found.add(line.sub_model_id)
                waiting.append(line.sub_model_id)
    return found


@transaction.atomic
def publish(
    *,
    version: ModelVersion,
    by: User,
    effective_from: datetime.date | None = None,
    seen: str | None = None,
) -> ModelVersion:
    """Publish a draft with its views, from today or a later day on; afterwards it never changes.

    ``seen`` is the ``Publication`` that a page showed, and refuses any other. Raises DomainError where the weights do not sum to 1 exactly, a sub-model is not published or
    not offered to whom this model is, the views find no room, or the day has passed.
    """
    version = _require_draft(version)
    if effective_from is not None:
        version.effective_from = effective_from
    require_seen(version, seen)
    _require_day(version)
    reasons = findings(version)
    if reasons:
        raise DomainError("not_publishable", " ".join(reasons))
    now = timezone.now()
    version.state = ModelVersion.State.PUBLISHED
    version.published_at = now
    version.published_by_name = by.full_name
    version.save(update_fields=["effective_from", "state", "published_at", "published_by_name"])
    version.views.update(published_at=now, published_by_name=by.full_name)
    audit("published", version, by=by, number=version.number, effective_from=str(version.effective_from))
    model_changed(version.model_id)
    return version
