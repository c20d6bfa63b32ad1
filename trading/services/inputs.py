"""Gather what proposals follow from, for many portfolios in a fixed number of queries, and store it.

The stored form is plain JSON with decimals as text: whoever reads it back gets the same proposal.
"""

import datetime
import uuid
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import F
from django.utils.translation import gettext as _

from accounts.errors import DomainError
from clients.models import ClientInstruction
from models_portfolio.calculations.weights import CASH, ZERO, Key
from models_portfolio.effective import ModelBook, today
from models_portfolio.models import ModelAssignment
from portfolios.calculations.valuation import RateQuote, cross_rate
from portfolios.models import Holding, Portfolio, Security
from portfolios.services.holdings import open_instructions
from portfolios.services.market import ClosingPrice, prices_as_of, rates_as_of
from trading.calculations.proposal import (
    Instrument,
    Mode,
    OpenOrder,
    Policy,
    RebalanceInputs,
    Restriction,
    Side,
)
from trading.models import Order
from trading.services.gates import profile_problem
from trading.services.policy import FEE_RATE, MINIMUM_TRADE_AMOUNT, MINIMUM_TRADE_WEIGHT, ROUNDING_RESERVE
from trading.services.restrictions import Restrictions

Stored = dict[str, Any]


@dataclass
class Market:
    """Prices, rates and securities as of one day, for all portfolios together."""

    day: datetime.date
    securities: Mapping[uuid.UUID, Security]
    prices: Mapping[uuid.UUID, ClosingPrice]
    rates: Mapping[str, RateQuote]

    def rate(self, source: str, target: str) -> Decimal | None:
        """Return units of ``target`` for one of ``source``."""
        per_euro = {code: quote.per_euro for code, quote in self.rates.items()}
        found = cross_rate(per_euro, from_currency=source, to_currency=target)
        return None if found is None else found.quantize(Decimal("1e-10"))

    def price(self, security_id: uuid.UUID) -> Decimal | None:
        """Return the last price in the security's own currency."""
        quote = self.prices.get(security_id)
        if quote is None:
            return None
        rate = self.rate(quote.currency, self.securities[security_id].currency)
        return None if rate is None else (quote.close * rate).quantize(Decimal("1e-10"))


def load_market(
    security_ids: Collection[uuid.UUID], currencies: Collection[str], day: datetime.date
) -> Market:
    """Read the last prices and rates up to a day in three queries."""
    securities = {s.pk: s for s in Security.objects.filter(pk__in=security_ids)}
    prices = prices_as_of(list(securities), day)
    codes = {*currencies, *(s.currency for s in securities.values()), *(p.currency for p in prices.values())}
    return Market(day, securities, prices, rates_as_of(codes, day))


def gather(
    portfolio_ids: Collection[uuid.UUID],
    *,
    mode: str,
    cash_wanted: Decimal = ZERO,
    book: ModelBook | None = None,
) -> dict[uuid.UUID, Stored]:
    """Return the stored inputs of each portfolio; ``cash_wanted`` is in its own currency."""
    day = today()
    book = book or ModelBook(day)
    portfolios = {
        portfolio.pk: portfolio
        for portfolio in Portfolio.objects.filter(pk__in=portfolio_ids)
        .select_related("mandate__client__kyc", "mandate__risk_profile")
        .prefetch_related("mandate__client__risk_profiles")
    }
    models = dict(
        ModelAssignment.objects.current()
        .as_of(day)
        .filter(portfolio__in=portfolios)
        .values_list("portfolio", "model")
    )
    holdings: dict[uuid.UUID, dict[uuid.UUID, Decimal]] = defaultdict(dict)
    cash: dict[uuid.UUID, dict[str, Decimal]] = defaultdict(dict)
    rows = Holding.objects.current().filter(portfolio__in=portfolios)
    for portfolio_id, security_id, currency, quantity in rows.values_list(
        "portfolio", "security", "currency", "quantity"
    ):
        if security_id is None:
            cash[portfolio_id][currency] = quantity
        elif quantity:
            holdings[portfolio_id][security_id] = quantity
    orders = _open_orders(portfolios)
    withdrawals = open_withdrawals(portfolios)
    security_ids = {key for held in holdings.values() for key in held}
    security_ids |= {uuid.UUID(order["security"]) for listed in orders.values() for order in listed}
    for model_id in set(models.values()):
        security_ids |= {key for key in book.weights(model_id) or {} if isinstance(key, uuid.UUID)}
    currencies = {p.currency for p in portfolios.values()} | {c for held in cash.values() for c in held}
    currencies |= {code for amounts in withdrawals.values() for code in amounts}
    market = load_market(security_ids, currencies, day)
    restrictions = Restrictions({p.mandate_id for p in portfolios.values()}, security_ids, day)
    return {
        pk: _stored(
            portfolio,
            mode=mode,
            cash_wanted=cash_wanted,
            model_id=models.get(pk),
            book=book,
            holdings=holdings[pk],
            cash=cash[pk],
            orders=orders[pk],
            withdrawals=withdrawals[pk],
            restrictions=restrictions,
            market=market,
        )
        for pk, portfolio in portfolios.items()
    }


def _open_orders(portfolios: Collection[uuid.UUID]) -> dict[uuid.UUID, list[dict[str, str]]]:
    found: dict[uuid.UUID, list[dict[str, str]]] = defaultdict(list)
    rows = Order.objects.current().filter(portfolio__in=portfolios, state__in=Order.OPEN)
    for order in rows.order_by("number"):
        found[order.portfolio_id].append(
            {
                "order": order.number,
                "security": str(order.security_id),
                "side": order.side,
                "quantity": str(order.quantity - order.filled_quantity),
            }
        )
    return found


def open_withdrawals(portfolios: Collection[uuid.UUID]) -> dict[uuid.UUID, dict[str, Decimal]]:
    """Return by portfolio and currency what clients have asked for and is not paid yet."""
    found: dict[uuid.UUID, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    rows = open_instructions(ClientInstruction.Kind.WITHDRAWAL).filter(
        mandate__portfolio__in=list(portfolios)
    )
    for portfolio_id, currency, amount in rows.annotate(portfolio_id=F("mandate__portfolio")).values_list(
        "portfolio_id", "currency", "amount"
    ):
        found[portfolio_id][currency] += amount or ZERO
    return found


def _stored(
    portfolio: Portfolio,
    *,
    mode: str,
    cash_wanted: Decimal,
    model_id: uuid.UUID | None,
    book: ModelBook,
    holdings: Mapping[uuid.UUID, Decimal],
    cash: Mapping[str, Decimal],
    orders: list[dict[str, str]],
    withdrawals: Mapping[str, Decimal],
    restrictions: Restrictions,
    market: Market,
) -> Stored:
    targets = book.weights(model_id) if model_id else None
    model = book.of(model_id) if targets and model_id else None
    keys: list[uuid.UUID] = [key for key in targets or {} if isinstance(key, uuid.UUID)]
    keys += [*holdings, *(uuid.UUID(order["security"]) for order in orders)]
    stale = profile_problem(portfolio, market.day)
    return {
        "as_of": market.day.isoformat(),
        "currency": portfolio.currency,
        "mode": mode,
        "cash_wanted": str(cash_wanted),
        "model": str(model_id) if model_id else None,
        "version": str(model.version.pk) if model else None,
        "views": [str(view.pk) for view in model.views] if model else [],
        "targets": {str(key): str(weight) for key, weight in (targets or {}).items()},
        "holdings": {str(key): str(quantity) for key, quantity in holdings.items()},
        "cash": {
            code: {"amount": str(amount), "rate": _text(market.rate(code, portfolio.currency))}
            for code, amount in cash.items()
        },
        "withdrawals": {
            code: {"amount": str(amount), "rate": _text(market.rate(code, portfolio.currency))}
            for code, amount in withdrawals.items()
        },
        "open_orders": orders,
        "instruments": {
            str(key): _instrument(market.securities[key], portfolio, restrictions, stale, market)
            for key in dict.fromkeys(keys)
        },
        "policy": {
            "rounding_reserve": str(ROUNDING_RESERVE),
            "minimum_cash_weight": str(portfolio.minimum_cash_weight),
            "minimum_trade_amount": str(MINIMUM_TRADE_AMOUNT),
            "minimum_trade_weight": str(MINIMUM_TRADE_WEIGHT),
            "fee_rate": str(FEE_RATE),
        },
    }


def _instrument(
    security: Security,
    portfolio: Portfolio,
    restrictions: Restrictions,
    stale_profile: str,
    market: Market,
) -> dict[str, Any]:
    quote = market.prices.get(security.pk)
    barriers = restrictions.barriers(portfolio.mandate_id, security)
    if stale_profile:
        barriers.append({"rule": Restriction.DO_NOT_BUY.value, "because": "profile", "note": stale_profile})
    return {
        "name": security.name,
        "price": _text(market.price(security.pk)),
        "price_date": quote.date.isoformat() if quote else None,
        "price_source": quote.source_name if quote else "",
        "is_simulated": bool(quote and quote.is_simulated),
        "currency": security.currency,
        "rate": _text(market.rate(security.currency, portfolio.currency)),
        "is_percent": security.price_unit == Security.PriceUnit.PERCENT,
        "lot_size": str(security.lot_size),
        "quantity_decimals": security.quantity_decimals,
        "barriers": barriers,
    }


def read(stored: Stored) -> RebalanceInputs:
    """Return stored inputs as the calculation wants them.

    Raises DomainError where cash stands in a currency without a rate.
    """
    policy = stored["policy"]
    return RebalanceInputs(
        mode=Mode(stored["mode"]),
        currency=stored["currency"],
        holdings={uuid.UUID(key): Decimal(value) for key, value in stored["holdings"].items()},
        cash=_converted(stored["cash"]),
        targets={_key(key): Decimal(value) for key, value in stored["targets"].items()},
        instruments={
            uuid.UUID(key): _read_instrument(key, value) for key, value in stored["instruments"].items()
        },
        open_orders=tuple(
            OpenOrder(
                security=uuid.UUID(order["security"]),
                side=Side(order["side"]),
                quantity=Decimal(order["quantity"]),
            )
            for order in stored["open_orders"]
        ),
        policy=Policy(
            reserve=Decimal(policy["rounding_reserve"]) + _converted(stored["withdrawals"]),
            minimum_cash_weight=Decimal(policy["minimum_cash_weight"]),
            minimum_trade_amount=Decimal(policy["minimum_trade_amount"]),
            minimum_trade_weight=Decimal(policy["minimum_trade_weight"]),
            fee_rate=Decimal(policy["fee_rate"]),
        ),
        cash_wanted=Decimal(stored["cash_wanted"]),
    )


def _read_instrument(key: str, value: Mapping[str, Any]) -> Instrument:
    return Instrument(
        security=uuid.UUID(key),
        price=_number(value["price"]),
        currency=value["currency"],
        rate=_number(value["rate"]),
        is_percent=value["is_percent"],
        lot_size=Decimal(value["lot_size"]) or None,
        quantity_decimals=value["quantity_decimals"],
        restrictions=frozenset(Restriction(barrier["rule"]) for barrier in value["barriers"]),
    )


def _converted(amounts: Mapping[str, Mapping[str, Any]]) -> Decimal:
    total = ZERO
    for currency, entry in amounts.items():
        amount, rate = Decimal(entry["amount"]), _number(entry["rate"])
        if amount and rate is None:
            raise DomainError(
                "rate_missing",
                _("There is no exchange rate for %(currency)s. Import rates and propose again.")
                % {"currency": currency},
            )
        total += amount * (rate or ZERO)
    return total


def _key(text: str) -> Key:
    return CASH if text == CASH else uuid.UUID(text)


def _text(value: Decimal | None) -> str | None:
    return None if value is None else str(value)


def _number(value: str | None) -> Decimal | None:
    return None if value is None else Decimal(value)
