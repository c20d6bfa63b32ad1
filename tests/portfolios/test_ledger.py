"""The rules of the ledger."""

import datetime
import uuid
from decimal import Decimal as D

import pytest
from django.db import IntegrityError, connection, transaction

from accounts.errors import DomainError
from accounts.models import AuditEntry
from clients.models import Client, Mandate
from portfolios.models import CorporateAction, Holding, Portfolio, Transaction, Valuation
from portfolios.services import book, book_dividend, book_split, open_portfolio, reverse
from portfolios.services.handover import transfer_out
from tests.factories import Cast
from tests.portfolios import make


@pytest.fixture
def apple(in_aurora: Cast):
    security = make.security()
    make.prices(security, {0: 10, 1: 11, 2: 12, 3: 12, 4: 13})
    return security


@pytest.fixture
def portfolio(in_aurora: Cast) -> Portfolio:
    return make.portfolio(in_aurora.unit)


def test_booking_derives_holdings_and_values(in_aurora: Cast, portfolio, apple):
    book(
        entries=[make.deposit(portfolio, 1000), make.buy(portfolio, apple, 50, 10, 1, fees=5)],
        by=in_aurora.manager,
    )
    held = Holding.objects.get(portfolio=portfolio, security=apple)
    cash = Holding.objects.get(portfolio=portfolio, security=None)
    assert (held.quantity, held.book_cost, held.market_value) == (50, D(505), D(650))
    assert held.average_cost == D("10.1")
    assert (cash.quantity, cash.settled_quantity, cash.market_value) == (495, 495, 495)
    assert held.weight + cash.weight == 1
    latest = Valuation.objects.get(portfolio=portfolio, is_latest=True)
    assert (latest.date, latest.market_value, latest.cash_value) == (make.day(4), D(1145), D(495))
    assert AuditEntry.objects.filter(action="entry.booked").count() == 2


def test_cash_of_an_unsettled_trade_is_traded_but_not_settled(in_aurora: Cast, portfolio, apple):
    later = make.today() + datetime.timedelta(days=2)
    book(entries=[make.deposit(portfolio, 1000)], by=None)
    book(
        entries=[make.buy(portfolio, apple, 10, 10, trade_date=make.today(), settlement_date=later)], by=None
    )
    cash = Holding.objects.get(portfolio=portfolio, security=None)
    held = Holding.objects.get(portfolio=portfolio, security=apple)
    assert (cash.settled_quantity, cash.quantity) == (1000, 900)
    assert (held.settled_quantity, held.quantity) == (0, 10)


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        (lambda p, s: make.buy(p, s, -1, 10), "quantity"),
        (lambda p, s: make.sell(p, s, -1, 10), "quantity"),
        (lambda p, s: make.deposit(p, -5), "gross_amount"),
        (lambda p, s: make.split(p, s, 1), "ratio"),
        (lambda p, s: make.deposit(p, 5, -3), "trade_date"),
        (lambda p, s: make.deposit(p, 5, 3000), "trade_date"),
        (lambda p, s: Transaction(portfolio=p, type="deposit", trade_date=make.day(0), settlement_date=make.day(0),
                                  currency="EUR", gross_amount=D(5), net_amount=D(6)), "net_amount"),
        (lambda p, s: Transaction(portfolio=p, type="currency_exchange", trade_date=make.day(0),
                                  settlement_date=make.day(0), currency="EUR", net_amount=D(-5),
                                  counter_currency="USD", counter_amount=D(-4)), "counter_amount"),
    ],
)  # fmt: skip
def test_an_entry_that_does_not_add_up_is_refused(in_aurora: Cast, portfolio, apple, entry, field):
    with pytest.raises(DomainError) as refused:
        book(entries=[entry(portfolio, apple)], by=in_aurora.manager)
    assert refused.value.field == field
    assert not Transaction.objects.exists()


def test_more_than_is_held_cannot_be_sold(in_aurora: Cast, portfolio, apple):
    book(entries=[make.deposit(portfolio, 1000), make.buy(portfolio, apple, 10, 10, 2)], by=None)
    with pytest.raises(DomainError, match="holds 10"):
        book(entries=[make.sell(portfolio, apple, 11, 10, 3)], by=None)
    with pytest.raises(DomainError, match="holds 0"):
        book(entries=[make.sell(portfolio, apple, 5, 10, 1)], by=None)


def test_a_back_dated_sale_that_starves_a_later_one_is_refused(in_aurora: Cast, portfolio, apple):
    book(entries=[make.buy(portfolio, apple, 10, 10, 0), make.sell(portfolio, apple, 8, 12, 3)], by=None)
    with pytest.raises(DomainError) as refused:
        book(entries=[make.sell(portfolio, apple, 5, 11, 1)], by=None)
    assert refused.value.code == "sells_more_than_held"


def test_a_back_dated_entry_derives_everything_after_it_again(in_aurora: Cast, portfolio, apple):
    book(entries=[make.deposit(portfolio, 1000), make.buy(portfolio, apple, 50, 10, 1)], by=None)
    book(entries=[make.fee(portfolio, 100, 2)], by=None)
    values = dict(Valuation.objects.filter(portfolio=portfolio).values_list("date", "market_value"))
    assert values[make.day(1)] == D(1050)
    assert values[make.day(2)] == D(1000)
    assert values[make.day(4)] == D(1050)
    latest = Valuation.objects.get(portfolio=portfolio, is_latest=True)
    assert latest.gross_return_index > latest.return_index


def test_a_reversal_leaves_the_books_as_if_the_entry_had_never_been(in_aurora: Cast, portfolio, apple):
    book(entries=[make.deposit(portfolio, 1000)], by=None)
    before = list(Valuation.objects.values_list("date", "market_value", "return_index"))
    [wrong] = book(entries=[make.buy(portfolio, apple, 50, 10, 1)], by=None)
    reversal = reverse(entry=wrong, by=in_aurora.operations, text="Wrong portfolio")
    assert (reversal.quantity, reversal.net_amount) == (-50, 500)
    assert list(Valuation.objects.values_list("date", "market_value", "return_index")) == before
    assert not Holding.objects.filter(security=apple).exists()
    with pytest.raises(DomainError) as again:
        reverse(entry=wrong, by=in_aurora.operations)
    assert again.value.code == "already_reversed"
    with pytest.raises(DomainError):
        reverse(entry=reversal, by=in_aurora.operations)


def test_what_left_a_portfolio_that_somebody_closes_meanwhile_is_not_reversed(in_aurora: Cast, portfolio):
    book(entries=[make.deposit(portfolio, 1000)], by=None)
    [left] = transfer_out(portfolio=portfolio, reference=portfolio.pk, by=in_aurora.operations)
    Portfolio.objects.update(closed_on=left.trade_date)
    with pytest.raises(DomainError, match="is closed"):
        reverse(entry=left, by=in_aurora.operations)


def test_a_purchase_whose_units_are_sold_cannot_be_reversed(in_aurora: Cast, portfolio, apple):
    [bought, _sold] = book(
        entries=[make.buy(portfolio, apple, 5, 10, 1), make.sell(portfolio, apple, 5, 10, 2)], by=None
    )
    with pytest.raises(DomainError, match="holds 0"):
        reverse(entry=bought, by=in_aurora.operations)


@pytest.mark.parametrize(
    "change", ["UPDATE portfolios_transaction SET net_amount = 1", "DELETE FROM portfolios_transaction"]
)
def test_the_database_refuses_to_change_the_ledger(in_aurora: Cast, portfolio, change):
    book(entries=[make.deposit(portfolio, 1000)], by=None)
    with (
        pytest.raises(IntegrityError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(change)


def test_nothing_is_booked_into_a_received_portfolio(in_aurora: Cast):
    with make.as_mirror():
        received = make.portfolio(number="P-9", origin=uuid.uuid4())
    with pytest.raises(DomainError) as refused:
        book(entries=[make.deposit(received, 5)], by=in_aurora.operations)
    assert refused.value.code == "received_portfolio"


def test_average_cost_gains_and_rates_come_from_the_day(in_aurora: Cast, portfolio):
    dollars = make.security("US5949181045", "Microsoft", "USD")
    make.prices(dollars, {0: 100, 4: 110})
    make.rates("USD", {0: "1.25", 4: "1.10"})
    book(entries=[make.buy(portfolio, dollars, 10, 100)], by=None)
    held = Holding.objects.get(portfolio=portfolio, security=dollars)
    assert held.book_cost == D(800)
    assert held.market_value == D(1000)
    assert Transaction.objects.get().exchange_rate == D("0.8")


def test_a_foreign_entry_without_a_rate_says_what_to_do(in_aurora: Cast, portfolio):
    dollars = make.security("US5949181045", "Microsoft", "USD")
    with pytest.raises(DomainError, match="Import rates"):
        book(entries=[make.buy(portfolio, dollars, 10, 100)], by=None)


def test_a_dividend_pays_who_held_before_the_ex_date_once(in_aurora: Cast, portfolio, apple):
    late = make.portfolio(in_aurora.unit, "P-2")
    book(entries=[make.buy(portfolio, apple, 10, 10, 0), make.buy(late, apple, 10, 10, 2)], by=None)
    pay = {
        "security": apple,
        "ex_date": make.day(2),
        "pay_date": make.day(4),
        "per_unit": D("0.5"),
        "withholding": D("0.15"),
    }
    [action] = book_dividend(**pay, by=in_aurora.operations)
    paid = Transaction.objects.get(type="dividend")
    assert (paid.portfolio, paid.gross_amount, paid.taxes, paid.net_amount) == (
        portfolio,
        D(5),
        D("0.75"),
        D("4.25"),
    )
    assert paid.reference == action.pk
    assert book_dividend(**pay, by=in_aurora.operations) == []

    # Paid in the smallest units of the currency: thousandths of a dinar, no parts of a dong.
    for currency, per_unit, gross in (("KWD", "0.0125", "0.125"), ("VND", "12.57", "126")):
        make.rates(currency, {0: "1"})
        again = {
            **pay,
            "ex_date": make.day(3),
            "per_unit": D(per_unit),
            "currency": currency,
            "withholding": D(0),
        }
        CorporateAction.objects.filter(ex_date=make.day(3)).delete()
        book_dividend(**again, portfolios=[portfolio], by=in_aurora.operations)
        assert Transaction.objects.get(type="dividend", currency=currency).gross_amount == D(gross)


def test_a_split_keeps_value_and_cost(in_aurora: Cast, portfolio, apple):
    book(entries=[make.buy(portfolio, apple, 10, 10, 0)], by=None)
    apple.prices.filter(date__gte=make.day(2)).delete()
    make.prices(apple, {2: 6, 3: 6, 4: "6.5"})
    book_split(security=apple, ex_date=make.day(2), ratio=D(2), by=in_aurora.operations)
    held = Holding.objects.get(portfolio=portfolio, security=apple)
    assert (held.quantity, held.book_cost, held.market_value) == (20, D(100), D(130))
    values = dict(Valuation.objects.filter(portfolio=portfolio).values_list("date", "market_value"))
    assert values[make.day(1)] - values[make.day(0)] == 10
    assert values[make.day(2)] - values[make.day(1)] == 10


def test_a_portfolio_opens_once_with_its_accounts(in_aurora: Cast):
    client = Client.objects.create(name="Ada Example", unit=in_aurora.unit)
    mandate = Mandate.objects.create(number="M-1", client=client, currency="CHF")
    opened = open_portfolio(mandate=mandate, unit=in_aurora.unit, by=in_aurora.manager)
    assert open_portfolio(mandate=mandate, unit=in_aurora.unit, by=in_aurora.manager) == opened
    assert (opened.number, opened.currency, opened.unit) == ("P-1001", "CHF", in_aurora.unit)
    assert sorted(opened.accounts.values_list("kind", flat=True)) == ["cash", "custody"]
    assert Valuation.objects.get(portfolio=opened).market_value == 0


def test_bookings_roll_back_together(in_aurora: Cast, portfolio, apple):
    with pytest.raises(DomainError):
        book(entries=[make.deposit(portfolio, 5), make.sell(portfolio, apple, 1, 1, 1)], by=None)
    assert not Transaction.objects.exists()
    assert not Holding.objects.exists()
