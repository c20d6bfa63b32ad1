"""Which portfolios' work is this institution's: a ledger may be kept by another party than the portfolio's owner."""

from collections.abc import Iterable

from clients.duties import Duty, performed_under
from portfolios.models import Portfolio


def performed(duty: Duty, portfolios: Iterable[Portfolio]) -> list[Portfolio]:
    """Return those of ``portfolios`` for which this institution performs ``duty``; mandates should be loaded.

    A portfolio outside any agreement is all its owner's work.
    """
    found = list(portfolios)
    ours = performed_under(duty, {each.mandate.agreement for each in found if _is_shared(each)})
    return [
        each
        for each in found
        if (each.mandate.agreement in ours if _is_shared(each) else not each.is_received)
    ]


def performs_for(duty: Duty, portfolio: Portfolio) -> bool:
    """Say whether this institution performs ``duty`` for a portfolio, own or received."""
    return bool(performed(duty, [portfolio]))


def _is_shared(portfolio: Portfolio) -> bool:
    return portfolio.mandate is not None and portfolio.mandate.agreement is not None
