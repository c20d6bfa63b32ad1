"""Child processes that end with the process that started them."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None
# Between two ways of reading a process's start lie at most a few clock ticks.
_START_TOLERANCE = 2.0


def die_with_parent(parent: int, death_signal: int) -> bool:
    """Ask the kernel to send this process `death_signal` when its parent ends, even by `kill -9`.

    Return whether `parent` is the parent still. The kernel watches the thread that forked: start
    children from the main thread.
    """
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, int(death_signal))
    return os.getppid() == parent


def spawn(
    command: Sequence[str | Path],
    *,
    log: Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    death_signal: int = signal.SIGTERM,
) -> subprocess.Popen[bytes]:
    """Start `command` in a session of its own, out of reach of Ctrl-C, its output going to `log`."""
    parent = os.getpid()

    def before_exec() -> None:
        if not die_with_parent(parent, death_signal):
            os._exit(1)

    log.parent.mkdir(parents=True, exist_ok=True)
    with open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as output:
        return subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=env,
            start_new_session=True,
            preexec_fn=before_exec,
        )


def identity(pid: int) -> dict[str, float]:
    """Return what tells this process from a later one with the same number."""
    return {"pid": pid, "started": psutil.Process(pid).create_time()}


def find(recorded: Mapping[str, float] | None) -> psutil.Process | None:
    """Return the process that `identity` described if it still runs; a zombie does not."""
    if not recorded:
        return None
    try:
        process = psutil.Process(int(recorded["pid"]))
        if abs(process.create_time() - recorded["started"]) > _START_TOLERANCE:
            return None
        return None if process.status() == psutil.STATUS_ZOMBIE else process
    except (psutil.Error, KeyError, ValueError):
        return None


def has_ended(process: psutil.Process, seconds: float) -> bool:
    """Wait for a process that may be another's child, and say whether it ended; a zombie has."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


def stop(process: psutil.Process, steps: Sequence[tuple[int, float]]) -> None:
    """Send each signal in turn and give it its seconds, until the process has ended."""
    for number, seconds in [*steps, (signal.SIGKILL, 5.0)]:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            return
        if has_ended(process, seconds):
            return


def stop_child(child: subprocess.Popen[bytes], steps: Sequence[tuple[int, float]]) -> None:
    """Do what `stop` does to a child of this process, and reap it."""
    for number, seconds in [*steps, (signal.SIGKILL, 5.0)]:
        if child.poll() is not None:
            return
        child.send_signal(number)
        try:
            child.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            continue


def tail(log: Path, lines: int = 15) -> str:
    """Return the end of a log, for a message to the person at the terminal."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""
