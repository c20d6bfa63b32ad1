"""Let the mirrors catch up while no worker runs yet."""

import os
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

from django.db import connection
from django.db.models import Q
from django_tenants.utils import tenant_context

from federation.mirror.batch import run_batch
from federation.mirror.dispatch import behind, live_streams
from federation.models import Agreement, Institution, Stream, StreamFigures

PATIENCE_SECONDS = 120


def drain(*agreements: Agreement) -> None:
    """Apply what waits until the mirrors of agreements (of all) are in step; RuntimeError where one is never.

    What one mirror brings may be work for another, so all are asked until none has anything to do.
    """
    until = time.monotonic() + PATIENCE_SECONDS
    wanted = Q(agreement__in=agreements) if agreements else Q()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        while streams := behind(live_streams().filter(wanted)):
            list(pool.map(_apply, [stream.pk for stream in streams]))
            if time.monotonic() > until:
                names = ", ".join(sorted({str(stream.agreement) for stream in streams}))
                raise RuntimeError(f"the mirrors of {names} do not get in step: see manage.py check_mirror")


def count_rows(institution: Institution, *, roughly: bool = False) -> None:
    """Have the server count what was written to a schema, by which it plans, before it does so by itself.

    ``roughly`` for what is read next alone: it looks at a tenth of the rows.
    """
    with tenant_context(institution), connection.cursor() as cursor:
        cursor.execute(
            "SELECT string_agg(quote_ident(relname), ', ') FROM pg_class WHERE relkind = 'r'"
            " AND relnamespace = %s::regnamespace AND pg_relation_size(oid) > 32768",
            [institution.schema_name],
        )
        if tables := cursor.fetchone()[0]:
            rows = "SET LOCAL default_statistics_target = 10;" if roughly else ""
            cursor.execute(f"{rows} ANALYZE {tables}")


def _apply(stream_id: uuid.UUID) -> None:
    try:
        run_batch(stream_id)
    finally:
        connection.close()


def forget_times() -> None:
    """Forget how long changes took: they waited for the demonstration to be made, not for a mirror."""
    StreamFigures.objects.all().delete()
    Stream.objects.update(latencies=[], latency_seconds=0)
