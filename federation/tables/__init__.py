"""Lists of agreements, of mirrors, and of what was disclosed and is kept."""

from federation.tables.agreements import AgreementTable, TimelineTable
from federation.tables.disclosures import DisclosureTable
from federation.tables.mirrors import MirrorTable, ParkedTable
from federation.tables.sealed import SEALED_STATES, SealedTable

__all__ = [
    "SEALED_STATES",
    "AgreementTable",
    "DisclosureTable",
    "MirrorTable",
    "ParkedTable",
    "SealedTable",
    "TimelineTable",
]
