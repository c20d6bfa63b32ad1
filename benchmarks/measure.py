"""Timings, percentiles and tables: what the benchmarks have in common."""

import statistics
from collections.abc import Mapping, Sequence
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


def print_timings(timings: Mapping[str, Timing], *, baseline: str) -> None:
    """Print median, minimum and maximum in milliseconds, and the ratio to the median of the baseline."""
    print_table(
        ["", "median ms", "min ms", "max ms", "ratio"],
        [
            [
                name,
                *(round(1000 * value, 2) for value in (timing.median, timing.fastest, timing.slowest)),
                round(timing.median / timings[baseline].median, 3),
            ]
            for name, timing in timings.items()
        ],
    )


def _shown(cell: object) -> str:
    return f"{cell:,.3f}".rstrip("0").rstrip(".") if isinstance(cell, float) else str(cell)
