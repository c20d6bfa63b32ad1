"""Values of many portfolios at once, beside a slow and plain way of working them out."""

import datetime
import random
import uuid
from decimal import Decimal as D

from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.jobs import create_job
from portfolios import tasks
from portfolios.calculations.daily import INDEX_PLACES
from portfolios.calculations.returns import DailyValue, time_weighted_return
from portfolios.models import Holding, Portfolio, Price, PriceSource, Security, Valuation
from portfolios.services import book, derive_holdings, refresh, reverse, value_portfolios
from tests.factories import Cast
from tests.portfolios import make


def _values(portfolio: Portfolio) -> dict[datetime.date, D | None]:
    return dict(Valuation.objects.filter(portfolio=portfolio).values_list("date", "market_value"))


def test_a_random_book_agrees_with_the_plain_way_to_the_last_digit(in_aurora: Cast):
    chance = random.Random(7)
    dollars = make.security("US0378331005", "Apple", "USD")
    francs = make.security("CH0038863350", "Nestlé", "CHF")
    bond = make.security("DE0001102580", "Bund", "EUR", price_unit=Security.PriceUnit.PERCENT)
    days = [offset for offset in range(60) if make.day(offset).weekday() < 5]
    for what, base in ((dollars, 180), (francs, 95), (bond, 98)):
        make.prices(
            what,
            {
                o: D(base * chance.uniform(0.9, 1.1)).quantize(D("1e-6"))
                for o in days
                if o == 0 or chance.random() > 0.1
            },
        )
    for currency, base in (("USD", 1.08), ("CHF", 0.96)):
        make.rates(currency, {o: str(round(base * chance.uniform(0.97, 1.03), 6)) for o in days})
    portfolios = [
        make.portfolio(in_aurora.unit, f"P-{n}", currency) for n, currency in enumerate(["EUR", "CHF", "USD"])
    ]
    entries = []
    for portfolio in portfolios:
        entries += [
            make.deposit(portfolio, 100_000),
            make.deposit(portfolio, 2_500, 26),
            make.withdrawal(portfolio, 1_000, 40),
        ]
        entries += [
            make.buy(portfolio, dollars, 37, "181.37", 1, fees="3.20"),
            make.buy(portfolio, francs, 111, "94.123456", 2),
        ]
        entries += [
            make.buy(portfolio, bond, 20_000, "0.98", 5),
            make.sell(portfolio, francs, 20, "96", 30, fees=1),
        ]
        entries += [make.fee(portfolio, "250.55", 45), make.split(portfolio, dollars, 3, 33)]
    book(entries=entries, by=None)
    for portfolio in portfolios:
        rows = list(Valuation.objects.filter(portfolio=portfolio).order_by("date"))
        assert rows[0].date == make.day(0)
        assert {row.date for row in rows if row.date.weekday() > 4} == {make.day(n) for n in (5, 26, 33, 40)}
        for row in rows:
            held = derive_holdings([portfolio], row.date)[portfolio.pk]
            # Each line there is rounded on its own.
            assert abs(row.market_value - sum(line.market_value for line in held)) <= D("0.0003")
        plain = time_weighted_return(
            [
                DailyValue(date=r.date, value=r.market_value, inflow=r.inflow, outflow=r.outflow, fees=r.fees)
                for r in rows
            ]
        )
        gross = time_weighted_return(
            [
                DailyValue(date=r.date, value=r.market_value, inflow=r.inflow, outflow=r.outflow, fees=r.fees)
                for r in rows
            ],
            gross=True,
        )
        assert plain.value is not None
        assert gross.value is not None
        assert abs(rows[-1].return_index - 1 - plain.value) < D(10) ** (2 - INDEX_PLACES)
        assert abs(rows[-1].gross_return_index - 1 - gross.value) < D(10) ** (2 - INDEX_PLACES)
        assert [row.is_latest for row in rows] == [False] * (len(rows) - 1) + [True]


def test_valuing_again_writes_nothing(in_aurora: Cast):
    apple = make.security()
    make.prices(apple, dict.fromkeys(range(5), 10))
    portfolio = make.portfolio(in_aurora.unit)
    book(entries=[make.deposit(portfolio, 1000), make.buy(portfolio, apple, 50, 10, 1)], by=None)
    before = list(Valuation.objects.order_by("pk").values())
    assert value_portfolios(from_date=datetime.date.min).days_written == 0
    assert value_portfolios().days_written == 0
    assert list(Valuation.objects.order_by("pk").values()) == before


def test_new_prices_go_on_from_the_last_day(in_aurora: Cast):
    apple = make.security()
    make.prices(apple, {0: 10, 1: 11})
    portfolio = make.portfolio(in_aurora.unit)
    book(entries=[make.deposit(portfolio, 100), make.buy(portfolio, apple, 10, 10)], by=None)
    make.prices(apple, {2: 12, 3: 13})
    assert value_portfolios().days_written == 2
    assert _values(portfolio) == {make.day(0): 100, make.day(1): 110, make.day(2): 120, make.day(3): 130}
    latest = Valuation.objects.get(portfolio=portfolio, is_latest=True)
    assert (latest.date, latest.return_index) == (make.day(3), D("1.3"))
    assert Holding.objects.get(portfolio=portfolio, security=apple).price == 13


def test_a_corrected_old_price_is_carried_through_from_its_day(in_aurora: Cast):
    apple = make.security()
    make.prices(apple, {0: 10, 1: 11, 2: 12})
    portfolio = make.portfolio(in_aurora.unit)
    book(entries=[make.deposit(portfolio, 100), make.buy(portfolio, apple, 10, 10)], by=None)
    Price.objects.filter(date=make.day(1)).update(close=20)
    value_portfolios(from_date=make.day(1))
    assert _values(portfolio)[make.day(1)] == 200
    assert Valuation.objects.get(portfolio=portfolio, is_latest=True).return_index == D("1.2")


def test_a_missing_price_makes_the_value_unknown_and_says_why(in_aurora: Cast):
    unknown = make.security("CH0038863350", "Nestlé", "EUR")
    apple = make.security()
    make.prices(apple, dict.fromkeys(range(3), 10))
    portfolio = make.portfolio(in_aurora.unit)
    book(entries=[make.deposit(portfolio, 1000), make.buy(portfolio, unknown, 1, 10, 1)], by=None)
    latest = Valuation.objects.get(portfolio=portfolio, is_latest=True)
    assert (latest.market_value, latest.problem) == (None, "No price for Nestlé")
    assert latest.cash_value == 990
    held = Holding.objects.get(security=unknown)
    assert (held.market_value, held.weight, held.problem) == (None, None, "No price for Nestlé")


def test_a_missing_rate_is_named(in_aurora: Cast):
    portfolio = make.portfolio(in_aurora.unit)
    book(entries=[make.deposit(portfolio, 10, currency="USD", exchange_rate=D("0.9"))], by=None)
    latest = Valuation.objects.get(portfolio=portfolio, is_latest=True)
    assert (latest.market_value, latest.problem) == (None, "No exchange rate for USD/EUR")


def test_a_price_older_than_five_business_days_is_used_and_flagged(in_aurora: Cast):
    apple, other = make.security(), make.security("CH0038863350", "Nestlé", "EUR")
    make.prices(apple, {0: 10})
    make.prices(other, dict.fromkeys(range(12), 10))
    portfolio = make.portfolio(in_aurora.unit)
    book(entries=[make.deposit(portfolio, 1000), make.buy(portfolio, apple, 10, 10)], by=None)
    problems = dict(Valuation.objects.filter(portfolio=portfolio).values_list("date", "problem"))
    assert problems[make.day(7)] == ""
    assert problems[make.day(8)] == "Stale price: Apple"
    assert _values(portfolio)[make.day(8)] == 1000
    held = derive_holdings([portfolio], make.day(8))[portfolio.pk]
    assert held[0].problem == f"Stale price of {make.day(0)}"


def test_own_prices_come_first_by_preference_then_what_partners_sent(in_aurora: Cast):
    apple = make.security()
    with make.as_mirror():
        partner = PriceSource.objects.create(code="THEIRS", name="Theirs", preference=1, origin=uuid.uuid4())
    make.prices(apple, {0: 30, 1: 30}, partner)
    second = PriceSource.objects.create(code="B", name="Second", preference=20)
    make.prices(apple, {0: 20}, second)
    first = PriceSource.objects.create(code="A", name="First", preference=10, is_simulated=True)
    make.prices(apple, {0: 10}, first)
    portfolio = make.portfolio(in_aurora.unit)
    book(entries=[make.buy(portfolio, apple, 1, 10), make.deposit(portfolio, 10)], by=None)
    assert _values(portfolio) == {make.day(0): 10, make.day(1): 30}
    simulated = dict(Valuation.objects.values_list("date", "has_simulated_prices"))
    assert simulated == {make.day(0): True, make.day(1): False}


def test_inflows_count_at_the_start_and_outflows_at_the_end_of_the_day(in_aurora: Cast):
    apple = make.security()
    make.prices(apple, {0: 10, 1: 11, 2: 11})
    portfolio = make.portfolio(in_aurora.unit)
    book(entries=[make.deposit(portfolio, 100), make.buy(portfolio, apple, 10, 10), make.deposit(portfolio, 100, 1),
                  make.withdrawal(portfolio, 100, 2)], by=None)  # fmt: skip
    indices = dict(Valuation.objects.values_list("date", "return_index"))
    assert indices[make.day(1)] == D("1.05")
    assert indices[make.day(2)] == D("1.05")


def test_an_emptied_portfolio_closes_its_chain(in_aurora: Cast):
    apple = make.security()
    make.prices(apple, {0: 10, 1: 10, 2: 10, 3: 10, 4: 12})
    portfolio = make.portfolio(in_aurora.unit)
    book(entries=[make.deposit(portfolio, 100), make.withdrawal(portfolio, 100, 1), make.deposit(portfolio, 100, 3),
                  make.buy(portfolio, apple, 10, 10, 3)], by=None)  # fmt: skip
    rows = {row.date: row for row in Valuation.objects.all()}
    assert rows[make.day(2)].market_value == 0
    assert rows[make.day(4)].return_index == D("1.2")


def test_a_reversed_weekend_entry_takes_its_day_with_it(in_aurora: Cast):
    apple = make.security()
    make.prices(apple, {0: 10, 7: 10})
    portfolio = make.portfolio(in_aurora.unit)
    [_first, weekend] = book(entries=[make.deposit(portfolio, 100), make.deposit(portfolio, 5, 5)], by=None)
    assert make.day(5) in _values(portfolio)
    reverse(entry=weekend, by=None)
    assert make.day(5) not in _values(portfolio)
    assert set(_values(portfolio).values()) == {D(100)}


def test_the_number_of_queries_does_not_grow_with_the_book(in_aurora: Cast):
    apple = make.security()
    make.prices(apple, dict.fromkeys(range(5), 10))

    def queries(numbers: range) -> int:
        portfolios = [make.portfolio(in_aurora.unit, f"P-{n}") for n in numbers]
        entries = [make.deposit(p, 1000) for p in portfolios] + [
            make.buy(p, apple, 5, 10, 1) for p in portfolios
        ]
        book(entries=entries, by=None, refreshing=False)
        with CaptureQueriesContext(connection) as captured:
            refresh(portfolio_ids=[p.pk for p in portfolios])
        return len([query for query in captured if not query["sql"].startswith("SET search_path")])

    assert queries(range(1)) == queries(range(1, 7)) <= 40


def test_a_person_sees_how_far_the_valuation_is(in_aurora: Cast):
    apple = make.security()
    make.prices(apple, dict.fromkeys(range(3), 10))
    portfolio = make.portfolio(in_aurora.unit)
    book(entries=[make.deposit(portfolio, 100)], by=None, refreshing=False)
    job = create_job(kind="value_portfolios", title="Value", by=in_aurora.manager)
    tasks.value_portfolios(None, str(job.pk))
    job.refresh_from_db()
    assert (job.state, job.done, job.total) == ("done", 1, 1)
    assert _values(portfolio)[make.day(2)] == 100
