"""Let the mirrors catch up while no worker runs yet."""

import os
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

from django.db import connection

from federation.mirror.batch import run_batch
from federation.mirror.dispatch import behind, live_streams
from federation.models import Stream, StreamFigures

PATIENCE_SECONDS = 120


def drain() -> None:
    """Apply what waits until every mirror is in step; RuntimeError where one does not get there.

    What one mirror brings may be work for another, so all are asked until none has anything to do.
    """
    until = time.monotonic() + PATIENCE_SECONDS
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        while streams := behind(live_streams()):
            list(pool.map(_apply, [stream.pk for stream in streams]))
            if time.monotonic() > until:
                names = ", ".join(sorted({str(stream.agreement) for stream in streams}))
                raise RuntimeError(f"the mirrors of {names} do not get in step: see manage.py check_mirror")


def _apply(stream_id: uuid.UUID) -> None:
    try:
        run_batch(stream_id)
    finally:
        connection.close()


def forget_times() -> None:
    """Forget how long changes took: they waited for the demonstration to be made, not for a mirror."""
    StreamFigures.objects.all().delete()
    Stream.objects.update(latencies=[], latency_seconds=0)
