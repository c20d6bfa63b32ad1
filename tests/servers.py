"""One throw-away PostgreSQL and Redis per run of the tests; a given DATABASE_URL or REDIS_URL is used instead."""

import os
import shutil
import tempfile
from pathlib import Path

from config import embedded
from config.embedded.paths import Lock
from config.embedded.postgres import THROW_AWAY

# Workers of pytest-xdist inherit it, as they inherit the URLs.
FOLDER = "ROBOBLOCK_TEST_RUN"
# What DATABASE_URL was at the start: a worker later names its own database there.
SERVER_URL = "ROBOBLOCK_TEST_SERVER_URL"
_PREFIX = "roboblock-test-"
_REDIS_DATABASES = 16


def worker() -> str:
    """Return the name of this xdist worker; `main` where pytest runs in one process."""
    return os.environ.get("PYTEST_XDIST_WORKER", "main")


def run_folder() -> Path:
    """Return the temporary folder of this run."""
    return Path(os.environ[FOLDER])


class Run:
    """The servers of one run, held by pytest's first process. They end with it, even by `kill -9`."""

    def __init__(self) -> None:
        _remove_dead_runs()
        self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self._lock = Lock(self.folder / "alive")
        self._lock.take()
        os.environ[FOLDER] = str(self.folder)
        os.environ["DATA_DIR"] = str(self.folder / "data")
        self._servers = embedded.ensure(self.folder / "servers", settings=THROW_AWAY)
        os.environ["DATABASE_URL"] = os.environ[SERVER_URL] = self._servers.database_url
        os.environ["REDIS_URL"] = self._servers.redis_url

    def stop(self) -> None:
        """Stop the servers and remove all they wrote."""
        self._servers.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.release()


def separate_redis() -> None:
    """Give this xdist worker a Redis database of its own."""
    number = worker().removeprefix("gw")
    if number.isdecimal() and os.environ["REDIS_URL"].endswith("?db=0"):
        os.environ["REDIS_URL"] = os.environ["REDIS_URL"][:-1] + str((int(number) + 1) % _REDIS_DATABASES)


def _remove_dead_runs() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        if folder.is_dir() and folder.stat().st_uid == os.geteuid() and (folder / "alive").exists():
            lock = Lock(folder / "alive")
            if lock.take():
                embedded.stop_leftovers(folder / "servers")
                shutil.rmtree(folder, ignore_errors=True)
                lock.release()
