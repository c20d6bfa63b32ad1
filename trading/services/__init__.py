"""From proposals to settled trades."""

from trading.services.affirmations import affirm, affirm_one, correct, reject_allocation, withdraw
from trading.services.fills import record_execution
from trading.services.orders import cancel, release_waiting, send, send_each
from trading.services.proposals import approve, discard, edit, reject, submit
from trading.services.proposing import propose, propose_each
from trading.services.settlements import record_failure, retry, settle, settle_due

__all__ = [
    "affirm",
    "affirm_one",
    "approve",
    "cancel",
    "correct",
    "discard",
    "edit",
    "propose",
    "propose_each",
    "record_execution",
    "record_failure",
    "reject",
    "reject_allocation",
    "release_waiting",
    "retry",
    "send",
    "send_each",
    "settle",
    "settle_due",
    "submit",
    "withdraw",
]
