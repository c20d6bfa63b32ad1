"""Hand a client's portfolio from one manager to the next, with lots, dates and costs.

What the successor reads with the mandate is what stands in the former portfolio on that day (``snapshots``). The former
manager goes on until it is instructed to transfer out (``transfers_out``), and what it then books out is what is handed
over (``completion``): nobody takes over anything before (``takeover``), so no trade, dividend or fee in between is lost
or counted twice.
"""

from portfolios.services.handover.completion import (
    complete_as_submitted,
    complete_handover,
    complete_late,
    record_handover,
)
from portfolios.services.handover.ending import Ending, carry_out, ending_of
from portfolios.services.handover.snapshots import Snapshot, is_out_of_reach, knows_ledger, snapshot
from portfolios.services.handover.takeover import (
    TAKES_OVER_IN,
    has_taken_over,
    ready,
    take_over,
    to_take_over,
    waiting,
)
from portfolios.services.handover.transfers_out import book_out_rest, moved_on, transfer_out

__all__ = [
    "TAKES_OVER_IN",
    "Ending",
    "Snapshot",
    "book_out_rest",
    "carry_out",
    "complete_as_submitted",
    "complete_handover",
    "complete_late",
    "ending_of",
    "has_taken_over",
    "is_out_of_reach",
    "knows_ledger",
    "moved_on",
    "ready",
    "record_handover",
    "snapshot",
    "take_over",
    "to_take_over",
    "transfer_out",
    "waiting",
]
