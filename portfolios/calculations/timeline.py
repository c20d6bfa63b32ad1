"""Follow quantities and cash through time, for the valuation of many days at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from portfolios.calculations.entries import ZERO, Entry, EntryType, Key, standing_entries

Step = tuple[date, Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Hold the quantity of each security and the cash of each currency, by trade date.

    Each step is a day with what is held from the end of that day on; steps are in order, one per
    day with a change.
    """

    securities: dict[Key, list[Step]] = field(default_factory=dict)
    cash: dict[str, list[Step]] = field(default_factory=dict)

    @property
    def holds_something(self) -> bool:
        """Say whether anything is held, or owed, after the last step."""
        return any(steps[-1][1] for steps in (*self.securities.values(), *self.cash.values()))


_MOVES = frozenset(
    {EntryType.BUY, EntryType.SELL, EntryType.TRANSFER_IN, EntryType.TRANSFER_OUT, EntryType.SPLIT}
)


def follow(entries: Iterable[Entry]) -> Timeline:
    """Return what the ledger held after each day on which something changed.

    Entries come in the order of booking, as for `derive_positions`, and are taken to be sound.
    """
    timeline = Timeline()
    counted = standing_entries(entries)
    counted.sort(key=lambda entry: (entry.trade_date, entry.type is not EntryType.SPLIT))
    for entry in counted:
        if entry.net_amount:
            _step(timeline.cash, entry.currency, entry.trade_date, entry.net_amount)
        if entry.counter_currency and entry.counter_amount:
            _step(timeline.cash, entry.counter_currency, entry.trade_date, entry.counter_amount)
        if entry.security is None or entry.type not in _MOVES:
            continue
        change = entry.quantity
        if entry.type is EntryType.SPLIT:
            steps = timeline.securities.get(entry.security)
            held = steps[-1][1] if steps else ZERO
            change = held * (entry.ratio - 1) if entry.ratio is not None else ZERO
        if change:
            _step(timeline.securities, entry.security, entry.trade_date, change)
    return timeline


def _step(
    steps_by_key: dict[Key, list[Step]] | dict[str, list[Step]], key: Key, day: date, change: Decimal
) -> None:
    steps: list[Step] = steps_by_key.setdefault(key, [])  # type: ignore[arg-type]
    if not steps:
        steps.append((day, change))
    elif steps[-1][0] == day:
        steps[-1] = (day, steps[-1][1] + change)
    else:
        steps.append((day, steps[-1][1] + change))
