"""Three years of a portfolio's ledger, worked out from the simulated market.

Pure: a plan and the market go in, entries come out, in the order of booking. The entries keep
the rules of the real ledger: no sale of what is not held, no overdrawn cash.
"""

import datetime
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal
from typing import Any

from federation.demo.market import SECURITIES, SPLIT_RATIO, SPLIT_TICKER, DemoSecurity

ONE, ZERO, CENT, HUNDRED = Decimal(1), Decimal(0), Decimal("0.01"), Decimal(100)
TRADE_FEE = Decimal("0.001")
WITHHOLDING = Decimal("0.15")
BY_TICKER: Mapping[str, DemoSecurity] = {security.ticker: security for security in SECURITIES}

Weights = Mapping[str, Decimal]


@dataclass(frozen=True)
class Market:
    """Closes by ticker and rates by currency (units for one euro), each by day."""

    closes: Mapping[str, Mapping[datetime.date, Decimal]]
    rates: Mapping[str, Mapping[datetime.date, Decimal]]
    # What continues the published rates up to yesterday.
    simulated_rates: Mapping[str, Mapping[datetime.date, Decimal]]
    split_day: datetime.date
    _days: dict[str, list[datetime.date]] = field(default_factory=dict)
    _all_rates: dict[str, Mapping[datetime.date, Decimal]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for currency, series in self.rates.items():
            self._all_rates[currency] = {**series, **self.simulated_rates[currency]}

    def _latest(self, key: str, series: Mapping[datetime.date, Decimal], day: datetime.date) -> Decimal:
        days = self._days.get(key)
        if days is None:
            days = self._days[key] = sorted(series)
        return series[days[max(bisect_right(days, day) - 1, 0)]]

    def close(self, ticker: str, day: datetime.date) -> Decimal:
        """Return the last close on or before ``day``."""
        return self._latest(ticker, self.closes[ticker], day)

    def rate(self, currency: str, to: str, day: datetime.date) -> Decimal:
        """Return units of ``to`` for one unit of ``currency``."""
        if currency == to:
            return ONE

        def per_euro(code: str) -> Decimal:
            if code == "EUR":
                return ONE
            return self._latest(f"EUR/{code}", self._all_rates[code], day)

        return (per_euro(to) / per_euro(currency)).quantize(Decimal("1e-10"))

    def unit_value(self, ticker: str, currency: str, day: datetime.date) -> Decimal:
        """Return what one unit (or one of nominal) is worth in ``currency``."""
        security = BY_TICKER[ticker]
        price = self.close(ticker, day) / (HUNDRED if security.kind == "bond" else ONE)
        return price * self.rate(security.currency, currency, day)


@dataclass(frozen=True)
class Plan:
    """What happens in one portfolio: when it opens, what flows, which weights it follows."""

    opened: datetime.date
    currency: str
    amount: Decimal
    # (day, weights by ticker): the first applies from the opening on.
    weights: Sequence[tuple[datetime.date, Weights]]
    flows: Sequence[tuple[datetime.date, Decimal]] = ()
    yearly_fee: Decimal = Decimal("0.009")


def money(amount: Decimal, currency: str) -> Decimal:
    """Round to the currency's minor unit."""
    return amount.quantize(ONE if currency == "JPY" else CENT)


def after(day: datetime.date, business_days: int) -> datetime.date:
    """Return the day that many weekdays later."""
    while business_days:
        day += datetime.timedelta(1)
        business_days -= day.weekday() < 5
    return day


def weekday(day: datetime.date) -> datetime.date:
    """Return the day itself, or the Monday after a weekend."""
    return day + datetime.timedelta(max(0, 7 - day.weekday()) if day.weekday() >= 5 else 0)


class Ledger:
    """One portfolio's entries as they come about."""

    def __init__(self, plan: Plan, market: Market) -> None:
        self.plan, self.market = plan, market
        self.entries: list[dict[str, Any]] = []
        self.held: dict[str, Decimal] = defaultdict(lambda: ZERO)
        self.cash: dict[str, Decimal] = defaultdict(lambda: ZERO)

    def value(self, day: datetime.date) -> Decimal:
        """Return the portfolio's value at the close of ``day`` in its currency."""
        own = self.plan.currency
        cash = sum((v * self.market.rate(c, own, day) for c, v in self.cash.items()), ZERO)
        units = ((q * self.market.unit_value(t, own, day)) for t, q in self.held.items())
        return cash + sum(units, ZERO)

    def _add(self, kind: str, day: datetime.date, currency: str, net: Decimal, **more: Any) -> None:
        self.cash[currency] += net
        self.entries.append(
            {
                "type": kind,
                "trade_date": day,
                "settlement_date": more.pop("settlement_date", day),
                "currency": currency,
                "net_amount": net,
                "exchange_rate": self.market.rate(currency, self.plan.currency, day),
                **more,
            }
        )

    def flow(self, day: datetime.date, amount: Decimal) -> None:
        """Book a deposit, or a withdrawal where ``amount`` is negative."""
        kind = "deposit" if amount > 0 else "withdrawal"
        self._add(kind, day, self.plan.currency, amount, gross_amount=abs(amount))

    def exchange(self, day: datetime.date, currency: str, wanted: Decimal) -> None:
        """Buy ``wanted`` of a foreign currency (sell it where negative) for the own currency."""
        own = self.plan.currency
        cost = money(wanted * self.market.rate(currency, own, day), own)
        if cost:
            self._add(
                "currency_exchange",
                day,
                own,
                -cost,
                gross_amount=abs(cost),
                counter_currency=currency,
                counter_amount=wanted,
            )
            self.cash[currency] += wanted

    def trade(self, day: datetime.date, ticker: str, quantity: Decimal) -> None:
        """Buy (or sell, where negative) at the day's close."""
        security = BY_TICKER[ticker]
        price = self.market.close(ticker, day)
        per_unit = price / (HUNDRED if security.kind == "bond" else ONE)
        gross = money(abs(quantity) * per_unit, security.currency)
        fees = money(gross * TRADE_FEE, security.currency)
        self.held[ticker] += quantity
        self._add(
            "buy" if quantity > 0 else "sell",
            day,
            security.currency,
            -gross - fees if quantity > 0 else gross - fees,
            ticker=ticker,
            quantity=quantity,
            price=price,
            gross_amount=gross,
            fees=fees,
            settlement_date=after(day, 1 if security.currency == "USD" else 2),
        )

    def to_target(self, day: datetime.date, weights: Weights) -> None:
        """Trade to the weights; buys are paid for by what is there, in each currency."""
        own, value = self.plan.currency, self.value(day)
        wanted: dict[str, Decimal] = {}
        for ticker, weight in weights.items():
            step = Decimal(1000) if BY_TICKER[ticker].kind == "bond" else ONE
            unit = self.market.unit_value(ticker, own, day)
            # A little stays in cash, so that fees and rounding never overdraw it.
            wanted[ticker] = (value * weight * Decimal("0.985") / unit / step).quantize(
                ONE, ROUND_DOWN
            ) * step
        trades = {t: wanted.get(t, ZERO) - self.held[t] for t in {*wanted, *self.held}}
        threshold = value * Decimal("0.003")
        trades = {
            t: q for t, q in trades.items() if q and abs(q) * self.market.unit_value(t, own, day) > threshold
        }
        for ticker in sorted(t for t, q in trades.items() if q < 0):
            self.trade(day, ticker, trades[ticker])
        for currency in sorted(c for c, v in self.cash.items() if c != own and v > 0):
            self.exchange(day, currency, -self.cash[currency])
        need: dict[str, Decimal] = defaultdict(lambda: ZERO)
        for ticker, quantity in trades.items():
            if quantity > 0:
                security = BY_TICKER[ticker]
                per_unit = self.market.close(ticker, day) / (HUNDRED if security.kind == "bond" else ONE)
                gross = money(quantity * per_unit, security.currency)
                need[security.currency] += gross + money(gross * TRADE_FEE, security.currency)
        for currency in sorted(c for c in need if c != own):
            self.exchange(day, currency, need[currency])
        for ticker in sorted(t for t, q in trades.items() if q > 0):
            self.trade(day, ticker, trades[ticker])

    def split(self, day: datetime.date) -> None:
        """Book the split on what is held."""
        if self.held[SPLIT_TICKER]:
            added = self.held[SPLIT_TICKER] * (SPLIT_RATIO - 1)
            self.held[SPLIT_TICKER] += added
            security = BY_TICKER[SPLIT_TICKER]
            self._add(
                "split",
                day,
                security.currency,
                ZERO,
                ticker=SPLIT_TICKER,
                quantity=added,
                ratio=SPLIT_RATIO,
            )

    def income(self, day: datetime.date) -> None:
        """Book the quarter's dividends and coupons: American quarterly, the rest once a year."""
        for ticker in sorted(t for t, q in self.held.items() if q):
            security = BY_TICKER[ticker]
            if security.coupon:
                if day.month in (1, 2, 3):
                    gross = money(self.held[ticker] * Decimal(security.coupon) / HUNDRED, security.currency)
                    self._add("interest", day, security.currency, gross, ticker=ticker, gross_amount=gross)
                continue
            quarterly = security.currency == "USD"
            if not security.dividend_yield or not (quarterly or day.month in (4, 5, 6)):
                continue
            rate = Decimal(str(security.dividend_yield)) / (4 if quarterly else 1)
            per_unit = (self.market.close(ticker, day) * rate).quantize(Decimal("0.0001"))
            gross = money(self.held[ticker] * per_unit, security.currency)
            taxes = money(gross * WITHHOLDING, security.currency)
            if gross:
                self._add(
                    "dividend",
                    day,
                    security.currency,
                    gross - taxes,
                    ticker=ticker,
                    price=per_unit,
                    gross_amount=gross,
                    taxes=taxes,
                )

    def fee(self, day: datetime.date) -> None:
        """Charge the quarter's management fee."""
        own = self.plan.currency
        amount = money(self.value(day) * self.plan.yearly_fee / 4, own)
        shortfall = amount - self.cash[own]
        if shortfall > 0:
            ticker = max(
                (t for t, q in self.held.items() if q),
                key=lambda t: self.held[t] * self.market.unit_value(t, own, day),
            )
            step = Decimal(1000) if BY_TICKER[ticker].kind == "bond" else ONE
            units = shortfall * Decimal("1.02") / self.market.unit_value(ticker, own, day)
            self.trade(day, ticker, -min(((units / step).quantize(ONE) + 1) * step, self.held[ticker]))
            currency = BY_TICKER[ticker].currency
            if currency != own:
                self.exchange(day, currency, -self.cash[currency])
        self._add("fee", day, own, -amount, gross_amount=amount, text="Management fee")


def ledger_of(plan: Plan, market: Market, today: datetime.date) -> list[dict[str, Any]]:
    """Return the entries of a portfolio from its opening up to yesterday, in order."""
    ledger = Ledger(plan, market)
    opened, last = weekday(plan.opened), today - datetime.timedelta(1)
    events: list[tuple[datetime.date, int, Any]] = [(opened, 0, plan.amount)]
    events += [(weekday(day), 0, amount) for day, amount in plan.flows]
    events += [(weekday(market.split_day), 1, None)]
    events += [(max(weekday(day), after(opened, 1)), 3, weights) for day, weights in plan.weights]
    events += [(day, 2, None) for day in _quarter_days(opened, last)]
    for day, order, what in sorted(events, key=lambda event: event[:2]):
        if not opened <= day <= last:
            continue
        if order == 0:
            ledger.flow(day, what)
        elif order == 1:
            ledger.split(day)
        elif order == 2:
            ledger.income(day)
            ledger.fee(day)
        else:
            ledger.to_target(day, what)
    return ledger.entries


def _quarter_days(first: datetime.date, last: datetime.date) -> Iterable[datetime.date]:
    for year in range(first.year, last.year + 1):
        for month in (3, 6, 9, 12):
            day = weekday(datetime.date(year, month, 15))
            if first + datetime.timedelta(20) < day <= last:
                yield day
