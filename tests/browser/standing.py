"""How the mirrors and programs of the platform stand, for whoever reads why a test waited in vain."""

import datetime
import re

from django.db import Error
from django.utils import timezone

from federation.models import Arrival, Stream
from tests.browser.processes import Platform

LINES = 12
# An entry begins with a line that names its level, or is an error that nobody has caught; the rest of it follows.
_BEGINS = re.compile(r"\b(DEBUG|INFO|WARNING|ERROR|CRITICAL|Traceback)\b")
_ORDINARY = {"DEBUG", "INFO"}


def how_it_stands() -> str:
    """Return the streams, the arrivals that nobody has handled, and what programs last said beyond information."""
    try:
        known = [*_streams(), *_arrivals()]
    except Error as error:
        known = [f"the database cannot be asked: {error}"]
    return "\n".join([f"at {_time(timezone.now())}:", *known, *_logs()])


def _streams() -> list[str]:
    streams = Stream.objects.select_related("agreement", "owner", "receiver").order_by(
        "agreement__name", "pk"
    )
    return [
        f"{stream}, {stream.agreement.name} ({stream.agreement.state}): {stream.state}"
        f"{f', problem: {stream.problem}' if stream.problem else ''}"
        f", last applied {_time(stream.last_applied_at)}, looked at {_time(stream.last_tick_at)}"
        f", parked {stream.parked.count()}, work left {stream.work.count()}"
        for stream in streams
    ]


def _arrivals() -> list[str]:
    waiting = Arrival.objects.filter(handled_at=None).select_related("institution").order_by("at")
    return [
        f"not handled: arrival of {each.kind} {each.key} at {each.institution.short_name}, {_time(each.at)}"
        for each in waiting
    ]


def _logs() -> list[str]:
    logs = Platform.running.all_logs() if Platform.running is not None else {}
    return [f"{name}: {line}" for name, text in logs.items() for line in worth_reading(text)]


def worth_reading(log: str) -> list[str]:
    """Return the last lines of a log's warnings and errors."""
    lines, is_kept = [], False
    for line in log.splitlines():
        if begins := _BEGINS.search(line):
            is_kept = begins[0] not in _ORDINARY
        if is_kept:
            lines.append(line)
    return lines[-LINES:]


def _time(at: datetime.datetime | None) -> str:
    return f"{at:%H:%M:%S}" if at is not None else "never"
