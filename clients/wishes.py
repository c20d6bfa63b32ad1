"""What clients do not want, as pages show it: which wishes have no effect, and among which sectors one chooses."""

from collections.abc import Iterable
from typing import Any

from django.apps import apps

from clients.models import MandateRestriction


def shown(wishes: Iterable[MandateRestriction]) -> dict[str, Any]:
    """Return ``restrictions``, each with whether it is about nothing that is known here, and ``sectors``.

    Securities are known by name only: they belong to another app.
    """
    securities = apps.get_model("portfolios", "Security").objects.exclude(sector="")
    sectors = list(securities.order_by("sector").values_list("sector", flat=True).distinct())
    known = {each.casefold() for each in sectors}
    by_sector = MandateRestriction.Kind.EXCLUDE_SECTOR
    return {
        "restrictions": [
            (each, each.kind == by_sector and each.value.strip().casefold() not in known) for each in wishes
        ],
        "sectors": sectors,
    }
