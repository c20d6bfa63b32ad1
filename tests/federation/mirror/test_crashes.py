"""PostgreSQL, Redis and all processes die and come back; clusters are restored. On servers of their own."""

import os
import shutil
import subprocess
from collections.abc import Iterator

import psycopg
import pytest
from django.db import connections
from pytest_django import DjangoDbBlocker

from clients.models import Mandate
from config.embedded.postgres import binaries, unprivileged
from federation.mirror import failpoints, trimming
from federation.models import Agreement, Stream
from portfolios.models import Portfolio, Transaction
from tests import servers
from tests.federation.mirror.emptying import empty
from tests.federation.mirror.processes import eventually
from tests.federation.mirror.world import World
from tests.platforms import Platform, copy_institutions

pytestmark = pytest.mark.xdist_group("crashes")


@pytest.fixture(scope="module")
def platform(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Platform]:
    """Servers of this module's own, with the standing institutions."""
    platform = Platform(servers.new_folder())
    try:
        platform.start_servers()
        # The database of this worker's other tests, which leave nothing in it.
        with django_db_blocker.unblock(), platform.connected():
            copy_institutions(os.environ["DATABASE_URL"], platform)
        yield platform
    finally:
        platform.stop()


@pytest.fixture
def world(platform: Platform, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    """The standing institutions on those servers."""
    with django_db_blocker.unblock(), platform.connected():
        world = World("roboblock")
        try:
            yield world
        finally:
            world.close_connections()
            connections.close_all()
            empty()


@pytest.fixture(scope="module")
def running(platform: Platform) -> None:
    """A dispatcher and a worker, from the first test that wants them on."""
    platform.start_dispatcher()
    platform.start_worker()


def _ledger(world: World) -> tuple[Agreement, Portfolio]:
    """Return an agreement, and a portfolio under it that has arrived."""
    agreement = world.agree()
    portfolio = world.managed(agreement)
    return agreement, portfolio


def test_f18_a_cluster_restored_to_a_point_in_time_goes_on_from_there(
    world: World, platform: Platform
) -> None:
    agreement, portfolio = _ledger(world)
    world.transactions(portfolio, 3)
    # Some of it delivered, some of it not: that is how it is when it is copied.
    copy = platform.folder / "copy"
    _stopped(platform, lambda: subprocess.run(["cp", "-a", platform.postgres.folder, copy], check=True))
    world.transactions(portfolio, 5)
    world.drain()
    assert world.count("harbour", Transaction) == 8

    def restore() -> None:
        shutil.rmtree(platform.postgres.folder)
        copy.rename(platform.postgres.folder)

    _stopped(platform, restore)
    world.drain()
    world.assert_in_step(agreement)
    assert world.count("harbour", Transaction) == 3
    world.transactions(portfolio, 2)
    world.drain()
    world.assert_in_step(agreement)


def test_f18_in_a_new_cluster_whose_transactions_count_from_the_start_everything_is_filled_anew(
    world: World, platform: Platform
) -> None:
    agreement, portfolio = _ledger(world)
    world.transactions(portfolio, 3)
    _count_far_ahead(platform)
    world.transactions(portfolio, 2)
    # What it brings has the way back look, which a role that lacks what everybody had may not ask for.
    world.mandate(agreement)
    dump = _dump(platform)
    anew = Platform(servers.new_folder())
    try:
        anew.postgres.start()
        _restore(anew, dump)
        with anew.connected():
            world.drain()
            world.assert_in_step(agreement)
            assert world.count("harbour", Transaction) == 5
            assert world.count("aurora", Mandate) == 2
            world.transactions(portfolio, 1)
            world.drain()
            assert world.count("harbour", Transaction) == 6
            world.assert_in_step(agreement)
            # Rows of the log that carry ids of the other cluster are not read for ever.
            Stream.objects.update(last_tick_at=None)
            world.drain()
            trimming.trim()
            with psycopg.connect(anew.database_url) as other:
                assert other.execute("SELECT count(*) FROM aurora.mirror_log").fetchone() == (0,)
    finally:
        anew.stop()


@pytest.mark.parametrize("how", ["terminated", "stopped"])
def test_f2_a_database_that_goes_away_at_any_point_of_a_batch_loses_and_doubles_nothing(
    world: World, platform: Platform, running: None, how: str
) -> None:
    agreement, portfolio = _ledger(world)
    world.transactions(portfolio, 10)
    eventually(lambda: world.count("harbour", Transaction) == 10, seconds=90)
    before = world.stream(agreement, "aurora").rows_written
    for number, name in enumerate(failpoints.NAMES, start=1):
        platform.hold(name)
        world.transactions(portfolio, 10)
        eventually(platform.is_held, seconds=60)
        if how == "terminated":
            _terminate_all_others(platform)
        else:
            platform.crash_postgres()
            connections.close_all()
        platform.let_go()
        eventually(
            lambda expected=10 + 10 * number: world.count("harbour", Transaction) == expected, seconds=60
        )
    world.drain()
    world.assert_in_step(agreement)
    assert world.orphans("harbour") == []
    # Whatever was written by a batch that did not commit is not counted either.
    assert world.stream(agreement, "aurora").rows_written - before == 10 * len(failpoints.NAMES)


def test_f3_redis_away_and_back_needs_no_restart_of_anything(
    world: World, platform: Platform, running: None
) -> None:
    agreement, portfolio = _ledger(world)
    world.transactions(portfolio, 1)
    eventually(lambda: world.count("harbour", Transaction) == 1, seconds=90)
    platform.redis.stop()
    world.transactions(portfolio, 5)
    # Nobody can be asked: the sweep applies by itself.
    eventually(lambda: world.count("harbour", Transaction) == 6, seconds=60)
    platform.redis.start()
    for total in range(7, 10):
        world.transactions(portfolio, 1)
        eventually(lambda expected=total: world.count("harbour", Transaction) == expected, seconds=60)
    assert platform.is_running("worker")
    assert platform.is_running("dispatcher")
    world.assert_in_step(agreement)


def test_f4_everybody_dead_and_back_catches_up(world: World, platform: Platform, running: None) -> None:
    agreement, portfolio = _ledger(world)
    platform.kill("worker")
    platform.kill("dispatcher")
    world.transactions(portfolio, 5)
    platform.start_worker()
    platform.start_dispatcher()
    eventually(lambda: world.count("harbour", Transaction) == 5, seconds=90)
    world.drain()
    world.assert_in_step(agreement)


def test_f4_beat_killed_is_missed_by_no_mirror_and_takes_up_the_schedule_that_it_left(
    world: World, platform: Platform, running: None
) -> None:
    agreement, portfolio = _ledger(world)

    def start_beat() -> None:
        log = platform.start_beat()
        written = log.stat().st_size
        # It has read its schedule, and waits for what is due next.
        eventually(lambda: b"Waking up in" in log.read_bytes()[written:], seconds=90)

    start_beat()
    platform.kill("beat")
    world.transactions(portfolio, 5)
    eventually(lambda: world.count("harbour", Transaction) == 5, seconds=90)
    world.assert_in_step(agreement)
    start_beat()
    platform.kill("beat")


def test_f8_a_prepared_transaction_outlives_a_crash_and_is_delivered_on_its_commit(
    world: World, platform: Platform
) -> None:
    agreement, portfolio = _ledger(world)
    with world.another_connection() as other:
        other.autocommit = True
        other.execute("BEGIN")
        other.execute("UPDATE aurora.portfolios_portfolio SET name = 'Prepared'")
        other.execute("PREPARE TRANSACTION 'left_open'")
    platform.crash_postgres()
    connections.close_all()
    world.transactions(portfolio, 2)
    world.drain()
    # It delays nobody else, and nothing of it leaks.
    assert world.count("harbour", Transaction) == 2
    assert world.count("harbour", Portfolio, name="Prepared") == 0
    world.execute("COMMIT PREPARED 'left_open'")
    world.drain()
    assert world.count("harbour", Portfolio, name="Prepared") == 1
    world.assert_in_step(agreement)


def _terminate_all_others(platform: Platform) -> None:
    with psycopg.connect(platform.postgres.url("postgres", role="postgres")) as other:
        other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'roboblock'")
    connections.close_all()


def _stopped(platform: Platform, do: "object") -> None:
    """Do something to the files of the cluster while it does not run."""
    connections.close_all()
    platform.postgres.stop()
    do()  # type: ignore[operator]
    platform.postgres.start()


def _count_far_ahead(platform: Platform) -> None:
    """Have the cluster count its transactions from far ahead, as one of a great age does."""

    def reset() -> None:
        command = [
            *_as_postgres(),
            binaries() / "pg_resetwal",
            "-x",
            "30000000",
            "-D",
            platform.postgres.folder,
        ]
        subprocess.run(command, check=True, capture_output=True)
        # The state of its new transactions: a page of committed ones that pg_resetwal does not make.
        page = platform.postgres.folder / "pg_xact" / f"{30_000_000 // (4 * 8192 * 32):04X}"
        page.write_bytes(bytes(8192 * 32))

    _stopped(platform, reset)


def _as_postgres() -> tuple[str, ...]:
    return unprivileged()


def _dump(platform: Platform) -> bytes:
    return subprocess.run(
        [binaries() / "pg_dump", "--no-privileges", platform.database_url], check=True, capture_output=True
    ).stdout


def _restore(platform: Platform, dump: bytes) -> None:
    subprocess.run(
        [binaries() / "psql", "-q", "-1", "-v", "ON_ERROR_STOP=1", platform.database_url],
        input=dump,
        check=True,
        capture_output=True,
    )
