"""A throw-away PostgreSQL and Redis for each process of the tests; a given DATABASE_URL or REDIS_URL is used instead.

A mirror waits for older transactions in any database of its server: with one server for all, the tests of one
process would wait for those of another.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import parse_qs, urlsplit, urlunsplit

import psutil

from config import embedded
from config.embedded import postgres
from config.embedded.paths import Lock
from config.embedded.postgres import THROW_AWAY, Postgres

# Workers of pytest-xdist inherit these, as they inherit the URLs: the run's folder, which servers are not given,
# and the folder of those that a process works with.
FOLDER = "ROBOBLOCK_TEST_RUN"
_OWN = "ROBOBLOCK_TEST_OWN"
_SERVERS = "ROBOBLOCK_TEST_SERVERS"
# What DATABASE_URL was at the start: a worker later names its own database there.
SERVER_URL = "ROBOBLOCK_TEST_SERVER_URL"
_PREFIX = "roboblock-test-"
_REDIS_DATABASES = 16
_MEMORY = Path("/dev/shm")
# Each process of a run takes about a gigabyte.
_ROOM = 2**30 * (2 + (os.cpu_count() or 1))


def worker() -> str:
    """Return the name of this xdist worker; `main` where pytest runs in one process."""
    return os.environ.get("PYTEST_XDIST_WORKER", "main")


def run_folder() -> Path:
    """Return the temporary folder of this run."""
    return Path(os.environ[FOLDER])


def new_folder() -> Path:
    """Return an empty folder for servers of a test's own, which goes with the run."""
    return Path(tempfile.mkdtemp(prefix="own-", dir=run_folder()))


def servers_folder() -> Path:
    """Return the folder of the servers of this process, which others share where they are given."""
    return Path(os.environ[_SERVERS])


class Run:
    """The folder of one run and the servers of its first worker. They end with pytest's first process, even by `kill -9`."""

    def __init__(self) -> None:
        _remove_dead_runs()
        self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_in_memory()))
        self._lock = Lock(self.folder / "alive")
        self._lock.take()
        os.environ[FOLDER] = str(self.folder)
        os.environ["DATA_DIR"] = str(self.folder / "data")
        os.environ[_OWN] = " ".join(
            name for name in ("DATABASE_URL", "REDIS_URL") if not os.environ.get(name)
        )
        self._servers = _start("gw0")

    def stop(self) -> None:
        """Stop the servers and remove all they wrote."""
        self._servers.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.release()


class Worker:
    """What a worker of xdist works with: servers of its own but for the first, and a number at a given Redis."""

    def __init__(self) -> None:
        own = os.environ[_OWN].split()
        if "REDIS_URL" not in own:
            _separate_redis()
        self._servers = None
        if own and worker() != "gw0":
            for name in own:
                del os.environ[name]
            self._servers = _start(worker())

    def stop(self) -> None:
        """Stop what was started."""
        if _begun:
            _begun.pop().stop()
        if self._servers is not None:
            self._servers.stop()


# What took the place of the PostgreSQL that was started for this process.
_begun: list[Postgres] = []


def leave_for_others() -> None:
    """Copy the files of this process's PostgreSQL for the run's other processes, which begin with them."""
    if "DATABASE_URL" in os.environ[_OWN].split() and int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1)) > 1:
        copying = run_folder() / "copying"
        subprocess.run(
            [
                postgres.binaries() / "pg_basebackup", "-D", copying, "-h", _sockets(), "-U", postgres.SUPERUSER,
                "--checkpoint=fast", "--wal-method=fetch", "--no-sync", "--no-manifest",
            ],
            check=True, capture_output=True,
        )  # fmt: skip
        copying.rename(_left())


def begin_with_what_was_left() -> bool:
    """Have this process's PostgreSQL begin with the files that another one has left; False where none has."""
    if not _left().exists():
        return False
    folder = servers_folder() / "postgres"
    postgres.stop_leftovers(folder)
    shutil.rmtree(folder)
    shutil.copytree(_left(), folder)
    begun = Postgres(folder, _sockets(), folder.with_name("begun.log"), settings=THROW_AWAY)
    _begun.append(begun)
    begun.start()
    return True


def _left() -> Path:
    return run_folder() / "left"


def _sockets() -> Path:
    return Path(parse_qs(urlsplit(os.environ[SERVER_URL]).query)["host"][0])


def _start(name: str) -> embedded.Servers:
    """Start the servers that are not given, and name them to whatever this process starts."""
    folder = run_folder() / f"servers-{name}"
    folder.mkdir(mode=0o700)
    started = embedded.ensure(folder, settings=THROW_AWAY)
    os.environ[_SERVERS] = str(folder)
    os.environ["DATABASE_URL"] = os.environ[SERVER_URL] = started.database_url
    os.environ["REDIS_URL"] = started.redis_url
    return started


def _separate_redis() -> None:
    """Give this xdist worker a database of its own in the Redis that all share."""
    parts = urlsplit(os.environ["REDIS_URL"])
    number = (int(worker().removeprefix("gw")) + 1) % _REDIS_DATABASES
    if parts.scheme == "unix":
        # Joined again it would lack the slashes of the host that it has not.
        os.environ["REDIS_URL"] = f"unix://{parts.netloc}{parts.path}?db={number}"
    else:
        os.environ["REDIS_URL"] = urlunsplit(parts._replace(path=f"/{number}"))


def _in_memory() -> Path | None:
    """Return the folder in memory where it has room for a run and no TMPDIR says otherwise, else None.

    Every copy of the template is thousands of files, which cost a disk's file system more than PostgreSQL.
    """
    if "TMPDIR" in os.environ or not os.access(_MEMORY, os.W_OK | os.X_OK):
        return None
    free = min(shutil.disk_usage(_MEMORY).free, psutil.virtual_memory().available)
    return _MEMORY if free >= _ROOM else None


def _remove_dead_runs() -> None:
    folders = [*Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"), *_MEMORY.glob(f"{_PREFIX}*")]
    for folder in folders:
        if folder.is_dir() and folder.stat().st_uid == os.geteuid() and (folder / "alive").exists():
            lock = Lock(folder / "alive")
            if lock.take():
                for data in folder.glob("servers-*"):
                    embedded.stop_leftovers(data)
                shutil.rmtree(folder, ignore_errors=True)
                lock.release()
