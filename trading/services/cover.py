"""Whether the cash and the securities that trades need are there, as of now."""

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from decimal import Decimal

from django.utils.translation import gettext as _

from accounts.formatting import money, quantity
from models_portfolio.effective import today
from portfolios.models import Holding, Portfolio, Security
from trading.models import Allocation, Order, ProposalLine, Side
from trading.services.inputs import load_market, open_withdrawals
from trading.services.policy import FEE_RATE, gross_of

# What has been decided on and is not booked yet: it takes what it needs before anything else does.
_COMMITTED = (Order.State.WAITING, *Order.IN_MARKET)
_CENT = Decimal("0.01")


def lock_portfolios(portfolio_ids: Collection[uuid.UUID]) -> None:
    """Let whoever else trades, books or pays for these portfolios wait until this transaction ends."""
    found = Portfolio.objects.filter(pk__in=list(portfolio_ids)).select_for_update().order_by("pk")
    list(found.values_list("pk"))


@dataclass(frozen=True)
class Trade:
    """What a portfolio is to buy or sell; ``estimate`` is its amount as it was worked out, in ``currency``."""

    portfolio: Portfolio
    security: Security
    side: str
    quantity: Decimal
    currency: str
    estimate: Decimal

    @classmethod
    def of(cls, order: Order) -> "Trade":
        """Return what is left to trade of an order."""
        left = order.quantity - order.filled_quantity
        return cls(
            order.portfolio,
            order.security,
            order.side,
            left,
            order.currency,
            order.estimated_amount * left / order.quantity,
        )

    @classmethod
    def of_line(cls, line: ProposalLine, portfolio: Portfolio) -> "Trade":
        """Return the trade of a proposal's line."""
        assert line.security is not None
        estimate = gross_of(line.security, line.quantity, line.price or Decimal(0))
        return cls(portfolio, line.security, line.side, line.quantity, line.currency, estimate)


class Cover:
    """What is there for trades, read together in a fixed number of queries.

    Securities are those held by trade date. Cash is that by trade date in the portfolio's currency,
    with what committed orders will take and bring, less the withdrawals that clients have asked for.
    Of both, fills count that are not booked yet. ``trades`` themselves are not committed yet.
    """

    def __init__(self, trades: Collection[Trade]) -> None:
        self._portfolios = {trade.portfolio.pk: trade.portfolio for trade in trades}
        self._held: dict[tuple[uuid.UUID, uuid.UUID], Decimal] = defaultdict(Decimal)
        self._amounts: dict[uuid.UUID, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
        self._read_holdings()
        self._read_unbooked()
        committed = self._read_committed()
        for portfolio_id, amounts in open_withdrawals(self._portfolios).items():
            for currency, amount in amounts.items():
                self._amounts[portfolio_id][currency] -= amount
        securities = {trade.security.pk for trade in [*trades, *committed]}
        currencies = {portfolio.currency for portfolio in self._portfolios.values()}
        currencies |= {code for amounts in self._amounts.values() for code in amounts}
        self._market = load_market(securities, currencies, today())
        for trade in committed:
            self._amounts[trade.portfolio.pk][trade.currency] += self._flow(trade)

    def _read_holdings(self) -> None:
        rows = Holding.objects.current().filter(portfolio__in=self._portfolios)
        for portfolio_id, security_id, currency, held in rows.values_list(
            "portfolio", "security", "currency", "quantity"
        ):
            if security_id is None:
                self._amounts[portfolio_id][currency] += held
            else:
                self._held[(portfolio_id, security_id)] += held

    def _read_unbooked(self) -> None:
        fills = Allocation.objects.unbooked().filter(portfolio__in=self._portfolios)
        for portfolio_id, security_id, side, filled, currency, net_amount in fills.values_list(
            "portfolio", "order__security", "order__side", "quantity", "currency", "net_amount"
        ):
            self._held[(portfolio_id, security_id)] += filled if side == Side.BUY else -filled
            self._amounts[portfolio_id][currency] += net_amount

    def _read_committed(self) -> list[Trade]:
        orders = (
            Order.objects.current()
            .filter(portfolio__in=self._portfolios, state__in=_COMMITTED)
            .select_related("portfolio", "security")
        )
        trades = [Trade.of(order) for order in orders]
        for trade in trades:
            if trade.side == Side.SELL:
                self._held[(trade.portfolio.pk, trade.security.pk)] -= trade.quantity
        return trades

    def _flow(self, trade: Trade) -> Decimal:
        """Return what a trade adds to cash, or takes, at the last price, in the trade's currency."""
        price = self._market.price(trade.security.pk)
        gross = trade.estimate if price is None else gross_of(trade.security, trade.quantity, price)
        return gross * (1 - FEE_RATE) if trade.side == Side.SELL else -gross * (1 + FEE_RATE)

    def lacks_units(self, trade: Trade) -> str:
        """Return why a sale is more than what is held and not in another sale, in words; empty where it is not."""
        held = max(self._held[(trade.portfolio.pk, trade.security.pk)], Decimal(0))
        if trade.side == Side.BUY or trade.quantity <= held:
            return ""
        return _("%(wanted)s of %(name)s are to be sold, and %(number)s has %(held)s to sell.") % {
            "wanted": quantity(trade.quantity),
            "name": trade.security.name,
            "number": trade.portfolio.number,
            "held": quantity(held),
        }

    def lacks_cash(self, trades: Iterable[Trade]) -> str:
        """Return why one portfolio's trades together cost more than there is, in words; empty where they do not."""
        listed = list(trades)
        if not any(trade.side == Side.BUY for trade in listed):
            return ""
        portfolio = listed[0].portfolio
        there = self._amounts[portfolio.pk].copy()
        wanted: dict[str, Decimal] = defaultdict(Decimal)
        for trade in listed:
            if trade.side == Side.BUY:
                wanted[trade.currency] -= self._flow(trade)
            else:
                there[trade.currency] += self._flow(trade)
        unknown = [
            code
            for code in {**there, **wanted}
            if (there[code] or wanted[code]) and self._rate(code, portfolio) is None
        ]
        if unknown:
            return _(
                "There is no exchange rate for %(currency)s, so the cash of %(number)s is not known."
            ) % {"currency": ", ".join(unknown), "number": portfolio.number}
        cost, cash = (self._converted(amounts, portfolio) for amounts in (wanted, there))
        if cost - cash < _CENT:
            return ""
        return _("The purchases of %(number)s cost %(cost)s, and %(cash)s is free for them.") % {
            "number": portfolio.number,
            "cost": money(cost, portfolio.currency),
            "cash": money(max(cash, Decimal(0)), portfolio.currency),
        }

    def _rate(self, currency: str, portfolio: Portfolio) -> Decimal | None:
        return self._market.rate(currency, portfolio.currency)

    def _converted(self, amounts: dict[str, Decimal], portfolio: Portfolio) -> Decimal:
        known = ((amount, self._rate(code, portfolio)) for code, amount in amounts.items() if amount)
        return sum((amount * rate for amount, rate in known if rate is not None), Decimal(0))
