"""What other parts may listen to; all are sent inside the transaction of the change."""

from django.dispatch import Signal

# sender Portfolio; portfolio, by: a portfolio was opened for a mandate.
portfolio_opened = Signal()

# sender Transaction; transactions, by: entries were added to the ledger, and holdings and values derived.
transactions_booked = Signal()

# sender Valuation; portfolio_ids: values or holdings of these portfolios may have changed.
portfolios_valued = Signal()
