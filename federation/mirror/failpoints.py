"""Named points at which the tests end this process as `kill -9` would."""

import os
import signal
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
# Only the tests set it: a file that holds the name of the next point to die at, once.
_FILE = os.environ.get("MIRROR_FAILPOINT_FILE")


def failpoint(name: str) -> None:
    """End this process here if the tests asked for it."""
    if _FILE is None:
        return
    armed = Path(_FILE)
    try:
        if armed.read_text() != name:
            return
        armed.unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
