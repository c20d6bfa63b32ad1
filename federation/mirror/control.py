"""What the rest of the platform tells the mirror."""

from django.db import connection, transaction
from django.utils import timezone

from federation.mirror import capture, dispatch, ending
from federation.mirror.waking import STREAMS_CHANGED, wake
from federation.models import Agreement, AgreementVersion, Institution, ParkedRow, Side, Stream
from federation.scope import Flow, fingerprint


def agreement_changed(agreement: Agreement) -> None:
    """Bring the streams of an agreement in line with it, in the caller's transaction.

    Call it after every change of the agreement's row or version in force, in the same transaction:
    the change of the row waits for a batch in hand, and nothing becomes visible after the commit that
    the agreement does not let through any more. Streams start once the agreement is in force with two
    hosted parties, begin anew where the version or the suspension of new mandates has changed, rest
    while everything is suspended, and end with the agreement.
    """
    agreement = Agreement.objects.select_related("manager", "channel", "version").get(pk=agreement.pk)
    state = Agreement.State
    if agreement.state in {state.DRAFT, state.PROPOSED, state.DECLINED, state.WITHDRAWN}:
        return
    _take_turns(agreement)
    if agreement.state == Agreement.State.TERMINATED:
        _end(agreement)
    elif agreement.version is not None and agreement.manager.is_hosted and agreement.channel.is_hosted:
        _follow(agreement)
    for institution in (agreement.manager, agreement.channel):
        _switch(institution)
    # Before anything that is written from now on: the dispatcher knows whom to ask then.
    _wake(STREAMS_CHANGED)


def _take_turns(agreement: Agreement) -> None:
    """Wait for changes of other agreements between the same two: each keeps what the others still cover."""
    pair = " ".join(sorted(str(party.pk) for party in (agreement.manager, agreement.channel)))
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"agreements of {pair}"])


def _follow(agreement: Agreement) -> None:
    for side in Side:
        flow = Flow.of(agreement, side)
        if not flow.shares and not Stream.objects.filter(agreement=agreement, owner=flow.owner).exists():
            continue
        _switch(flow.owner, on=True)
        wording = _wording(flow)
        stream, is_new = Stream.objects.get_or_create(
            agreement=agreement,
            owner=flow.owner,
            defaults={
                "receiver": flow.receiver,
                "wording": wording,
                "wait_for": _no_need_to_wait(flow.owner),
                "fill_reason": Stream.FillReason.FIRST,
            },
        )
        if not is_new and stream.wording != wording:
            # The scope is another one: compare everything again.
            stream = Stream.objects.select_for_update().get(pk=stream.pk)
            former = AgreementVersion.objects.filter(pk=stream.wording.partition(" ")[0]).first()
            stream.wording, stream.state = wording, Stream.State.WAITING
            stream.cursor, stream.wait_for = None, _no_need_to_wait(flow.owner)
            stream.fill_kind, stream.fill_after = "", None
            stream.fill_reason = Stream.FillReason.SCOPE
            before = Flow.of(agreement, side, former)
            if stream.scope == fingerprint(before.version, side):
                # What is shared no longer leaves now. After an update of the platform there may be more of it.
                stream.scope = fingerprint(flow.version, side)
            stream.save()
            ending.narrow(flow, before)
        if agreement.is_live:
            # The hint may be lost, the wake is not: a resumed stream may have much to read.
            _wake(str(flow.owner.schema_name))
            transaction.on_commit(lambda pk=stream.pk: dispatch.hint(pk))  # type: ignore[misc]


def _wake(schema: str) -> None:
    with connection.cursor() as cursor:
        wake(cursor, schema)


def _wording(flow: Flow) -> str:
    """Return what decides the scope, so that a change of it is noticed."""
    cut = flow.agreement.new_mandates_suspended_at
    return f"{flow.version.pk} {cut.isoformat() if cut else 'open'}"


def _no_need_to_wait(owner: Institution) -> int | None:
    """Return 0 where another stream has long followed the owner's log: older changes are in it too."""
    followed = Stream.objects.filter(
        owner=owner, cursor__isnull=False, state__in=[Stream.State.FILLING, Stream.State.RUNNING]
    )
    return 0 if followed.exists() else None


def _switch(institution: Institution, *, on: bool | None = None) -> None:
    """Let an institution log changes while a stream needs them."""
    if not institution.is_hosted:
        return
    schema = str(institution.schema_name)
    if on is None:
        on = Stream.objects.filter(owner=institution).exclude(state=Stream.State.ENDED).exists()
    if capture.is_on(schema) != on:
        capture.switch(schema, on=on)


def _end(agreement: Agreement) -> None:
    """End the streams; what remains at the receivers is purged or kept as sealed."""
    for stream in (
        Stream.objects.select_for_update().filter(agreement=agreement).exclude(state=Stream.State.ENDED)
    ):
        side = agreement.side_of(stream.owner)
        ending.clear(Flow.of(agreement, side))
        stream.work.all().delete()
        stream.parked.all().delete()
        stream.state, stream.cursor = Stream.State.ENDED, None
        stream.fill_kind, stream.fill_reason, stream.problem = "", "", ""
        stream.save()


def retry_parked(parked: ParkedRow) -> None:
    """Try a parked row again at once."""
    ParkedRow.objects.filter(pk=parked.pk).update(
        retry_at=timezone.now(), skipped_at=None, skipped_by=None, skipped_by_name="", skip_reason=""
    )
    _wake(str(parked.stream.owner.schema_name))
    transaction.on_commit(lambda: dispatch.hint(parked.stream_id))


def refill(stream: Stream, reason: str = Stream.FillReason.ASKED) -> None:
    """Compare all that a stream shares again, and repair what differs."""
    with transaction.atomic():
        stream = Stream.objects.select_for_update().get(pk=stream.pk)
        if stream.state != Stream.State.ENDED:
            stream.cursor, stream.wait_for = None, 0
            stream.fill_kind, stream.fill_after, stream.fill_reason = "", None, reason
            stream.state = Stream.State.WAITING
            stream.save()
            _wake(str(stream.owner.schema_name))
            transaction.on_commit(lambda: dispatch.hint(stream.pk))
