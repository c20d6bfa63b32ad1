"""An update of the platform that changes the scope: rows from before come without anybody's asking."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from clients.models import ContactDetail, Mandate, MandateRestriction
from federation.agreements.timeline import EventKind
from federation.mirror import capture, dispatch, lease, upgrade
from federation.mirror.dispatcher import Dispatcher
from federation.models import Agreement, AgreementEvent, Stream
from federation.scope import by_label, division, fingerprint
from federation.scope.fingerprint import _fingerprint
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


@pytest.fixture(autouse=True)
def _nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "hint", lambda pk, *, is_load=False: None)


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
    candidates = division._candidates
    with (
        before_the_update(
            "clients.Mandate", rows="{t}.status = 'submitted' AND {t}.submitted_at IS NOT NULL"
        ),
        before_the_update("clients.MandateRestriction", shared="mandate kind value", kept="note"),
        monkeypatch.context() as patched,
    ):
        patched.setattr(
            division,
            "_candidates",
            lambda *about: {
                label: kind for label, kind in candidates(*about).items() if label != "clients.ContactDetail"
            },
        )
        _forget()
        agreements = {name: world.agree("aurora", name) for name in ("harbour", "lakeside", "meadow")}
        for owner, agreement in agreements.items():
            _mandate(world, agreement, owner)
        world.suspend(agreements["lakeside"])
        world.change(agreements["meadow"], state="terminated", ended_at=timezone.now())
        assert upgrade.outdated() == []
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

    # It is said once, though the suspended one has yet to begin.
    Dispatcher().sweep()
    world.resume(agreements["lakeside"])
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
        assert upgrade.outdated() == []
    assert len([each for each in asked if "federation_stream" in each["sql"]]) == 1
    Stream.objects.update(scope="")
    world.execute("DROP TRIGGER mirror_insert ON harbour.clients_contactdetail")
    streams = list(Stream.objects.order_by("pk"))
    assert upgrade.outdated() == [stream.pk for stream in streams]
    dispatcher = Dispatcher()
    dispatcher.sweep()
    assert capture.differences("harbour") == []
    assert set(Stream.objects.values_list("state", "fill_reason")) == {
        (Stream.State.WAITING, "the platform was updated")
    }
    # A dispatcher that starts again before they are filled says it no second time.
    Dispatcher().sweep()
    world.drain()
    assert upgrade.outdated() == []
    assert sorted(_told(agreement)) == sorted(map(str, streams))


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
