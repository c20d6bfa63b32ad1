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

__all__ = [
    "Acceptance",
    "Agreement",
    "AgreementEvent",
    "AgreementToken",
    "AgreementVersion",
    "Domain",
    "Function",
    "Institution",
    "Side",
    "Suspension",
    "VersionState",
]
