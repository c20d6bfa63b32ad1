"""The charts of a mirror: rows written over time, how long changes took, and how they were spread."""

import datetime
from dataclasses import dataclass
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import formatting
from federation.mirror import figures
from federation.models import Stream


@dataclass(frozen=True)
class Window:
    """How far back the charts go, the width of their points, and what they call the rows of one."""

    key: str
    label: Any
    length: datetime.timedelta
    width: datetime.timedelta
    rows: Any


def _window(key: str, label: Any, hours: int, minutes: int, rows: Any) -> Window:
    return Window(key, label, datetime.timedelta(hours=hours), datetime.timedelta(minutes=minutes), rows)


WINDOWS = (
    _window("1h", gettext_lazy("1 hour"), 1, 1, gettext_lazy("Rows per minute")),
    _window("6h", gettext_lazy("6 hours"), 6, 5, gettext_lazy("Rows per 5 minutes")),
    _window("24h", gettext_lazy("24 hours"), 24, 15, gettext_lazy("Rows per 15 minutes")),
    _window("7d", gettext_lazy("7 days"), 7 * 24, 180, gettext_lazy("Rows per 3 hours")),
    _window("30d", gettext_lazy("30 days"), 30 * 24, 720, gettext_lazy("Rows per 12 hours")),
)


def window_of(key: str) -> Window:
    """Return the window that the URL names; an hour where it names none."""
    return next((window for window in WINDOWS if window.key == key), WINDOWS[0])


def milliseconds(value: float | None) -> str:
    """Return a time as a person reads it: milliseconds below a second, else seconds."""
    if value is None:
        return formatting.UNKNOWN
    if value < 1000:
        return _("%(n)s ms") % {"n": formatting.number(value, 0 if value >= 20 else 1)}
    return _("%(n)s s") % {"n": formatting.number(value / 1000, 1)}


def within(share: float) -> str:
    """Return in words that this share of the changes appeared within a time."""
    return (
        _("Half within") if share == 0.5 else _("%(share)s within") % {"share": formatting.percent(share, 0)}
    )


def charts(stream: Stream, window: Window, now: datetime.datetime) -> dict[str, Any]:
    """Return the options of the charts with their tables, and the percentiles over the whole window."""
    since = now - window.length
    found = {span.at: span for span in figures.spans(stream, since, window.width)}
    spans = []
    seconds = int(window.width.total_seconds())
    at = datetime.datetime.fromtimestamp(int(since.timestamp()) // seconds * seconds, tz=datetime.UTC)
    while at <= now:
        spans.append(found.get(at) or figures.Span(at))
        at += window.width
    total: list[int] = []
    for span in spans:
        total = figures.add(total, span.latencies) if span.latencies else total
    return {
        "windows": WINDOWS,
        "has_figures": bool(found),
        "window_rows": sum(span.rows for span in spans),
        "window_batches": sum(span.batches for span in spans),
        "percentiles": [
            (name, within(share), milliseconds(figures.percentile(total, share)))
            for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
        ],
        "window_changes": sum(total),
        "window_held": sum(span.held for span in spans),
        **_throughput(spans, window),
        **_delays(spans, window),
        **_histogram(total),
    }


def _label(at: datetime.datetime, window: Window) -> str:
    local = timezone.localtime(at)
    if window.length <= datetime.timedelta(hours=24):
        return local.strftime("%H:%M")
    return f"{formatting.day(local)} {local:%H:%M}"


def _line(
    spans: list[figures.Span], window: Window, name: str, values: list[Any], **extra: Any
) -> dict[str, Any]:
    return {
        "roboblock": {"format": "count"},
        "animation": False,
        "xAxis": {
            "type": "category",
            "boundaryGap": False,
            "data": [_label(span.at, window) for span in spans],
        },
        "yAxis": {"type": "value", "min": 0},
        "series": [{"type": "line", "name": name, "showSymbol": False, "data": values, **extra}],
    }


def _throughput(spans: list[figures.Span], window: Window) -> dict[str, Any]:
    name, values = str(window.rows), [span.rows for span in spans]
    rows = [
        [_label(span.at, window), formatting.number(span.rows), formatting.number(span.batches)]
        for span in reversed(spans)
        if span.batches
    ]
    option = _line(spans, window, name, values, step="middle", areaStyle={"opacity": 0.15})
    option["yAxis"]["minInterval"] = 1
    return {
        "throughput": option,
        "throughput_table": {"headers": [_("From"), _("Rows"), _("Batches")], "rows": rows},
    }


def _delays(spans: list[figures.Span], window: Window) -> dict[str, Any]:
    shares = (0.5, 0.95)
    option = _line(spans, window, "", [])
    option["legend"] = {}
    option["series"] = [
        {
            "type": "line",
            "name": within(share),
            "symbolSize": 5,
            "showAllSymbol": True,
            "lineStyle": {"type": "solid" if share == 0.5 else "dashed"},
            "data": [_rounded(figures.percentile(span.latencies, share)) for span in spans],
        }
        for share in shares
    ]
    rows = [
        [
            _label(span.at, window),
            *(milliseconds(figures.percentile(span.latencies, share)) for share in shares),
        ]
        for span in reversed(spans)
        if any(span.latencies)
    ]
    return {"delays": option, "delays_table": {"headers": [_("From"), *map(within, shares)], "rows": rows}}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _histogram(total: list[int]) -> dict[str, Any]:
    labels = [f"≤ {milliseconds(bound)}" for bound in figures.BOUNDS]
    labels.append(f"> {milliseconds(figures.BOUNDS[-1])}")
    counted = [index for index, count in enumerate(total) if count]
    shown = range(counted[0], counted[-1] + 1) if counted else range(0)
    option = {
        "roboblock": {"format": "count"},
        "animation": False,
        "xAxis": {"type": "category", "data": [labels[index] for index in shown]},
        "yAxis": {"type": "value", "minInterval": 1},
        "series": [{"type": "bar", "name": _("Changes"), "data": [total[index] for index in shown]}],
    }
    rows = [[labels[index], formatting.number(total[index])] for index in shown]
    return {
        "histogram": option,
        "histogram_table": {"headers": [_("Appeared within"), _("Changes")], "rows": rows},
    }
