"""Decide on versions and views received from a partner: nothing takes effect before."""

from collections.abc import Collection

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.errors import DomainError
from accounts.models import User, audit
from models_portfolio.effective import ModelBook, today
from models_portfolio.models import Adoption, ModelVersion, View
from models_portfolio.services.following import adopt_first_version, model_changed


@transaction.atomic
def accept(*, version: ModelVersion, by: User | None, seen: Collection[str] | None = None) -> Adoption:
    """Accept a received version with the views on it; own portfolios follow it from its day on.

    ``seen`` are the ids of the views that a page showed, and refuses any that came since. Sub-models of which no version
    was accepted yet are accepted along, else the version could not be looked through.
    """
    _require_received(version)
    views = list(version.views.current())
    if seen is not None and not {str(view.pk) for view in views} <= set(seen):
        raise DomainError(
            "views_arrived",
            _(
                "Your partner has published a view on this version since the page was shown. Look at it once more."
            ),
        )
    adoption = _decide(version, None, Adoption.Decision.ACCEPTED, "", by)
    for view in views:
        _decide(version, view, Adoption.Decision.ACCEPTED, "", by)
    for line in version.targets.select_related("sub_model").filter(sub_model__isnull=False):
        if line.sub_model is not None and line.sub_model.is_received:
            adopt_first_version(model=line.sub_model, by=by)
    audit("accepted", version, by=by, number=version.number)
    model_changed(version.model_id)
    return adoption


@transaction.atomic
def decline(*, version: ModelVersion, reason: str, by: User) -> Adoption:
    """Decline a received version, saying why; own portfolios stay with the one accepted before."""
    _require_received(version)
    _require_reason(reason)
    adoption = _decide(version, None, Adoption.Decision.DECLINED, reason.strip(), by)
    audit("declined", version, by=by, number=version.number)
    model_changed(version.model_id)
    return adoption


@transaction.atomic
def decide_view(*, view: View, accepts: bool, by: User, reason: str = "") -> Adoption:
    """Accept or decline one view that came after its version was accepted."""
    _require_received(view.version)
    if not accepts:
        _require_reason(reason)
    decision = Adoption.Decision.ACCEPTED if accepts else Adoption.Decision.DECLINED
    adoption = _decide(view.version, view, decision, reason.strip(), by)
    audit(decision.value, view, by=by)
    model_changed(view.version.model_id)
    return adoption


def _require_received(version: ModelVersion) -> None:
    if not version.is_received:
        raise DomainError("own_version", _("Your own versions take effect when you publish them."))
    if version.retired_at is not None:
        raise DomainError("retired", _("Your partner no longer shares this version."))


def _require_reason(reason: str) -> None:
    if not reason.strip():
        raise DomainError(
            "reason_missing", _("Say why you decline, so that it can be understood later."), field="reason"
        )


def _decide(
    version: ModelVersion, view: View | None, decision: str, reason: str, by: User | None
) -> Adoption:
    adoption, _is_new = Adoption.objects.update_or_create(
        version=version,
        view=view,
        defaults={
            "decision": decision,
            "reason": reason,
            "decided_at": timezone.now(),
            "decided_by_name": by.full_name if by else "",
        },
    )
    return adoption


def newest_received(model_id: object) -> ModelVersion | None:
    """Return the newest version that the owner of a model has published, adopted or not."""
    return (
        ModelVersion.objects.current()
        .filter(model=model_id, state=ModelVersion.State.PUBLISHED)
        .order_by("-effective_from", "-number")
        .first()
    )


def trial_book(version: ModelVersion) -> ModelBook:
    """Return all models as they would be with ``version`` and its views in force."""
    return ModelBook(max(version.effective_from, today()), trial={version.model_id: version})
