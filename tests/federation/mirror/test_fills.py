"""Faults of a first fill and of a refill: cut off, narrowed, ended, beside writers."""

import os
import random
import threading
import time
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
from federation.mirror.status import streams_of
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
    world.suspend(agreement)
    portfolios = [world.portfolio(mandate) for mandate in mandates]
    for portfolio in portfolios:
        world.accounts(portfolio, 200)
    stream = world.stream(agreement, "aurora")
    control.refill(stream)
    world.resume(agreement)
    assert world.count("harbour", Account) == 0
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
    assert writers.rate > 1_000
    assert killed > 2
    # It went on from where it was after each kill.
    assert done == sorted(done)
    assert len(set(done)) > 3
    world.drain()
    world.assert_in_step(agreement)
    assert world.orphans("harbour") == []
    assert world.count("harbour", Account) == world.count("aurora", Account) > 0


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


def test_a_fill_of_few_roots_takes_one_batch_for_all_kinds_and_one_to_sweep(world: World) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    world.drain()
    world.portfolio(mandate, transactions=10)
    world.drain()
    stream = world.stream(agreement, "aurora")
    control.refill(stream)
    outcomes = []
    while not outcomes or outcomes[-1] in {Outcome.WAITING, Outcome.MORE}:
        outcomes.append(run_batch(stream.pk))
    assert outcomes.count(Outcome.MORE) == 1
    assert world.stream(agreement, "aurora").state == Stream.State.RUNNING
    world.assert_in_step(agreement)


def test_a_refill_counts_the_records_that_a_fill_counts_says_how_far_it_is_and_ends_at_all_of_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fill, "FIRST_CHUNK", 1)
    agreement = world.agree()
    world.suspend(agreement)
    for _ in range(4):
        world.mandate(agreement)
    world.resume(agreement)
    stream = world.stream(agreement, "harbour")
    counted = []
    for _ in range(2):
        control.refill(stream)
        while (outcome := run_batch(stream.pk)) == Outcome.WAITING:
            time.sleep(0.02)
        assert outcome == Outcome.MORE
        for party in ("harbour", "aurora"):
            (seen,) = [each for each in streams_of(world.institution(party)) if each.pk == stream.pk]
            assert (seen.state, seen.fill_progress, seen.words) == ("filling", 0.25, "Filling: 25%")
        world.drain()
        stream.refresh_from_db()
        assert stream.fill_done == stream.fill_total
        counted.append(stream.fill_total)
    assert world.count("aurora", Client) == 4
    assert counted == [4, 4]


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
    """A thread that inserts, changes and deletes accounts, many with each statement: `ROWS` of them per second."""

    # A little more than is asked for; were it as many as it can, the mirror might never come to an end.
    ROWS = 1_300

    def __init__(self, world: World, portfolios: list[uuid.UUID]) -> None:
        self._rows, self._seconds = 0, 0.0
        self._world, self._portfolios = world, portfolios
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    @property
    def rate(self) -> float:
        """Return how many rows it wrote per second."""
        return self._rows / self._seconds

    def __enter__(self) -> "_Writers":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        draw, began = random.Random(22), time.monotonic()
        columns = ", ".join(of.column for of in Account._meta.concrete_fields)
        copied = columns.replace("id,", "gen_random_uuid(),", 1).replace(" number,", " gen_random_uuid(),")
        try:
            with tenant_context(self._world.institution("aurora")), connection.cursor() as cursor:
                while not self._stop.is_set():
                    self._stop.wait(max(0.0, began + self._rows / self.ROWS - time.monotonic()))
                    portfolio = [draw.choice(self._portfolios)]
                    cursor.execute(
                        f"INSERT INTO portfolios_account ({columns}) SELECT {copied} FROM portfolios_account"
                        " WHERE portfolio_id = %s LIMIT 200", portfolio,
                    )  # fmt: skip
                    self._rows += cursor.rowcount
                    cursor.execute(
                        "UPDATE portfolios_account SET custodian = gen_random_uuid() WHERE portfolio_id = %s",
                        portfolio,
                    )
                    self._rows += cursor.rowcount
                    cursor.execute(
                        "DELETE FROM portfolios_account WHERE id IN (SELECT id FROM portfolios_account"
                        " WHERE portfolio_id = %s LIMIT 200)", portfolio,
                    )  # fmt: skip
                    self._rows += cursor.rowcount
        finally:
            connection.close()
            self._seconds = time.monotonic() - began
