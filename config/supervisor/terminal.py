"""What the starter says, and how it shares the terminal with make."""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from config.embedded.paths import PROJECT


def say(text: str) -> None:
    """Print a line; a terminal that is gone must not keep the platform from stopping."""
    with contextlib.suppress(OSError):
        print(text, flush=True)


def shown(path: Path) -> str:
    """Return a path as short as it can be said."""
    return os.path.relpath(path) if path.is_relative_to(PROJECT) else str(path)


class Timer:
    """Shows what is being done: on a terminal the seconds run, elsewhere it takes two lines."""

    def __init__(self, title: str) -> None:
        self._title, self._started = title, time.monotonic()
        self._rewrites = sys.stdout.isatty()
        self.tick() if self._rewrites else say(f"  {title} …")

    def tick(self) -> None:
        """Show the seconds so far."""
        if self._rewrites:
            self._show(" …", end="")

    def finish(self) -> None:
        """Show how long it took."""
        self._show("" if not self._rewrites else "  ", end="\n")

    def _show(self, mark: str, *, end: str) -> None:
        text = f"  {self._title:<26}{time.monotonic() - self._started:6.1f} s{mark}"
        with contextlib.suppress(OSError):
            print(f"\r{text}" if self._rewrites else text, end=end, flush=True)


@contextlib.contextmanager
def timed(title: str) -> Iterator[Timer]:
    """Show what is being done and, in the end, how long it took."""
    timer = Timer(title)
    try:
        yield timer
    except BaseException:
        say("")
        raise
    timer.finish()


@contextlib.contextmanager
def in_foreground() -> Iterator[None]:
    """Have Ctrl-C reach this process alone: make would take it for a failure of its own."""
    terminal = sys.stdin.fileno() if sys.stdin and sys.stdin.isatty() else None
    before = os.getpgrp()
    if terminal is None or before == os.getpid() or os.tcgetpgrp(terminal) != before:
        yield
        return
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    os.setpgid(0, 0)
    os.tcsetpgrp(terminal, os.getpgrp())
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.tcsetpgrp(terminal, before)
