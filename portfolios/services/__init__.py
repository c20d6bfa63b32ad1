"""What may be done to portfolios, their ledgers, values, prices and arrived cash."""

from portfolios.services.corporate_actions import book_dividend, book_split
from portfolios.services.holdings import derive_holdings, refresh_holdings
from portfolios.services.ledger import book, reverse
from portfolios.services.opening import close_portfolio, open_portfolio
from portfolios.services.refreshing import refresh
from portfolios.services.valuations import ValuationRun, value_portfolios

__all__ = [
    "ValuationRun",
    "book",
    "book_dividend",
    "book_split",
    "close_portfolio",
    "derive_holdings",
    "open_portfolio",
    "refresh",
    "refresh_holdings",
    "reverse",
    "value_portfolios",
]
