"""An update of the platform that changes the scope: rows from before come without anybody's asking."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from clients.models import ContactDetail, Mandate, MandateRestriction
from federation.agreements.timeline import EventKind
from federation.mirror import capture, control, dispatch, ending, lease, upgrade
from federation.mirror.batch import run_batch
from federation.mirror.dispatcher import PREPARED_AGAIN_SECONDS, Dispatcher
from federation.mirror.outcome import Outcome
from federation.models import Agreement, AgreementEvent, Proof, Stream
from federation.monitor import proof
from federation.scope import by_label, division, fingerprint
from federation.scope.fingerprint import _fingerprint
from tests.federation.mirror.test_overlap import withhold
from tests.federation.mirror.world import World


def _forget() -> None:
    """Be another process, which has derived nothing from the scope table yet."""
    lease._FLOWS.clear()
    _fingerprint.cache_clear()


@contextmanager
def before_the_update(label: str, **entry: str) -> Iterator[None]:
    """Have a kind stand otherwise in the scope table."""
    kind = by_label()[label]
    after = {name: getattr(kind, name) for name in entry}
    for name, value in entry.items():
        object.__setattr__(kind, name, value)
    _forget()
    try:
        yield
    finally:
        for name, value in after.items():
            object.__setattr__(kind, name, value)
        _forget()


def _share_no(label: str, patched: pytest.MonkeyPatch) -> None:
    """Have a kind not stand in the scope table's divisions."""
    candidates = division._candidates
    patched.setattr(
        division,
        "_candidates",
        lambda *about: {name: kind for name, kind in candidates(*about).items() if name != label},
    )
    _forget()


@pytest.fixture(autouse=True)
def _nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "hint", lambda pk, *, is_load=False: None)
    monkeypatch.setattr(proof, "_send", lambda *_args, **_kwargs: None)


def _told(agreement: Agreement) -> list[str]:
    events = AgreementEvent.objects.filter(agreement=agreement, kind=EventKind.UPGRADED)
    return [str(event.stream) for event in events]


def _mandate(world: World, agreement: Agreement, owner: str) -> None:
    """Hand in a mandate, and withdraw it after its portfolio has been opened."""
    mandate = world.mandate(agreement, owner)
    with world.within(owner):
        MandateRestriction.objects.create(mandate=mandate, kind="exclude_sector", value="X", note="No coal.")
    world.drain()
    world.decide(mandate, "active")
    world.drain()
    with world.within(owner):
        Mandate.objects.update(status=Mandate.Status.WITHDRAWN)
    world.drain()


def test_rows_fields_and_kinds_that_an_update_lets_through_come_when_the_dispatcher_starts(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        before_the_update(
            "clients.Mandate", rows="{t}.status = 'submitted' AND {t}.submitted_at IS NOT NULL"
        ),
        before_the_update("clients.MandateRestriction", shared="mandate kind value", kept="note"),
        monkeypatch.context() as patched,
    ):
        _share_no("clients.ContactDetail", patched)
        agreements = {name: world.agree("aurora", name) for name in ("harbour", "lakeside", "meadow")}
        for owner, agreement in agreements.items():
            _mandate(world, agreement, owner)
        world.suspend(agreements["lakeside"])
        world.change(agreements["meadow"], state="terminated", ended_at=timezone.now())
        assert upgrade.outdated() == {}
    _forget()
    assert world.count("aurora", Mandate, retired_at=None) == 0

    # As it is while a batch has the stream in hand.
    batch = world.another_connection()
    in_hand = world.stream(agreements["harbour"], "harbour")
    batch.execute("SELECT FROM federation_stream WHERE id = %s FOR NO KEY UPDATE", [in_hand.pk])
    started = Dispatcher()
    started.sweep()
    assert not started.is_resting
    assert _told(agreements["harbour"]) == []
    batch.rollback()
    started.sweep()
    world.drain()
    started.sweep()
    assert started.is_resting
    world.assert_in_step(agreements["harbour"])
    assert world.count("aurora", Mandate, retired_at=None, status="withdrawn") == 1
    assert world.count("aurora", MandateRestriction, note="No coal.") == 1
    assert world.count("aurora", ContactDetail) == 1
    # What the manager shares has not changed.
    assert _told(agreements["harbour"]) == [str(in_hand)]

    # The suspended one stays as it is, out of everybody's way, until it is resumed.
    assert world.stream(agreements["lakeside"], "lakeside").state == Stream.State.RUNNING
    assert _told(agreements["lakeside"]) == []
    assert dispatch.due_ids() == set()
    world.resume(agreements["lakeside"])
    started.poll()
    started.sweep()
    world.drain()
    world.assert_in_step(agreements["lakeside"])
    assert world.count("aurora", ContactDetail) == 2
    for name, lines in (("harbour", 1), ("lakeside", 1), ("meadow", 0)):
        assert len(_told(agreements[name])) == lines, name
    assert set(agreements["meadow"].streams.values_list("state", flat=True)) == {Stream.State.ENDED}


def test_streams_from_before_fingerprints_are_filled_once_and_their_triggers_first(world: World) -> None:
    agreement = world.agree()
    world.mandate(agreement)
    world.drain()
    with CaptureQueriesContext(connection) as asked:
        assert upgrade.outdated() == {}
    assert len([each for each in asked if "federation_stream" in each["sql"]]) == 1
    Stream.objects.update(scope="")
    world.execute("DROP TRIGGER mirror_insert ON harbour.clients_contactdetail")
    streams = list(Stream.objects.order_by("pk"))
    assert upgrade.outdated() == {stream.pk: "" for stream in streams}
    dispatcher = Dispatcher()
    dispatcher.sweep()
    assert capture.differences("harbour") == []
    assert set(Stream.objects.values_list("state", "fill_reason")) == {
        (Stream.State.WAITING, Stream.FillReason.UPDATED)
    }
    # A dispatcher that starts again before they are filled says it no second time.
    Dispatcher().sweep()
    world.drain()
    assert upgrade.outdated() == {}
    assert sorted(_told(agreement)) == sorted(map(str, streams))


def test_kinds_and_fields_that_an_update_takes_out_of_the_scope_leave_the_receiver(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    with world.within("harbour"):
        MandateRestriction.objects.create(mandate=mandate, kind="exclude_sector", value="X", note="No coal.")
    world.drain()
    assert (
        world.count("aurora", ContactDetail)
        == world.count("aurora", MandateRestriction, note="No coal.")
        == 1
    )
    with (
        before_the_update("clients.MandateRestriction", shared="mandate kind value", kept="note"),
        monkeypatch.context() as patched,
    ):
        _share_no("clients.ContactDetail", patched)
        Dispatcher().sweep()
        stream = world.stream(agreement, "harbour")
        assert run_batch(stream.pk, most=dispatch.QUICK_KEYS) == Outcome.LARGE
        assert world.count("aurora", ContactDetail) == 1, "it is for the workers for loads"
        run_batch(stream.pk)
        assert world.count("aurora", ContactDetail) == 0
        world.drain()
        world.assert_in_step(agreement)
        assert world.count("aurora", MandateRestriction, note="", value="X") == 1
        asked = proof.ask(stream)
        proof.run(asked.pk)
        asked.refresh_from_db()
        assert asked.result == Proof.Result.EQUAL
    _forget()
    assert world.count("harbour", ContactDetail) == 1
    assert world.count("harbour", MandateRestriction, note="No coal.") == 1


def test_few_streams_are_filled_again_at_a_time_and_none_that_was_repaired_meanwhile(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upgrade, "REFILLED_AT_ONCE", 1)
    world.agree()
    last = world.agree("borealis", "lakeside")
    Stream.objects.exclude(agreement=last, owner__schema_name="lakeside").update(scope="")
    first, second, third = upgrade.outdated()
    dispatcher = Dispatcher()
    for _ in range(2):
        dispatcher.sweep()
        assert list(
            Stream.objects.filter(fill_reason=Stream.FillReason.UPDATED).values_list("pk", flat=True)
        ) == [first]
    assert Stream.objects.get(pk=second).state == Stream.State.RUNNING
    control.refill(Stream.objects.get(pk=second))
    world.drain()
    dispatcher.sweep()
    dispatcher.sweep()
    assert Stream.objects.get(pk=third).state == Stream.State.WAITING
    world.drain()
    dispatcher.sweep()
    assert dispatcher.is_resting
    assert upgrade.outdated() == {}
    assert set(
        AgreementEvent.objects.filter(kind=EventKind.UPGRADED).values_list("stream_id", flat=True)
    ) == {
        first,
        third,
    }


def test_a_fill_that_a_worker_of_another_version_began_begins_anew(world: World) -> None:
    agreement = world.agree()
    world.mandate(agreement)
    world.drain()
    world.execute(
        "SET session_replication_role = replica; DELETE FROM aurora.clients_contactdetail;"
        " SET session_replication_role = origin"
    )
    stream = world.stream(agreement, "harbour")
    # All that it had left to do is to look for what no root leads to.
    Stream.objects.filter(pk=stream.pk).update(
        state=Stream.State.FILLING,
        fill_kind="clients.Client",
        fill_after=uuid.UUID(int=2**128 - 1),
        scope="other",
    )
    world.drain()
    world.assert_in_step(agreement)
    assert world.count("aurora", ContactDetail) == 1
    assert upgrade.outdated() == {}


def test_who_keeps_a_table_locked_holds_up_only_the_streams_of_that_institution(world: World) -> None:
    agreement, other = world.agree(), world.agree("borealis", "lakeside")
    Stream.objects.update(scope="")
    world.execute("DROP TRIGGER mirror_insert ON harbour.clients_contactdetail")
    user = world.another_connection()
    user.execute("LOCK TABLE harbour.clients_contactdetail IN ROW EXCLUSIVE MODE")
    # Before it was bounded, it waited for as long as that transaction lasts.
    world.execute("SET statement_timeout = '20s'")
    try:
        dispatcher = Dispatcher()
        dispatcher.sweep()
    finally:
        world.execute("RESET statement_timeout")
    assert set(agreement.streams.values_list("state", flat=True)) == {Stream.State.RUNNING}
    assert set(other.streams.values_list("state", flat=True)) == {Stream.State.WAITING}
    user.rollback()
    dispatcher._compares_at -= PREPARED_AGAIN_SECONDS
    dispatcher.sweep()
    assert set(agreement.streams.values_list("state", flat=True)) == {Stream.State.WAITING}
    assert capture.differences("harbour") == []


def test_a_process_from_before_fingerprints_may_still_begin_a_stream(world: World) -> None:
    stream = world.stream(world.agree(fill=False), "harbour")
    columns = ", ".join(
        f'"{field.column}"' for field in Stream._meta.concrete_fields if field.name != "scope"
    )
    world.execute(
        f"WITH gone AS (DELETE FROM federation_stream WHERE id = %s RETURNING *)"
        f" INSERT INTO federation_stream ({columns}) SELECT {columns} FROM gone",
        stream.pk,
    )
    stream.refresh_from_db()
    assert stream.scope == ""


def test_a_fingerprint_is_that_of_the_division_and_not_of_its_parties(world: World) -> None:
    closed, other, advice = (
        world.agree(*parties, fill=False)
        for parties in (("aurora", "harbour"), ("borealis", "lakeside"), ("aurora", "meadow", "advice"))
    )
    prints = [
        fingerprint(Agreement.objects.get(pk=each.pk).version, side)
        for each in (closed, other, advice)
        for side in ("manager", "channel")
    ]
    assert prints[:2] == prints[2:4]
    assert len(set(prints)) == 4


def test_after_a_change_of_the_agreement_alone_nothing_has_to_be_looked_for_that_an_update_left(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    agreement = world.agree()
    world.mandate(agreement)
    world.drain()
    looked: list[object] = []
    monkeypatch.setattr(ending, "narrow_to_scope", looked.append)
    withhold(world, agreement, "clients.ContactDetail")
    assert world.count("aurora", ContactDetail) == 0
    assert looked == []
    assert upgrade.outdated() == {}
