"""What the other apps may know of the institutions: their names, and whether what they own arrives."""

import datetime
import uuid

from federation.models import Agreement, Institution
from federation.partners import current_institution


def origin_names() -> dict[uuid.UUID, str]:
    """Return the short name of every institution, hosted here or external, by its id."""
    return dict(Institution.everyone.values_list("pk", "short_name"))


def held_back_since(owner: uuid.UUID) -> datetime.datetime | None:
    """Return since when all agreements in force with ``owner`` are suspended; None where one is not, or none is."""
    agreements = Agreement.objects.between(current_institution(), owner).filter(
        state__in=[Agreement.State.ACTIVE, Agreement.State.WINDING_DOWN]
    )
    instants = list(agreements.values_list("suspended_at", flat=True))
    return None if None in instants else max(instants, default=None)
