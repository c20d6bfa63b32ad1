"""Value holdings and cash in the portfolio's currency.

What cannot be valued is named with a reason; a total that depends on it is None, never 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum

from portfolios.calculations.entries import ZERO, Key

EURO = "EUR"
# A Thursday's close is still the last one on the Tuesday after Easter.
STALE_AFTER_DAYS = 5


class PriceUnit(StrEnum):
    """What a price is for: one unit, or a hundredth of the nominal amount."""

    PER_UNIT = "per_unit"
    PERCENT = "percent"


class MissingKind(StrEnum):
    """What a value could not be worked out without."""

    PRICE = "price"
    RATE = "rate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """Hold a price of one unit, or in percent of nominal, as of a day."""

    price: Decimal
    currency: str
    as_of: date
    unit: PriceUnit = PriceUnit.PER_UNIT


@dataclass(frozen=True, slots=True, kw_only=True)
class RateQuote:
    """Hold units of a currency for one euro as of a day, as the ECB quotes."""

    per_euro: Decimal
    as_of: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Name what is missing: the price of `security`, or the rate of `currency`."""

    kind: MissingKind
    security: Key | None = None
    currency: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Hold what is to be valued: units or nominal, and its cost where known."""

    security: Key
    quantity: Decimal
    book_cost: Decimal | None = None
    book_cost_portfolio: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ValuedPosition:
    """Hold a valued security; `market_value` is in the portfolio's currency.

    `rate` is units of the portfolio's currency for one unit of the price's currency.
    The unrealised gain splits into its price part and its currency part.
    """

    security: Key
    quantity: Decimal
    quote: Quote | None
    rate: Decimal | None
    market_value: Decimal | None
    weight: Decimal | None
    unrealised_gain: Decimal | None
    price_gain: Decimal | None
    currency_gain: Decimal | None
    is_stale: bool
    missing: tuple[Missing, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ValuedCash:
    """Hold cash in one currency and its value in the portfolio's currency."""

    currency: str
    amount: Decimal
    rate: Decimal | None
    market_value: Decimal | None
    weight: Decimal | None
    is_stale: bool
    missing: tuple[Missing, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Valuation:
    """Hold a portfolio's value at the close of a day; a None is explained in `missing`."""

    as_of: date
    currency: str
    total: Decimal | None
    securities_value: Decimal | None
    cash_value: Decimal | None
    positions: tuple[ValuedPosition, ...]
    cash: tuple[ValuedCash, ...]
    missing: tuple[Missing, ...]
    is_stale: bool


def cross_rate(per_euro: Mapping[str, Decimal], *, from_currency: str, to_currency: str) -> Decimal | None:
    """Return units of `to_currency` for one unit of `from_currency`, crossed over the euro.

    None when a rate is missing or not above zero.
    """
    if from_currency == to_currency:
        return Decimal(1)
    source = Decimal(1) if from_currency == EURO else per_euro.get(from_currency)
    target = Decimal(1) if to_currency == EURO else per_euro.get(to_currency)
    if source is None or target is None or source <= 0 or target <= 0:
        return None
    return target / source


def local_value(quantity: Decimal, quote: Quote) -> Decimal:
    """Return the value in the price's currency, of units or of nominal quoted in percent."""
    value = quantity * quote.price
    return value / 100 if quote.unit is PriceUnit.PERCENT else value


def value_portfolio(
    positions: Iterable[Position],
    cash: Mapping[str, Decimal],
    *,
    currency: str,
    as_of: date,
    quotes: Mapping[Key, Quote],
    rates: Mapping[str, RateQuote],
    stale_after_days: int = STALE_AFTER_DAYS,
) -> Valuation:
    """Value positions and cash in `currency` at the given prices and rates.

    A price or rate older than `stale_after_days` calendar days is used and flagged; one dated
    after `as_of` counts as missing. Positions of quantity 0 need no price.
    """
    book = _RateBook(rates, currency, as_of, stale_after_days)
    valued = [_value_position(position, quotes, book) for position in positions]
    valued_cash = [_value_cash(code, amount, book) for code, amount in sorted(cash.items())]
    securities_value = sum_or_none(line.market_value for line in valued)
    cash_value = sum_or_none(line.market_value for line in valued_cash)
    total = sum_or_none([securities_value, cash_value])
    missing = [gap for line in valued for gap in line.missing]
    missing += [gap for cash_line in valued_cash for gap in cash_line.missing]
    return Valuation(
        as_of=as_of,
        currency=currency,
        total=total,
        securities_value=securities_value,
        cash_value=cash_value,
        positions=tuple(replace(line, weight=_weight(line.market_value, total)) for line in valued),
        cash=tuple(replace(line, weight=_weight(line.market_value, total)) for line in valued_cash),
        missing=tuple(dict.fromkeys(missing)),
        is_stale=any(line.is_stale for line in valued) or any(line.is_stale for line in valued_cash),
    )


class _RateBook:
    """Answer with the rate into the portfolio's currency, its staleness and what is missing."""

    def __init__(
        self, rates: Mapping[str, RateQuote], currency: str, as_of: date, stale_after_days: int
    ) -> None:
        self.rates = {code: rate for code, rate in rates.items() if rate.as_of <= as_of}
        self.per_euro = {code: rate.per_euro for code, rate in self.rates.items()}
        self.currency = currency
        self.as_of = as_of
        self.stale_after_days = stale_after_days

    def is_old(self, day: date) -> bool:
        return (self.as_of - day).days > self.stale_after_days

    def rate(self, code: str) -> tuple[Decimal | None, bool, tuple[Missing, ...]]:
        if code == self.currency:
            return Decimal(1), False, ()
        rate = cross_rate(self.per_euro, from_currency=code, to_currency=self.currency)
        needed = [name for name in (code, self.currency) if name != EURO]
        if rate is None:
            gaps = (name for name in needed if self.per_euro.get(name, ZERO) <= 0)
            return None, False, tuple(Missing(kind=MissingKind.RATE, currency=n) for n in gaps)
        return rate, any(self.is_old(self.rates[name].as_of) for name in needed), ()


def _value_position(position: Position, quotes: Mapping[Key, Quote], book: _RateBook) -> ValuedPosition:
    quote = quotes.get(position.security)
    if quote is not None and quote.as_of > book.as_of:
        quote = None
    rate: Decimal | None = None
    local: Decimal | None = None
    value: Decimal | None = None
    is_stale = False
    missing: tuple[Missing, ...] = ()
    if not position.quantity:
        local = value = ZERO
    elif quote is None:
        missing = (Missing(kind=MissingKind.PRICE, security=position.security),)
    else:
        local = local_value(position.quantity, quote)
        rate, is_rate_old, missing = book.rate(quote.currency)
        is_stale = is_rate_old or book.is_old(quote.as_of)
        if rate is not None:
            value = local * rate
    gain = price_gain = currency_gain = None
    if value is not None and position.book_cost_portfolio is not None:
        gain = value - position.book_cost_portfolio
        if rate is not None and local is not None and position.book_cost is not None:
            price_gain = (local - position.book_cost) * rate
            currency_gain = gain - price_gain
    return ValuedPosition(
        security=position.security,
        quantity=position.quantity,
        quote=quote,
        rate=rate,
        market_value=value,
        weight=None,
        unrealised_gain=gain,
        price_gain=price_gain,
        currency_gain=currency_gain,
        is_stale=is_stale,
        missing=missing,
    )


def _value_cash(code: str, amount: Decimal, book: _RateBook) -> ValuedCash:
    rate, is_stale, missing = book.rate(code)
    if not amount:
        # Nothing is worth nothing in any currency.
        is_stale, missing = False, ()
    value = ZERO if not amount else amount * rate if rate is not None else None
    return ValuedCash(
        currency=code,
        amount=amount,
        rate=rate,
        market_value=value,
        weight=None,
        is_stale=is_stale,
        missing=missing,
    )


def sum_or_none(values: Iterable[Decimal | None]) -> Decimal | None:
    """Return the sum; None where any of the values is not known."""
    total = ZERO
    for value in values:
        if value is None:
            return None
        total += value
    return total


def _weight(value: Decimal | None, total: Decimal | None) -> Decimal | None:
    if value is None or total is None or total <= 0:
        return None
    return value / total
