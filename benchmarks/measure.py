"""Repeat, time and tabulate: what the benchmarks have in common."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """Seconds of several repeats of one thing."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Return the median, in seconds."""
        return statistics.median(self.seconds)

    @property
    def fastest(self) -> float:
        """Return the shortest repeat, in seconds."""
        return min(self.seconds)

    @property
    def slowest(self) -> float:
        """Return the longest repeat, in seconds."""
        return max(self.seconds)


def interleave(
    subjects: Mapping[str, Callable[[], object]],
    *,
    repeats: int = 5,
    warm_up: int = 1,
    before_each: Callable[[], object] | None = None,
) -> dict[str, Timing]:
    """Time each subject `repeats` times in turn, so that a slow minute of the machine meets them all.

    `before_each` runs before every repeat and is not timed. Return the timings by name.
    """
    seconds: dict[str, list[float]] = {name: [] for name in subjects}
    for number in range(warm_up + repeats):
        for name, subject in subjects.items():
            if before_each is not None:
                before_each()
            started = time.perf_counter()
            subject()
            if number >= warm_up:
                seconds[name].append(time.perf_counter() - started)
    return {name: Timing(tuple(each)) for name, each in seconds.items()}


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that at least `percent` of 100 of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("A percentile of nothing.")
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(0, int(rank) - 1)]


def print_table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under headings: text to the left, numbers to the right."""
    cells = [[_shown(cell) for cell in row] for row in rows]
    widths = [max(len(line[column]) for line in [list(headings), *cells]) for column in range(len(headings))]
    numeric = [all(isinstance(row[column], int | float) for row in rows) for column in range(len(headings))]
    for line in [list(headings), ["-" * width for width in widths], *cells]:
        print(
            "  ".join(
                text.rjust(width) if right else text.ljust(width)
                for text, width, right in zip(line, widths, numeric, strict=True)
            ).rstrip()
        )


def print_timings(timings: Mapping[str, Timing], *, baseline: str | None = None) -> None:
    """Print median, minimum and maximum in milliseconds and, with a baseline, the ratio to its median."""
    headings = ["", "median ms", "min ms", "max ms", *(["ratio"] if baseline else [])]
    print_table(
        headings,
        [
            [
                name,
                *(round(1000 * value, 2) for value in (timing.median, timing.fastest, timing.slowest)),
                *([round(timing.median / timings[baseline].median, 3)] if baseline else []),
            ]
            for name, timing in timings.items()
        ],
    )


def _shown(cell: object) -> str:
    return f"{cell:,.3f}".rstrip("0").rstrip(".") if isinstance(cell, float) else str(cell)
