"""Figures of a stream: how long changes took and how many rows were written, by minute and hour.

A change is one statement of the owner's; its time runs from the statement to the commit that made it
visible at the receiver. What waited until its agreement was resumed is counted apart: that time is nobody's speed.
Minutes become hours after a day, hours go after three months.
"""

import datetime
import uuid
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from federation.models import Stream

# Upper bounds in milliseconds; what took longer is counted in one more bucket.
BOUNDS = (1, 2, 3, 5, 8, 13, 20, 30, 50, 80, 130, 200, 300, 500, 800, 1_300, 2_000, 5_000, 10_000, 30_000,
          60_000, 300_000, 1_800_000)  # fmt: skip
MINUTES_KEPT: Any = datetime.timedelta(hours=25)
HOURS_KEPT: Any = datetime.timedelta(days=92)


def recording(
    stream: Stream, seconds: Sequence[float], rows: int, resumed_at: datetime.datetime | None
) -> tuple[str, list[Any]]:
    """Return the statement that adds a batch to its stream's figures; the batch's transaction saves the stream.

    ``seconds`` are how long its changes took until now, ``resumed_at`` is when the agreement was last resumed.
    """
    counts = [0] * (len(BOUNDS) + 1)
    longest = (timezone.now() - resumed_at).total_seconds() if resumed_at else inf
    moved = [each for each in seconds if each <= longest]
    for each in moved:
        counts[bisect_left(BOUNDS, each * 1000)] += 1
    if moved:
        stream.latencies = add(stream.latencies, counts)
        stream.latency_seconds += sum(moved)
    statement = (
        "INSERT INTO public.federation_streamfigures AS f (stream_id, at, is_hour, batches, rows, held, latencies)"
        " VALUES (%s, date_trunc('minute', clock_timestamp()), false, 1, %s, %s, %s::bigint[])"
        " ON CONFLICT (stream_id, is_hour, at) DO UPDATE SET batches = f.batches + 1,"
        " rows = f.rows + excluded.rows, held = f.held + excluded.held, latencies = ARRAY(SELECT a + b"
        " FROM unnest(f.latencies, excluded.latencies) WITH ORDINALITY u (a, b, i) ORDER BY i)"
    )
    return statement, [stream.pk, rows, len(seconds) - len(moved), counts]


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
    batches: int = 0
    rows: int = 0
    held: int = 0
    latencies: list[int] = field(default_factory=list)


def spans(stream: Stream, since: datetime.datetime, width: datetime.timedelta) -> list[Span]:
    """Return a stream's figures in spans of ``width`` since a moment; spans without any are left out."""
    found: dict[datetime.datetime, Span] = {}
    parameters: list[Any] = [width, stream.pk, since]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT date_bin(%s, at, 'epoch') AS span, batches, rows, held, latencies
            FROM public.federation_streamfigures WHERE stream_id = %s AND at >= %s ORDER BY span
            """,
            parameters,
        )
        for at, batches, rows, held, latencies in cursor.fetchall():
            before = found.get(at, Span(at))
            found[at] = Span(
                at,
                before.batches + batches,
                before.rows + rows,
                before.held + held,
                add(before.latencies, latencies),
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
                RETURNING stream_id, date_trunc('hour', at) AS at, batches, rows, held, latencies
            ), sums AS (
                SELECT stream_id, at, sum(batches) AS batches, sum(rows) AS rows, sum(held) AS held
                FROM old GROUP BY 1, 2
            ), counted AS (
                SELECT stream_id, at, i, sum(n) AS n FROM old, unnest(latencies) WITH ORDINALITY u (n, i)
                GROUP BY 1, 2, 3
            ), histograms AS (
                SELECT stream_id, at, array_agg(n::bigint ORDER BY i) AS latencies FROM counted GROUP BY 1, 2
            )
            INSERT INTO public.federation_streamfigures AS f (stream_id, at, is_hour, batches, rows, held, latencies)
            SELECT stream_id, at, true, batches, rows, held, latencies FROM sums JOIN histograms USING (stream_id, at)
            ON CONFLICT (stream_id, is_hour, at) DO UPDATE SET batches = f.batches + excluded.batches,
                rows = f.rows + excluded.rows, held = f.held + excluded.held, latencies = ARRAY(SELECT a + b
                FROM unnest(f.latencies, excluded.latencies) WITH ORDINALITY u (a, b, i) ORDER BY i)
            """,
            [MINUTES_KEPT],
        )
        cursor.execute(
            "DELETE FROM public.federation_streamfigures WHERE is_hour AND at < clock_timestamp() - %s::interval",
            [HOURS_KEPT],
        )
