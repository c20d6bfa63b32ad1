"""Answer the domain apps which functions this institution performs under an agreement."""

import uuid

from django.db import connection

from federation.models import Agreement


def performed_here(function: str, agreement_id: uuid.UUID) -> bool:
    """Say whether the current tenant performs ``function`` under the agreement; False if it is no party."""
    agreement = (
        Agreement.objects.select_related("version", "manager", "channel").filter(pk=agreement_id).first()
    )
    if agreement is None or agreement.version is None:
        return False
    performer = agreement.version.division.get(function)
    if performer is None:
        return False
    party = agreement.manager if performer == "manager" else agreement.channel
    return party.schema_name == getattr(connection, "schema_name", None)
