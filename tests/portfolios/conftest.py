"""What the pages of portfolios are tested with."""

import pytest

from clients.models import Client, Mandate
from portfolios.models import Portfolio
from portfolios.services import book
from tests.factories import Cast
from tests.portfolios import make
from tests.portfolios.cash import portfolio_of


@pytest.fixture
def filled(in_aurora: Cast) -> Portfolio:
    """A portfolio with a client, two securities, a sale and a fee."""
    client = Client.objects.create(name="Ada Example", unit=in_aurora.unit)
    mandate = Mandate.objects.create(number="M-1", client=client, currency="EUR", status="submitted",
                                     submission=1, submitted_at="2026-01-01T00:00Z", signed_on=make.day(0),
                                     disclosure_authorised_on=make.day(0))  # fmt: skip
    portfolio = make.portfolio(in_aurora.unit, mandate=mandate)
    euros, dollars = make.security(), make.security("US5949181045", "Microsoft", "USD")
    make.prices(euros, {o: 10 + o for o in range(5)}, make.source("SIM", is_simulated=True))
    make.prices(dollars, dict.fromkeys(range(5), 100))
    make.rates("USD", {0: "1.25", 3: "1.10"})
    book(entries=[make.deposit(portfolio, 10_000), make.buy(portfolio, euros, 100, 10), make.buy(portfolio, dollars, 10, 100),
                  make.sell(portfolio, euros, 40, 12, 2, fees=3), make.fee(portfolio, 25, 3)], by=in_aurora.manager)  # fmt: skip
    return portfolio


@pytest.fixture
def as_manager(aurora, browse, in_aurora: Cast):
    return browse(aurora, in_aurora.manager)


@pytest.fixture
def ada(in_aurora: Cast) -> Portfolio:
    """The empty portfolio of a client."""
    return portfolio_of(in_aurora, "P-1", "Ada Example")


@pytest.fixture
def bob(in_aurora: Cast) -> Portfolio:
    """The empty portfolio of another client."""
    return portfolio_of(in_aurora, "P-2", "Bob Sample")
