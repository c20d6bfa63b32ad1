"""The state of mirrors, as an administrator of either party reads it, in a fixed number of queries."""

import datetime
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from django.db import connection
from django.db.models import Count, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from psycopg import sql

from accounts.formatting import percent
from federation.mirror import figures
from federation.mirror.keys import Snapshot
from federation.mirror.waiting import waits_since
from federation.models import Agreement, Institution, Proof, Stream
from federation.querysets import name_key
from federation.scope import Flow, schema_identifier

# A stream whose oldest unread change is younger than this is in step.
IN_STEP = datetime.timedelta(seconds=2)
RECENTLY = datetime.timedelta(hours=1)
# One statement looks at this many logs.
_AT_ONCE = 200


@dataclass(frozen=True)
class StreamStatus:
    """One direction of one agreement: ``is_outgoing`` where this institution's records go out.

    ``state`` is a code (in_step, parked, behind, waiting, filling, suspended, broken, ended) and ``words`` says
    the same to a person. ``pending`` counts keys that have changed and not been looked at;
    ``oldest_age`` is that of the first of them. The log holds other clients' changes too, so this and
    when it was last looked at are the owner's to read: the receiver has None for ``pending`` and
    ``last_tick_at``, the age of the oldest change that the agreement shares, and that not while nothing
    may cross.
    ``fill_progress`` lies between 0 and 1. ``parked`` rows are tried again, ``skipped`` ones are not;
    ``latencies`` is the histogram of the last hour.
    """

    stream: Stream
    agreement: Agreement
    partner: Institution
    is_outgoing: bool
    state: str
    words: str
    pending: int | None
    oldest_age: datetime.timedelta | None
    fill_progress: float | None
    last_applied_at: datetime.datetime | None
    last_tick_at: datetime.datetime | None
    last_error: str
    last_error_at: datetime.datetime | None
    parked: int
    skipped: int
    rows_written: int
    proof: Proof | None
    latencies: list[int]

    @property
    def pk(self) -> uuid.UUID:
        """Return the stream's id."""
        return self.stream.pk

    @property
    def name_key(self) -> tuple[str, int, str]:
        """Return what sorts mirrors by their agreements' names."""
        return name_key(self.agreement.name)

    @property
    def p95(self) -> float | None:
        """Return within how many milliseconds 95 % of the last hour's changes appeared."""
        return figures.percentile(self.latencies, 0.95)


def streams() -> "QuerySet[Stream]":
    """Return all streams with what their state is read from."""
    return Stream.objects.select_related(
        "agreement__manager", "agreement__channel", "agreement__version", "owner", "receiver"
    ).annotate(
        parked_count=Count("parked", filter=Q(parked__skipped_at=None)),
        skipped_count=Count("parked", filter=Q(parked__skipped_at__isnull=False)),
    )


def visible_to(institution: Institution) -> "QuerySet[Stream]":
    """Return the streams of the agreements that an institution is a party to."""
    return streams().filter(Q(agreement__manager=institution.pk) | Q(agreement__channel=institution.pk))


def streams_of(institution: Institution, agreement: Agreement | None = None) -> list[StreamStatus]:
    """Return the state of the streams from and to an institution, by agreement, own records first."""
    asked = visible_to(institution)
    if agreement is not None:
        asked = asked.filter(agreement=agreement.pk)
    return sorted(
        statuses(asked, institution),
        key=lambda status: (status.agreement.name, str(status.agreement.pk), not status.is_outgoing),
    )


def statuses(asked: "Iterable[Stream]", institution: Institution) -> list[StreamStatus]:
    """Return the state of streams out of ``streams()``, as one of their parties reads it."""
    found = list(asked)
    waiting = pending_of(found)
    proofs = last_proofs(found)
    latencies = figures.histograms(found, timezone.now() - RECENTLY)
    return [
        _status(stream, institution, waiting.get(stream.pk, (0, None)), proofs, latencies) for stream in found
    ]


def _status(
    stream: Stream,
    institution: Institution,
    waiting: tuple[int, datetime.datetime | None],
    proofs: dict[uuid.UUID, Proof],
    latencies: dict[uuid.UUID, list[int]],
) -> StreamStatus:
    pending: int | None = waiting[0]
    is_outgoing = stream.owner_id == institution.pk
    age = timezone.now() - waiting[1] if waiting[1] else None
    if not is_outgoing:
        age = shared_age(stream, age) if stream.agreement.is_live else None
        pending = None
    parked, skipped = stream.parked_count, stream.skipped_count  # type: ignore[attr-defined]
    state = state_of(stream, age)
    if state == "in_step" and parked + skipped:
        state = "parked"
    progress = None
    if stream.state == Stream.State.FILLING:
        progress = min(1.0, stream.fill_done / stream.fill_total) if stream.fill_total else 0.0
    return StreamStatus(
        stream=stream,
        agreement=stream.agreement,
        partner=stream.receiver if is_outgoing else stream.owner,
        is_outgoing=is_outgoing,
        state=state,
        words=_words(
            "next" if state == "waiting" and stream.wait_for == 0 else state, pending, age, progress
        ),
        pending=pending,
        oldest_age=age,
        fill_progress=progress,
        last_applied_at=stream.last_applied_at,
        last_tick_at=stream.last_tick_at if is_outgoing else None,
        last_error=stream.problem,
        last_error_at=stream.problem_at,
        parked=parked,
        skipped=skipped,
        rows_written=stream.rows_written,
        proof=proofs.get(stream.pk),
        latencies=latencies.get(stream.pk, []),
    )


def shared_age(
    stream: Stream, age: datetime.timedelta | None, *, limit: datetime.timedelta = IN_STEP
) -> datetime.timedelta | None:
    """Return the age of the oldest unread change that a stream shares, given that of the oldest of all.

    Below the limit, which is in step, it is not asked for.
    """
    if age is None or age <= limit or not is_read(stream):
        return None
    since = waits_since(stream)
    return timezone.now() - since if since else None


def state_of(stream: Stream, age: datetime.timedelta | None) -> str:
    """Return the code of a stream's state, given the age of its oldest unread change."""
    if stream.state == Stream.State.ENDED:
        return "ended"
    if not stream.agreement.is_live:
        return "suspended"
    if stream.state in {Stream.State.BROKEN, Stream.State.WAITING, Stream.State.FILLING}:
        return str(stream.state)
    return "behind" if age is not None and age > IN_STEP else "in_step"


def _words(state: str, pending: int | None, age: datetime.timedelta | None, progress: float | None) -> str:
    match state:
        case "ended":
            return _("Ended")
        case "suspended":
            return _("Suspended: nothing crosses")
        case "broken":
            return _("Stopped by a problem; tried again by itself")
        case "waiting":
            return _("Waiting for changes under way to be saved")
        case "next":
            return _("Waiting for its turn to be filled")
        case "filling":
            return _("Filling: %(done)s") % {"done": percent(int((progress or 0) * 100) / 100, 0)}
        case "behind" if pending is not None:
            return ngettext("%(count)s change behind", "%(count)s changes behind", pending) % {
                "count": pending
            }
        case "behind":
            seconds = int(age.total_seconds()) if age else 0
            return ngettext("%(count)s second behind", "%(count)s seconds behind", seconds) % {
                "count": seconds
            }
        case "parked":
            return str(Proof.Result.PARKED.label)
    return str(Proof.Result.EQUAL.label)


_LISTENS: dict[tuple[uuid.UUID, uuid.UUID], list[str]] = {}


def _listens(stream: Stream) -> list[str]:
    """Return the kinds whose changes concern a stream; versions do not change once in force."""
    version = stream.agreement.version
    assert version is not None
    key = (version.pk, stream.owner_id)
    if key not in _LISTENS:
        if len(_LISTENS) >= 10_000:
            _LISTENS.clear()
        flow = Flow.of(stream.agreement, stream.agreement.side_of(stream.owner))
        _LISTENS[key] = sorted(flow.listens)
    return _LISTENS[key]


def is_read(stream: Stream) -> bool:
    """Say whether a stream follows a log now."""
    return (
        stream.cursor is not None
        and stream.state != Stream.State.ENDED
        and stream.agreement.version is not None
    )


def unread(stream: Stream) -> sql.Composed:
    """Return a query for a stream's id, the number of keys that it has not read, and since when."""
    return sql.SQL(
        "SELECT {stream}::uuid AS stream_id, coalesce(sum(cardinality(keys)), 0)::bigint, min(at)"
        " FROM {schema}.mirror_log WHERE {past} AND kind = ANY({kinds})"
    ).format(
        stream=sql.Literal(stream.pk),
        schema=schema_identifier(stream.owner.schema_name),
        past=Snapshot(str(stream.cursor)).is_past(),
        kinds=sql.Literal(_listens(stream)),
    )


def left(ids: list[uuid.UUID]) -> sql.Composed:
    """Return the same query for the work that earlier batches left."""
    return sql.SQL(
        "SELECT stream_id, sum(cardinality(keys))::bigint, min(at) FROM public.federation_streamwork"
        " WHERE stream_id = ANY({}) GROUP BY stream_id"
    ).format(sql.Literal(ids))


def pending_of(asked: Iterable[Stream]) -> dict[uuid.UUID, tuple[int, datetime.datetime | None]]:
    """Return how many keys wait for each stream in the log and as left work, and since when."""
    found: dict[uuid.UUID, tuple[int, datetime.datetime | None]] = {}
    following = [stream for stream in asked if is_read(stream)]
    with connection.cursor() as cursor:
        for some in (following[i : i + _AT_ONCE] for i in range(0, len(following), _AT_ONCE)):
            queries = [unread(stream) for stream in some]
            cursor.execute(sql.SQL(" UNION ALL ").join([*queries, left([stream.pk for stream in some])]))
            for stream_id, count, oldest in cursor.fetchall():
                before, since = found.get(stream_id, (0, None))
                both = [each for each in (since, oldest) if each is not None]
                found[stream_id] = (before + count, min(both) if both else None)
    return found


def last_proofs(asked: Iterable[Stream], *, decided: bool = False) -> dict[uuid.UUID, Proof]:
    """Return the last finished proof of each stream that has one; ``decided`` leaves out undecided ones."""
    left_out = [Proof.Result.UNDECIDED] if decided else []
    latest = (
        Proof.objects.filter(stream__in=[stream.pk for stream in asked], state=Proof.State.DONE)
        .exclude(result__in=left_out)
        .order_by("stream_id", "-finished_at")
        .distinct("stream_id")
    )
    return {proof.stream_id: proof for proof in latest}
