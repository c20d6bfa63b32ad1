"""What the platform knows of institutions and of what they agreed."""

from federation.models.agreements import (
    Acceptance,
    Agreement,
    AgreementEvent,
    AgreementToken,
    AgreementVersion,
    Function,
    Side,
    Suspension,
    VersionState,
)
from federation.models.institutions import Domain, Institution
from federation.models.mirror import Arrival, ParkedRow, SharedCurrency, SharedSecurity, Stream, StreamWork

__all__ = [
    "Acceptance",
    "Agreement",
    "AgreementEvent",
    "AgreementToken",
    "AgreementVersion",
    "Arrival",
    "Domain",
    "Function",
    "Institution",
    "ParkedRow",
    "SharedCurrency",
    "SharedSecurity",
    "Side",
    "Stream",
    "StreamWork",
    "Suspension",
    "VersionState",
]
