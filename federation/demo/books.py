"""The managers' side: decisions, portfolios, models followed, and three years of ledger."""

import datetime
import random
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from accounts.models import Unit
from clients.models import MandateDecision
from federation.demo.history import Market, Plan, ledger_of
from federation.demo.plans import DemoModel, at_nine, fractions
from federation.demo.relationships import DemoMandate
from models_portfolio.models import ModelAssignment, ModelPortfolio
from portfolios.models import Account, Portfolio, Security, Transaction
from portfolios.services import book, value_portfolios

CUSTODIAN = "Demo Custody Bank"
# One portfolio in so many was never traded since it opened, another one still holds what its model
# held first: the drifts of the work lists.
DRIFTING_EVERY, NEVER_TRADED, AT_FIRST_VERSION = 40, 8, 28
# Versions published within so many days wait for those who receive them.
WAITING_DAYS = 60


def weights_since(
    demo: DemoModel, opened: datetime.date, today: datetime.date, *, reviewed: int, waits_for_newest: bool
) -> list[tuple[datetime.date, Mapping[str, Decimal]]]:
    """Return the weights a portfolio followed: the version at its opening, each later one, a review of late.

    ``reviewed`` is how many days ago it was last brought back to its targets. Where
    ``waits_for_newest``, a version of the last weeks has not been accepted yet.
    """
    dated = [(today - datetime.timedelta(version.days_ago), fractions(version)) for version in demo.versions]
    if waits_for_newest:
        dated = [item for item in dated if item[0] <= today - datetime.timedelta(WAITING_DAYS)]
    before = [weights for day, weights in dated if day <= opened]
    since: list[tuple[datetime.date, Mapping[str, Decimal]]] = [
        (opened, before[-1] if before else dated[0][1])
    ]
    since += [(day, weights) for day, weights in dated if day > opened]
    last, weights = since[-1]
    review = today - datetime.timedelta(reviewed)
    return [*since, (review, weights)] if review > last else since


def create_books(
    mandates: Sequence[DemoMandate],
    demos: Mapping[str, DemoModel],
    models: Mapping[str, ModelPortfolio],
    securities: Mapping[str, Security],
    market: Market,
    unit: Unit,
    author: str,
    today: datetime.date,
    *,
    first_number: int,
    seed: int,
) -> None:
    """Accept the mandates and run their portfolios from their opening to yesterday."""
    rng = random.Random(seed)
    is_own = all(not model.is_received for model in models.values())
    decisions, portfolios, accounts, assignments = [], [], [], []
    ledgers: list[tuple[Portfolio, list[dict[str, Any]]]] = []
    for number, item in enumerate(mandates, start=first_number):
        mandate, demo = item.mandate, demos[item.model_code]
        accepted_at = at_nine(item.opened - datetime.timedelta(3))
        for outcome, at in (("accepted", accepted_at), ("active", at_nine(item.opened))):
            decisions.append(
                MandateDecision(
                    mandate_id=mandate.pk,
                    submission=1,
                    outcome=outcome,
                    decided_at=at,
                    decided_by_name=author,
                    created_at=at,
                )
            )
        portfolio = Portfolio(
            number=f"P-{number}",
            name=f"{demo.name} {mandate.number}",
            mandate_id=mandate.pk,
            currency=mandate.currency,
            minimum_cash_weight=Decimal("0.01"),
            opened_on=item.opened,
            manager_name=author,
            unit=unit,
            created_at=at_nine(item.opened),
        )
        portfolios.append(portfolio)
        accounts += [
            Account(portfolio=portfolio, kind=Account.Kind.CASH, number=f"{portfolio.number}-{mandate.currency}", currency=mandate.currency, custodian=CUSTODIAN),
            Account(portfolio=portfolio, kind=Account.Kind.CUSTODY, number=f"{portfolio.number}-D", currency=mandate.currency, custodian=CUSTODIAN),
        ]  # fmt: skip
        assignments.append(
            ModelAssignment(portfolio=portfolio, model=models[item.model_code], valid_from=item.opened)
        )
        place = len(ledgers) % DRIFTING_EVERY
        ledgers.append((portfolio, _ledger(item, demo, market, today, rng, place=place, is_own=is_own)))
    MandateDecision.objects.bulk_create(decisions)
    Portfolio.objects.bulk_create(portfolios)
    Account.objects.bulk_create(accounts)
    ModelAssignment.objects.bulk_create(assignments)
    book(
        entries=[
            _transaction(portfolio, entry, order, securities)
            for portfolio, entries in ledgers
            for order, entry in enumerate(entries)
        ],
        by=None,
        refreshing=False,
    )
    value_portfolios(portfolio_ids=[portfolio.pk for portfolio in portfolios], from_date=datetime.date.min)


def _ledger(
    item: DemoMandate,
    demo: DemoModel,
    market: Market,
    today: datetime.date,
    rng: random.Random,
    *,
    place: int,
    is_own: bool,
) -> list[dict[str, Any]]:
    amount = item.amount
    age = (today - item.opened).days
    reviewed = rng.randint(5, 40)
    flows = []
    if age > 200 and rng.random() < 0.35:
        # Paid in a while before the review, so that it has been invested since.
        day = today - datetime.timedelta(rng.randint(60, age - 60))
        flows.append((day, (amount / rng.choice([5, 10, 20])).quantize(Decimal(100))))
    if rng.random() < 0.03:
        # Idle cash, for the work list of today.
        flows.append((today - datetime.timedelta(rng.randint(1, 4)), (amount / 8).quantize(Decimal(100))))
    weights = weights_since(demo, item.opened, today, reviewed=reviewed, waits_for_newest=not is_own)
    if place in (NEVER_TRADED, AT_FIRST_VERSION):
        weights = [(item.opened, fractions(demo.versions[0]))]
    if place == AT_FIRST_VERSION:
        weights.append((today - datetime.timedelta(reviewed), fractions(demo.versions[0])))
    return ledger_of(
        Plan(
            opened=item.opened,
            currency=item.mandate.currency,
            amount=amount,
            weights=weights,
            flows=flows,
            yearly_fee=Decimal(demo.fee),
        ),
        market,
        today,
    )


def _transaction(
    portfolio: Portfolio, entry: dict[str, Any], order: int, securities: Mapping[str, Security]
) -> Transaction:
    values = dict(entry)
    ticker = values.pop("ticker", None)
    booked = at_nine(values["trade_date"]) + datetime.timedelta(hours=8, seconds=order)
    return Transaction(
        portfolio=portfolio,
        security=securities[ticker] if ticker else None,
        created_at=booked,
        **values,
    )
