"""Derive anew what follows from the ledger: holdings and valuations."""

import datetime
import uuid
from collections.abc import Collection

from django.db import transaction

from portfolios.services.valuations import value_portfolios


@transaction.atomic
def refresh(*, portfolio_ids: Collection[uuid.UUID], from_date: datetime.date | None = None) -> None:
    """Derive holdings and, from the earliest day that may have changed, valuations: all or nothing.

    ``from_date=None`` goes on from each portfolio's last valued day.
    """
    value_portfolios(portfolio_ids=portfolio_ids, from_date=from_date)
