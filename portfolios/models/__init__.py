"""Facts about portfolios and the securities they hold."""

from portfolios.models.handover import Handover, HandoverPosition
from portfolios.models.holdings import (
    YEAR_END,
    Account,
    BankEntry,
    Benchmark,
    BenchmarkValue,
    CorporateAction,
    Holding,
    Portfolio,
    Transaction,
    Valuation,
)
from portfolios.models.reference import (
    ExchangeRate,
    ImportBatch,
    Listing,
    Price,
    PriceSource,
    Security,
    listing_id,
    security_id,
)

__all__ = [
    "YEAR_END",
    "Account",
    "BankEntry",
    "Benchmark",
    "BenchmarkValue",
    "CorporateAction",
    "ExchangeRate",
    "Handover",
    "HandoverPosition",
    "Holding",
    "ImportBatch",
    "Listing",
    "Portfolio",
    "Price",
    "PriceSource",
    "Security",
    "Transaction",
    "Valuation",
    "listing_id",
    "security_id",
]
