"""What a rebalance follows from, and what it proposes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, ROUND_UP, Decimal
from enum import StrEnum

from models_portfolio.calculations.weights import ONE, ZERO, Key


class Mode(StrEnum):
    """What a rebalancing is to do: reach the target, invest or raise cash, or sell everything."""

    TO_TARGET = "to_target"
    INVEST_CASH = "invest_cash"
    RAISE_CASH = "raise_cash"
    LIQUIDATE = "liquidate"


class Side(StrEnum):
    """Whether a trade buys or sells."""

    BUY = "buy"
    SELL = "sell"


class Restriction(StrEnum):
    """Say what may not be done; an excluded security is sold, and its weight goes to the others."""

    DO_NOT_BUY = "do_not_buy"
    DO_NOT_SELL = "do_not_sell"
    EXCLUDED = "excluded"


class ReasonCode(StrEnum):
    """Say why a line trades, or why it does not (or not further)."""

    # Trades.
    UNDERWEIGHT = "underweight"
    NEW_POSITION = "new_position"
    OVERWEIGHT = "overweight"
    NOT_IN_MODEL = "not_in_model"
    EXCLUDED = "excluded"
    CASH_NEEDED = "cash_needed"
    LIQUIDATION = "liquidation"
    # No trade.
    AT_TARGET = "at_target"
    BELOW_LOT = "below_lot"
    BELOW_MINIMUM = "below_minimum"
    COSTS_EXCEED_TRADE = "costs_exceed_trade"
    NO_CASH = "no_cash"
    DO_NOT_BUY = "do_not_buy"
    DO_NOT_SELL = "do_not_sell"
    OPEN_ORDER = "open_order"
    BUYS_ONLY = "buys_only"
    SELLS_ONLY = "sells_only"
    CASH_SUFFICES = "cash_suffices"
    NO_MODEL = "no_model"
    NO_VALUE = "no_value"
    MISSING_PRICE = "missing_price"
    MISSING_RATE = "missing_rate"
    VALUE_NOT_AVAILABLE = "value_not_available"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """Hold what is needed to trade a security.

    `price` is in `currency`, `rate` is units of the portfolio's currency for one unit of it;
    None is not available. `is_percent` means that the price is in percent of nominal. A quantity
    is a multiple of `lot_size`, or of the smallest unit of `quantity_decimals` where no lot is
    given; an exit may sell an odd lot.
    """

    security: Key
    price: Decimal | None
    currency: str
    rate: Decimal | None = ONE
    is_percent: bool = False
    lot_size: Decimal | None = None
    quantity_decimals: int = 0
    restrictions: frozenset[Restriction] = frozenset()

    @property
    def unit_value(self) -> Decimal | None:
        """Return the value of one unit in the portfolio's currency, None when not available."""
        if self.price is None or self.rate is None:
            return None
        value = self.price * self.rate
        return value / 100 if self.is_percent else value

    @property
    def step(self) -> Decimal:
        """Return the smallest quantity by which an order can grow."""
        return self.lot_size if self.lot_size else ONE.scaleb(-self.quantity_decimals)

    def floor(self, quantity: Decimal) -> Decimal:
        """Return the largest tradable quantity up to `quantity`."""
        return (quantity / self.step).to_integral_value(rounding=ROUND_DOWN) * self.step

    def ceil(self, quantity: Decimal) -> Decimal:
        """Return the smallest tradable quantity from `quantity` on."""
        return (quantity / self.step).to_integral_value(rounding=ROUND_UP) * self.step


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenOrder:
    """Hold what is left to fill of an order."""

    security: Key
    side: Side
    quantity: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Hold the rules of trading; amounts in the portfolio's currency, weights as fractions.

    `reserve` is promised already (withdrawals, fees due) and never invested;
    `minimum_cash_weight` of the rest stays in cash. A trade is at least the greater of the two
    minimums. Costs are estimated at `fee_rate`, at least `fee_minimum` a trade.
    """

    reserve: Decimal = ZERO
    minimum_cash_weight: Decimal = ZERO
    minimum_trade_amount: Decimal = ZERO
    minimum_trade_weight: Decimal = ZERO
    fee_rate: Decimal = ZERO
    fee_minimum: Decimal = ZERO

    def __post_init__(self) -> None:
        if not ZERO <= self.fee_rate < ONE or not ZERO <= self.minimum_cash_weight <= ONE:
            raise ValueError("The rate of fees and the minimum of cash are fractions of 1.")

    def kept(self, total: Decimal, cash_weight: Decimal = ZERO) -> Decimal:
        """Return the cash of a portfolio worth `total` that no purchase takes.

        What is promised, and of the rest the minimum, or the weight that cash is to have where that is more.
        """
        return self.reserve + max(total - self.reserve, ZERO) * max(cash_weight, self.minimum_cash_weight)

    def fee(self, amount: Decimal) -> Decimal:
        """Return the estimated costs of a trade of this amount."""
        return max(self.fee_minimum, self.fee_rate * amount) if amount else ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class RebalanceInputs:
    """Hold everything a proposal follows from, so that it can be made again.

    `holdings` are quantities by trade date. `cash` is the traded cash of all currencies in the
    portfolio's; what open orders will take and bring is worked out here, so it is not to be
    deducted before. `targets` sum to 1 with the weight of cash under `CASH`, or are empty where
    no model is assigned. `cash_wanted` is for raising cash: what shall be free beyond the reserve.
    """

    mode: Mode
    currency: str
    holdings: Mapping[Key, Decimal]
    cash: Decimal
    targets: Mapping[Key, Decimal]
    instruments: Mapping[Key, Instrument]
    open_orders: tuple[OpenOrder, ...] = ()
    policy: Policy = field(default_factory=Policy)
    cash_wanted: Decimal = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposedLine:
    """Hold a security's current, target and proposed state, and why it trades or does not.

    Amount and fees are in the portfolio's currency, `price` in `currency`. Current quantity and
    weight count open orders. `target_weight` is the model's. `limited_by` says of a trade why it
    does not go further, None where it reaches its target.
    """

    security: Key
    side: Side | None
    quantity: Decimal
    price: Decimal | None
    currency: str
    rate: Decimal | None
    amount: Decimal
    fees: Decimal
    reason: ReasonCode
    limited_by: ReasonCode | None
    current_quantity: Decimal
    current_weight: Decimal | None
    target_weight: Decimal
    proposed_weight: Decimal | None

    @property
    def is_trade(self) -> bool:
        """Return whether the line is a trade, or one that was not made."""
        return self.side is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebalance:
    """Hold a proposal: every trade and every trade not made, with the inputs.

    `cash_before` counts open orders, `cash_after` the proposed trades and their costs too; both
    include the reserve. `turnover` is half the sum of the changes of weights; the drifts are
    one-way, cash included. None where the value of the portfolio is not available.
    """

    inputs: RebalanceInputs
    lines: tuple[ProposedLine, ...]
    value: Decimal | None
    cash_before: Decimal | None
    cash_after: Decimal | None
    fees: Decimal
    turnover: Decimal | None
    drift_before: Decimal | None
    drift_after: Decimal | None

    @property
    def trades(self) -> tuple[ProposedLine, ...]:
        """Return the lines that trade, sells first."""
        traded = [line for line in self.lines if line.is_trade]
        return tuple(sorted(traded, key=lambda line: line.side is not Side.SELL))
