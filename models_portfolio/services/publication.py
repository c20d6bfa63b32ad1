"""What followers receive once a version or a view is published: shown before, and compared when it is confirmed."""

import datetime
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from accounts.errors import DomainError
from models_portfolio.calculations.weights import ModelError
from models_portfolio.effective import ModelBook, ModelWeights, today
from models_portfolio.models import ModelVersion, Offer, Target, View


@dataclass(frozen=True)
class Publication:
    """A version with its views, or one view more or less on a version, and the weights that come of it.

    ``weights`` holds what the model comes down to on each day on which the version or one of the
    views begins; a day is missing where the weights cannot be worked out.
    """

    version: ModelVersion
    targets: Sequence[Target]
    views: Sequence[View]
    weights: dict[datetime.date, ModelWeights]
    # A new view on a version that followers have already, or one that ends.
    view: View | None = None

    @property
    def seen(self) -> str:
        """Return what stands for all this in a form: another value wherever anything in it differs."""
        offers = Offer.objects.own().filter(model=self.version.model_id).order_by("pk")
        parts: list[Any] = [
            self.version.pk,
            self.version.effective_from,
            self.version.comment,
            sorted(map(_target_facts, self.targets)),
            sorted(map(_view_facts, self.views)),
            _view_facts(self.view) if self.view else None,
            [(day, _weight_facts(weights)) for day, weights in self.weights.items()],
            list(offers.values_list("pk", "agreement")),
        ]
        return hashlib.sha256(repr(parts).encode()).hexdigest()


def _target_facts(line: Target) -> tuple[str, ...]:
    weights = (line.weight, line.minimum_weight, line.maximum_weight)
    return (
        str(line.security_id or line.sub_model_id or ""),
        *(f"{weight:.8f}" for weight in weights),
        str(line.is_locked),
    )


def _view_facts(view: View) -> tuple[str, ...]:
    return (
        str(view.security_id or view.asset_class),
        f"{view.tilt:.8f}",
        view.rationale,
        str(view.valid_from),
        str(view.valid_to),
    )


def _weight_facts(weights: ModelWeights) -> list[tuple[str, ...]]:
    return sorted(
        (str(line.key), *(f"{each:.8f}" for each in (line.baseline, line.stated, line.applied, line.weight)))
        for line in weights.tilted.lines
    )


def publication_of(version: ModelVersion, view: View | None = None, *, ends: bool = False) -> Publication:
    """Return what publishing a draft sends, or what a new ``view``, not saved yet, adds to a version.

    With ``ends`` the view is one of the version's, and what its end leaves.
    """
    targets = list(version.targets.select_related("security", "sub_model").order_by("-weight"))
    views = list(version.views.current().select_related("security"))
    begins = max(version.effective_from, today())
    new = [view] if view else [each for each in views if each.valid_to is None or each.valid_to > begins]
    days = {max(each.valid_from, begins) for each in new}
    if view is None:
        days.add(begins)
    weights = {}
    for day in sorted(days):
        found = _weights(version, day, view, ends=ends)
        if found is not None:
            weights[day] = found
    return Publication(version, targets, views, weights, view)


def _weights(
    version: ModelVersion, day: datetime.date, view: View | None, *, ends: bool
) -> ModelWeights | None:
    book = ModelBook(
        day,
        trial={version.model_id: version},
        trial_views={version.pk: [view]} if view and not ends else {},
        without_views=[view.pk] if view and ends else (),
    )
    try:
        return book.of(version.model_id)
    except ModelError:
        return None


def require_seen(
    version: ModelVersion, seen: str | None, view: View | None = None, *, ends: bool = False
) -> None:
    """Raise DomainError where a page showed something else than what is about to be published.

    None is for who looks at no page.
    """
    if seen is not None and seen != publication_of(version, view, ends=ends).seen:
        raise DomainError(
            "publication_changed",
            _("This has changed since you looked at it. Nothing is published: look at it again."),
        )
