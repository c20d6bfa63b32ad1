"""What was disclosed of a client, as a table of cases."""

import dataclasses
import datetime
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.disclosure import (
    Hold,
    Kept,
    Partnership,
    Retention,
    Shared,
    Submission,
    Until,
    Wording,
    disclosures,
)

AGREEMENT, CLIENT = uuid.uuid4(), uuid.uuid4()
NAMES = (Shared(kind="Client", fields=("name", "date of birth")),)


def at(hour: int | None) -> datetime.datetime | None:
    return (
        None
        if hour is None
        else datetime.datetime(2026, 3, 2, tzinfo=datetime.UTC) + datetime.timedelta(hours=hour)
    )


def submission(submitted: int = 10, left: int | None = None) -> Submission:
    return Submission(
        mandate=uuid.uuid4(),
        number="M-1",
        client=CLIENT,
        client_name="Nora Beispiel",
        agreement=AGREEMENT,
        submitted_at=at(submitted),
        left_at=at(left),
        text_version="2026-01",
        authorised_on=datetime.date(2026, 3, 1),
    )


def partnership(wordings, suspensions=()) -> Partnership:
    return Partnership(
        partner="Aurora",
        name="Aurora – Harbour",
        wordings=tuple(
            Wording(
                number=number,
                since=at(since),
                until=at(until),
                shared=NAMES,
                consents=(),
                ended_by_agreement=number == len(wordings),
            )
            for number, (since, until) in enumerate(wordings, 1)
        ),
        suspensions=tuple((at(start), at(stop)) for start, stop in suspensions),
    )


def intervals(found) -> list[tuple[int, int | None, str, list[tuple[int, int | None]]]]:
    start = at(0)

    def hours(instant):
        return None if instant is None else int((instant - start).total_seconds() // 3600)

    return [
        (
            hours(each.since),
            hours(each.until),
            each.why.value,
            [(hours(since), hours(until)) for since, until in each.interruptions],
        )
        for each in reversed(found)
    ]


CASES = [
    ("runs on", [(0, None)], [], (10, None), [(10, None, "open", [])]),
    ("submitted before the version came", [(20, None)], [], (10, None), [(20, None, "open", [])]),
    ("the mandate was rejected", [(0, None)], [], (10, 15), [(10, 15, "mandate_left", [])]),
    ("a new version followed", [(0, 20), (20, None)], [], (10, None),
     [(10, 20, "new_version", []), (20, None, "open", [])]),
    ("the agreement ended", [(0, 30)], [], (10, None), [(10, 30, "agreement_ended", [])]),
    ("left before the agreement ended", [(0, 30)], [], (10, 15), [(10, 15, "mandate_left", [])]),
    ("left under the first of two versions", [(0, 20), (20, None)], [], (10, 15), [(10, 15, "mandate_left", [])]),
    ("submitted after the agreement ended", [(0, 5)], [], (10, None), []),
    ("suspended and resumed", [(0, None)], [(12, 14)], (10, None), [(10, None, "open", [(12, 14)])]),
    ("suspended and resumed at once", [(0, None)], [(12, 12)], (10, None), [(10, None, "open", [])]),
    ("suspended twice", [(0, None)], [(16, 17), (12, 14)], (10, None), [(10, None, "open", [(12, 14), (16, 17)])]),
    ("suspended still", [(0, None)], [(12, None)], (10, None), [(10, None, "suspended", [(12, None)])]),
    ("suspended before it was submitted", [(0, None)], [(5, 7)], (10, None), [(10, None, "open", [])]),
    ("submitted while suspended", [(0, None)], [(5, 12)], (10, None), [(12, None, "open", [])]),
    ("submitted while suspended, and still", [(0, None)], [(5, None)], (10, None), []),
    ("submitted and rejected while suspended", [(0, None)], [(5, 20)], (10, 15), []),
    ("rejected while suspended", [(0, None)], [(12, 20)], (10, 15), [(10, 15, "mandate_left", [(12, 15)])]),
    ("rejected while suspended still", [(0, None)], [(12, None)], (10, 15), [(10, 15, "mandate_left", [(12, 15)])]),
    ("suspended after it was rejected", [(0, None)], [(16, None)], (10, 15), [(10, 15, "mandate_left", [])]),
    ("both parties suspended, overlapping", [(0, None)], [(12, 16), (14, 20)], (10, None),
     [(10, None, "open", [(12, 20)])]),
    ("one suspended inside the other", [(0, None)], [(12, 20), (14, 16)], (10, None),
     [(10, None, "open", [(12, 20)])]),
    ("one of two suspensions goes on", [(0, None)], [(12, 16), (14, None)], (10, None),
     [(10, None, "suspended", [(12, None)])]),
    ("suspended over a change of version", [(0, 13), (13, None)], [(12, 14)], (10, None),
     [(10, 13, "new_version", [(12, 13)]), (14, None, "open", [])]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("wordings", "suspensions", "mandate", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_an_interval_of_disclosure(wordings, suspensions, mandate, expected):
    found = disclosures([submission(*mandate)], {AGREEMENT: partnership(wordings, suspensions)})
    assert intervals(found) == expected


def test_a_version_that_shares_nothing_of_clients_discloses_nothing():
    silent = Wording(number=1, since=at(0), until=None, shared=(), consents=())
    found = disclosures(
        [submission()], {AGREEMENT: Partnership(partner="Aurora", name="", wordings=(silent,))}
    )
    assert found == []


def test_a_mandate_under_an_agreement_that_is_not_known_discloses_nothing():
    assert disclosures([submission()], {}) == []


def test_each_disclosure_says_on_whose_authority():
    (found,) = disclosures([submission()], {AGREEMENT: partnership([(0, None)])})
    assert (found.text_version, found.authorised_on, found.version) == (
        "2026-01",
        datetime.date(2026, 3, 1),
        1,
    )
    assert found.why is Until.OPEN


hours = st.integers(min_value=0, max_value=40)
pairs = st.tuples(hours, st.none() | hours).map(lambda p: p if p[1] is None or p[0] <= p[1] else (p[1], p[0]))


@given(st.lists(pairs, max_size=5), hours, st.none() | hours)
def test_nothing_crosses_inside_a_suspension_or_outside_the_mandate(suspensions, submitted, left):
    """By instants: what is not in an interruption crossed, and nothing else did."""
    left = left if left is None or left >= submitted else submitted
    found = intervals(
        disclosures([submission(submitted, left)], {AGREEMENT: partnership([(0, 20), (20, 35)], suspensions)})
    )
    crossed = [
        hour
        for since, until, _why, interruptions in found
        for hour in range(since, until)
        if not any(start <= hour < (until if stop is None else stop) for start, stop in interruptions)
    ]
    end = 35 if left is None else min(left, 35)
    assert crossed == [
        hour
        for hour in range(submitted, end)
        if not any(start <= hour and (stop is None or hour < stop) for start, stop in suspensions)
    ]
    assert len(found) <= 2, "a suspension makes no disclosure of its own"
    assert all(
        since < start < (stop or until) <= until
        for since, until, _why, pauses in found
        for start, stop in pauses
    )


DUE, HELD = datetime.date(2031, 3, 2), datetime.date(2033, 1, 1)
OTHER = uuid.uuid4()
KEPT = [
    ("nothing is sealed, or all is erased", True, None, None, None),
    ("it was never accepted", False, None, Retention(until=DUE), None),
    ("it left before the end", True, 15, Retention(until=DUE), None),
    ("it left after the end", True, 40, Retention(until=DUE), Kept(shared=NAMES, until=DUE, is_held=False)),
    ("it was accepted", True, None, Retention(until=DUE), Kept(shared=NAMES, until=DUE, is_held=False)),
    (
        "it is not known what a system elsewhere has removed",
        False,
        15,
        Retention(until=DUE, is_here=False),
        Kept(shared=NAMES, until=DUE, is_held=False),
    ),
    (
        "everything is on hold for longer",
        True,
        None,
        Retention(until=DUE, holds=(Hold(mandate=None, until=HELD),)),
        Kept(shared=NAMES, until=HELD, is_held=True),
    ),
    (
        "a hold ends before it is due",
        True,
        None,
        Retention(until=DUE, holds=(Hold(mandate=None, until=datetime.date(2030, 1, 1)),)),
        Kept(shared=NAMES, until=DUE, is_held=True),
    ),
    (
        "another mandate is on hold",
        True,
        None,
        Retention(until=DUE, holds=(Hold(mandate=OTHER, until=None),)),
        Kept(shared=NAMES, until=DUE, is_held=False),
    ),
    (
        "a hold has no end",
        True,
        None,
        Retention(until=DUE, holds=(Hold(mandate=None, until=HELD), Hold(mandate=CLIENT, until=None))),
        Kept(shared=NAMES, until=None, is_held=True),
    ),
]


@pytest.mark.parametrize(
    ("accepted", "left", "retention", "kept"), [case[1:] for case in KEPT], ids=[case[0] for case in KEPT]
)
def test_what_a_partner_keeps_after_the_end(accepted, left, retention, kept):
    of = dataclasses.replace(submission(10, left), was_accepted=accepted, mandate=CLIENT)
    under = dataclasses.replace(partnership([(0, 30)]), retention=retention)
    (found,) = disclosures([of], {AGREEMENT: under})
    assert found.kept == kept


def test_what_a_narrowing_removed_is_not_kept():
    wide = (*NAMES, Shared(kind="Contact detail", fields=("value",)))
    whole = partnership([(0, 20), (20, 30)])
    first, last = whole.wordings
    narrower = Shared(kind="Client", fields=("name",))
    under = dataclasses.replace(
        whole,
        wordings=(dataclasses.replace(first, shared=wide), dataclasses.replace(last, shared=(narrower,))),
        retention=Retention(until=DUE),
    )
    of = dataclasses.replace(submission(), was_accepted=True)
    assert [each.kept.shared for each in disclosures([of], {AGREEMENT: under})] == [(narrower,), (narrower,)]
