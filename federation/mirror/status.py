"""The state of every mirror of an institution, as its administrator reads it."""

import datetime
from dataclasses import dataclass

from django.db import connection
from django.db.models import Count
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from psycopg import sql

from federation.mirror.keys import Snapshot
from federation.models import Agreement, Institution, Stream
from federation.scope import Flow, schema_identifier

# A stream whose oldest unread change is younger than this is in step.
IN_STEP = datetime.timedelta(seconds=2)


@dataclass(frozen=True)
class StreamStatus:
    """One direction of one agreement: ``is_outgoing`` where this institution's records go out.

    ``state`` is a code (in_step, behind, waiting, filling, suspended, broken, ended) and ``words`` says
    the same to a person. ``pending`` counts keys that have changed and not been looked at;
    ``oldest_age`` is that of the first of them. ``fill_progress`` lies between 0 and 1.
    """

    stream: Stream
    agreement: Agreement
    partner: Institution
    is_outgoing: bool
    state: str
    words: str
    pending: int
    oldest_age: datetime.timedelta | None
    fill_progress: float | None
    last_applied_at: datetime.datetime | None
    last_tick_at: datetime.datetime | None
    last_error: str
    last_error_at: datetime.datetime | None
    parked: int
    rows_written: int


def streams_of(institution: Institution) -> list[StreamStatus]:
    """Return the state of the streams from and to an institution, by agreement, own records first."""
    streams = (
        Stream.objects.filter(agreement__in=Agreement.objects.filter(manager=institution))
        | Stream.objects.filter(agreement__in=Agreement.objects.filter(channel=institution))
    ).select_related("agreement__manager", "agreement__channel", "agreement__version", "owner", "receiver")
    counted = streams.annotate(parked_count=Count("parked")).order_by("agreement__name", "agreement_id")
    found = [_status(stream, institution, stream.parked_count) for stream in counted]
    return sorted(
        found, key=lambda status: (status.agreement.name, str(status.agreement.pk), not status.is_outgoing)
    )


def _status(stream: Stream, institution: Institution, parked: int) -> StreamStatus:
    pending, oldest = _pending(stream)
    age = timezone.now() - oldest if oldest else None
    state = _state(stream, age)
    progress = None
    if stream.state == Stream.State.FILLING:
        progress = min(1.0, stream.fill_done / stream.fill_total) if stream.fill_total else 0.0
    is_outgoing = stream.owner_id == institution.pk
    return StreamStatus(
        stream=stream,
        agreement=stream.agreement,
        partner=stream.receiver if is_outgoing else stream.owner,
        is_outgoing=is_outgoing,
        state=state,
        words=_words(state, stream, pending, progress),
        pending=pending,
        oldest_age=age,
        fill_progress=progress,
        last_applied_at=stream.last_applied_at,
        last_tick_at=stream.last_tick_at,
        last_error=stream.problem,
        last_error_at=stream.problem_at,
        parked=parked,
        rows_written=stream.rows_written,
    )


def _state(stream: Stream, age: datetime.timedelta | None) -> str:
    if stream.state == Stream.State.ENDED:
        return "ended"
    if not stream.agreement.is_live:
        return "suspended"
    if stream.state in {Stream.State.BROKEN, Stream.State.WAITING, Stream.State.FILLING}:
        return str(stream.state)
    return "behind" if age is not None and age > IN_STEP else "in_step"


def _words(state: str, stream: Stream, pending: int, progress: float | None) -> str:
    match state:
        case "ended":
            return _("Ended")
        case "suspended":
            return _("Suspended: nothing crosses")
        case "broken":
            return _("Stopped by a problem; tried again by itself")
        case "waiting":
            return _("Waiting for older transactions to end")
        case "filling":
            return _("Filling: %(done)s %%") % {"done": int((progress or 0) * 100)}
        case "behind":
            return ngettext("%(count)s change behind", "%(count)s changes behind", pending) % {
                "count": pending
            }
    return _("In step")


def _pending(stream: Stream) -> tuple[int, datetime.datetime | None]:
    """Return how many keys wait in the log and as left work, and since when."""
    if stream.cursor is None or stream.state == Stream.State.ENDED or stream.agreement.version is None:
        return 0, None
    flow = Flow.of(stream.agreement, stream.agreement.side_of(stream.owner))
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL(
                "SELECT coalesce(sum(cardinality(keys)), 0), min(at) FROM {}.mirror_log WHERE {} AND kind = ANY({})"
            ).format(
                schema_identifier(stream.owner.schema_name),
                Snapshot(stream.cursor).is_past(),
                sql.Literal(sorted(flow.listens)),
            )
        )
        pending, oldest = cursor.fetchone()
        cursor.execute(
            "SELECT coalesce(sum(cardinality(keys)), 0) FROM public.federation_streamwork WHERE stream_id = %s",
            [stream.pk],
        )
        left = cursor.fetchone()[0]
    return pending + left, oldest
