"""Publish and end views on versions."""

import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.errors import DomainError
from accounts.models import User, audit
from models_portfolio.calculations.views import NotAppliedReason
from models_portfolio.effective import ModelBook, today
from models_portfolio.models import ModelVersion, View
from models_portfolio.services.following import model_changed
from models_portfolio.services.publication import require_seen
from models_portfolio.services.versions import require_own
from portfolios.models import Security


def planned_view(
    *,
    version: ModelVersion,
    tilt: Decimal,
    rationale: str,
    security: Security | None = None,
    asset_class: str = "",
    valid_from: datetime.date | None = None,
    valid_to: datetime.date | None = None,
) -> View:
    """Return a view as it would be published, not saved.

    ``tilt`` is a fraction: 0.05 is five percentage points over. Raises DomainError where the view
    names nothing in the version, or the neutral lines have no room for it.
    """
    model = version.model
    require_own(model)
    newest = model.versions.order_by("-number").first()
    published = model.versions.filter(state=ModelVersion.State.PUBLISHED).order_by("-number").first()
    if version not in (newest, published):
        raise DomainError("old_version", _("Views belong to the newest version. Open it and try again."))
    if (security is None) == (not asset_class):
        raise DomainError("view_on_one_thing", _("Choose either a security or an asset class."))
    if not tilt:
        raise DomainError("tilt_zero", _("Enter how many points over or under."), field="tilt")
    valid_from = valid_from or today()
    if not version.is_draft and valid_from < today():
        raise DomainError("view_in_past", _("A view begins today or later."), field="valid_from")
    if valid_to is not None and valid_to <= valid_from:
        raise DomainError("view_ends_first", _("A view ends after it begins."), field="valid_to")
    view = View(
        version=version,
        security=security,
        asset_class=asset_class,
        tilt=tilt,
        rationale=rationale,
        valid_from=valid_from,
        valid_to=valid_to,
    )
    if version.targets.exists():
        _require_room(view)
    return view


@transaction.atomic
def publish_view(*, version: ModelVersion, by: User, seen: str | None = None, **what: Any) -> View:
    """Add a view to the newest version: at once where it is published, with it where it is a draft.

    ``what`` is what ``planned_view`` takes, and raises DomainError for. ``seen`` is the ``Publication``
    that a page showed, and refuses any other that goes out at once.
    """
    # Locked and read anew: the version may have been published meanwhile.
    version = ModelVersion.objects.select_for_update(of=("self",)).select_related("model").get(pk=version.pk)
    view = planned_view(version=version, **what)
    is_live = not version.is_draft
    if is_live:
        require_seen(version, seen, view)
        view.published_at, view.published_by_name = timezone.now(), by.full_name
    view.save(force_insert=True)
    audit("published" if is_live else "added", view, by=by, version=str(version.pk), tilt=str(view.tilt))
    if is_live:
        model_changed(version.model_id)
    return view


def _require_room(view: View) -> None:
    """Raise DomainError where the view, not saved yet, would not be applied on its first day."""
    version = view.version
    day = max(view.valid_from, version.effective_from)
    book = ModelBook(day, trial={version.model_id: version}, trial_views={version.pk: [view]})
    weights = book.of(version.model_id)
    if weights is None:
        return
    reasons = {item.id: item.reason for item in weights.tilted.not_applied}
    reason = reasons.get(view.pk)
    if reason is NotAppliedReason.NOT_IN_BASELINE:
        raise DomainError("not_in_baseline", _("The version holds nothing that this view is about."))
    if reason is NotAppliedReason.LOCKED:
        raise DomainError("locked", _("What this view is about is locked in the version."))
    if reason is NotAppliedReason.INFEASIBLE:
        full = Security.objects.filter(pk__in=[key for key in weights.tilted.no_room if key != "cash"])
        raise DomainError(
            "infeasible",
            _(
                "There is no room for this tilt: %(lines)s cannot move further. Lower it or widen their bounds."
            )
            % {"lines": ", ".join(map(str, full)) or _("the neutral lines")},
            data={"shortfall": str(weights.tilted.shortfall)},
        )


@transaction.atomic
def end_view(*, view: View, by: User, seen: str | None = None) -> View:
    """End a published view from today on, or on its first day; delete one that is still on a draft.

    ``seen`` is the ``Publication`` that a page showed of a published view's end, and refuses any other.
    """
    # Its version first, as who publishes does: what is published with it is what was shown.
    ModelVersion.objects.select_for_update().get(pk=view.version_id)
    view = View.objects.select_for_update(of=("self",)).select_related("version__model").get(pk=view.pk)
    require_own(view.version.model)
    if not view.is_published:
        audit("removed", view, by=by, version=str(view.version_id))
        view.delete()
        return view
    day = max(today(), view.valid_from)
    if view.valid_to is not None and view.valid_to <= day:
        raise DomainError("view_ended", _("This view ends by then already."))
    require_seen(view.version, seen, view, ends=True)
    view.valid_to = day
    view.save(update_fields=["valid_to"])
    audit("ended", view, by=by, valid_to=str(day))
    model_changed(view.version.model_id)
    return view
