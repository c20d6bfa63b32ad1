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
from federation.models.monitor import Alert, Proof, StreamFigures, Watch
from federation.models.sealed import RecordsHold, SealedAccess, SealedErasure, SealedKeys, SealedRecords

__all__ = [
    "Acceptance",
    "Agreement",
    "AgreementEvent",
    "AgreementToken",
    "AgreementVersion",
    "Alert",
    "Arrival",
    "Domain",
    "Function",
    "Institution",
    "ParkedRow",
    "Proof",
    "RecordsHold",
    "SealedAccess",
    "SealedErasure",
    "SealedKeys",
    "SealedRecords",
    "SharedCurrency",
    "SharedSecurity",
    "Side",
    "Stream",
    "StreamFigures",
    "StreamWork",
    "Suspension",
    "VersionState",
    "Watch",
]
