"""Follow what is booked: a trade that is reversed does not settle any more."""

from collections.abc import Iterable
from typing import Any

from django.dispatch import receiver

from accounts.models import User
from portfolios.models import Transaction
from portfolios.signals import transactions_booked
from trading.services.settlements import reverse_trade


@receiver(transactions_booked)
def follow_reversals(transactions: Iterable[Transaction], by: User | None, **_kwargs: Any) -> None:
    """Stop what was to follow from trades whose entry was reversed."""
    for each in transactions:
        if each.type == Transaction.Type.REVERSAL:
            reverse_trade(reversal=each, by=by)
