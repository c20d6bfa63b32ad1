"""A PostgreSQL and a Redis of one's own, with workers and a dispatcher: all of it may be killed."""

import contextlib
import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil

from config.embedded import processes
from config.embedded.paths import PROJECT, new_socket_folder, remove_socket_folder
from config.embedded.postgres import Postgres, binaries
from config.embedded.redis import Redis

# A crash of the server, not of the machine: what was committed is in the system's hands.
SETTINGS = {"fsync": "off", "full_page_writes": "off", "max_prepared_transactions": "16"}
WORKER = [
    *("-m", "celery", "-A", "config", "worker", "-Q", "mirror,load", "-l", "error"),
    *("--without-gossip", "--without-mingle"),
]  # fmt: skip
DISPATCHER = ["manage.py", "dispatch", "--sweep", "1"]
_IMMEDIATELY = [(signal.SIGQUIT, 20.0)]


class Failpoint:
    """Where the next process of a worker that comes there is to wait."""

    failpoint: Path

    def hold(self, name: str) -> None:
        """Have the next process of a worker that comes to this point wait there."""
        self.failpoint.with_suffix(".held").unlink(missing_ok=True)
        self.failpoint.write_text(f"hold {name}")

    def is_held(self) -> bool:
        return self.failpoint.with_suffix(".held").exists()

    def let_go(self) -> None:
        self.failpoint.with_suffix(".held").unlink()


class Platform(Failpoint):
    """Servers in a folder, and by name what was started on them; start from the main thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.failpoint = folder / "failpoint"
        self._sockets = new_socket_folder()
        self.postgres = Postgres(
            folder / "postgres", self._sockets, folder / "postgres.log", settings=SETTINGS
        )
        self.redis = Redis(folder / "redis", self._sockets, folder / "redis.log")
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        # Children of workers outlive a parent that was killed for a moment.
        self._seen: dict[int, psutil.Process] = {}

    @property
    def database_url(self) -> str:
        return self.postgres.url()

    def start_servers(self) -> None:
        self.postgres.start()
        self.redis.start()

    # Processes

    def start(self, name: str, command: list[str], **environment: str) -> None:
        """Start a process of the platform under a name; it ends with this one."""
        self._running[name] = processes.spawn(
            [sys.executable, *command],
            log=self.folder / f"{name}.log",
            cwd=PROJECT,
            env={
                **os.environ,
                "DATABASE_URL": self.database_url,
                "REDIS_URL": self.redis.url,
                "DJANGO_SETTINGS_MODULE": "config.settings",
                **environment,
            },
        )

    def start_dispatcher(self) -> None:
        self.start("dispatcher", DISPATCHER)

    def start_worker(self, name: str = "worker", *, processes: int = 2) -> None:
        """Start a worker whose processes die at the point that is armed."""
        command = [*WORKER, "-c", str(processes), "-n", f"{name}@localhost"]
        self.start(name, command, MIRROR_FAILPOINT_FILE=str(self.failpoint))

    def start_beat(self) -> Path:
        """Start what sends tasks at their times, and return its log."""
        schedule = str(self.folder / "beat")
        command = ["-m", "celery", "-A", "config", "beat", "-l", "debug", "--pidfile", "", "-s", schedule]
        self.start("beat", command)
        return self.folder / "beat.log"

    def kill(self, name: str) -> None:
        """End a process with all its children as `kill -9` would."""
        child = self._running.pop(name)
        for process in self.family(child.pid):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        child.wait()

    def family(self, pid: int) -> list[psutil.Process]:
        """Return a process and its children; none where it has ended."""
        try:
            parent = psutil.Process(pid)
            found = [parent, *parent.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []
        self._seen |= {process.pid: process for process in found}
        return found

    def children(self, name: str) -> list[psutil.Process]:
        return self.family(self._running[name].pid)[1:]

    def is_running(self, name: str) -> bool:
        return name in self._running and self._running[name].poll() is None

    # Crashes

    def stop_postgres(self) -> None:
        """Stop PostgreSQL as a crash would: nobody's transaction is ended in order."""
        child = self.postgres._child
        assert child is not None
        processes.stop_child(child, _IMMEDIATELY)

    def crash_postgres(self) -> None:
        """Stop PostgreSQL immediately, and start it again: it recovers."""
        self.stop_postgres()
        self.postgres.start()

    def stop(self) -> None:
        """End everything that was started, at once: to stop in order, a worker takes seconds."""
        for child in self._running.values():
            self.family(child.pid)
        for process in self._seen.values():
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.is_running():
                    process.kill()
        for child in self._running.values():
            child.wait()
        self.redis.stop()
        self.postgres.stop()
        remove_socket_folder(self._sockets)

    # Django

    @contextlib.contextmanager
    def connected(self) -> Iterator[None]:
        """Have Django's connections of this process go to this PostgreSQL."""
        from django.db import connection, connections

        before = dict(connection.settings_dict)
        connections.close_all()
        connection.settings_dict.update(
            NAME="roboblock", USER="roboblock", HOST="", OPTIONS={"host": str(self._sockets)}
        )
        try:
            yield
        finally:
            connections.close_all()
            connection.settings_dict.update(before)


def copy_institutions(source: str, target: Platform) -> None:
    """Bring a database over, for less than migrating another one takes; Django is `connected` to the target."""
    from django.core.management import call_command

    dump = subprocess.run(
        [binaries() / "pg_dump", "--no-privileges", source], check=True, capture_output=True
    ).stdout
    subprocess.run(
        [binaries() / "psql", "-q", "-1", "-v", "ON_ERROR_STOP=1", target.database_url],
        input=dump, check=True, capture_output=True,
    )  # fmt: skip
    call_command("check_mirror", repair=True, stdout=io.StringIO())


def create_institutions() -> None:
    """Migrate an empty database and create the standing institutions in it."""
    from django.core.management import call_command

    from tests import factories

    call_command("migrate_schemas", shared=True, verbosity=0)
    factories.create_standing_institutions()
