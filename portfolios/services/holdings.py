"""What portfolios hold, derived from their ledgers: now, or as of an earlier day."""

import datetime
import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from functools import cache
from typing import Any, cast

from django.db import connection, transaction
from django.db.models import F, QuerySet, Sum
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import bulk
from accounts.errors import DomainError
from clients.duties import Duty
from clients.models import ClientInstruction
from clients.querysets import InstructionQuerySet
from portfolios.calculations.cash import CashDeductions, CashPosition, cash_positions
from portfolios.calculations.entries import Entry
from portfolios.calculations.ledger import Holding as HeldSecurity
from portfolios.calculations.ledger import Positions, derive_positions
from portfolios.calculations.valuation import (
    MissingKind,
    Position,
    PriceUnit,
    Quote,
    RateQuote,
    ValuedCash,
    ValuedPosition,
    cross_rate,
    value_portfolio,
)
from portfolios.duties import performed
from portfolios.models import Holding, Portfolio, Security
from portfolios.services.entries import as_settled, load_entries
from portfolios.services.market import STALE_AFTER_DAYS, ClosingPrice, prices_as_of, rates_as_of

_MONEY, _PRICE, _WEIGHT, _QUANTITY = Decimal("1e-4"), Decimal("1e-10"), Decimal("1e-10"), Decimal("1e-8")
_OPEN_ORDERS = ("approved", "waiting", "sent", "new", "partially_filled")
_OWN_FIELDS = (
    "quantity", "settled_quantity", "available_quantity", "price", "price_date", "price_source_name",
    "is_price_simulated", "average_cost", "book_cost", "market_value", "weight", "problem", "as_of",
)  # fmt: skip


def refuse_open_orders(portfolio: Portfolio) -> None:
    """Raise DomainError while something is ordered for a portfolio."""
    if portfolio.orders.filter(state__in=_OPEN_ORDERS, retired_at=None).exists():
        raise DomainError(
            "orders_open",
            _(
                "Orders of portfolio %(number)s are open. Cancel them, or wait until they are filled and settled."
            )
            % {"number": portfolio.number},
        )


def lock_portfolios(portfolio_ids: Collection[uuid.UUID]) -> list[Portfolio]:
    """Return portfolios with their mandates, so that two who derive something from one ledger take turns."""
    return list(
        Portfolio.objects.current()
        .filter(pk__in=list(portfolio_ids))
        .select_for_update(of=("self",))
        .select_related("mandate")
        .order_by("pk")
    )


@transaction.atomic
def refresh_holdings(*, portfolio_ids: Collection[uuid.UUID]) -> int:
    """Bring holdings in line with the ledgers that are kept here; return how many rows changed."""
    portfolios = performed(Duty.SETTLEMENT, lock_portfolios(portfolio_ids))
    today = timezone.now().date()
    return write_holdings(portfolios, load_entries([each.pk for each in portfolios], until=today), today)


def write_holdings(
    portfolios: Collection[Portfolio], ledgers: Mapping[uuid.UUID, list[Entry]], today: datetime.date
) -> int:
    """Bring the holdings of locked portfolios in line with their ledgers; return how many rows changed."""
    derived = _derive(portfolios, ledgers, today)
    stored: dict[uuid.UUID, dict[tuple[uuid.UUID | None, str], Holding]] = defaultdict(dict)
    for holding in Holding.objects.filter(portfolio__in=portfolios):
        stored[holding.portfolio_id][(holding.security_id, holding.currency)] = holding
    created, updated, gone = [], [], []
    for portfolio_id, holdings in derived.items():
        existing = stored[portfolio_id]
        for holding in holdings:
            before = existing.pop((holding.security_id, holding.currency), None)
            if before is None:
                created.append(holding)
            elif any(getattr(before, name) != getattr(holding, name) for name in _OWN_FIELDS):
                for name in _OWN_FIELDS:
                    setattr(before, name, getattr(holding, name))
                updated.append(before)
        gone += [holding.pk for holding in existing.values()]
    if gone:
        Holding.objects.filter(pk__in=gone).delete()
    bulk.update(updated, _OWN_FIELDS)
    bulk.insert(created)
    return len(created) + len(updated) + len(gone)


def derive_holdings(portfolios: Collection[Portfolio], day: datetime.date) -> dict[uuid.UUID, list[Holding]]:
    """Return unsaved holdings of each portfolio at the close of ``day``, valued at that day's prices.

    Securities first, then cash by currency. What can still be spent is only known for today, so on
    an earlier day ``available_quantity`` of cash is what was traded.
    """
    return _derive(portfolios, load_entries([each.pk for each in portfolios], until=day), day)


def _derive(
    portfolios: Collection[Portfolio], ledgers: Mapping[uuid.UUID, list[Entry]], day: datetime.date
) -> dict[uuid.UUID, list[Holding]]:
    ids = [portfolio.pk for portfolio in portfolios]
    settled = as_settled({key: ledgers[key] for key in ids})
    positions = {key: derive_positions(entries, as_of=day) for key, entries in settled.items()}
    # The calculations take any key; here it is a security's id.
    security_ids: set[Any] = {security for held in positions.values() for security in held.holdings}
    prices = prices_as_of(security_ids, day)
    held_securities = Security.objects.filter(pk__in=security_ids).only("name", "price_unit").in_bulk()
    currencies = {price.currency for price in prices.values()} | {
        portfolio.currency for portfolio in portfolios
    }
    for held in positions.values():
        currencies |= {*held.cash, *(holding.currency for holding in held.holdings.values())}
    rates = rates_as_of(currencies, day)
    is_today = day >= timezone.now().date()
    promised = commitments(ids) if is_today else {}
    derived = {}
    for portfolio in portfolios:
        valuer = _Valuer(portfolio, day, positions[portfolio.pk], prices, held_securities, rates)
        deductions = promised.get(portfolio.pk, {})
        derived[portfolio.pk] = valuer.holdings(deductions)
    return derived


class _Valuer:
    """Value what one portfolio holds."""

    def __init__(
        self,
        portfolio: Portfolio,
        day: datetime.date,
        positions: Positions,
        prices: Mapping[Any, ClosingPrice],
        securities: Mapping[Any, Security],
        rates: Mapping[str, RateQuote],
    ) -> None:
        self.portfolio, self.day, self.positions = portfolio, day, positions
        self.prices, self.securities, self.rates = prices, securities, rates
        quotes: dict[Any, Quote] = {
            key: Quote(
                price=price.close,
                currency=price.currency,
                as_of=price.date,
                unit=PriceUnit(securities[key].price_unit),
            )
            for key, price in prices.items()
            if key in positions.holdings
        }
        held = positions.holdings.values()
        self.valuation = value_portfolio(
            [
                Position(
                    security=holding.security,
                    quantity=holding.quantity,
                    book_cost=holding.book_cost,
                    book_cost_portfolio=holding.book_cost_portfolio,
                )
                for holding in held
            ],
            {code: balance.traded for code, balance in positions.cash.items()},
            currency=portfolio.currency,
            as_of=day,
            quotes=quotes,
            rates=rates,
            stale_after_days=STALE_AFTER_DAYS,
        )

    def holdings(self, deductions: Mapping[str, CashDeductions]) -> list[Holding]:
        """Return one row per security and per currency of cash."""
        lines = [
            self._security(valued, self.positions.holdings[valued.security])
            for valued in self.valuation.positions
        ]
        total = self.valuation.total
        reserve = (
            self.portfolio.minimum_cash_weight * total if total is not None and total > 0 else Decimal(0)
        )
        deductions = dict(deductions)
        if reserve:
            own = deductions.get(self.portfolio.currency, CashDeductions())
            deductions[self.portfolio.currency] = CashDeductions(
                open_buys=own.open_buys, withdrawals=own.withdrawals, fees=own.fees, reserves=reserve
            )
        cash = cash_positions(self.positions.cash, deductions)
        valued_cash = {line.currency: line for line in self.valuation.cash}
        lines += [
            self._cash(position, valued_cash.get(code))
            for code, position in cash.items()
            if position.traded or position.settled or code == self.portfolio.currency
        ]
        return lines

    def _security(self, valued: ValuedPosition, held: HeldSecurity) -> Holding:
        price = self.prices.get(held.security)
        close = price.close if price is not None else None
        if price is not None and close is not None and price.currency != held.currency:
            per_euro = {code: rate.per_euro for code, rate in self.rates.items()}
            rate = cross_rate(per_euro, from_currency=price.currency, to_currency=held.currency)
            close = None if rate is None else close * rate
        average = held.average_cost
        return Holding(
            portfolio=self.portfolio,
            security_id=cast("uuid.UUID", held.security),
            currency=held.currency,
            quantity=held.quantity.quantize(_QUANTITY),
            settled_quantity=held.settled_quantity.quantize(_QUANTITY),
            available_quantity=held.quantity.quantize(_QUANTITY),
            price=None if close is None else close.quantize(_PRICE),
            price_date=price.date if price else None,
            price_source_name=price.source_name if price else "",
            is_price_simulated=bool(price and price.is_simulated),
            average_cost=None if average is None else average.quantize(_PRICE),
            book_cost=held.book_cost_portfolio.quantize(_MONEY),
            market_value=_rounded(valued.market_value, _MONEY),
            weight=_rounded(valued.weight, _WEIGHT),
            problem=self._problem(valued),
            as_of=self.day,
        )

    def _cash(self, position: CashPosition, valued: ValuedCash | None) -> Holding:
        value = Decimal(0) if valued is None else valued.market_value
        return Holding(
            portfolio=self.portfolio,
            security=None,
            currency=position.currency,
            quantity=position.traded.quantize(_QUANTITY),
            settled_quantity=position.settled.quantize(_QUANTITY),
            available_quantity=position.available.quantize(_QUANTITY),
            book_cost=None,
            market_value=_rounded(value, _MONEY),
            weight=_rounded(valued.weight, _WEIGHT) if valued else None,
            problem=""
            if value is not None
            else f"No exchange rate for {position.currency}/{self.portfolio.currency}",
            as_of=self.day,
        )

    def _problem(self, valued: ValuedPosition) -> str:
        for gap in valued.missing:
            if gap.kind is MissingKind.RATE:
                return f"No exchange rate for {gap.currency}"
            return f"No price for {self.securities[valued.security].name}"[:200]
        if valued.is_stale and valued.quote is not None:
            return f"Stale price of {valued.quote.as_of}"
        return ""


def _rounded(value: Decimal | None, places: Decimal) -> Decimal | None:
    return None if value is None else value.quantize(places)


def commitments(portfolio_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, dict[str, CashDeductions]]:
    """Return what is promised by portfolio and currency: open buys, and withdrawals not yet paid.

    A purchase is paid in the portfolio's currency, whatever the security's is: its estimate counts
    at today's rate, and in its own currency only where there is no rate.
    """
    buys: dict[tuple[uuid.UUID, str], Decimal] = defaultdict(Decimal)
    withdrawals: dict[tuple[uuid.UUID, str], Decimal] = defaultdict(Decimal)
    open_buys = _ask(_open_buys, portfolio_ids)
    pairs = {(paid_in, ordered_in) for _, paid_in, ordered_in, _ in open_buys if paid_in != ordered_in}
    rates = rates_as_of({code for pair in pairs for code in pair}, timezone.now().date()) if pairs else {}
    per_euro = {code: rate.per_euro for code, rate in rates.items()}
    for portfolio_id, paid_in, ordered_in, amount in open_buys:
        rate = cross_rate(per_euro, from_currency=ordered_in, to_currency=paid_in)
        if rate is None:
            buys[(portfolio_id, ordered_in)] += amount or Decimal(0)
        else:
            buys[(portfolio_id, paid_in)] += ((amount or Decimal(0)) * rate).quantize(_MONEY)
    for portfolio_id, currency, amount in _ask(_open_withdrawals, portfolio_ids):
        withdrawals[(portfolio_id, currency)] += amount or Decimal(0)
    promised: dict[uuid.UUID, dict[str, CashDeductions]] = defaultdict(dict)
    for key in {*buys, *withdrawals}:
        promised[key[0]][key[1]] = CashDeductions(open_buys=buys[key], withdrawals=withdrawals[key])
    return promised


def _open_buys() -> QuerySet[Any]:
    # Orders stand to the left of this app, hence the reverse accessor.
    return (
        Portfolio.objects.filter(orders__side="buy", orders__state__in=_OPEN_ORDERS)
        .extra(where=[_OF_THESE], params=[_THESE])  # noqa: S610  (a constant of this module)
        .order_by()
        .values_list("pk", "currency", "orders__currency")
        .annotate(
            amount=Sum(
                F("orders__estimated_amount") * (1 - F("orders__filled_quantity") / F("orders__quantity"))
            )
        )
    )


def _open_withdrawals() -> QuerySet[Any]:
    return (
        open_instructions(ClientInstruction.Kind.WITHDRAWAL)
        .extra(where=[_OF_THESE], params=[_THESE])  # noqa: S610  (a constant of this module)
        .order_by()
        .values_list("mandate__portfolio", "currency")
        .annotate(Sum("amount"))
    )


# Stands for the portfolios asked about in the parameters of a statement.
_THESE = object()
_OF_THESE = '"portfolios_portfolio"."id" = ANY(%s)'


def _ask(
    question: Callable[[], QuerySet[Any]], portfolio_ids: Collection[uuid.UUID]
) -> list[tuple[Any, ...]]:
    statement, parameters = _composed(question)
    ids = list(portfolio_ids)
    with connection.cursor() as cursor:
        cursor.execute(statement, [ids if each is _THESE else each for each in parameters])
        return cursor.fetchall()


@cache
def _composed(question: Callable[[], QuerySet[Any]]) -> tuple[str, tuple[Any, ...]]:
    # They are asked at each booking, and to compose them takes several times as long as to answer.
    statement, parameters = question().query.sql_with_params()
    return statement, tuple(parameters)


def promised_to_buys(portfolio: Portfolio, currency: str) -> Decimal:
    """Return what purchases that are not booked yet will take: open orders, and fills that wait to be affirmed."""
    orders = commitments([portfolio.pk]).get(portfolio.pk, {}).get(currency, CashDeductions()).open_buys
    if currency != portfolio.currency:
        # A fill is paid in the portfolio's currency, whatever the security's is.
        return orders
    fills = portfolio.allocations.filter(
        net_amount__lt=0, settlement=None, withdrawn_at=None, retired_at=None
    ).values_list("currency", "net_amount", "exchange_rate")
    waiting = (
        -net_amount * (1 if paid_in == portfolio.currency else rate) for paid_in, net_amount, rate in fills
    )
    return orders + sum(waiting, Decimal(0)).quantize(_MONEY)


def open_instructions(kind: str) -> InstructionQuerySet:
    """Return the sent instructions of a kind about an amount that wait to be booked."""
    return ClientInstruction.objects.all().unbooked().filter(kind=kind, amount__isnull=False)
