"""Put the demonstration together: institutions, agreements, clients, portfolios, today's work."""

import datetime
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial

from django.db import connection, transaction
from django_tenants.utils import tenant_context

from accounts.models import Role, Unit, User
from federation.demo import plans
from federation.demo.agreements import create_agreement
from federation.demo.books import create_books
from federation.demo.history import Market
from federation.demo.market import (
    CURRENCIES,
    SPLIT_DAYS_AGO,
    business_days,
    continue_rates,
    ecb_rates,
    simulate,
)
from federation.demo.reference import create_reference_data
from federation.demo.relationships import DemoMandate, Relationships
from federation.mirror.control import agreement_changed
from federation.models import Agreement, Institution
from models_portfolio.models import ModelPortfolio, Offer
from portfolios.models import Security

HISTORY_DAYS = 1095
STARTED_DAYS_AGO = 1120
# The agreement that ends today; its portfolios have not traded for so many days, so that all has settled.
ENDED, QUIET_DAYS = ("borealis", "lakeside"), 30

Progress = Callable[[str], None]


@dataclass
class Stage:
    """What has been built so far, by institution."""

    today: datetime.date
    market: Market
    institutions: dict[str, Institution] = field(default_factory=dict)
    agreements: dict[tuple[str, str], Agreement] = field(default_factory=dict)
    securities: dict[str, Mapping[str, Security]] = field(default_factory=dict)
    models: dict[str, dict[str, ModelPortfolio]] = field(default_factory=dict)
    offers: dict[tuple[str, str, str], Offer] = field(default_factory=dict)
    mandates: dict[tuple[str, str], list[DemoMandate]] = field(default_factory=lambda: defaultdict(list))

    @contextmanager
    def inside(self, schema: str) -> Iterator[Institution]:
        """Work in an institution's schema, in one transaction."""
        with tenant_context(self.institutions[schema]), transaction.atomic():
            yield self.institutions[schema]


DEMOS: Mapping[str, tuple[plans.DemoModel, ...]] = {"aurora": plans.AURORA, "borealis": plans.BOREALIS}
BY_CODE = {demo.code: demo for models in DEMOS.values() for demo in models}


def market_until(today: datetime.date) -> Market:
    """Return the simulated market of three years up to yesterday, with real exchange rates."""
    yesterday = today - datetime.timedelta(1)
    days = business_days(today - datetime.timedelta(HISTORY_DAYS + 60), yesterday)
    rates: dict[str, dict[datetime.date, Decimal]] = {currency: {} for currency in CURRENCIES}
    for day, currency, rate in ecb_rates(days[0] - datetime.timedelta(10)):
        rates[currency][day] = rate
    return Market(
        closes=simulate(days, today),
        rates=rates,
        # So that nothing looks stale.
        simulated_rates={
            currency: continue_rates(currency, known[max(known)], [day for day in days if day > max(known)])
            for currency, known in rates.items()
        },
        split_day=today - datetime.timedelta(SPLIT_DAYS_AGO),
    )


def manager_of(units: Sequence[Unit]) -> User:
    """Return the first portfolio manager of the first unit."""
    return User.objects.filter(
        role_assignments__role=Role.PORTFOLIO_MANAGER, role_assignments__unit=units[0]
    ).order_by("joined_at")[0]


def create_managers(stage: Stage) -> None:
    """Create reference data of those who manage, and the models and views of those who publish."""
    # Mostly the server's work, which it does for several at once.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(partial(_create_manager, stage), (*DEMOS, "meadow")))


def _create_manager(stage: Stage, schema: str) -> None:
    try:
        with stage.inside(schema):
            securities = stage.securities[schema] = create_reference_data(stage.market)
            demos = DEMOS.get(schema, ())
            if demos:
                units = list(Unit.objects.order_by("pk"))
                author = manager_of(units).full_name
                stage.models[schema] = plans.create_models(
                    demos, units[0], author, securities, stage.market, stage.today
                )
            if plans.VIEWED in stage.models.get(schema, {}):
                plans.create_views(stage.models[schema][plans.VIEWED], author, stage.today)
    finally:
        connection.close()


def create_agreements(stage: Stage) -> None:
    """Create the agreements, and what is offered under each."""
    started = stage.today - datetime.timedelta(STARTED_DAYS_AGO)
    for manager, channel, preset, codes in (
        ("aurora", "harbour", "closed", ("AUR-DEF", "AUR-BAL", "AUR-GRO")),
        ("borealis", "harbour", "closed", ("BOR-INC", "BOR-EQ")),
        ("aurora", "lakeside", "closed", ("AUR-DEF", "AUR-BAL")),
        ("aurora", "meadow", "advice", ("AUR-BAL", "AUR-GRO")),
        (*ENDED, "closed", ("BOR-INC",)),
    ):
        with stage.inside(manager):
            agreement = create_agreement(
                stage.institutions[manager], stage.institutions[channel], preset, started=started
            )
            for code in codes:
                stage.offers[manager, channel, code] = plans.offer(
                    BY_CODE[code], stage.models[manager][code], agreement.pk
                )
            agreement_changed(agreement)
        stage.agreements[manager, channel] = agreement


def create_clients(stage: Stage) -> None:
    """Create the clients of the channels that leave the managing to others."""
    for channel, country, groups in (
        ("harbour", "CH", (("aurora", 105), ("borealis", 48))),
        ("lakeside", "DE", (("aurora", 48), ("borealis", 3))),
    ):
        with stage.inside(channel):
            book = Relationships(stage.today, country, advisors(), seed=len(channel))
            shared = None
            for manager, count in groups:
                agreement = stage.agreements[manager, channel]
                codes = [code for (a, b, code) in stage.offers if (a, b) == (manager, channel)]
                for number in range(count):
                    demo = BY_CODE[codes[number % len(codes)]]
                    opened = book.opened()
                    client = shared if manager == "borealis" and number == 0 and shared else None
                    if client is None:
                        kind = "couple" if number % 17 == 5 else "company" if number % 13 == 8 else "person"
                        client = book.client(
                            kind, since=opened - datetime.timedelta(20), level=demo.risk_level
                        )
                    if manager == "aurora" and demo.code == "AUR-GRO" and shared is None:
                        shared = client
                    mandate = book.mandate(
                        client,
                        stage.offers[manager, channel, demo.code],
                        demo,
                        stage.institutions[manager].name,
                        opened=opened,
                        amount=max(book.amount(), Decimal(demo.minimum)),
                        currency=book.random.choices(["EUR", "CHF", "USD"], [80, 14, 6])[0],
                        agreement=agreement.pk,
                    )
                    stage.mandates[manager, channel].append(mandate)
            book.write()


def advisors() -> list[User]:
    """Return the advisors with their units, in the order they joined."""
    return list(
        User.objects.filter(role_assignments__role=Role.ADVISOR)
        .prefetch_related("role_assignments__unit")
        .order_by("joined_at")
    )


def create_managed_book(stage: Stage, manager: str, channel: str) -> None:
    """Accept the mandates that came through the mirror, and run their portfolios for three years."""
    parties = (manager, channel)
    quiet = datetime.timedelta(QUIET_DAYS if parties == ENDED else 0)
    every = list(stage.mandates)
    before = [len(stage.mandates[each]) for each in every[: every.index(parties)] if each[0] == manager]
    with stage.inside(manager):
        units = list(Unit.objects.order_by("pk"))
        create_books(
            stage.mandates[parties],
            BY_CODE,
            stage.models[manager],
            stage.securities[manager],
            stage.market,
            units[0],
            manager_of(units).full_name,
            stage.today - quiet,
            first_number=1001 + sum(before),
            seed=every.index(parties),
        )


def create_meadow(stage: Stage) -> None:
    """Create the bank that manages its clients itself, by models it receives."""
    with stage.inside("meadow"):
        securities = stage.securities["meadow"]
        units = list(Unit.objects.order_by("pk"))
        received = {model.code: model for model in ModelPortfolio.objects.received()}
        book = Relationships(stage.today, "AT", advisors(), seed=77)
        offers = {code: plans.offer(BY_CODE[code], model, None) for code, model in received.items()}
        mandates = []
        for number in range(50):
            demo = BY_CODE[sorted(offers)[number % len(offers)]]
            opened = book.opened()
            client = book.client(
                "couple" if number % 11 == 3 else "person",
                since=opened - datetime.timedelta(20),
                level=demo.risk_level,
            )
            mandates.append(
                book.mandate(
                    client,
                    offers[demo.code],
                    demo,
                    stage.institutions["meadow"].name,
                    opened=opened,
                    amount=max(book.amount(), Decimal(demo.minimum)),
                    agreement=None,
                )
            )
        book.write()
        create_books(
            mandates,
            BY_CODE,
            received,
            securities,
            stage.market,
            units[0],
            manager_of(units).full_name,
            stage.today,
            first_number=1001,
            seed=77,
        )
