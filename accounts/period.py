"""The period that drives every tile and chart of a page, as the URL says it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import formatting

CHOICES: dict[str, Any] = {
    "1m": gettext_lazy("1M"),
    "3m": gettext_lazy("3M"),
    "ytd": gettext_lazy("YTD"),
    "1y": gettext_lazy("1Y"),
    "3y": gettext_lazy("3Y"),
    "all": gettext_lazy("All"),
}
_MONTHS = {"1m": 1, "3m": 3, "1y": 12, "3y": 36}


@dataclass(frozen=True)
class Choice:
    """One button of the control."""

    key: str
    label: str
    is_chosen: bool


@dataclass(frozen=True)
class Period:
    """From the close of ``from_date`` to the close of ``to_date``."""

    key: str
    from_date: date
    to_date: date
    # Other parameters of the URL, which the form for a custom period keeps.
    kept: tuple[tuple[str, str], ...] = ()

    @property
    def is_custom(self) -> bool:
        """Say whether the days were given rather than a length."""
        return self.key == "custom"

    @property
    def label(self) -> str:
        """Return the period in words."""
        if self.from_date == self.to_date:
            return formatting.day(self.to_date)
        return _("%(from)s to %(to)s") % {
            "from": formatting.day(self.from_date),
            "to": formatting.day(self.to_date),
        }

    @property
    def choices(self) -> list[Choice]:
        """Return the buttons of the control."""
        return [Choice(key, str(label), key == self.key) for key, label in CHOICES.items()]


def parse_period(
    parameters: Mapping[str, str], *, today: date, first: date | None = None, default: str = "1y"
) -> Period:
    """Return the period that the URL asks for.

    ``first`` is the earliest day there is. "All" begins with the close of the day before it, so that the
    first day counts; the other choices do not begin before that. A custom period takes ``from`` and ``to`` as ISO days; what cannot be read falls back to
    ``default``, and days in the wrong order are swapped.
    """
    earliest = first - timedelta(days=1) if first else None
    kept = tuple((key, value) for key, value in parameters.items() if key not in {"period", "from", "to"})
    start, end = _day(parameters.get("from")), _day(parameters.get("to"))
    if start or end:
        end = min(end or today, today)
        start = start or earliest or end
        return Period("custom", min(start, end), max(start, end), kept)
    key = parameters.get("period", default)
    if key not in CHOICES:
        key = default
    start = _start(key, today, earliest)
    return Period(key, max(start, earliest) if earliest else start, today, kept)


def _start(key: str, today: date, earliest: date | None) -> date:
    if key == "ytd":
        return date(today.year - 1, 12, 31)
    if key == "all":
        return earliest or months_before(today, 36)
    return months_before(today, _MONTHS[key])


def months_before(day: date, months: int) -> date:
    """Return the same day some months earlier, or the last day of that month where it is shorter."""
    index = day.year * 12 + day.month - 1 - months
    year, month = divmod(index, 12)
    following = date(year + (month == 11), (month + 1) % 12 + 1, 1)
    return date(year, month + 1, min(day.day, (following - timedelta(days=1)).day))


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        return None
