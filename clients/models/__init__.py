"""The relationship with clients: who they are, what they agreed to, and what they ask for."""

from clients.models.instructions import (
    INSTRUCTION_STATES,
    ClientInstruction,
    InstructionBooking,
    InstructionOutcome,
)
from clients.models.mandates import MANDATE_STATES, Mandate, MandateDecision, MandateRestriction
from clients.models.people import (
    Client,
    ClientRecord,
    ContactDetail,
    KycEvidence,
    KycStatus,
    Note,
    Party,
    PayoutAccount,
    Questionnaire,
    RiskProfile,
    Task,
)

__all__ = [
    "INSTRUCTION_STATES",
    "MANDATE_STATES",
    "Client",
    "ClientInstruction",
    "ClientRecord",
    "ContactDetail",
    "InstructionBooking",
    "InstructionOutcome",
    "KycEvidence",
    "KycStatus",
    "Mandate",
    "MandateDecision",
    "MandateRestriction",
    "Note",
    "Party",
    "PayoutAccount",
    "Questionnaire",
    "RiskProfile",
    "Task",
]
