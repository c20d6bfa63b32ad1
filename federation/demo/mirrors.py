"""Let the mirrors catch up while no worker runs yet."""

import time

from federation.mirror.dispatch import apply, behind, live_streams

PATIENCE_SECONDS = 120


def drain() -> None:
    """Apply what waits until every mirror is in step; RuntimeError where one does not get there."""
    until = time.monotonic() + PATIENCE_SECONDS
    while streams := behind(live_streams()):
        if time.monotonic() > until:
            names = ", ".join(sorted({str(stream.agreement) for stream in streams}))
            raise RuntimeError(f"the mirrors of {names} do not get in step: see manage.py check_mirror")
        for stream in streams:
            apply(stream.pk, seconds=PATIENCE_SECONDS)
