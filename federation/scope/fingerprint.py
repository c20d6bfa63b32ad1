"""What one direction of an agreement lets through, as a short text that changes with it."""

import hashlib
import uuid
from functools import cache

from federation.models.agreements import Agreement, AgreementVersion, Side
from federation.models.institutions import Institution
from federation.scope.flow import Flow
from federation.scope.table import WITH_RATES

_Names = tuple[str, ...]


def fingerprint(version: AgreementVersion, side: Side) -> str:
    """Return a fingerprint of what ``side`` shares under ``version``: the kinds, their fields and their rows.

    Divisions that share the same have the same, whoever the parties are and in whatever process.
    """
    return _fingerprint(
        tuple(sorted(version.division.items())), tuple(version.private), tuple(version.withheld), side
    )


@cache
def _fingerprint(division: tuple[tuple[str, str], ...], private: _Names, withheld: _Names, side: Side) -> str:
    # The conditions themselves, for parties that stand for all: whatever decides them is in it.
    manager, channel = (
        Institution(pk=uuid.UUID(int=number), schema_name=name)
        for number, name in enumerate(("manager", "channel"), 1)
    )
    agreement = Agreement(pk=uuid.UUID(int=0), manager=manager, channel=channel)
    version = AgreementVersion(division=dict(division), private=list(private), withheld=list(withheld))
    flow = Flow.of(agreement, side, version)
    parts = [
        (
            label,
            sorted(share.columns),
            " ".join(flow.in_scope(share.kind, "t").as_string().split()),
            label in WITH_RATES,
        )
        for label, share in sorted(flow.shares.items())
    ]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
