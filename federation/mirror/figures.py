"""Figures of a stream: how long changes took and how many rows were written, by minute and hour.

A change is one statement of the owner's; its time runs from the statement to the commit that made it
visible at the receiver. Minutes become hours after a day, hours go after three months.
"""

import datetime
import uuid
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from federation.models import Stream

# Upper bounds in milliseconds; what took longer is counted in one more bucket.
BOUNDS = (1, 2, 3, 5, 8, 13, 20, 30, 50, 80, 130, 200, 300, 500, 800, 1_300, 2_000, 5_000, 10_000, 30_000,
          60_000, 300_000, 1_800_000)  # fmt: skip
MINUTES_KEPT: Any = datetime.timedelta(hours=25)
HOURS_KEPT: Any = datetime.timedelta(days=92)


def recording(stream: Stream, seconds: Sequence[float], rows: int) -> tuple[str, list[Any]]:
    """Return the statement that adds a batch to its stream's figures; the batch's transaction saves the stream."""
    counts = [0] * (len(BOUNDS) + 1)
    for each in seconds:
        counts[bisect_left(BOUNDS, each * 1000)] += 1
    if seconds:
        stream.latencies = add(stream.latencies, counts)
        stream.latency_seconds += sum(seconds)
    statement = (
        "INSERT INTO public.federation_streamfigures AS f (stream_id, at, is_hour, batches, rows, latencies)"
        " VALUES (%s, date_trunc('minute', clock_timestamp()), false, 1, %s, %s::bigint[])"
        " ON CONFLICT (stream_id, is_hour, at) DO UPDATE SET batches = f.batches + 1,"
        " rows = f.rows + excluded.rows, latencies = ARRAY(SELECT a + b"
        " FROM unnest(f.latencies, excluded.latencies) WITH ORDINALITY u (a, b, i) ORDER BY i)"
    )
    return statement, [stream.pk, rows, counts]


def add(one: Sequence[int], other: Sequence[int]) -> list[int]:
    """Return the sum of two histograms, of which the first may be empty."""
    return [a + b for a, b in zip(one, other, strict=True)] if one else list(other)


def percentile(counts: Sequence[int], share: float) -> float | None:
    """Return the time in milliseconds below which ``share`` of the changes took, within the bucket's bounds.

    None without changes. What lies beyond the last bound counts as the last bound.
    """
    total = sum(counts)
    if not total:
        return None
    wanted, below = share * total, 0
    for index, count in enumerate(counts):
        if count and below + count >= wanted:
            low = BOUNDS[index - 1] if index else 0
            high = BOUNDS[index] if index < len(BOUNDS) else BOUNDS[-1]
            return low + (high - low) * (wanted - below) / count
        below += count
    return float(BOUNDS[-1])


def histograms(streams: Iterable[Stream], since: datetime.datetime) -> dict[uuid.UUID, list[int]]:
    """Return the histogram of each stream since a moment not a day ago."""
    found: dict[uuid.UUID, list[int]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT stream_id, i, sum(n)::bigint
            FROM public.federation_streamfigures, unnest(latencies) WITH ORDINALITY u (n, i)
            WHERE stream_id = ANY(%s) AND NOT is_hour AND at >= %s AND n > 0 GROUP BY stream_id, i
            """,
            [[stream.pk for stream in streams], since],
        )
        for stream_id, index, count in cursor.fetchall():
            found.setdefault(stream_id, [0] * (len(BOUNDS) + 1))[index - 1] = count
    return found


@dataclass(frozen=True)
class Span:
    """What a stream did in one span of time, from ``at`` on."""

    at: datetime.datetime
    batches: int
    rows: int
    latencies: list[int]


def spans(stream: Stream, since: datetime.datetime, width: datetime.timedelta) -> list[Span]:
    """Return a stream's figures in spans of ``width`` since a moment; spans without any are left out."""
    found: dict[datetime.datetime, Span] = {}
    parameters: list[Any] = [width, stream.pk, since]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT date_bin(%s, at, 'epoch') AS span, batches, rows, latencies
            FROM public.federation_streamfigures WHERE stream_id = %s AND at >= %s ORDER BY span
            """,
            parameters,
        )
        for at, batches, rows, latencies in cursor.fetchall():
            before = found.get(at, Span(at, 0, 0, []))
            found[at] = Span(
                at, before.batches + batches, before.rows + rows, add(before.latencies, latencies)
            )
    return list(found.values())


def roll_up() -> None:
    """Turn minutes that are a day old into hours, and forget hours that are three months old."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            """
            WITH old AS (
                DELETE FROM public.federation_streamfigures
                WHERE NOT is_hour AND at < date_trunc('hour', clock_timestamp() - %s::interval)
                RETURNING stream_id, date_trunc('hour', at) AS at, batches, rows, latencies
            ), sums AS (
                SELECT stream_id, at, sum(batches) AS batches, sum(rows) AS rows FROM old GROUP BY 1, 2
            ), counted AS (
                SELECT stream_id, at, i, sum(n) AS n FROM old, unnest(latencies) WITH ORDINALITY u (n, i)
                GROUP BY 1, 2, 3
            ), histograms AS (
                SELECT stream_id, at, array_agg(n::bigint ORDER BY i) AS latencies FROM counted GROUP BY 1, 2
            )
            INSERT INTO public.federation_streamfigures AS f (stream_id, at, is_hour, batches, rows, latencies)
            SELECT stream_id, at, true, batches, rows, latencies FROM sums JOIN histograms USING (stream_id, at)
            ON CONFLICT (stream_id, is_hour, at) DO UPDATE SET batches = f.batches + excluded.batches,
                rows = f.rows + excluded.rows, latencies = ARRAY(SELECT a + b
                FROM unnest(f.latencies, excluded.latencies) WITH ORDINALITY u (a, b, i) ORDER BY i)
            """,
            [MINUTES_KEPT],
        )
        cursor.execute(
            "DELETE FROM public.federation_streamfigures WHERE is_hour AND at < clock_timestamp() - %s::interval",
            [HOURS_KEPT],
        )
