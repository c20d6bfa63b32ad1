"""The dispatcher's work follows from who writes, and what was missed is found."""

import math
import uuid
from typing import Any

import pytest
import redis
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from clients.models import Client
from federation import activity, tasks
from federation.mirror import dispatch, dispatcher
from federation.mirror.batch import Outcome, run_batch
from federation.mirror.dispatcher import Dispatcher
from federation.models import Agreement, Stream
from portfolios.models import Transaction
from tests.federation.mirror.world import World


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[uuid.UUID, bool]]:
    """The streams that a worker has been asked to look at, and whether as a load."""
    found: list[tuple[uuid.UUID, bool]] = []
    monkeypatch.setattr(dispatch, "hint", lambda pk, *, is_load=False: found.append((pk, is_load)))
    return found


def _in_step(world: World) -> tuple[Agreement, Dispatcher]:
    agreement = world.agree()
    world.mandate(agreement)
    world.drain()
    started = Dispatcher()
    started.poll()
    started.sweep()
    started.sweep()
    return agreement, started


def _edit(world: World) -> None:
    with world.within("harbour"):
        Client.objects.update(name=uuid.uuid4().hex)


def test_f22_a_sweep_asks_no_more_of_the_database_for_more_idle_streams(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whose turn it is in the round depends on the clock.
    monkeypatch.setattr(dispatcher, "STEP_SECONDS", math.inf)
    _agreement, started = _in_step(world)

    def queries() -> int:
        started.stirred.clear()
        with CaptureQueriesContext(connection) as counted:
            started.sweep()
        return len(counted)

    def at_rest_and_over_all_streams() -> tuple[int, int]:
        # What comes next in the round is asked once.
        queries()
        resting = queries()
        started.start_over()
        return resting, queries()

    few = at_rest_and_over_all_streams()
    world.agree("borealis")
    world.agree("borealis", "lakeside")
    world.drain()
    assert at_rest_and_over_all_streams() == few
    assert not started.asked


def test_f22_an_idle_institution_costs_no_batch(world: World) -> None:
    agreement, _started = _in_step(world)
    looked = world.stream(agreement, "harbour").last_tick_at
    assert looked is not None
    tasks.sweep_streams()
    started = Dispatcher()
    for _ in range(3):
        started.sweep()
    assert world.stream(agreement, "harbour").last_tick_at == looked


def test_f22_the_table_of_wakes_grows_no_further_than_what_lies_between_two_cleanings(world: World) -> None:
    dispatcher = Dispatcher()

    def pages() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_relation_size('public.federation_wake')")
            return int(cursor.fetchone()[0])

    def wake() -> None:
        world.execute(
            "INSERT INTO public.federation_wake (schema_name) SELECT 'aurora' FROM generate_series(1, 10000)"
        )
        assert dispatcher.poll()

    wake()
    full = pages()
    assert full
    dispatcher.sweep()
    # What was cleaned takes as many wakes again; to give it back would have kept everybody who writes waiting.
    wake()
    assert pages() == full


def test_f3_a_hint_that_was_lost_is_sent_again(world: World, asked: list[tuple[uuid.UUID, bool]]) -> None:
    agreement, started = _in_step(world)
    _edit(world)
    started.poll()
    asked.clear()
    started.sweep()
    assert [pk for pk, _ in asked] == [world.stream(agreement, "harbour").pk]
    world.drain()
    asked.clear()
    started.sweep()
    assert asked == []


def test_f3_what_is_written_while_a_sweep_looks_is_asked_for_again_too(
    world: World, asked: list[tuple[uuid.UUID, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    agreement, started = _in_step(world)
    _edit(world)
    started.poll()
    world.drain()
    behind = dispatch.behind

    def looked(*args: Any, **options: Any) -> list[Stream]:
        found = behind(*args, **options)
        _edit(world)
        started.poll()
        return found

    monkeypatch.setattr(dispatch, "behind", looked)
    started.sweep()
    monkeypatch.undo()
    monkeypatch.setattr(dispatch, "hint", lambda pk, *, is_load=False: asked.append((pk, is_load)))
    asked.clear()
    started.sweep()
    assert [pk for pk, _ in asked] == [world.stream(agreement, "harbour").pk]


def test_p7_a_wake_that_was_lost_is_found_by_the_round(
    world: World, asked: list[tuple[uuid.UUID, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    agreement, started = _in_step(world)
    _edit(world)
    world.execute("DELETE FROM public.federation_wake")
    asked.clear()
    monkeypatch.setattr(dispatcher, "ROUND_SECONDS", 0.001)
    monkeypatch.setattr(dispatcher, "STEP_SECONDS", 0.0)
    for _ in range(3):
        started.sweep()
    assert world.stream(agreement, "harbour").pk in {pk for pk, _ in asked}


def test_p7_a_dispatcher_that_starts_finds_what_nobody_saw(
    world: World, asked: list[tuple[uuid.UUID, bool]]
) -> None:
    agreement, _started = _in_step(world)
    _edit(world)
    world.execute("DELETE FROM public.federation_wake")
    asked.clear()
    Dispatcher().sweep()
    assert [pk for pk, _ in asked] == [world.stream(agreement, "harbour").pk]


def test_p7_without_a_dispatcher_beat_asks_for_all_that_is_behind(
    world: World, asked: list[tuple[uuid.UUID, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    agreement, _started = _in_step(world)
    _edit(world)
    asked.clear()
    monkeypatch.setattr(dispatch, "is_dispatching", lambda: True)
    tasks.sweep_streams()
    assert asked == []
    monkeypatch.setattr(dispatch, "is_dispatching", lambda: False)
    tasks.sweep_streams()
    assert [pk for pk, _ in asked] == [world.stream(agreement, "harbour").pk]


def test_an_edit_that_concerns_nobody_moves_the_cursor_and_is_not_asked_for_again(
    world: World, asked: list[tuple[uuid.UUID, bool]]
) -> None:
    agreement, _started = _in_step(world)
    stream = world.stream(agreement, "harbour")
    # A client without a mandate is nobody else's affair.
    world.client("harbour", "Not covered")
    run_batch(stream.pk)
    assert run_batch(stream.pk) == Outcome.IDLE
    assert dispatch.behind([world.stream(agreement, "harbour")]) == []


def test_f15_a_load_and_a_fill_are_left_to_workers_of_their_own(
    world: World, asked: list[tuple[uuid.UUID, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "QUICK_KEYS", 50)
    agreement = world.agree()
    portfolio = world.managed(agreement, transactions=1)
    started = Dispatcher()
    world.transactions(portfolio, 1)
    started.poll()
    world.transactions(portfolio, 100)
    stream = world.stream(agreement, "aurora")
    asked.clear()
    # A worker for edits that meets it leaves it alone and hands it over.
    tasks.apply_stream(str(stream.pk))
    assert world.count("harbour", Transaction) == 1
    assert asked == [(stream.pk, True)]
    asked.clear()
    # The dispatcher asks the right one at once.
    started.poll()
    assert (stream.pk, True) in asked
    tasks.apply_load(str(stream.pk))
    assert world.count("harbour", Transaction) == 102
    filling = world.agree("borealis", fill=False)
    asked.clear()
    started.sweep()
    wanted = {(pk, True) for pk in filling.streams.values_list("pk", flat=True)}
    assert wanted <= set(asked)


def test_a_log_that_is_not_there_keeps_no_other_stream_from_being_found(
    world: World, asked: list[tuple[uuid.UUID, bool]]
) -> None:
    agreement, _started = _in_step(world)
    other = world.agree("borealis", "lakeside")
    _edit(world)
    asked.clear()
    world.execute("ALTER TABLE lakeside.mirror_log RENAME TO mirror_log_away")
    try:
        Dispatcher().sweep()
    finally:
        world.execute("ALTER TABLE lakeside.mirror_log_away RENAME TO mirror_log")
    assert {pk for pk, _ in asked} >= {
        world.stream(agreement, "harbour").pk,
        world.stream(other, "lakeside").pk,
    }


def test_frequent_tasks_go_only_to_institutions_that_wrote_to_what_they_look_at(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis.Redis.from_url(settings.REDIS_URL).delete(activity._KEY)
    now = 1_000_000_000
    writes = {"aurora": 0, "harbour": 3, "nobody": 5}
    monkeypatch.setattr(activity, "_writes", lambda: list(writes.items()))
    monkeypatch.setattr(activity.time, "time", lambda: now)
    assert activity.active_institutions() == ["harbour"]
    now += activity.ACTIVE_SECONDS
    assert activity.active_institutions() == []
    writes["aurora"] += 1
    # A server that crashed counts from nothing: who knows what was written before.
    writes["harbour"] = 0
    assert activity.active_institutions() == ["aurora", "harbour"]
