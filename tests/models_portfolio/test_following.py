"""Who follows which model and version, and how far a portfolio has drifted from it."""

from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.errors import DomainError
from clients.models import Client, Mandate
from models_portfolio.calculations.drift import without
from models_portfolio.calculations.weights import CASH
from models_portfolio.models import Adoption, Offer
from models_portfolio.services import (
    accept,
    assign_model,
    change_model,
    decide_view,
    decline,
    refresh_drift,
)
from portfolios.attention import reasons_of
from portfolios.models import Valuation
from portfolios.services import book
from portfolios.signals import portfolio_opened
from tests.factories import Cast
from tests.models_portfolio import make
from tests.portfolios import make as portfolios
from tests.trading import make as trading

D = Decimal


def drift_of(portfolio) -> Decimal | None:
    return Valuation.objects.get(portfolio=portfolio, is_latest=True).drift


def funded(cast: Cast, number: str = "P-1"):
    portfolio = portfolios.portfolio(cast.unit, number)
    book(entries=[portfolios.deposit(portfolio, 100_000)], by=cast.manager)
    return portfolio


def test_a_received_version_counts_only_once_it_is_accepted(in_meadow: Cast):
    apple, bund = make.security("Apple"), make.security("Bund")
    model = make.received({apple: "1"})
    assert make.current_targets(model) is None

    accept(version=model.versions.get(), by=in_meadow.manager)
    second = make.received_version(model, {bund: "1"}, number=2)
    assert make.current_targets(model) == {apple.pk: D(1)}

    accept(version=second, by=in_meadow.manager)
    assert make.current_targets(model) == {bund.pk: D(1)}


def test_a_declined_version_needs_a_reason_and_changes_nothing(in_meadow: Cast):
    apple, bund = make.security("Apple"), make.security("Bund")
    model = make.received({apple: "1"})
    accept(version=model.versions.get(), by=in_meadow.manager)
    second = make.received_version(model, {bund: "1"}, number=2)

    with pytest.raises(DomainError, match="Say why"):
        decline(version=second, reason=" ", by=in_meadow.manager)
    decline(version=second, reason="Too concentrated", by=in_meadow.manager)

    assert make.current_targets(model) == {apple.pk: D(1)}
    assert Adoption.objects.get(version=second).reason == "Too concentrated"


def test_a_view_that_comes_later_waits_for_its_own_decision(in_meadow: Cast):
    apple, bund = make.security("Apple"), make.security("Bund")
    model = make.received({apple: "0.5", bund: "0.5"})
    version = model.versions.get()
    accept(version=version, by=in_meadow.manager)
    view = make.received_view(version, apple, "0.10")
    assert make.current_targets(model)[apple.pk] == D("0.5")

    decide_view(view=view, accepts=True, by=in_meadow.manager)

    assert make.current_targets(model)[apple.pk] == D("0.6")


def test_only_the_newest_version_waits_for_a_decision(in_meadow: Cast):
    apple = make.security("Apple")
    model = make.received({apple: "1"})
    portfolio = funded(in_meadow)
    assign_model(portfolio=portfolio, model=model, by=in_meadow.manager)
    make.received_version(model, {apple: "0.9", None: "0.1"}, number=2)
    third = make.received_version(model, {apple: "0.8", None: "0.2"}, number=3)

    def waits() -> bool:
        return "version" in {reason.code for reason in reasons_of([portfolio.pk])[portfolio.pk]}

    assert waits()
    accept(version=third, by=in_meadow.manager)
    assert not waits()


def test_an_own_version_is_not_adopted(in_aurora: Cast):
    model = make.published(in_aurora.manager, {None: "1"})
    with pytest.raises(DomainError, match="take effect when you publish"):
        accept(version=model.versions.get(), by=in_aurora.manager)


def test_a_portfolio_opened_for_an_offer_follows_its_model(in_aurora: Cast):
    model = make.published(in_aurora.manager, {None: "1"})
    offer = Offer.objects.create(model=model, name="Balanced", risk_level=4, currency="EUR")
    client = Client.objects.create(name="Ada Example", number="C-1")
    mandate = Mandate.objects.create(number="M-1", client=client, offer=offer.pk)
    portfolio = portfolios.portfolio(in_aurora.unit, mandate=mandate)

    portfolio_opened.send(sender=type(portfolio), portfolio=portfolio, by=in_aurora.manager)

    assert portfolio.model_assignments.get().model == model


def test_drift_is_the_one_way_turnover_to_the_targets_cash_included(in_aurora: Cast):
    model = make.published(in_aurora.manager, {make.security("Apple"): "0.9", None: "0.1"})
    portfolio = funded(in_aurora)
    assert drift_of(portfolio) is None
    assign_model(portfolio=portfolio, model=model, by=in_aurora.manager)

    refresh_drift([portfolio.pk])

    assert drift_of(portfolio) == D("0.9")


def test_what_the_client_excludes_is_no_drift(in_aurora: Cast):
    apple, bund = make.security("Apple"), make.security("Bund")
    model = make.published(in_aurora.manager, {apple: "0.6", bund: "0.3", None: "0.1"})
    mandate = Mandate.objects.create(
        number="M-1", client=Client.objects.create(name="Ada Example", number="C-1")
    )
    mandate.restrictions.create(kind="exclude_security", value=apple.isin.lower())
    portfolio = funded(in_aurora)
    portfolio.mandate = mandate
    portfolio.save()
    assign_model(portfolio=portfolio, model=model, by=in_aurora.manager)
    portfolio.holdings.update(market_value=100)
    portfolio.holdings.create(
        security=bund,
        currency="EUR",
        quantity=9,
        settled_quantity=9,
        market_value=900,
        as_of=portfolios.MONDAY,
    )

    refresh_drift([portfolio.pk])

    assert drift_of(portfolio) == 0


@pytest.mark.parametrize(
    ("targets", "reached"),
    [
        ({"A": "0.1", "B": "0.6", "C": "0.2", CASH: "0.1"}, {"B": "0.675", "C": "0.225", CASH: "0.1"}),
        ({"A": "0.5", "B": "0.3", "C": "0.2"}, {"B": "0.6", "C": "0.4"}),
        ({"A": "0.9", CASH: "0.1"}, {CASH: "1"}),
    ],
)
def test_the_others_share_what_is_excluded_by_their_weights(
    targets: dict[str, str], reached: dict[str, str]
) -> None:
    found = without({key: D(weight) for key, weight in targets.items()}, {"A"})
    assert found == {key: D(weight) for key, weight in reached.items()}


def test_drift_of_many_portfolios_takes_a_fixed_number_of_queries(in_aurora: Cast):
    model = make.published(in_aurora.manager, {make.security("Apple"): "0.9", None: "0.1"})
    counts = []
    for numbers in (range(2), range(2, 8)):
        for number in numbers:
            assign_model(portfolio=funded(in_aurora, f"P-{number}"), model=model, by=in_aurora.manager)
        with CaptureQueriesContext(connection) as queries:
            refresh_drift()
        counts.append(len(queries))

    assert counts[0] == counts[1]


def test_a_change_of_model_ends_the_old_assignment(in_aurora: Cast):
    first = make.published(in_aurora.manager, {None: "1"}, "A")
    second = make.published(in_aurora.manager, {None: "1"}, "B")
    portfolio = portfolios.portfolio(in_aurora.unit)
    assign_model(portfolio=portfolio, model=first, by=in_aurora.manager)

    change_model(portfolio=portfolio, model=second, by=in_aurora.manager)

    assert portfolio.model_assignments.get(valid_to__isnull=True).model == second
    with pytest.raises(DomainError, match="already"):
        change_model(portfolio=portfolio, model=second, by=in_aurora.manager)


def test_nobody_moves_a_client_to_a_riskier_model_by_hand(in_aurora: Cast):
    risky = make.published(in_aurora.manager, {None: "1"}, "RISKY", risk_level=6)
    portfolio = trading.portfolio(in_aurora, None)

    with pytest.raises(DomainError, match="takes an instruction"):
        change_model(portfolio=portfolio, model=risky, by=in_aurora.manager)
