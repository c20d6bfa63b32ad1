"""Paying withdrawals: of what is settled and free, to a verified account."""

import datetime

import pytest
from django.utils import timezone

from accounts.errors import DomainError
from clients.models import InstructionOutcome
from portfolios.models import Holding
from portfolios.services import book
from portfolios.services.cash_matching import pay_withdrawal
from tests.factories import Cast
from tests.portfolios import make
from tests.portfolios.cash import asked, payable


def test_a_withdrawal_is_paid_once_the_cash_is_settled(in_aurora: Cast, ada):
    instruction = payable(ada, in_aurora, 300)
    with pytest.raises(DomainError) as refused:
        pay_withdrawal(instruction=instruction, by=in_aurora.operations)
    assert refused.value.code == "cash_short"
    book(entries=[make.deposit(ada, 1000)], by=None)
    assert Holding.objects.get(portfolio=ada).available_quantity == 700
    paid = pay_withdrawal(instruction=instruction, by=in_aurora.operations)
    assert paid.net_amount == -300
    assert InstructionOutcome.objects.get().outcome == "done"


def test_a_withdrawal_leaves_the_cash_that_purchases_will_take(in_aurora: Cast, ada):
    instruction, share, today = payable(ada, in_aurora, 1000), make.security(), timezone.now().date()

    def pay() -> str:
        with pytest.raises(DomainError) as refused:
            pay_withdrawal(instruction=instruction, by=in_aurora.operations)
        assert refused.value.code == "cash_short"
        return str(refused.value.message)

    later = {"trade_date": today, "settlement_date": today + datetime.timedelta(days=2)}
    bought = make.buy(ada, share, 9, 100)
    for name, value in later.items():
        setattr(bought, name, value)
    book(entries=[make.deposit(ada, 1500), bought], by=None)
    cash = Holding.objects.get(portfolio=ada, security=None)
    assert (cash.settled_quantity, cash.quantity) == (1500, 600)
    assert pay().startswith(
        "Only EUR\xa0600.00 is settled and not needed for purchases. Free EUR\xa0400.00 first"
    )
    # Two of ten are filled, and the fill waits to be affirmed.
    order = ada.orders.create(number="O-1", security=share, side="buy", quantity=10, filled_quantity=2, reason="drift",
                              currency="EUR", estimated_amount=500, state="partially_filled")  # fmt: skip
    order.allocations.create(portfolio=ada, quantity=2, price=50, currency="EUR", gross_amount=100,
                             net_amount=-100, **later)  # fmt: skip
    assert pay().startswith("Only EUR\xa0100.00 ")
    order.allocations.update(withdrawn_at=timezone.now())
    assert pay().startswith("Only EUR\xa0200.00 ")
    order.state = "cancelled"
    order.save()
    book(entries=[make.deposit(ada, 400)], by=None)
    assert pay_withdrawal(instruction=instruction, by=in_aurora.operations).net_amount == -1000
    assert Holding.objects.get(portfolio=ada, security=None).quantity == 0


def test_nothing_goes_to_an_account_that_two_people_have_not_verified(in_aurora: Cast, ada):
    book(entries=[make.deposit(ada, 1000)], by=None)
    instruction = asked(ada, 300, kind="withdrawal")
    with pytest.raises(DomainError) as refused:
        pay_withdrawal(instruction=instruction, by=in_aurora.operations)
    assert refused.value.code == "payout_account_unverified"
