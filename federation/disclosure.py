"""Work out what was disclosed of each client: to whom, since when, on whose authority, until when.

Pure: facts in, disclosures out. A disclosure is an interval in which records of a client reached a
partner under one version of an agreement. It begins when the mandate was submitted or the version
came into force, whichever is later, and ends when the version, the agreement or the mandate's place
in it ends. A suspension interrupts it: nothing new crosses, while what had crossed stays with the
partner until the end. What begins while suspended begins when that ends. Intervals are half-open,
instants in UTC.

After the end the partner keeps what it received of mandates that were accepted, as far as the last
version still shared it, until a day or for as long as a hold says, and then erases it.
"""

import datetime
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Instant = datetime.datetime
# From an instant until another one, or null while it goes on.
Interval = tuple[Instant, Instant | None]


class Until(StrEnum):
    """Why a disclosure ended, or what it is that goes on."""

    OPEN = "open"
    NEW_VERSION = "new_version"
    SUSPENDED = "suspended"
    MANDATE_LEFT = "mandate_left"
    AGREEMENT_ENDED = "agreement_ended"


@dataclass(frozen=True, kw_only=True)
class Shared:
    """A kind of record that crosses, in words, with its fields."""

    kind: str
    fields: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Consent:
    """A party's acceptance of a version."""

    institution: str
    name: str
    at: Instant


@dataclass(frozen=True, kw_only=True)
class Wording:
    """A version while it was in force; ``ended_by_agreement`` says that no newer one followed."""

    number: int
    since: Instant
    until: Instant | None
    shared: tuple[Shared, ...]
    consents: tuple[Consent, ...]
    ended_by_agreement: bool = False


@dataclass(frozen=True, kw_only=True)
class Hold:
    """A hold in force on what the partner keeps: of one mandate or of all, until a day or until it is lifted."""

    mandate: uuid.UUID | None
    until: datetime.date | None


@dataclass(frozen=True, kw_only=True)
class Retention:
    """What a partner keeps after the end until it is erased: until a day, longer where a hold says so.

    ``is_here`` says that the platform removed at the end what need not be kept; what a system elsewhere
    received is all there. ``erased`` has the mandates of which nothing is kept any more, with when it was
    erased; ``erased_at`` is when the last of it was.
    """

    until: datetime.date
    holds: tuple[Hold, ...] = ()
    is_here: bool = True
    erased: Mapping[uuid.UUID, Instant] = field(default_factory=dict)
    erased_at: Instant | None = None


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What a partner still keeps of a disclosure; ``until`` is null for as long as a hold is not lifted."""

    shared: tuple[Shared, ...]
    until: datetime.date | None
    is_held: bool


@dataclass(frozen=True, kw_only=True)
class Partnership:
    """An agreement: the partner, its wordings, and the intervals in which everything was suspended."""

    partner: str
    name: str
    wordings: tuple[Wording, ...]
    suspensions: tuple[Interval, ...] = ()
    # Null while the agreement lasts, and where nothing had to be kept.
    retention: Retention | None = None


@dataclass(frozen=True, kw_only=True)
class Submission:
    """A mandate since it was first submitted; ``left_at`` is when it left the agreement's scope.

    ``was_accepted`` says that the manager took it on: what was shared of it has to be kept.
    """

    mandate: uuid.UUID
    number: str
    client: uuid.UUID
    client_name: str
    agreement: uuid.UUID
    submitted_at: Instant
    left_at: Instant | None
    text_version: str
    authorised_on: datetime.date | None
    was_accepted: bool = False


@dataclass(frozen=True, kw_only=True)
class Disclosure:
    """What reached a partner of one client in one interval, and on whose authority.

    ``interruptions`` are the parts of the interval in which nothing new crossed.
    """

    client: uuid.UUID
    client_name: str
    mandate: uuid.UUID
    mandate_number: str
    agreement: uuid.UUID
    agreement_name: str
    partner: str
    shared: tuple[Shared, ...]
    since: Instant
    until: Instant | None
    interruptions: tuple[Interval, ...]
    why: Until
    text_version: str
    authorised_on: datetime.date | None
    version: int
    consents: tuple[Consent, ...]
    # What the partner keeps, or else when it erased what it had kept.
    kept: Kept | None
    erased_at: Instant | None


def disclosures(
    submissions: Iterable[Submission], partnerships: dict[uuid.UUID, Partnership]
) -> list[Disclosure]:
    """Return the disclosures of all submissions, newest first; nothing for an agreement that is not known."""
    found = [
        disclosure
        for submission in submissions
        if (partnership := partnerships.get(submission.agreement)) is not None
        for wording in partnership.wordings
        if (disclosure := _under(wording, submission, partnership)) is not None
    ]
    return sorted(found, key=lambda each: (each.since, each.client_name), reverse=True)


def _under(wording: Wording, submission: Submission, partnership: Partnership) -> Disclosure | None:
    if not wording.shared:
        return None
    until, why = _end(wording, submission)
    suspensions = _merged(partnership.suspensions)
    since = _begin(max(wording.since, submission.submitted_at), suspensions)
    if since is None or (until is not None and until <= since):
        return None
    interruptions = _within(since, until, suspensions)
    if why is Until.OPEN and interruptions and interruptions[-1][1] is None:
        why = Until.SUSPENDED
    kept, erased_at = _kept(wording, submission, partnership), None
    if kept is not None and partnership.retention is not None:
        erased_at = partnership.retention.erased.get(submission.mandate, partnership.retention.erased_at)
    return Disclosure(
        client=submission.client,
        client_name=submission.client_name,
        mandate=submission.mandate,
        mandate_number=submission.number,
        agreement=submission.agreement,
        agreement_name=partnership.name,
        partner=partnership.partner,
        shared=wording.shared,
        since=since,
        until=until,
        interruptions=interruptions,
        why=why,
        text_version=submission.text_version,
        authorised_on=submission.authorised_on,
        version=wording.number,
        consents=wording.consents,
        kept=kept if erased_at is None else None,
        erased_at=erased_at,
    )


def _kept(wording: Wording, submission: Submission, partnership: Partnership) -> Kept | None:
    """Return what is kept after the end until it is erased."""
    retention = partnership.retention
    if retention is None or (retention.is_here and not _stayed(submission, partnership)):
        return None
    # A narrowing has removed what a later version does not share.
    shared = _both(wording.shared, partnership.wordings[-1].shared) if retention.is_here else wording.shared
    if not shared:
        return None
    ends = [hold.until for hold in retention.holds if hold.mandate in {None, submission.mandate}]
    days = [day for day in ends if day is not None]
    until = None if len(days) < len(ends) else max([retention.until, *days])
    return Kept(shared=shared, until=until, is_held=bool(ends))


def _stayed(submission: Submission, partnership: Partnership) -> bool:
    """Say whether the manager had taken the mandate on, and it had not left before the end."""
    end = partnership.wordings[-1].until
    left = submission.left_at
    return submission.was_accepted and (left is None or (end is not None and left >= end))


def _both(earlier: tuple[Shared, ...], later: tuple[Shared, ...]) -> tuple[Shared, ...]:
    """Return what both share, in the order of the first."""
    fields = {each.kind: set(each.fields) for each in later}
    common = (
        Shared(
            kind=each.kind, fields=tuple(name for name in each.fields if name in fields.get(each.kind, ()))
        )
        for each in earlier
    )
    return tuple(each for each in common if each.fields)


def _end(wording: Wording, submission: Submission) -> tuple[Instant | None, Until]:
    ends: list[tuple[Instant, Until]] = []
    if wording.until is not None:
        ends.append(
            (wording.until, Until.AGREEMENT_ENDED if wording.ended_by_agreement else Until.NEW_VERSION)
        )
    if submission.left_at is not None:
        ends.append((submission.left_at, Until.MANDATE_LEFT))
    return min(ends) if ends else (None, Until.OPEN)


def _begin(since: Instant, suspensions: Iterable[Interval]) -> Instant | None:
    """Return when something first crosses: at once, or when the suspension ends; null where it has not ended."""
    for suspended, resumed in suspensions:
        if suspended <= since and (resumed is None or since < resumed):
            return resumed
    return since


def _within(since: Instant, until: Instant | None, suspensions: Iterable[Interval]) -> tuple[Interval, ...]:
    """Return the parts of suspensions after ``since`` and before ``until``."""
    return tuple(
        (suspended, resumed if until is None else min(resumed or until, until))
        for suspended, resumed in suspensions
        if suspended > since and (until is None or suspended < until) and suspended != resumed
    )


def _merged(suspensions: Iterable[Interval]) -> list[Interval]:
    """Return the intervals in order, those that touch or overlap as one: each party has a switch of its own."""
    merged: list[Interval] = []
    for start, stop in sorted(suspensions, key=lambda each: each[0]):
        if merged and (merged[-1][1] is None or start <= merged[-1][1]):
            before = merged[-1][1]
            merged[-1] = (merged[-1][0], None if before is None or stop is None else max(before, stop))
        else:
            merged.append((start, stop))
    return merged
