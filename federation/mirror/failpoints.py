"""Named points at which the tests end this process as `kill -9` would, or hold it."""

import os
import signal
import time
from pathlib import Path

NAMES = (
    "before_lease",
    "after_lease",
    "after_keys",
    "mid_write",
    "before_cursor",
    "before_commit",
    "after_commit",
)
# Only the tests set it: a file that holds the name of the next point to die at, once; "hold" before
# the name waits there until the tests remove the file beside it.
_FILE = os.environ.get("MIRROR_FAILPOINT_FILE")


def failpoint(name: str) -> None:
    """End or hold this process here if the tests asked for it."""
    if _FILE is None:
        return
    armed = Path(_FILE)
    try:
        how, _, where = armed.read_text().rpartition(" ")
        if where != name:
            return
        armed.unlink()
    except FileNotFoundError:
        return
    if how != "hold":
        os.kill(os.getpid(), signal.SIGKILL)
    held = armed.with_suffix(".held")
    held.touch()
    while held.exists():
        time.sleep(0.02)
