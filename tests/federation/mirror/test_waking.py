"""The dispatcher hears of a commit at once while little is written, and misses none on the way there."""

import os
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
import redis
from django.conf import settings
from django.db import connection

from clients.models import Client, Mandate
from federation.management.commands import dispatch as command
from federation.mirror import control, dispatch, dispatcher, waking
from federation.mirror.batch import run_batch
from federation.mirror.dispatcher import Dispatcher
from federation.mirror.waking import Listener
from federation.models import Agreement
from tests.federation.mirror.beside import beside
from tests.federation.mirror.processes import Processes, eventually
from tests.federation.mirror.world import World

# Neither a sweep nor a look that comes by itself is the reason for what is found within a test.
NEVER = 600.0

Start = Callable[..., None]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[uuid.UUID]:
    """The streams that a worker has been asked to look at."""
    found: list[uuid.UUID] = []
    monkeypatch.setattr(dispatch, "hint", lambda pk, *, is_load=False: found.append(pk))
    return found


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When the dispatcher looked for wakes."""
    found: list[float] = []
    take = dispatcher._take_wakes

    def taken() -> list[str]:
        found.append(time.monotonic())
        return take()

    monkeypatch.setattr(dispatcher, "_take_wakes", taken)
    return found


@pytest.fixture
def start(world: World, looks: list[float]) -> Iterator[Start]:
    """Start a dispatcher that sweeps so often; it stops with the test."""
    stop, threads = threading.Event(), list[threading.Thread]()

    def started(*, sweep_seconds: float = NEVER) -> None:
        threads.append(beside(lambda: command.run(stop, sweep_seconds=sweep_seconds)))
        threads[-1].start()

    yield started
    stop.set()
    for thread in threads:
        thread.join(30)


@pytest.fixture
def alone(world: World, tmp_path: Path) -> Iterator[Processes]:
    """Processes of a platform of which none runs yet."""
    parts = urlsplit(os.environ["DATABASE_URL"])
    started = Processes(tmp_path / "failpoint", urlunsplit(parts._replace(path=f"/{world.database}")))
    yield started
    started.stop()


def _in_step(world: World) -> Agreement:
    agreement = world.agree()
    world.mandate(agreement)
    world.drain()
    return agreement


def _edit(world: World) -> None:
    with world.within("harbour"):
        Client.objects.update(name=uuid.uuid4().hex)


def _switch_off(world: World) -> None:
    world.execute("SELECT setval('public.federation_bell', 1, false)")


def _listens(looks: list[float]) -> None:
    """Wait until the dispatcher looks no more by itself."""
    eventually(waking._is_on)
    eventually(lambda: looks and time.monotonic() - looks[-1] > 1)


def test_f22_a_dispatcher_to_which_nobody_writes_looks_no_more_until_it_is_told(
    world: World, start: Start, looks: list[float], asked: list[uuid.UUID]
) -> None:
    agreement = _in_step(world)
    start()
    _listens(looks)
    asked.clear()
    _edit(world)
    eventually(lambda: world.stream(agreement, "harbour").pk in asked)


def test_f6_who_began_to_write_before_somebody_listened_and_commits_later_is_heard(
    world: World, start: Start, looks: list[float], asked: list[uuid.UUID]
) -> None:
    agreement = _in_step(world)
    early = world.another_connection()
    early.execute("UPDATE harbour.clients_client SET name = 'Early'")
    start()
    eventually(waking._is_on)
    time.sleep(1.5)
    asked.clear()
    early.commit()
    eventually(lambda: world.stream(agreement, "harbour").pk in asked)
    # Nobody is left who may not ring.
    _listens(looks)


def test_p7_a_dispatcher_whose_connection_was_cut_listens_again(
    world: World, start: Start, looks: list[float], asked: list[uuid.UUID]
) -> None:
    agreement = _in_step(world)
    start()
    _listens(looks)
    _switch_off(world)
    world.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        f" WHERE datname = current_database() AND query LIKE '%%{waking.CHANNEL}%%' AND pid <> pg_backend_pid()"
    )
    _listens(looks)
    asked.clear()
    _edit(world)
    eventually(lambda: world.stream(agreement, "harbour").pk in asked)


def test_p7_where_another_dispatcher_has_switched_the_bell_off_a_wake_is_found_within_the_sweep(
    world: World, start: Start, looks: list[float], asked: list[uuid.UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Dispatcher, "sweep", lambda _: None)
    agreement = _in_step(world)
    start(sweep_seconds=2)
    _listens(looks)
    _switch_off(world)
    _edit(world)
    eventually(lambda: world.stream(agreement, "harbour").pk in asked)
    eventually(waking._is_on)


def test_p7_after_a_dispatcher_was_killed_while_it_listened_another_finds_what_was_written(
    world: World, alone: Processes
) -> None:
    agreement = _in_step(world)
    stream = world.stream(agreement, "harbour")
    queue = redis.Redis.from_url(settings.REDIS_URL)

    def begin() -> "subprocess.Popen[bytes]":
        return alone.start(["manage.py", "dispatch"])

    killed = begin()
    eventually(waking._is_on, seconds=90)
    killed.kill()
    killed.wait()
    _edit(world)
    queue.delete(dispatch.flag(stream.pk))
    assert waking._is_on()
    begin()
    eventually(lambda: queue.exists(dispatch.flag(stream.pk)), seconds=90)


def test_nobody_rings_while_much_is_written_and_everybody_does_again_after_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection.ensure_connection()
    stop, listener = threading.Event(), Listener(longest=0.01)
    listener.wait(stop)
    assert waking._is_on()
    listener.note(waking.BUSY_WAKES + 1)
    listener.wait(stop)
    assert not waking._is_on()
    # Two seconds later.
    listener._counted_at -= 2
    listener.note(1)
    listener.wait(stop)
    assert waking._is_on()


def test_f8_where_transactions_can_be_prepared_nobody_rings(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.execute("SELECT setval('public.federation_bell', 1, true)")
    monkeypatch.setattr(waking, "_setting", lambda _: "16")
    Listener(longest=0.01).wait(threading.Event())
    assert not waking._is_on()


def test_whatever_leaves_a_wake_rings(world: World) -> None:
    agreement = _in_step(world)
    bell = world.another_connection()
    bell.autocommit = True
    bell.execute(f"LISTEN {waking.CHANNEL}")

    def rings() -> bool:
        return bool(list(bell.notifies(timeout=0.5, stop_after=1)))

    stream = world.stream(agreement, "harbour")
    _edit(world)
    assert not rings(), "nobody listens"
    world.execute("SELECT setval('public.federation_bell', 1, true)")
    _edit(world)
    assert rings()
    control.refill(stream)
    assert rings(), "a stream that begins anew"
    world.drain()
    rings()
    world.mandate(agreement)
    assert rings()
    run_batch(stream.pk)
    assert world.count("aurora", Mandate) == 2
    assert rings(), "a mandate that arrived has the way back look for its portfolios"


def test_f22_a_dispatcher_rests_until_something_is_written_or_due(world: World) -> None:
    agreement = _in_step(world)
    started = Dispatcher()
    assert not started.is_resting
    started.poll()
    started.sweep()
    started.stirred.clear()
    started.sweep()
    assert started.is_resting
    _edit(world)
    started.poll()
    stirred = dict(started.stirred)
    started.stirred.clear()
    assert not started.is_resting, "a worker was asked"
    world.drain()
    started.stirred.update(stirred)
    started.sweep()
    assert not started.is_resting, "all streams of whoever wrote are to be compared"
    started.stirred.clear()
    started.sweep()
    assert started.is_resting
    control.refill(world.stream(agreement, "harbour"))
    started.sweep()
    started.asked.clear()
    assert not started.is_resting, "a fill is due"
    started._has_due = False
    started.poll()
    assert not started.is_resting


def test_the_bell_stays_off_while_much_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(waking.time, "monotonic", lambda: clock[0])
    listener = waking.Listener(longest=2, _counted_at=0.0)
    busy = []
    for _ in range(50):
        clock[0] += 0.1
        listener.note(waking.BUSY_WAKES // 5)
        busy.append(listener._is_busy)
    assert all(busy[10:])
    for _ in range(25):
        clock[0] += 0.1
        listener.note(1)
    assert not listener._is_busy
