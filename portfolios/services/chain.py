"""Follow a client's money from one manager to the next: one chain of returns, with the changes marked."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from portfolios.models import Portfolio, Valuation
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
    if former is None or (days and days[0].date <= since):
        return Chain(days)
    start = days[0].date if days else until + datetime.timedelta(days=1)
    before = load_chain(former, since, min(start, until))
    if not before.days or not days:
        return Chain(before.days or days, before.changes)
    link, gross_link = before.days[-1].index, before.days[-1].gross_index
    kept, moved = _until_it_moved(before.days, start)
    first, *rest = days
    first = replace(first, inflow=max(first.inflow - moved, _ZERO))
    chained = [
        replace(day, index=day.index * link, gross_index=day.gross_index * gross_link)
        for day in (first, *rest)
    ]
    return Chain([*kept, *chained], (*before.changes, start))


def _until_it_moved(days: Sequence[Day], start: datetime.date) -> tuple[list[Day], Decimal]:
    """Return the former days up to the move, and what moved: what had gone out by then, or was about to."""
    kept = list(days)
    moved = _ZERO
    while kept and (kept[-1].date >= start or (kept[-1].value is not None and kept[-1].value <= 0)):
        last = kept.pop()
        moved += (last.value or _ZERO) + last.outflow
    if not moved and kept:
        moved = kept[-1].value or _ZERO
    return kept, moved
