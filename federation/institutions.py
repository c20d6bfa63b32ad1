"""What the other apps may know of the institutions: their names."""

import uuid

from federation.models import Institution


def origin_names() -> dict[uuid.UUID, str]:
    """Return the short name of every institution, hosted here or external, by its id."""
    return dict(Institution.everyone.values_list("pk", "short_name"))
