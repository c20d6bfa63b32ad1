"""Let the mirrors catch up while no worker runs yet."""

import time

from federation.mirror.batch import run_batch
from federation.mirror.dispatch import behind, live_streams
from federation.mirror.outcome import Outcome

PATIENCE_SECONDS = 120


def drain() -> None:
    """Apply what waits until every mirror is in step; RuntimeError where one does not get there.

    What one mirror brings may be work for another, so all are asked until none has anything to do.
    """
    until = time.monotonic() + PATIENCE_SECONDS
    while streams := [stream for stream in behind(live_streams()) if run_batch(stream.pk) != Outcome.IDLE]:
        if time.monotonic() > until:
            names = ", ".join(sorted({str(stream.agreement) for stream in streams}))
            raise RuntimeError(f"the mirrors of {names} do not get in step: see manage.py check_mirror")
