"""Look at all mirrors every half minute: what the timelines are told, and who is alerted of what."""

import datetime
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from django.db import Error, connection, transaction
from django.db.models import F, Max, Q, QuerySet
from django.utils import timezone

from federation.agreements.timeline import EventKind, record_of_mirror
from federation.mirror import dispatch, trimming
from federation.mirror.status import last_proofs, pending_of, shared_age, streams
from federation.models import Alert, Institution, ParkedRow, Proof, Stream, Watch

# It has to stay over for this long, so that a mirror on the edge is not raised again and again.
CLEARED_AFTER = datetime.timedelta(minutes=2)
# Rows parked one after the other make one line of the timeline in this time.
PARKED_TOGETHER = datetime.timedelta(minutes=10)
_LOCK = 7_201_105


@dataclass(frozen=True)
class _Look:
    """What was found about one stream: ``seconds`` that its oldest shared change, or it as a whole, has waited."""

    stream: Stream
    seconds: float
    parked: int
    last_parked_at: datetime.datetime | None
    proof: Proof | None
    # From how many seconds on the first of both parties wants to know.
    limit: float

    @property
    def is_moving(self) -> bool:
        """Say whether being behind is news of its own: a fill, or a problem, is the reason for it."""
        return self.stream.state in {Stream.State.RUNNING, Stream.State.WAITING}

    def counts(self, behind_seconds: int) -> dict[str, int]:
        """Return the kinds of alerts that hold for a party that wants to know from this many seconds on."""
        is_live = self.stream.agreement.is_live and self.stream.state != Stream.State.ENDED
        differing = 0
        if self.proof is not None and self.proof.result == Proof.Result.UNEQUAL:
            differing = self.proof.differing
        found = {
            Alert.Kind.BEHIND: int(self.seconds) if self.seconds > behind_seconds and self.is_moving else 0,
            Alert.Kind.PARKED: self.parked,
            Alert.Kind.BROKEN: int(self.stream.state == Stream.State.BROKEN),
            Alert.Kind.DRIFTED: differing,
        }
        return {str(kind): count for kind, count in found.items() if count and is_live}


def look() -> None:
    """Tell the timelines what has happened to mirrors, raise alerts, and clear those that are over."""
    with _alone() as is_alone:
        if not is_alone:
            return
        now = timezone.now()
        looks = _looks(now)
        for each in looks:
            # One by one: a batch finds a stream that is told of here held by another.
            with transaction.atomic():
                _tell(each, now)
        with transaction.atomic():
            _alert(looks, now)


@contextmanager
def _alone() -> Iterator[bool]:
    """Say whether nobody else is looking, and keep it so."""
    is_alone: bool | None = None
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
            is_alone = bool(cursor.fetchone()[0])
        yield is_alone
    finally:
        # Unknown where a time limit came in between: the connection outlives the task, and would keep the lock.
        if is_alone is not False:
            # With its connection the lock is gone.
            with suppress(Error), connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


def _looks(now: datetime.datetime) -> list[_Look]:
    """Look at those that something may have to be said of: idle mirrors cost nothing."""
    wrote = Q(owner__schema_name__in=trimming.filled()) | Q(pk__in=dispatch.due().values("pk"))
    behind = {stream.pk for stream in dispatch.behind(dispatch.live_streams().filter(wrote))}
    following = list(
        streams()
        .exclude(state=Stream.State.ENDED)
        .filter(
            ~Q(told_state="")
            | Q(filled_at__isnull=False, told_filled_at=None)
            | ~Q(told_filled_at=F("filled_at"))
            | Q(state=Stream.State.BROKEN)
            | Q(waits_since__isnull=False)
            | Q(pk__in=behind)
            | Q(pk__in=ParkedRow.objects.filter(skipped_at=None).values("stream"))
            | Q(pk__in=Proof.objects.filter(result=Proof.Result.UNEQUAL).values("stream"))
        )
    )
    waiting = pending_of(stream for stream in following if stream.pk in behind)
    parked_at = dict(
        ParkedRow.objects.filter(skipped_at=None)
        .values_list("stream")
        .annotate(latest=Max("first_at"))
        .order_by()
    )
    proofs = last_proofs(following, decided=True)
    limits = _limits()
    looks = []
    for stream in following:
        _count, oldest = waiting.get(stream.pk, (0, None))
        # Timeline and alerts are the receiver's too: of what the agreement does not share they say nothing.
        limit = _limit(stream, limits)
        age = shared_age(stream, now - oldest if oldest else None, limit=limit)
        if _waits(stream):
            age = now - stream.waits_since if stream.waits_since else None
        looks.append(
            _Look(
                stream=stream,
                seconds=age.total_seconds() if age else 0,
                parked=stream.parked_count,  # type: ignore[attr-defined]
                last_parked_at=parked_at.get(stream.pk),
                proof=proofs.get(stream.pk),
                limit=limit.total_seconds(),
            )
        )
    return looks


def _limits() -> dict[tuple[uuid.UUID, uuid.UUID], int]:
    """Return from when on each party of each agreement wants to be alerted, where it has said so."""
    return {(watch.agreement_id, watch.institution_id): watch.behind_seconds for watch in Watch.objects.all()}


def _limit(stream: Stream, limits: dict[tuple[uuid.UUID, uuid.UUID], int]) -> datetime.timedelta:
    """Return from which age on a mirror is behind for a party; until it has caught up, one that was still is."""
    if stream.told_state == "behind":
        return datetime.timedelta(seconds=1)
    wishes = [
        limits.get((stream.agreement_id, party), Watch.DEFAULT_SECONDS)
        for party in (stream.owner_id, stream.receiver_id)
    ]
    return datetime.timedelta(seconds=min(*wishes, Watch.DEFAULT_SECONDS))


def _tell(look: _Look, now: datetime.datetime) -> None:
    """Write what is new about a stream into its agreement's timeline."""
    stream = look.stream
    told: dict[str, Any] = {}
    if stream.filled_at is not None and stream.filled_at != stream.told_filled_at:
        record_of_mirror(EventKind.FILLED, stream, at=stream.filled_at, roots=stream.fill_total)
        told["told_filled_at"] = stream.filled_at
    since = stream.told_parked_at
    if (
        look.parked
        and look.last_parked_at is not None
        and (since is None or (look.last_parked_at > since and now - since > PARKED_TOGETHER))
    ):
        record_of_mirror(EventKind.PARKED, stream, parked=look.parked)
        told["told_parked_at"] = now
    if _waits(stream) != (stream.waits_since is not None):
        told["waits_since"] = None if stream.waits_since else now
    state = _state(look)
    if state != stream.told_state:
        if state == "broken":
            record_of_mirror(EventKind.BROKEN, stream, note=stream.problem, at=stream.problem_at)
        elif stream.told_state == "broken":
            record_of_mirror(EventKind.MENDED, stream)
        elif state == "behind":
            began = now - datetime.timedelta(seconds=look.seconds)
            record_of_mirror(
                EventKind.BEHIND, stream, seconds=int(look.seconds), since=began.isoformat(timespec="seconds")
            )
        else:
            record_of_mirror(EventKind.CAUGHT_UP, stream)
        told["told_state"] = state
    if told:
        Stream.objects.filter(pk=stream.pk).update(**told)


def _state(look: _Look) -> str:
    if look.stream.state == Stream.State.BROKEN:
        return "broken"
    return "behind" if look.seconds > look.limit and look.is_moving else ""


def _waits(stream: Stream) -> bool:
    """Say whether a stream cannot begin to follow its owner's log before older transactions have ended.

    One that an update of the platform fills again waits for its turn, and for nobody.
    """
    is_waiting = stream.state == Stream.State.WAITING and stream.fill_reason != Stream.FillReason.UPDATED
    return is_waiting and stream.agreement.is_live


def _alert(looks: Iterable[_Look], now: datetime.datetime) -> None:
    """Raise what holds and is not raised yet, for each party by its own wish; clear what is over."""
    raised = {
        (alert.stream_id, alert.institution_id, alert.kind): alert
        for alert in Alert.objects.filter(cleared_at=None)
    }
    new, changed = [], []
    for stream, party, kind, count in _holding(looks):
        alert = raised.pop((stream.pk, party.pk, kind), None)
        if alert is None:
            new.append(Alert(stream=stream, institution=party, kind=kind, count=count, raised_at=now))
        elif alert.count != count or alert.over_since is not None:
            alert.count, alert.over_since = count, None
            changed.append(alert)
    changed += [alert for alert in raised.values() if _is_moved_on(alert, now)]
    Alert.objects.bulk_create(new, ignore_conflicts=True)
    Alert.objects.bulk_update(changed, ["count", "over_since", "cleared_at"])


def _holding(looks: Iterable[_Look]) -> Iterator[tuple[Stream, Institution, str, int]]:
    """Yield what is to be alerted of, by stream, party and kind, with its count."""
    seconds = _limits()
    for each in looks:
        agreement = each.stream.agreement
        for party in (agreement.manager, agreement.channel):
            if party.is_hosted:
                limit = seconds.get((agreement.pk, party.pk), Watch.DEFAULT_SECONDS)
                for kind, count in each.counts(limit).items():
                    yield each.stream, party, kind, count


def _is_moved_on(alert: Alert, now: datetime.datetime) -> bool:
    """Note of an alert whose reason is gone that it is over, or clear it; say whether that changed it."""
    # A row stays parked while it is tried: there nothing is on the edge.
    if alert.kind == Alert.Kind.PARKED or (alert.over_since and now - alert.over_since >= CLEARED_AFTER):
        alert.cleared_at = now
        return True
    if alert.over_since is None:
        alert.over_since = now
        return True
    return False


def open_alerts(institution: Institution) -> "QuerySet[Alert]":
    """Return what an institution's administrators are alerted of now, without what they muted."""
    muted = Watch.objects.filter(institution=institution, muted_until__gt=timezone.now())
    return (
        Alert.objects.filter(institution=institution, cleared_at=None)
        .exclude(stream__agreement__in=muted.values("agreement"))
        .select_related("stream__agreement", "stream__owner", "stream__receiver")
    )


def count_open(institution_id: uuid.UUID) -> int:
    """Return how many mirrors an institution's administrators are alerted of now."""
    muted = Watch.objects.filter(institution=institution_id, muted_until__gt=timezone.now())
    return (
        Alert.objects.filter(institution=institution_id, cleared_at=None)
        .exclude(stream__agreement__in=muted.values("agreement"))
        .values("stream")
        .distinct()
        .count()
    )
