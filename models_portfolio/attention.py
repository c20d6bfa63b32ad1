"""Why a portfolio needs attention, as far as models go."""

from typing import Any

from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext_lazy as _

from models_portfolio.effective import today
from models_portfolio.models import ModelVersion
from portfolios.attention import Reason


def _follows_nothing() -> Any:
    return Q(closed_on__isnull=True, origin__isnull=True, followed__isnull=True)


def _waits_for_adoption() -> Any:
    """Return the condition that the newest received version of the model followed has no decision."""
    decided_later = ModelVersion.objects.filter(
        model=OuterRef("model"), number__gt=OuterRef("number"), adoptions__isnull=False
    )
    undecided = ModelVersion.objects.filter(
        model__assignments__portfolio=OuterRef("pk"),
        model__assignments__valid_to__isnull=True,
        model__assignments__origin__isnull=True,
        origin__isnull=False,
        retired_at__isnull=True,
        state=ModelVersion.State.PUBLISHED,
        effective_from__lte=today(),
        adoptions__isnull=True,
    ).exclude(Exists(decided_later))
    return Q(origin__isnull=True) & Q(Exists(undecided))


REASONS = (
    Reason("model", _("Follows no model"), "attention", _follows_nothing),
    Reason("version", _("New model version"), "attention", _waits_for_adoption),
)
