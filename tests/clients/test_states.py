"""The state that people see follows from both parties' records."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.calculations.states import (
    InstructionState,
    MandateState,
    instruction_state,
    mandate_state,
)

# status, submission, decisions → state
MANDATES: list[tuple[str, int, list[tuple[int, str]], str]] = [
    ("draft", 0, [], "draft"),
    ("signed", 0, [], "signed"),
    ("submitted", 1, [], "submitted"),
    ("submitted", 1, [(1, "accepted")], "accepted"),
    ("submitted", 1, [(1, "returned")], "returned"),
    ("submitted", 1, [(1, "rejected")], "rejected"),
    # Submitted again: the answer to the first submission no longer counts.
    ("submitted", 2, [(1, "returned")], "submitted"),
    ("submitted", 2, [(1, "returned"), (2, "accepted")], "accepted"),
    ("submitted", 2, [(1, "returned"), (2, "returned")], "returned"),
    ("submitted", 2, [(1, "returned"), (2, "rejected")], "rejected"),
    # Being reworked before it is submitted again.
    ("draft", 1, [(1, "returned")], "draft"),
    ("signed", 1, [(1, "returned")], "signed"),
    # The last answer to one submission counts.
    ("submitted", 1, [(1, "accepted"), (1, "returned")], "returned"),
    # An answer to a submission that has not arrived here yet does not count.
    ("submitted", 1, [(2, "accepted")], "submitted"),
    # The life of an accepted mandate.
    ("submitted", 1, [(1, "accepted"), (1, "active")], "active"),
    ("submitted", 2, [(1, "returned"), (2, "accepted"), (2, "active")], "active"),
    ("submitted", 1, [(1, "accepted"), (1, "active"), (1, "closing")], "closing"),
    ("submitted", 1, [(1, "active"), (1, "closing"), (1, "closed")], "closed"),
    ("submitted", 1, [(1, "active"), (1, "closing"), (1, "active")], "active"),
    ("submitted", 1, [(1, "active"), (1, "closed"), (1, "active")], "closed"),
    # The channel asks to close; the manager says when it is done.
    ("closing", 1, [(1, "accepted"), (1, "active")], "closing"),
    ("closing", 1, [(1, "active"), (1, "closing")], "closing"),
    ("closing", 1, [(1, "active"), (1, "closed")], "closed"),
    ("closing", 1, [], "closing"),
    # Withdrawn, before any answer or crossing with it.
    ("withdrawn", 0, [], "withdrawn"),
    ("withdrawn", 1, [], "withdrawn"),
    ("withdrawn", 1, [(1, "accepted")], "withdrawn"),
    ("withdrawn", 1, [(1, "rejected")], "withdrawn"),
    # The portfolio was opened before the withdrawal arrived, so it has to be closed.
    ("withdrawn", 1, [(1, "accepted"), (1, "active")], "closing"),
    ("withdrawn", 1, [(1, "active"), (1, "closed")], "closed"),
]

INSTRUCTIONS: list[tuple[str, list[str], str]] = [
    ("draft", [], "draft"),
    ("draft", ["received"], "draft"),
    ("sent", [], "sent"),
    ("sent", ["received"], "received"),
    ("sent", ["received", "accepted"], "accepted"),
    ("sent", ["received", "rejected"], "rejected"),
    ("sent", ["accepted", "in_progress"], "in_progress"),
    ("sent", ["accepted", "in_progress", "done"], "done"),
    ("sent", ["accepted", "in_progress", "failed"], "failed"),
    # Outcomes may arrive in any order.
    ("sent", ["done", "received"], "done"),
    ("sent", ["in_progress", "accepted"], "in_progress"),
    # Tried again after a failure.
    ("sent", ["failed", "done"], "done"),
    # Its booking was reversed: what was answered before counts no longer, what is answered later does.
    ("sent", ["accepted", "done", "reopened"], "received"),
    ("sent", ["done", "reopened", "in_progress"], "in_progress"),
    ("sent", ["done", "reopened", "done"], "done"),
    ("sent", ["done", "reopened", "done", "reopened"], "received"),
    ("withdrawn", ["done", "reopened"], "withdrawn"),
    ("withdrawn", [], "withdrawn"),
    ("withdrawn", ["received"], "withdrawn"),
    ("withdrawn", ["received", "accepted"], "withdrawn"),
    ("withdrawn", ["rejected"], "withdrawn"),
    ("withdrawn", ["in_progress", "failed"], "withdrawn"),
    # Withdrawn too late.
    ("withdrawn", ["accepted", "in_progress"], "in_progress"),
    ("withdrawn", ["in_progress", "done"], "done"),
]


@pytest.mark.parametrize(("status", "submission", "decisions", "state"), MANDATES)
def test_a_mandate_shows_the_state_of_both_sides(
    status: str, submission: int, decisions: list[tuple[int, str]], state: str
) -> None:
    assert mandate_state(status, submission, decisions) is MandateState(state)


@pytest.mark.parametrize(("status", "outcomes", "state"), INSTRUCTIONS)
def test_an_instruction_shows_the_state_of_both_sides(status: str, outcomes: list[str], state: str) -> None:
    assert instruction_state(status, outcomes) is InstructionState(state)


def test_every_state_has_a_case() -> None:
    assert {case[3] for case in MANDATES} == set(MandateState)
    assert {case[2] for case in INSTRUCTIONS} == set(InstructionState)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [("submitted", "lost"), ("lost", "accepted"), ("submitted", "draft"), ("active", "accepted")],
)
def test_an_unknown_word_about_a_mandate_is_an_error(status: str, outcome: str) -> None:
    with pytest.raises(ValueError, match=r"lost|draft|active"):
        mandate_state(status, 1, [(1, outcome)])


@pytest.mark.parametrize(("status", "outcome"), [("sent", "lost"), ("done", "done"), ("sent", "sent")])
def test_an_unknown_word_about_an_instruction_is_an_error(status: str, outcome: str) -> None:
    with pytest.raises(ValueError, match=r"lost|done|sent"):
        instruction_state(status, [outcome])


@given(
    st.permutations(["received", "accepted", "in_progress", "failed", "done"]),
    st.sampled_from(["sent", "withdrawn"]),
)
def test_outcomes_count_in_whatever_order_they_arrive(outcomes: list[str], status: str) -> None:
    assert instruction_state(status, outcomes) is InstructionState.DONE
