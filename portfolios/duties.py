"""Which portfolios' work is this institution's: a ledger may be kept by another party than the portfolio's owner."""

import uuid
from collections.abc import Iterable

from clients.duties import Duty, performed_under
from portfolios.models import Portfolio


def performed(duty: Duty, portfolios: Iterable[Portfolio]) -> list[Portfolio]:
    """Return those of ``portfolios`` for which this institution performs ``duty``; mandates should be loaded.

    A portfolio outside any agreement is all its owner's work.
    """
    found = [(each, _agreement(each)) for each in portfolios]
    ours = performed_under(duty, {agreement for _, agreement in found if agreement is not None})
    return [
        each
        for each, agreement in found
        if (agreement in ours if agreement is not None else not each.is_received)
    ]


def performs_for(duty: Duty, portfolio: Portfolio) -> bool:
    """Say whether this institution performs ``duty`` for a portfolio, own or received."""
    return bool(performed(duty, [portfolio]))


def _agreement(portfolio: Portfolio) -> uuid.UUID | None:
    return portfolio.mandate.agreement if portfolio.mandate is not None else None
