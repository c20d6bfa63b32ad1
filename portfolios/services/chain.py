"""Follow a client's money from one manager to the next: one chain of returns, with the changes marked."""

import datetime
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from django.db.models import Q

from portfolios.models import Handover, HandoverPosition, Portfolio, Transaction, Valuation
from portfolios.services.figures import Day, load_days

_ZERO = Decimal(0)


@dataclass(frozen=True)
class Chain:
    """Days of one or several portfolios in a row; ``changes`` are the first days under a new manager."""

    days: Sequence[Day]
    changes: tuple[datetime.date, ...] = ()


def former_portfolio(portfolio: Portfolio) -> Portfolio | None:
    """Return the portfolio that was handed over into this one, where this institution knows of it."""
    mandate = portfolio.mandate
    if mandate is None or mandate.predecessor_id is None:
        return None
    found: Portfolio | None = (
        Portfolio.objects.current().filter(mandate=mandate.predecessor_id).select_related("mandate").first()
    )
    return found


def first_day(portfolio: Portfolio) -> datetime.date | None:
    """Return the first valued day of the chain that ends with ``portfolio``."""
    former = former_portfolio(portfolio)
    own: datetime.date | None = (
        Valuation.objects.current()
        .filter(portfolio=portfolio)
        .order_by("date")
        .values_list("date", flat=True)
        .first()
    )
    return (first_day(former) if former is not None else None) or own


def load_chain(portfolio: Portfolio, since: datetime.date, until: datetime.date) -> Chain:
    """Return the days as ``load_days`` does, those under former managers before them.

    Indices go on from the former portfolio's last one. What moved from one to the other is no flow
    of the client's (GIPS 2020: external flows are the client's).
    """
    days = load_days(portfolio, since, until)
    former = former_portfolio(portfolio)
    taken = _taken_over(portfolio) if former is not None else None
    if former is None or (taken is None and any(day.value for day in days)):
        return Chain(days)
    # The former manager goes on until what moves has been booked here.
    days = [_without_what_moved(day, taken) for day in days if taken is not None and day.date >= taken.day]
    if days and days[0].date <= since:
        return Chain(days)
    start = days[0].date if days else until + datetime.timedelta(days=1)
    before = load_chain(former, since, min(start, until))
    if not before.days or not days:
        return Chain(before.days or days, before.changes)
    link, gross_link = before.days[-1].index, before.days[-1].gross_index
    kept = _until_it_moved(before.days, start)
    chained = [replace(day, index=day.index * link, gross_index=day.gross_index * gross_link) for day in days]
    return Chain([*kept, *chained], (*before.changes, start))


@dataclass(frozen=True)
class _Taken:
    """What came in on the days on which a portfolio took over what was another's, and what it gave back on them.

    Both in its own currency.
    """

    came: Mapping[datetime.date, Decimal]
    went: Mapping[datetime.date, Decimal]

    @property
    def day(self) -> datetime.date:
        """Return the first of them."""
        return min(self.came.keys() | self.went.keys())


def _without_what_moved(day: Day, taken: _Taken) -> Day:
    return replace(
        day,
        inflow=max(day.inflow - taken.came.get(day.date, _ZERO), _ZERO),
        outflow=max(day.outflow - taken.went.get(day.date, _ZERO), _ZERO),
    )


def _taken_over(portfolio: Portfolio) -> _Taken | None:
    """Return when a portfolio took over its former one; None where it has not.

    By its ledger, or where that is not shared by its first inflow.
    """
    handover = Handover.objects.current().filter(mandate=portfolio.mandate_id).values("pk")
    moved = HandoverPosition.objects.current().filter(handover__in=handover).values("pk")
    entries = Transaction.objects.current().filter(portfolio=portfolio)
    booked = entries.filter(Q(reference__in=moved) | Q(reference__in=handover), reversed_by=None)
    found = booked.exclude(type=Transaction.Type.REVERSAL)
    came: dict[datetime.date, Decimal] = defaultdict(Decimal)
    went: dict[datetime.date, Decimal] = defaultdict(Decimal)
    for day, kind, gross, rate in found.values_list("trade_date", "type", "gross_amount", "exchange_rate"):
        (came if kind == Transaction.Type.TRANSFER_IN else went)[day] += gross * rate
    if came or went:
        return _Taken(came, went)
    if entries.exists():
        return None
    paid_in = Valuation.objects.current().filter(portfolio=portfolio, inflow__gt=0).order_by("date").first()
    return _Taken({paid_in.date: paid_in.inflow}, {}) if paid_in is not None else None


def _until_it_moved(days: Sequence[Day], start: datetime.date) -> list[Day]:
    """Return the former days up to the move: without those on which it was empty already."""
    kept = list(days)
    while kept and (kept[-1].date >= start or (kept[-1].value is not None and kept[-1].value <= 0)):
        kept.pop()
    return kept
