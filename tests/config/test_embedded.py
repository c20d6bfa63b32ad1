"""The embedded servers, each test with real ones in a folder of its own."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from config import embedded
from config.embedded import postgres, servers
from config.embedded.paths import PROJECT, Lock, is_private, new_socket_folder, read_state, write_state

HOLDER = """
import sys
from pathlib import Path
from config import embedded
print(embedded.ensure(Path(sys.argv[1]), settings={"fsync": "off"}).database_url, flush=True)
sys.stdin.read()
"""


# As an ordinary user there is nothing to leave.
WAYS = list(postgres.ways_out_of_root()) if os.geteuid() == 0 else [()]


GIVEN = ("DATABASE_URL", "REDIS_URL")


@pytest.fixture(autouse=True)
def no_given_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    # Through the tests' own patch: of two, the one that is undone last would win.
    for name in GIVEN:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def nothing(tmp_path: Path) -> Iterator[Path]:
    """The data folder of a first start: it is not there yet."""
    folder = tmp_path / "data"
    yield folder
    assert not _servers_of(folder), "a test left servers running"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cluster that has been started and stopped once."""
    folder = tmp_path_factory.mktemp("made") / "data"
    with _nothing_given():
        _ensure(folder).stop()
    return folder / "postgres"


@pytest.fixture(scope="module")
def at_work(
    cluster: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, embedded.Servers]]:
    """A data folder and its running servers, for tests that leave them as they are."""
    folder = _copied(cluster, tmp_path_factory.mktemp("at-work") / "data")
    with _nothing_given():
        running = _ensure(folder)
    with running:
        yield folder, running


@pytest.fixture
def data(nothing: Path, cluster: Path) -> Path:
    """A data folder with a cluster, so that not every test makes one."""
    return _copied(cluster, nothing)


@contextlib.contextmanager
def _nothing_given() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in GIVEN:
            patch.delenv(name, raising=False)
        yield


def _copied(cluster: Path, data: Path) -> Path:
    data.mkdir(mode=0o700)
    shutil.copytree(cluster, data / "postgres")
    return data


def _ensure(data: Path) -> embedded.Servers:
    return embedded.ensure(data, settings=postgres.THROW_AWAY)


def _servers_of(data: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if (
                process.status() != psutil.STATUS_ZOMBIE
                and process.name() in {"postgres", "redis-server"}
                and str(process.cwd()).startswith(str(data))
            ):
                found.append(process)
        except psutil.Error:
            continue
    return found


def _hold(data: Path) -> subprocess.Popen[str]:
    """Start the servers from another process, which holds them until its input closes."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(data)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=PROJECT,
    )  # fmt: skip


def _wait_for(condition: object, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def _value(url: str, statement: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(statement).fetchone()
    assert row is not None
    return row[0]


def test_the_platform_is_no_superuser_and_may_apply_as_a_replica(
    at_work: tuple[Path, embedded.Servers],
) -> None:
    _data, running = at_work
    assert _value(running.database_url, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False
    with psycopg.connect(running.database_url) as connection:
        connection.execute("SET LOCAL session_replication_role = replica")


def test_neither_server_listens_on_a_port(at_work: tuple[Path, embedded.Servers]) -> None:
    data, running = at_work
    with redis.Redis.from_url(running.redis_url) as queue:
        assert _value(running.database_url, "SHOW listen_addresses") == ""
        assert queue.config_get("port") == {"port": "0"}
        assert not [each for process in _servers_of(data) for each in process.net_connections("inet")]


def test_statements_and_their_values_stay_out_of_the_log(at_work: tuple[Path, embedded.Servers]) -> None:
    data, running = at_work
    with psycopg.connect(running.database_url) as connection:
        connection.execute("CREATE TABLE people (name text PRIMARY KEY)")
        connection.execute("INSERT INTO people VALUES ('Invented Person')")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("INSERT INTO people VALUES ('Invented Person')")
    log = (data / "logs" / "postgres.log").read_text()
    assert "duplicate key" in log
    assert "Invented Person" not in log


def test_data_stays_between_runs(nothing: Path) -> None:
    with _ensure(nothing) as running, redis.Redis.from_url(running.redis_url) as queue:
        with psycopg.connect(running.database_url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
        queue.set("kept", "8")
    with _ensure(nothing) as running, redis.Redis.from_url(running.redis_url) as queue:
        assert _value(running.database_url, "SELECT number FROM kept") == 7
        assert queue.get("kept") == b"8"


def test_given_servers_are_used_and_none_is_started(nothing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://somewhere/else")
    monkeypatch.setenv("REDIS_URL", "redis://somewhere/0")
    running = _ensure(nothing)
    assert (running.database_url, running.redis_url) == ("postgresql://somewhere/else", "redis://somewhere/0")
    assert not nothing.exists()


def test_a_given_redis_leaves_only_postgresql_to_start(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://somewhere/0")
    with _ensure(data) as running:
        assert running.redis_url == "redis://somewhere/0"
        assert not (data / "redis").exists()


def test_settings_find_running_servers_and_nothing_when_none_runs(data: Path) -> None:
    assert embedded.urls(data) == (None, None)
    with _ensure(data) as running:
        assert embedded.urls(data) == (running.database_url, running.redis_url)
    assert embedded.urls(data) == (None, None)


def test_a_socket_folder_that_others_may_enter_is_not_trusted(at_work: tuple[Path, embedded.Servers]) -> None:
    data, running = at_work
    sockets = Path(read_state(data / "servers.json")["sockets"])
    assert is_private(sockets, os.geteuid())
    sockets.chmod(0o755)
    assert embedded.urls(data) == (None, None)
    sockets.chmod(0o700)
    assert embedded.urls(data)[0] == running.database_url


def test_a_link_in_place_of_the_socket_folder_is_not_trusted(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o700)
    link = tmp_path / "link"
    link.symlink_to(folder)
    assert is_private(folder, os.geteuid())
    assert not is_private(link, os.geteuid())


def test_a_long_temporary_folder_is_passed_over_for_a_short_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    folder = new_socket_folder()
    try:
        assert not folder.is_relative_to(long)
    finally:
        folder.rmdir()


def test_a_path_longer_than_a_socket_name_with_a_space_and_an_accent_works(tmp_path: Path) -> None:
    data = tmp_path / ("a b é " * 20) / "data"
    with _ensure(data) as running, redis.Redis.from_url(running.redis_url) as queue:
        assert _value(running.database_url, "SELECT 1") == 1
        queue.set("kept", "1")
    assert (data / "redis" / "dump.rdb").exists()


def test_two_folders_run_side_by_side(cluster: Path, tmp_path: Path) -> None:
    folders = [_copied(cluster, tmp_path / name) for name in ("one", "two")]
    with _ensure(folders[0]) as one, _ensure(folders[1]) as two:
        for running, number in ((one, 1), (two, 2)):
            with psycopg.connect(running.database_url) as connection:
                connection.execute(f"CREATE TABLE mine AS SELECT {number} AS number")
        assert _value(one.database_url, "SELECT number FROM mine") == 1
        assert _value(two.database_url, "SELECT number FROM mine") == 2


def test_a_second_process_uses_the_running_servers_and_leaves_them_running(data: Path) -> None:
    with _hold(data) as holder:
        assert holder.stdout
        assert holder.stdin
        url = holder.stdout.readline().strip()
        second = _ensure(data)
        assert second.database_url == url
        second.stop()
        assert _value(url, "SELECT 1") == 1
        holder.stdin.close()
    _wait_for(lambda: not _servers_of(data))


def test_processes_that_start_together_share_one_pair_of_servers(nothing: Path) -> None:
    holders = [_hold(nothing) for _ in range(4)]
    urls = {holder.stdout.readline().strip() for holder in holders if holder.stdout}
    assert len(urls) == 1
    for holder in holders:
        holder.communicate()
    _wait_for(lambda: not _servers_of(nothing))


def test_servers_end_with_a_killed_starter_and_the_next_start_finds_the_data(data: Path) -> None:
    with _hold(data) as holder:
        assert holder.stdout
        url = holder.stdout.readline().strip()
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
        sockets = Path(read_state(data / "servers.json")["sockets"])
        holder.kill()
    with _ensure(data) as running:
        assert running.database_url != url
        assert not sockets.exists()
        assert _value(running.database_url, "SELECT number FROM kept") == 7
    _wait_for(lambda: not _servers_of(data))


def test_a_killed_server_is_started_again_where_it_was(data: Path) -> None:
    with _ensure(data) as running, redis.Redis.from_url(running.redis_url) as queue:
        assert running.restart_failed() == []
        main = int((data / "postgres" / "postmaster.pid").read_text().split()[0])
        killed = [main, int(queue.info()["process_id"])]
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
            psutil.Process(pid).wait(10) if psutil.pid_exists(pid) else None
        assert running.restart_failed() == ["Postgres", "Redis"]
        assert _value(running.database_url, "SELECT 1") == 1
        assert queue.ping()


def test_a_pid_file_that_names_another_program_is_stale(data: Path) -> None:
    pid_file = data / "postgres" / "postmaster.pid"
    pid_file.write_text(f"{os.getppid()}\n{data / 'postgres'}\n1\n5432\n\n\n\n")
    with _ensure(data) as running:
        assert _value(running.database_url, "SELECT 1") == 1
    assert psutil.pid_exists(os.getppid())


def test_a_pid_file_that_names_a_zombie_is_stale(data: Path) -> None:
    zombie = subprocess.Popen(["true"])
    _wait_for(lambda: psutil.Process(zombie.pid).status() == psutil.STATUS_ZOMBIE)
    (data / "postgres" / "postmaster.pid").write_text(f"{zombie.pid}\n{data / 'postgres'}\n1\n5432\n\n\n\n")
    with _ensure(data) as running:
        assert _value(running.database_url, "SELECT 1") == 1
    zombie.wait()


def test_a_cluster_half_created_is_created_anew(nothing: Path) -> None:
    half = nothing / "postgres.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    with _ensure(nothing) as running:
        assert _value(running.database_url, "SELECT 1") == 1


def test_a_cluster_of_another_version_is_refused_with_a_way_out(nothing: Path) -> None:
    (nothing / "postgres").mkdir(parents=True)
    (nothing / "postgres" / "PG_VERSION").write_text("12\n")
    with pytest.raises(embedded.EmbeddedError, match=r"PostgreSQL 12.*make reset"):
        _ensure(nothing)


def test_a_server_that_cannot_start_says_why_and_leaves_nothing_behind(nothing: Path) -> None:
    with pytest.raises(embedded.EmbeddedError, match="unrecognized configuration parameter"):
        embedded.ensure(nothing, settings={"no_such_setting": "1"})
    assert embedded.urls(nothing) == (None, None)
    assert Lock(nothing / "servers.lock").take()


def test_a_starter_that_holds_the_lock_and_never_answers_is_named(
    nothing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing.mkdir()
    lock = Lock(nothing / "servers.lock")
    assert lock.take()
    monkeypatch.setattr(servers, "ATTACH_SECONDS", 0.3)
    with pytest.raises(embedded.EmbeddedError, match=r"servers\.lock"):
        _ensure(nothing)
    lock.release()


@pytest.mark.parametrize("command", WAYS, ids=" ".join)
def test_it_runs_below_a_closed_home_however_it_leaves_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.setattr(postgres, "unprivileged", lambda: command)
    with _ensure(tmp_path / "data") as running:
        assert _value(running.database_url, "SELECT 1") == 1


def test_a_cluster_changes_hands_when_the_way_out_of_root_changes(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, command in enumerate([*WAYS, WAYS[0]]):
        monkeypatch.setattr(postgres, "unprivileged", lambda command=command: command)
        with _ensure(data) as running, psycopg.connect(running.database_url) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS runs (number integer)")
            connection.execute("INSERT INTO runs VALUES (%s)", [number])
            connection.commit()
            assert _value(running.database_url, "SELECT count(*) FROM runs") == number + 1


def test_a_damaged_state_file_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "servers.json").write_text('{"sockets": ')
    assert embedded.urls(tmp_path) == (None, None)
    write_state(tmp_path / "servers.json", {"sockets": "/nonexistent"})
    assert embedded.urls(tmp_path) == (None, None)


def test_the_secret_key_is_made_once_and_for_its_owner_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    first = embedded.secret_key()
    assert len(first) > 50
    assert embedded.secret_key() == first
    assert (tmp_path / "secret_key").stat().st_mode & 0o777 == 0o600
    assert not list(tmp_path.glob("*.new"))


@pytest.mark.parametrize(
    ("ours", "celerys"),
    [
        ("unix:///tmp/a/redis.sock?db=3", "redis+socket:///tmp/a/redis.sock?virtual_host=3"),
        ("unix:///tmp/a%20b/redis.sock", "redis+socket:///tmp/a%20b/redis.sock?virtual_host=0"),
        ("rediss://user:pw@host:6380/1", "rediss://user:pw@host:6380/1"),
    ],
)
def test_celery_names_a_socket_in_its_own_way(ours: str, celerys: str) -> None:
    assert embedded.celery_url(ours) == celerys
