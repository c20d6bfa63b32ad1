"""The programs that make up the platform."""

import contextlib
import http.client
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

import psutil

from config.embedded import processes
from config.embedded.paths import PROJECT, read_state
from config.supervisor import preparation

LONGEST_BACK_OFF = 30.0
# A part that ran this long has recovered: its next crash starts counting anew.
STEADY_SECONDS = 60.0
STOP_SECONDS = 10.0
LEFTOVER_STEPS = [(signal.SIGTERM, 3.0)]


@dataclass
class Part:
    """A program of the platform that is kept running."""

    name: str
    command: list[str]
    # What its log says once it works; the web server is asked instead.
    ready_text: bytes = b""
    child: Popen[bytes] | None = None
    started_at: float = 0.0
    crashes: int = 0
    retry_at: float = 0.0
    log_start: int = 0

    def start(self, logs: Path, env: dict[str, str]) -> None:
        """Start it in a session of its own, its output going to its own log."""
        log = logs / f"{self.name}.log"
        self.log_start = log.stat().st_size if log.exists() else 0
        self.child = processes.spawn(self.command, log=log, cwd=PROJECT, env=env)
        self.started_at = time.monotonic()

    def note_crash(self) -> float:
        """Return after how many seconds to start it again: longer after each crash in a row."""
        self.crashes = 1 if time.monotonic() - self.started_at > STEADY_SECONDS else self.crashes + 1
        pause = min(LONGEST_BACK_OFF, 2.0 ** (self.crashes - 1) / 2)
        self.child, self.retry_at = None, time.monotonic() + pause
        return pause


def parts(address: str, port: int) -> list[Part]:
    """Return the programs of the platform."""
    python = sys.executable
    celery = [python, "-m", "celery", "-A", "config"]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    worker = [*celery, "worker", "--loglevel", "INFO", *quiet]
    # A long job must not hold up a mirror: each queue has workers of its own.
    found = [
        Part(
            "web",
            [
                python, "-m", "gunicorn", "config.wsgi", "--bind", f"{address}:{port}", "--worker-class", "gthread",
                "--workers", "2", "--threads", "8", "--timeout", "120", "--graceful-timeout", "5",
                "--no-control-socket", "--preload",
            ],
        ),
        Part("worker", [*worker, "--queues", "work", "--hostname", "work@%h", "--concurrency", "2"], b" ready."),
        Part("mirror", [*worker, "--queues", "mirror", "--hostname", "mirror@%h", "--concurrency", "2"], b" ready."),
        Part("load", [*worker, "--queues", "load", "--hostname", "load@%h", "--concurrency", "1"], b" ready."),
        Part("beat", [*celery, "beat", "--loglevel", "INFO", "--pidfile", ""]),
    ]  # fmt: skip
    if preparation.has_dispatcher():
        found.append(Part("dispatch", [python, "manage.py", "dispatch"]))
    return found


def answers(address: str, port: int) -> bool:
    """Say whether the web server answers; what it answers is its own affair."""
    server = http.client.HTTPConnection("127.0.0.1" if address == "0.0.0.0" else address, port, timeout=5)
    try:
        server.request("GET", "/", headers={"Host": f"localhost:{port}"})
        server.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        server.close()
    return True


def end_session(leader: int) -> None:
    """Kill what is left of a part whose first process has ended or will not."""
    for process in psutil.process_iter():
        with contextlib.suppress(OSError, psutil.Error):
            if os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                process.kill()


def stop_leftovers(state_file: Path) -> None:
    """End the parts of a platform whose supervisor was killed."""
    for recorded in read_state(state_file).get("parts", {}).values():
        left = processes.find(recorded)
        if left is not None:
            processes.stop(left, LEFTOVER_STEPS)
        for process in psutil.process_iter():
            with contextlib.suppress(OSError, psutil.Error):
                if os.getsid(process.pid) == recorded["pid"] and process.cwd() == str(PROJECT):
                    process.kill()
