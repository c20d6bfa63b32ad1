"""The house rules of trading: what a trade costs, how small it may be, what stays untouched."""

from decimal import Decimal

from accounts.currencies import rounded
from portfolios.models import Security

FEE_RATE = Decimal("0.001")
MINIMUM_TRADE_AMOUNT = Decimal(250)
MINIMUM_TRADE_WEIGHT = Decimal("0.001")
# Amounts are rounded per fill, so the sum may differ from the estimate by some cents.
ROUNDING_RESERVE = Decimal(5)
# Prices that moved further than this since the proposal are shown again before approval.
PRICE_TOLERANCE = Decimal("0.02")
STALE_AFTER_DAYS = 7


def fee_of(gross_amount: Decimal, currency: str) -> Decimal:
    """Return the broker's fee for a fill of this amount."""
    return rounded(gross_amount * FEE_RATE, currency)


def gross_of(security: Security, quantity: Decimal, price: Decimal) -> Decimal:
    """Return the amount of a quantity at a price, which may be in percent of nominal."""
    amount = quantity * price
    return amount / 100 if security.price_unit == Security.PriceUnit.PERCENT else amount
