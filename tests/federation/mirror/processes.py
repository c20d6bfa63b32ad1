"""Real workers and a real dispatcher, on the database and Redis of a test."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from config.embedded.paths import PROJECT
from federation.models import Stream
from tests.platforms import Failpoint

WORKER = [
    "-m",
    "celery",
    "-A",
    "config",
    "worker",
    "-Q",
    "mirror,load",
    "-l",
    "error",
    "--without-gossip",
    "--without-mingle",
]
DISPATCHER = ["manage.py", "dispatch", "--sweep", "0.5"]


class Processes(Failpoint):
    """What a test has started; ends with it."""

    def __init__(self, failpoint: Path, database_url: str) -> None:
        self.failpoint = failpoint
        self._database_url = database_url
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, command: list[str], **environment: str) -> subprocess.Popen[bytes]:
        # Shown by whoever looks for why something did not come about.
        log = (self.failpoint.parent / f"process-{len(self._running)}.log").open("wb")
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=PROJECT,
            env={
                **os.environ,
                "DATABASE_URL": self._database_url,
                "DJANGO_SETTINGS_MODULE": "config.settings",
                **environment,
            },
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        log.close()
        self._running.append(process)
        return process

    def start_all(self) -> None:
        """Start a dispatcher, and a worker that dies at the failpoint that a test arms."""
        self.start(DISPATCHER)
        self._worker = self.start([*WORKER, "-c", "2"], MIRROR_FAILPOINT_FILE=str(self.failpoint))

    @contextlib.contextmanager
    def worker_asleep(self) -> Iterator[None]:
        """Have the worker do nothing for a while."""
        parent = psutil.Process(self._worker.pid)
        everybody = [parent, *parent.children(recursive=True)]
        for process in everybody:
            process.suspend()
        try:
            yield
        finally:
            for process in everybody:
                process.resume()

    def arm(self, name: str) -> None:
        """Have the next process of a worker that comes to this point die there."""
        self.failpoint.write_text(name)

    def stop(self) -> None:
        """End everything at once: to stop in order, a worker takes seconds."""
        for process in self._running:
            with contextlib.suppress(psutil.NoSuchProcess):
                parent = psutil.Process(process.pid)
                for each in [parent, *parent.children(recursive=True)]:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        each.kill()
            process.wait()


# Work that is seen to go on is waited for up to LONGEST. What stands still is stuck after STILL seconds: on a
# busy machine a worker takes a minute to come up.
LONGEST, STILL = 900, 180


def eventually(
    what: Callable[[], object], *, seconds: float = 20, moving: Callable[[], object] | None = None
) -> None:
    """Wait until something is true; AssertionError when it does not become so.

    ``moving`` returns what changes while there is progress: a busy machine is slow, not stuck.
    """
    patience = seconds if moving is None else STILL
    started = since = time.monotonic()
    last = moving() if moving else None
    while not what():
        now = moving() if moving else None
        if now != last:
            last, since = now, time.monotonic()
        if time.monotonic() > min(since + patience, started + LONGEST):
            raise AssertionError(
                f"nothing moves for {patience} s: {last}" if moving else f"not within {seconds} s"
            )
        time.sleep(0.02 if moving is None else 0.2)


def state_of_streams() -> list[tuple[object, ...]]:
    """Return what changes while workers apply; that one has looked is no progress."""
    names = ("pk", "state", "rows_written", "cursor", "fill_done", "problem")
    return list(Stream.objects.order_by("pk").values_list(*names))
