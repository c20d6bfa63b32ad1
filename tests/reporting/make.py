"""Portfolios with a history, and reports of them, for tests."""

import datetime
from decimal import Decimal

from accounts.models import Unit, User
from clients.models import Client, Mandate
from portfolios.models import Portfolio
from portfolios.services import book, value_portfolios
from reporting import services
from reporting.models import Report
from tests.federation.received import as_mirror as as_mirror
from tests.portfolios import make

D = Decimal
# A quarter of the factories' year: ``make.day(0)`` is Monday, 2 March 2026.
FIRST, LAST = make.day(30), make.day(120)


def client(unit: Unit | None = None, name: str = "Alma Muster", **fields: object) -> Client:
    return Client.objects.create(name=name, unit=unit, **fields)


def mandate(of: Client, number: str = "M-1", **fields: object) -> Mandate:
    fields.setdefault("terms", {"product_cost": "0.0020"})
    return Mandate.objects.create(number=number, client=of, **fields)


def portfolio_with_history(
    unit: Unit | None = None,
    *,
    by: User,
    number: str = "P-1",
    is_simulated: bool = True,
    under: Mandate | None = None,
    days: int = 130,
) -> Portfolio:
    """Return a portfolio with money in and out, two shares, a dividend, fees and a tax over ``days`` days.

    Apple rises by one euro a week from 100; Roche, in francs, stays at 200 at 0.9 francs for one euro.
    """
    under = under or mandate(client(unit), number=f"M-{number}")
    portfolio = make.portfolio(unit, number, mandate=under)
    source = make.source("SIM", name="Simulated closes", is_simulated=is_simulated)
    apple = make.security()
    roche = make.security("CH0012032048", "Roche", "CHF")
    make.prices(apple, {i: str(100 + i // 7) for i in range(days) if i % 7 < 5}, source)
    make.prices(roche, {i: "200" for i in range(days) if i % 7 < 5}, source)
    make.rates("CHF", {i: "0.9" for i in range(days) if i % 7 < 5})
    entries = [
        make.deposit(portfolio, 100_000, 0),
        make.buy(portfolio, apple, 400, 100, 0, fees=40),
        make.buy(portfolio, roche, 100, 200, 1, fees=20, exchange_rate=D("1.1111111111")),
        make.deposit(portfolio, 20_000, 45),
        make.withdrawal(portfolio, 5_000, 60),
        make.fee(portfolio, 250, 31),
        make.fee(portfolio, 250, 119),
        make.sell(portfolio, apple, 100, 110, 73, fees=11),
    ]
    book(entries=entries, by=by, refreshing=False)
    value_portfolios(portfolio_ids=[portfolio.pk], from_date=datetime.date.min)
    return portfolio


def report(of: Portfolio, *, by: User, first: datetime.date = FIRST, last: datetime.date = LAST) -> Report:
    """Return an ordered report, made at once."""
    ordered = services.order_report(portfolio=of, period_from=first, period_to=last, by=by)
    return services.make_report(report=ordered)


def received_report(of: Portfolio, origin: object, **fields: object) -> Report:
    """Return a report as the mirror would have brought it from a partner."""
    values = {
        "number": "R-1", "title": "Statement", "period_from": FIRST, "period_to": LAST, "state": "ready",
        "content": {}, "pdf": b"%PDF-1.7 test", "made_at": datetime.datetime(2026, 7, 1, tzinfo=datetime.UTC),
        **fields,
    }  # fmt: skip
    with as_mirror():
        return Report.objects.create(portfolio=of, origin=origin, **values)
