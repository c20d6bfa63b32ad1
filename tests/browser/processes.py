"""The programs of the platform as `make run` starts them, on a port of their own, for tests in a browser."""

import os
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import ClassVar

import redis
from django.conf import settings
from django.core.management import call_command

from config.supervisor import parts

START_SECONDS = 90.0
# Nothing of a journey waits for the clock, so beat stays out.
LEFT_OUT = {"beat"}


class Platform:
    """Web server, workers of both queues and dispatcher, from `with` to its end."""

    running: ClassVar["Platform | None"] = None

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self.port = _free_port()
        self._parts = [part for part in parts.parts("127.0.0.1", self.port) if part.name not in LEFT_OUT]

    def __enter__(self) -> "Platform":
        # Messages of other tests would be run in the institutions of this one.
        redis.Redis.from_url(settings.REDIS_URL).flushdb()
        call_command("collectstatic", interactive=False, verbosity=0)
        for part in self._parts:
            part.start(self.logs, {**os.environ, "PORT": str(self.port), "DEBUG": "0"})
        self._await()
        Platform.running = self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        Platform.running = None
        for part in self._parts:
            if part.child is not None:
                # Nothing is left to do: to end in order, a worker takes seconds.
                parts.end_session(part.child.pid)
                part.child.wait()

    def _await(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        for part in self._parts:
            while not self._is_ready(part):
                if time.monotonic() > deadline or part.child is None or part.child.poll() is not None:
                    raise RuntimeError(f"{part.name} did not start:\n{self.log(part.name)[-3000:]}")
                time.sleep(0.1)

    def _is_ready(self, part: parts.Part) -> bool:
        if part.name == "web":
            return parts.answers("127.0.0.1", self.port)
        return part.ready_text.decode() in self.log(part.name)

    def log(self, name: str) -> str:
        """Return what a program has printed so far."""
        return (self.logs / f"{name}.log").read_text(errors="replace")

    def all_logs(self) -> dict[str, str]:
        """Return what each program has printed so far."""
        return {path.stem: path.read_text(errors="replace") for path in sorted(self.logs.glob("*.log"))}


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
