"""Managed portfolios, proposals and orders for tests."""

import datetime
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.utils import timezone

from accounts.models import User
from clients.models import Client, KycStatus, Mandate, MandateDecision, RiskProfile
from models_portfolio.effective import today
from models_portfolio.models import ModelPortfolio
from models_portfolio.services import assign_model
from portfolios.models import Portfolio, Security, Transaction
from portfolios.services import book
from tests.factories import Cast
from tests.models_portfolio import make as models
from tests.portfolios import make as portfolios
from trading.models import Block, Order, Proposal
from trading.services import approve, propose, send, submit
from trading.tasks import fill_block, submit_block

D = Decimal


def client(number: str = "C-1", **fields: Any) -> Client:
    """Return a client with KYC and a risk profile in order."""
    new = Client.objects.create(name=f"Client {number}", number=number, **fields)
    KycStatus.objects.create(
        client=new, state=KycStatus.State.APPROVED, valid_until=today() + datetime.timedelta(days=300)
    )
    RiskProfile.objects.create(
        client=new,
        level=4,
        knowledge=4,
        capacity=4,
        tolerance=4,
        horizon_years=8,
        valid_from=today() - datetime.timedelta(days=30),
        valid_until=today() + datetime.timedelta(days=300),
    )
    return new


def portfolio(
    cast: Cast, model: ModelPortfolio | None, number: str = "P-1", cash: str | int = 100_000
) -> Portfolio:
    """Return a portfolio under a mandate that follows a model and has cash."""
    new_client = client(f"C-{number}")
    mandate = Mandate.objects.create(
        number=f"M-{number}", client=new_client, risk_profile=new_client.risk_profiles.get()
    )
    new = portfolios.portfolio(cast.unit, number, mandate=mandate)
    if D(cash):
        book(entries=[portfolios.deposit(new, cash)], by=cast.manager)
    if model is not None:
        assign_model(portfolio=new, model=model, by=cast.manager)
    return new


def another_desks(cast: Cast, of: Client, model: ModelPortfolio, number: str = "P-9") -> Portfolio:
    """Return an active portfolio of a client that is managed in the other unit."""
    new = portfolio(cast, model, number)
    assert new.mandate is not None
    now = timezone.now()
    Mandate.objects.filter(pk=new.mandate.pk).update(
        client=of, status="submitted", submission=1, submitted_at=now, signed_on=now.date()
    )
    MandateDecision.objects.create(mandate=new.mandate, submission=1, outcome="active", decided_at=now)
    Portfolio.objects.filter(pk=new.pk).update(unit=cast.other_unit)
    return new


def balanced(by: User) -> ModelPortfolio:
    """Return a model of two shares, a bond and cash."""
    bund = models.security("Bund", "98.50", price_unit=Security.PriceUnit.PERCENT, lot_size=1000)
    return models.published(
        by,
        {
            models.security("Apple", 180): "0.40",
            models.security("Nestlé", 95): "0.25",
            bund: "0.30",
            None: "0.05",
        },
    )


def buy(into: Portfolio, what: Security, quantity: int, price: str | int) -> Transaction:
    """Book a purchase from the first day on."""
    return book(entries=[portfolios.buy(into, what, quantity, price)], by=None)[0]


def submitted(of: Portfolio, by: User, **options: Any) -> Proposal:
    """Return a proposal that waits for approval."""
    return submit(proposal=propose(portfolio=of, by=by, **options), by=by)


def approved(of: Portfolio, cast: Cast, **options: Any) -> list[Order]:
    """Return the orders of an approved proposal."""
    return approve(proposal=submitted(of, cast.manager, **options), by=cast.second_manager)


def sent(of: Portfolio, cast: Cast, parts: int = 1, **options: Any) -> list[Order]:
    """Return orders that are in the market."""
    orders = approved(of, cast, **options)
    send(order_ids=[order.pk for order in orders], fill_parts=parts, by=cast.second_manager)
    return orders


def held(by: Portfolio) -> Mapping[str, Decimal]:
    """Return what a portfolio holds by name, cash by currency."""
    return {
        str(holding.security or holding.currency): holding.quantity
        for holding in by.holdings.select_related("security")
    }


def run_market(queued: list[tuple[str, list]]) -> None:
    """Hand over messages until there are none."""
    while queued:
        kind, args = queued.pop(0)
        {"fill": fill_block, "submit": submit_block}[kind](*args)


def fill_all(orders: list[Order]) -> None:
    """Send the blocks of orders to the market."""
    for block in Block.objects.filter(orders__in=orders).distinct():
        submit_block(str(block.pk))


def lines_of(proposal: Proposal) -> dict[str, object]:
    """Return a proposal's lines by the name of what they are of."""
    return {str(line.security or "cash"): line for line in proposal.lines.select_related("security")}
