"""Entries that come after a portfolio was closed: booked, shown to operations, and booked out again."""

from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.errors import DomainError
from clients.models import Client, ClientInstruction, InstructionOutcome, Mandate
from portfolios.models import Holding, Portfolio, Security, Transaction, Valuation
from portfolios.services import book, book_dividend
from portfolios.services import reverse as reverse_entry
from portfolios.services.arrived_cash import enter_cash
from tests.clients.make import verified_account
from tests.factories import Cast
from tests.portfolios import make

D = Decimal
LATE = "Closed, but holds something"


@pytest.fixture
def apple(in_aurora: Cast) -> Security:
    apple = make.security()
    make.prices(apple, dict.fromkeys(range(5), 10))
    return apple


@pytest.fixture
def closed(in_aurora: Cast, apple: Security) -> Portfolio:
    """A portfolio that held ten Apple, was emptied, and has been closed for months."""
    client = Client.objects.create(name="Ada Example", unit=in_aurora.unit)
    mandate = Mandate.objects.create(number="M-1", client=client, currency="EUR")
    portfolio = make.portfolio(in_aurora.unit, mandate=mandate)
    book(entries=[make.deposit(portfolio, 1000), make.buy(portfolio, apple, 10, 10), make.sell(portfolio, apple, 10, 10, 2),
                  make.withdrawal(portfolio, 1000, 2)], by=None)  # fmt: skip
    portfolio.closed_on = make.day(4)
    portfolio.save()
    return portfolio


def pay_late(apple: Security, by: Cast) -> None:
    book_dividend(
        security=apple, ex_date=make.day(1), pay_date=make.day(3), per_unit=D("0.5"), by=by.operations
    )


def test_operations_books_out_what_came_late(in_aurora: Cast, aurora, browse, closed, apple):
    page, desk = browse(aurora, in_aurora.operations), reverse("trading:desk")
    detail = reverse("portfolios:portfolio_detail", args=[closed.pk])
    assert LATE not in page.get(desk).content.decode()
    # It was to move on to another manager, and did not.
    refused = ClientInstruction.objects.create(
        mandate=closed.mandate, kind="transfer_out", status="sent", sent_at=timezone.now()
    )
    InstructionOutcome.objects.create(instruction=refused, outcome="rejected", at=timezone.now())
    pay_late(apple, in_aurora)
    shown = page.get(desk)
    assert (shown.context["late_count"], LATE in shown.content.decode()) == (1, True)
    assert detail in shown.content.decode()
    assert "?attention=late" in shown.content.decode()
    assert closed.number in page.get(reverse("portfolios:book"), {"attention": "late"}).content.decode()
    assert "Book out what is left" in page.get(detail).content.decode()
    assert Valuation.objects.get(portfolio=closed, is_latest=True).market_value == 5

    rest = reverse("portfolios:rest_book_out", args=[closed.pk])
    assert browse(aurora, in_aurora.manager).post(rest).status_code == 404
    refused = page.post(rest, HTTP_REFERER=detail, follow=True)
    assert "verify the client" in refused.content.decode()
    verified_account(closed.mandate.client, in_aurora.advisor, in_aurora.operations)
    page.post(rest)

    paid = Transaction.objects.latest("created_at")
    assert (paid.type, paid.trade_date, paid.net_amount) == ("withdrawal", make.today(), D(-5))
    assert page.get(desk).context["late_count"] == 0
    assert "Book out what is left" not in page.get(detail).content.decode()
    latest = Valuation.objects.get(portfolio=closed, is_latest=True)
    assert (latest.date, latest.market_value) == (make.today(), 0)
    with pytest.raises(DomainError, match="only what it still holds"):
        book(entries=[make.withdrawal(closed, 5, trade_date=make.today())], by=None)


def test_what_is_owed_after_the_closing_is_paid_in(in_aurora: Cast, aurora, browse, closed):
    page, detail = (
        browse(aurora, in_aurora.operations),
        reverse("portfolios:portfolio_detail", args=[closed.pk]),
    )
    match = {"number": closed.number}

    def pay_in(amount: int) -> str:
        entry = enter_cash(value_date=make.today(), amount=D(amount), currency="EUR", by=in_aurora.operations)
        return page.post(
            reverse("portfolios:bank_entry_match", args=[entry.pk]), match, follow=True
        ).content.decode()

    assert "no open portfolio" in pay_in(1)
    book(entries=[make.fee(closed, 30, 3)], by=None)
    assert "match the cash when it arrives" in page.get(detail).content.decode()
    assert "only what it still holds" in pay_in(31)
    pay_in(30)
    assert not Portfolio.objects.closed_but_holding().exists()


def test_a_late_reversal_is_to_be_followed_up_too(in_aurora: Cast, closed):
    reverse_entry(entry=Transaction.objects.get(type="sell"), by=None)
    assert Portfolio.objects.closed_but_holding().get() == closed
    # Ten Apple are back, and the 100 that they brought are owed.
    assert {each.quantity for each in Holding.objects.something()} == {D(10), D(-100)}
    back = make.deposit(closed, 100, trade_date=make.today())
    out = Transaction(
        portfolio=closed, type="transfer_out", trade_date=make.today(), settlement_date=make.today(),
        security=Security.objects.get(), quantity=D(-10), currency="EUR", gross_amount=D(100),
    )  # fmt: skip
    book(entries=[back, out], by=None)
    assert not Portfolio.objects.closed_but_holding().exists()
