"""Compute the state that people see of a mandate or an instruction from both parties' records.

The channel keeps the mandate and the instruction, the managing side its decisions and outcomes.
Neither changes the other's record, so where the two cross on their way, the rules here decide.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class MandateState(StrEnum):
    """Where a mandate stands, read from both parties' records by ``mandate_state``."""

    DRAFT = "draft"
    SIGNED = "signed"
    SUBMITTED = "submitted"
    ACCEPTED = "accepted"
    RETURNED = "returned"
    REJECTED = "rejected"
    ACTIVE = "active"
    CLOSING = "closing"
    CLOSED = "closed"
    WITHDRAWN = "withdrawn"


class InstructionState(StrEnum):
    """Where an instruction stands, read from both parties' records by ``instruction_state``."""

    DRAFT = "draft"
    SENT = "sent"
    RECEIVED = "received"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    IN_PROGRESS = "in_progress"
    DONE = "done"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"


_ANSWERS = frozenset({MandateState.ACCEPTED, MandateState.RETURNED, MandateState.REJECTED})
_LIFE = frozenset({MandateState.ACTIVE, MandateState.CLOSING, MandateState.CLOSED})
# Takes back all outcomes before it.
REOPENED = "reopened"
_OUTCOMES_IN_ORDER = (
    InstructionState.RECEIVED,
    InstructionState.ACCEPTED,
    InstructionState.IN_PROGRESS,
    InstructionState.REJECTED,
    InstructionState.FAILED,
    InstructionState.DONE,
)


def mandate_state(status: str, submission: int, decisions: Iterable[tuple[int, str]]) -> MandateState:
    """Return the state of a mandate with this own status, submission number and decisions.

    `decisions` are pairs of submission number and outcome in the order they were made. An answer
    (accepted, returned, rejected) counts for its own submission alone; the life of an accepted
    mandate (active, closing, closed) counts whatever the number. Closed is final. A withdrawal
    that crosses with the opening of the portfolio reads as closing until the manager has closed.
    Raises ValueError for a status or outcome that is not known.
    """
    own = MandateState(status)
    answer: MandateState | None = None
    life: MandateState | None = None
    for number, outcome in decisions:
        decision = MandateState(outcome)
        if decision in _LIFE:
            life = decision if life is not MandateState.CLOSED else life
        elif decision not in _ANSWERS:
            raise ValueError(f"{outcome} is not a decision on a mandate.")
        elif number == submission:
            answer = decision
    if own in (MandateState.DRAFT, MandateState.SIGNED):
        return own
    if own is MandateState.WITHDRAWN:
        if life is None:
            return own
        return MandateState.CLOSED if life is MandateState.CLOSED else MandateState.CLOSING
    if own is MandateState.CLOSING:
        return MandateState.CLOSED if life is MandateState.CLOSED else own
    if own is not MandateState.SUBMITTED:
        raise ValueError(f"{status} is not a status of a mandate's own.")
    return life or answer or own


def instruction_state(status: str, outcomes: Iterable[str]) -> InstructionState:
    """Return the state of an instruction with this own status and these outcomes, in the order they were made.

    The furthest outcome counts, in whatever order they arrive, of those after the last "reopened";
    where there is none, the instruction has been received. A withdrawal counts unless it came
    too late: what is being carried out, or is done, stays so. Raises ValueError for a status or
    outcome that is not known.
    """
    own = InstructionState(status)
    if own not in (InstructionState.DRAFT, InstructionState.SENT, InstructionState.WITHDRAWN):
        raise ValueError(f"{status} is not a status of an instruction's own.")
    made = list(outcomes)
    if REOPENED in made:
        last = len(made) - made[::-1].index(REOPENED)
        made = made[last:] or [InstructionState.RECEIVED]
    reported = {InstructionState(outcome) for outcome in made}
    unknown = reported.difference(_OUTCOMES_IN_ORDER)
    if unknown:
        raise ValueError(f"{sorted(unknown)} is not an outcome of an instruction.")
    if own is InstructionState.DRAFT or not reported:
        return own
    furthest = max(reported, key=_OUTCOMES_IN_ORDER.index)
    if own is InstructionState.WITHDRAWN:
        too_late = (InstructionState.IN_PROGRESS, InstructionState.DONE)
        return furthest if furthest in too_late else own
    return furthest
