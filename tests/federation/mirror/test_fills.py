"""Faults of a first fill and of a refill: cut off, narrowed, ended, beside writers."""

import os
import random
import threading
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import connection, connections
from django.utils import timezone
from django_tenants.utils import tenant_context

from clients.models import Client, ContactDetail, Mandate
from federation.mirror import control, failpoints, fill
from federation.mirror.batch import Outcome, run_batch
from federation.models import Agreement, Stream
from portfolios.models import Account
from tests.federation.mirror.world import World


@pytest.fixture
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fill, "BATCH_KEYS", 20)
    monkeypatch.setattr(fill, "FIRST_CHUNK", 2)


def _being_filled(world: World, clients: int = 30) -> tuple[Agreement, Stream]:
    """Return an agreement over clients who were there before, in the midst of its first fill."""
    agreement = world.agree()
    world.suspend(agreement)
    for _ in range(clients):
        world.mandate(agreement)
    stream = world.stream(agreement, "harbour")
    Stream.objects.filter(pk=stream.pk).update(
        cursor=None, wait_for=0, state=Stream.State.WAITING, fill_kind="", fill_after=None
    )
    world.resume(agreement)
    for _ in range(3):
        assert run_batch(stream.pk) == Outcome.MORE
    return agreement, stream


@pytest.mark.usefixtures("_small_chunks")
def test_f12_a_first_fill_that_is_narrowed_brings_nothing_more_of_what_is_left_out(world: World) -> None:
    agreement, stream = _being_filled(world)
    assert 0 < world.count("aurora", ContactDetail) < 30
    version = Agreement.objects.get(pk=agreement.pk).version
    version.pk, version.number = uuid.uuid4(), 2
    version.withheld = ["clients.ContactDetail"]
    version._state.adding = True
    version.save()
    world.change(agreement, version=version)
    assert world.count("aurora", ContactDetail) == 0
    while run_batch(stream.pk) == Outcome.MORE:
        assert world.count("aurora", ContactDetail) == 0
    world.drain()
    assert world.count("aurora", Mandate) == 30
    world.assert_in_step(agreement)


@pytest.mark.usefixtures("_small_chunks")
def test_f12_a_first_fill_that_is_ended_brings_nothing_more(world: World) -> None:
    agreement, stream = _being_filled(world)
    assert world.count("aurora", Mandate, retired_at=None) > 0
    world.change(agreement, state="terminated", ended_at=timezone.now())
    assert run_batch(stream.pk) == Outcome.STOPPED
    assert world.count("aurora", Mandate, retired_at=None) == 0
    assert world.count("aurora", Client, origin=agreement.channel_id, retired_at=None) == 0
    assert world.stream(agreement, "harbour").state == Stream.State.ENDED


@pytest.mark.usefixtures("_small_chunks")
def test_f21_a_fill_beside_writers_that_is_killed_again_and_again_is_whole_and_never_starts_over(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    agreement = world.agree()
    mandates = [world.mandate(agreement) for _ in range(12)]
    world.drain()
    portfolios = [world.portfolio(mandate) for mandate in mandates]
    for portfolio in portfolios:
        world.accounts(portfolio, 20)
    world.drain()
    stream = world.stream(agreement, "aurora")
    control.refill(stream)
    monkeypatch.setattr(failpoints, "_FILE", str(tmp_path / "failpoint"))
    draw = random.Random(21)
    done, killed = [], 0
    with _Writers(world, [portfolio.pk for portfolio in portfolios]) as writers:
        while True:
            name = draw.choice(failpoints.NAMES)
            (tmp_path / "failpoint").write_text(name)
            killed += _in_a_process_that_may_be_killed(lambda: run_batch(stream.pk))
            (tmp_path / "failpoint").unlink(missing_ok=True)
            run_batch(stream.pk)
            now = Stream.objects.get(pk=stream.pk)
            if now.state == Stream.State.RUNNING:
                break
            done.append(now.fill_done)
    assert writers.rows > 1_000
    assert killed > 2
    # It went on from where it was after each kill.
    assert done == sorted(done)
    world.drain()
    world.assert_in_step(agreement)
    assert world.orphans("harbour") == []
    assert world.count("harbour", Account) == world.count("aurora", Account)


def test_f21_a_fill_that_is_cut_off_goes_on_where_it_was(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("federation.mirror.fill.BATCH_KEYS", 20)
    agreement = world.agree()
    mandates = [world.mandate(agreement) for _ in range(8)]
    world.drain()
    for mandate in mandates:
        world.portfolio(mandate, transactions=10)
    world.drain()
    monkeypatch.setattr("federation.mirror.fill.FIRST_CHUNK", 2)
    control.refill(world.stream(agreement, "aurora"))
    stream = world.stream(agreement, "aurora")
    done = []
    while run_batch(stream.pk) == Outcome.MORE:
        done.append(Stream.objects.get(pk=stream.pk).fill_done)
    assert done == sorted(done)
    assert len(set(done)) > 3
    world.drain()
    world.assert_in_step(agreement)


def _in_a_process_that_may_be_killed(do: Callable[[], object]) -> bool:
    """Do something in a fork of this process; say whether it was killed."""
    # Not the fork's to end.
    connections.close_all()
    pid = os.fork()
    if pid == 0:
        try:
            do()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


class _Writers:
    """A thread that inserts, changes and deletes accounts as fast as it can, many at once."""

    def __init__(self, world: World, portfolios: list[uuid.UUID]) -> None:
        self.rows = 0
        self._world, self._portfolios = world, portfolios
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "_Writers":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        draw = random.Random(22)
        try:
            with tenant_context(self._world.institution("aurora")):
                while not self._stop.is_set():
                    accounts = Account.objects.filter(portfolio=draw.choice(self._portfolios))
                    rows = list(accounts[:60])
                    for row in rows[:40]:
                        row.pk = uuid.uuid4()
                        row.number = str(row.pk)
                    Account.objects.bulk_create(rows[:40])
                    self.rows += 40 + accounts.update(custodian=f"Edited {draw.random()}")
                    if len(rows) == 60:
                        gone = [row.pk for row in rows[40:]]
                        self.rows += Account.objects.filter(pk__in=gone).delete()[0]
        finally:
            connection.close()
