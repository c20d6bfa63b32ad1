"""Faults of processes: workers killed, Redis emptied, a bulk load beside a single edit."""

import os
import threading
import time

import pytest
import redis
from celery import current_app
from django.db import connection

from clients.models import Mandate
from federation.mirror import dispatch, failpoints
from federation.mirror.batch import Outcome, run_batch
from federation.mirror.dispatcher import Dispatcher
from federation.models import Stream
from portfolios.models import Portfolio, Transaction
from tests.federation.mirror.beside import beside
from tests.federation.mirror.processes import Processes, eventually, state_of_streams
from tests.federation.mirror.world import World

# More than workers take as edits, in one batch; and what they take as one. Either is written in a handful of statements.
ROWS, FEWER_ROWS = 20_000, 2_000


def _redis() -> redis.Redis:
    return redis.Redis.from_url(os.environ["REDIS_URL"])


def test_f1_a_worker_killed_at_any_point_loses_and_doubles_nothing(world: World, running: Processes) -> None:
    agreement = world.agree()
    portfolio = world.managed(agreement)
    world.transactions(portfolio, 10)
    eventually(lambda: world.count("harbour", Transaction) == 10, seconds=90)
    total = 10
    for name in failpoints.NAMES:
        running.arm(name)
        world.transactions(portfolio, 10)
        total += 10
        # The worker died there, and what it left undone has been done by another.
        eventually(lambda: not running.failpoint.exists())
        eventually(lambda expected=total: world.count("harbour", Transaction) == expected)
    world.drain()
    world.assert_in_step(agreement)
    assert world.orphans("harbour") == []


def test_f3_redis_emptied_loses_nothing(world: World, running: Processes) -> None:
    agreement = world.agree()
    portfolio = world.managed(agreement)
    with running.worker_asleep():
        world.transactions(portfolio, 5)
        # The hint lies in Redis when it is emptied.
        eventually(lambda: _redis().exists(dispatch.flag(world.stream(agreement, "aurora").pk)), seconds=90)
        _redis().flushdb()
    eventually(lambda: world.count("harbour", Transaction) == 5)
    for _ in range(3):
        _redis().flushdb()
        world.transactions(portfolio, 1)
    eventually(lambda: world.count("harbour", Transaction) == 8)
    world.assert_in_step(agreement)


def test_a_worker_keeps_its_connection_from_one_hint_to_the_next(world: World, running: Processes) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    world.drain()
    world.portfolio(mandate)
    world.drain()

    def edit(name: str) -> None:
        with world.within("aurora"):
            Portfolio.objects.update(name=name)
        eventually(lambda: world.count("harbour", Portfolio, name=name) == 1, seconds=90)

    def sessions() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_clear_snapshot(), pg_stat_force_next_flush()")
            cursor.execute("SELECT sessions FROM pg_stat_database WHERE datname = current_database()")
            return int(cursor.fetchone()[0])

    edit("First")
    before, started = sessions(), time.monotonic()
    for number in range(30):
        edit(f"Edit {number}")
    # Each of the worker's processes may have begun its own, and some are for looking again. On a machine so
    # busy that edits take minutes, each begins another one when its own is too old.
    renewals = int(time.monotonic() - started) // connection.settings_dict["CONN_MAX_AGE"]
    assert sessions() - before < 15 + 8 * renewals


def test_f4_with_all_workers_dead_the_dispatcher_applies_by_itself(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    alone = Dispatcher()
    alone.poll()
    alone.sweep()
    assert world.count("aurora", Mandate) == 0
    # Whatever was asked for has waited for long enough.
    monkeypatch.setattr(dispatch, "HINT_SECONDS", -1)
    alone.sweep()
    assert world.count("aurora", Mandate, pk=mandate.pk) == 1


def test_f5_one_hint_a_hundred_times_is_applied_once(world: World, running: Processes) -> None:
    agreement = world.agree()
    portfolio = world.managed(agreement)
    stream = world.stream(agreement, "aurora")
    with running.worker_asleep():
        world.transactions(portfolio, 50)
        for _ in range(100):
            current_app.send_task(dispatch.TASK, args=[str(stream.pk)], headers={"_schema_name": "public"})
    eventually(lambda: world.count("harbour", Transaction) == 50, seconds=60)
    eventually(lambda: not _redis().llen("mirror"))
    after = Stream.objects.get(pk=stream.pk)
    assert after.rows_written - stream.rows_written == 50
    assert after.state == Stream.State.RUNNING


def test_f5_of_a_hundred_who_look_at_once_one_applies_and_the_others_do_nothing(world: World) -> None:
    agreement = world.agree()
    portfolio = world.managed(agreement)
    stream = world.stream(agreement, "aurora")
    world.transactions(portfolio, 50)
    hints, outcomes, together = iter(range(100)), [], threading.Barrier(16)
    deadlocks = _deadlocks()

    def work() -> None:
        together.wait()
        for _hint in hints:
            outcomes.append(run_batch(stream.pk))

    workers = [beside(work) for _ in range(16)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(outcomes) == 100
    assert outcomes.count(Outcome.DONE) == 1
    assert set(outcomes) <= {Outcome.DONE, Outcome.BUSY, Outcome.IDLE}
    assert Stream.objects.get(pk=stream.pk).rows_written - stream.rows_written == 50
    assert _deadlocks() == deadlocks
    world.assert_in_step(agreement)


def _deadlocks() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot(), pg_stat_force_next_flush()")
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


@pytest.mark.parametrize("how", ["bulk_create", "insert_select", "copy"])
def test_f15_a_bulk_load_is_mirrored_whole_however_it_is_written(world: World, how: str) -> None:
    agreement = world.agree()
    portfolio = world.managed(agreement, transactions=1)
    if how == "bulk_create":
        world.transactions(portfolio, FEWER_ROWS)
    elif how == "insert_select":
        world.execute(_insertion(FEWER_ROWS))
    else:
        with world.another_connection() as other:
            with other.cursor().copy(f"COPY ({_multiplied(FEWER_ROWS)}) TO STDOUT") as blocks:
                copied = b"".join(bytes(block) for block in blocks)
            with other.cursor().copy(f"COPY aurora.portfolios_transaction ({_columns()}) FROM STDIN") as copy:
                copy.write(copied)
    world.drain()
    assert world.count("harbour", Transaction) == FEWER_ROWS + 1
    world.assert_in_step(agreement)


def test_f15_edits_of_another_institution_arrive_while_a_load_is_written_and_while_it_is_applied(
    world: World, running: Processes
) -> None:
    agreement, other = world.agree(), world.agree("borealis", "lakeside")
    mandate, edited = world.mandate(agreement), world.mandate(other, "lakeside")
    world.drain()
    world.portfolio(mandate, transactions=1)
    world.portfolio(edited, "borealis")
    world.drain()

    def assert_an_edit_arrives(name: str) -> None:
        with world.within("borealis"):
            Portfolio.objects.update(name=name)
        eventually(lambda: world.count("lakeside", Portfolio, name=name) == 1, seconds=90)
        assert world.count("harbour", Transaction) == 1

    with world.another_connection() as load:
        load.execute(_insertion(ROWS))
        assert_an_edit_arrives("While it is written")
        world.drain()
        # A batch that has nothing to write does not come there.
        running.hold("mid_write")
    eventually(running.is_held, seconds=60)
    try:
        assert_an_edit_arrives("While it is applied")
        assert running.is_held()
    finally:
        running.let_go()
    eventually(lambda: world.count("harbour", Transaction) == ROWS + 1, moving=state_of_streams)
    world.assert_in_step(agreement)
    world.assert_in_step(other)


def _multiplied(count: int) -> str:
    """Return a query for copies of the one entry of the ledger, each under a key of its own."""
    columns = [of.column for of in Transaction._meta.concrete_fields]
    values = ", ".join("gen_random_uuid()" if column == "id" else column for column in columns)
    return f"SELECT {values} FROM (SELECT * FROM aurora.portfolios_transaction LIMIT 1) t, generate_series(1, {count})"


def _insertion(count: int) -> str:
    return f"INSERT INTO aurora.portfolios_transaction ({_columns()}) {_multiplied(count)}"


def _columns() -> str:
    return ", ".join(of.column for of in Transaction._meta.concrete_fields)
