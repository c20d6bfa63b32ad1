"""The manager manages and trades, the channel settles: from the fill to the valuation, through the real mirror."""

import datetime
from decimal import Decimal

import pytest
from django.test import Client as Browser
from django.urls import reverse

from accounts.errors import DomainError
from accounts.models import Role, RoleAssignment, User
from clients.models import Client
from federation.agreements.open_work import open_work
from federation.models import Agreement
from portfolios.models import Account, Portfolio, Transaction, Valuation
from portfolios.services import book, value_portfolios
from portfolios.services.ledger import reverse as reverse_entry
from reporting.models import Report
from reporting.services import make_report, release_report
from tests import factories
from tests.federation.mirror.shop import Shop, today
from tests.federation.mirror.world import World
from trading.models import Affirmation, Allocation, Order, Settlement
from trading.services import (
    affirm,
    affirm_one,
    correct,
    propose,
    reject_allocation,
    settle_due,
    withdraw,
)
from trading.services.settlements import close_settled

D = Decimal


def test_accounts_and_ledger_are_the_settling_partys(split: Shop) -> None:
    with split.world.within("harbour"):
        assert {each.origin for each in Account.objects.all()} == {None}
        assert Account.objects.count() == 2
    with split.world.within("aurora"):
        assert Account.objects.filter(origin__isnull=False).count() == 2
        with pytest.raises(DomainError, match="Your partner settles for portfolio"):
            book(entries=[_deposit(split.portfolio)], by=None)
        with pytest.raises(DomainError, match="Only what another party"):
            affirm_first(split)


def affirm_first(split: Shop) -> None:
    allocation = split.fill()
    with split.world.within("aurora"):
        affirm_one(allocation=allocation, by=factories.cast().operations)


def _deposit(portfolio: Portfolio) -> Transaction:
    return Transaction(
        portfolio=portfolio, type="deposit", trade_date=today(), settlement_date=today(), currency="EUR",
        gross_amount=D(5), net_amount=D(5),
    )  # fmt: skip


def test_a_settlement_is_changed_by_who_answers_for_its_unit(split: Shop) -> None:
    split.fund(5000)
    allocation = split.fill()
    split.at("harbour", affirm, allocation_ids=[allocation.pk])
    with split.world.within("harbour"):
        cast = factories.cast()
        settlement = Settlement.objects.get()
        Client.objects.update(unit=cast.unit)
        elsewhere = User.objects.create(email="elsewhere@example.test", full_name="Operations elsewhere")
        RoleAssignment.objects.create(user=elsewhere, role=Role.OPERATIONS, unit=cast.other_unit)
        RoleAssignment.objects.create(user=elsewhere, role=Role.COMPLIANCE)
        browser = Browser(headers={"host": "harbour.localhost"})
        browser.force_login(elsewhere)
        change = reverse("trading:settlement_change", args=[settlement.pk])
        page = browser.get(reverse("trading:settlement_list"))
        assert settlement.allocation.order.number.encode() in page.content
        assert b"Settle now" not in page.content
        assert browser.post(change, {"action": "settle"}).status_code == 404
        assert browser.post(reverse("trading:affirm_chosen"), {"choose": allocation.pk}).status_code == 302
        RoleAssignment.objects.filter(user=elsewhere, role=Role.OPERATIONS).update(unit=cast.unit)
        browser.force_login(User.objects.get(pk=elsewhere.pk))
        assert b"Settle now" in browser.get(reverse("trading:settlement_list")).content
        assert browser.post(change, {"action": "settle"}).status_code == 302
        settlement.refresh_from_db()
        assert settlement.state == "settled"
        elsewhere.delete()


def test_an_allocation_is_booked_only_once_it_is_affirmed(split: Shop) -> None:
    split.fund(5000)
    allocation = split.fill()
    assert split.holdings("harbour") == {"EUR": D(5000)}
    with split.world.within("aurora"):
        assert not Settlement.objects.exists()
        with pytest.raises(DomainError, match="not affirmed by your partner"):
            propose(portfolio=split.portfolio, by=factories.cast().manager)
    with split.world.within("harbour"):
        operations = factories.cast().operations
        assert list(Allocation.objects.to_affirm(operations)) == [allocation]
    done = split.at("harbour", affirm, allocation_ids=[allocation.pk])
    assert (done.count, done.refused) == (1, ())
    split.world.settle_down()
    held = split.holdings("harbour")
    assert held["Apple"] == 10
    assert split.holdings("aurora") == held
    with split.world.within("aurora"):
        received = Allocation.objects.get(pk=allocation.pk)
        assert received.answered.state == "affirmed"
        assert received.settlement.origin is not None
        assert Transaction.objects.filter(type="buy", origin__isnull=False).count() == 1
        assert not Allocation.objects.unbooked().exists()
    # Once more changes nothing: an answer is final.
    again = split.at("harbour", affirm, allocation_ids=[allocation.pk])
    assert again.count == 0
    assert "answered it in the meantime" in again.refused[0][1]
    with split.world.within("harbour"):
        assert Transaction.objects.filter(type="buy").count() == 1
        assert settle_due(day=today() + datetime.timedelta(days=10)) == 1
    split.world.settle_down()
    with split.world.within("aurora"):
        close_settled()
        assert Order.objects.get().state == "settled"
    split.world.settle_down()
    split.world.assert_in_step(split.agreement)
    assert split.world.orphans("aurora") == split.world.orphans("harbour") == []


def test_both_read_that_an_affirmed_trade_was_reversed(split: Shop) -> None:
    split.fund(5000)
    allocation = split.fill()
    split.at("harbour", affirm, allocation_ids=[allocation.pk])
    split.world.settle_down()
    with split.world.within("harbour"):
        reverse_entry(entry=Transaction.objects.get(type="buy"), by=factories.cast().operations, text="Oops")
        assert settle_due(day=today() + datetime.timedelta(days=10)) == 0
    split.world.settle_down()
    assert split.holdings("aurora") == split.holdings("harbour")
    for schema in ("aurora", "harbour"):
        with split.world.within(schema):
            settlement = Settlement.objects.get()
            assert (settlement.state, settlement.failure_reason) == ("reversed", "Oops")
            assert not open_work(split.agreement).settlements
    split.world.assert_in_step(split.agreement)
    with split.world.within("aurora"):
        close_settled()
        assert Order.objects.get().state == "cancelled"


def test_a_rejected_allocation_is_allocated_anew_or_withdrawn(split: Shop) -> None:
    split.fund(5000)
    wrong = split.fill()
    with split.world.within("harbour"), pytest.raises(DomainError, match="Say why"):
        reject_allocation(allocation=wrong, reason=" ", by=factories.cast().operations)
    split.at("harbour", reject_allocation, allocation=wrong, reason="Fees are not as agreed")
    split.world.settle_down()
    assert split.holdings("harbour") == {"EUR": D(5000)}
    with split.world.within("aurora"):
        operations = factories.cast().operations
        [rejected] = Allocation.objects.rejected(operations)
        assert rejected.answered.reason == "Fees are not as agreed"
    anew = split.at(
        "aurora", correct, allocation=wrong, price=D(100), fees=D(0), settlement_date=wrong.settlement_date
    )
    split.world.settle_down()
    with split.world.within("harbour"):
        operations = factories.cast().operations
        assert list(Allocation.objects.to_affirm(operations)) == [anew]
        assert Allocation.objects.get(pk=wrong.pk).withdrawn_at is not None
    assert split.at("harbour", affirm, allocation_ids=[anew.pk]).count == 1
    split.world.settle_down()
    assert split.holdings("aurora") == {"EUR": D(4000), "Apple": D(10)}
    other = split.fill(5)
    split.at("harbour", reject_allocation, allocation=other, reason="Not our client's")
    split.world.settle_down()
    split.at("aurora", withdraw, allocation=other, note="Wrong account")
    split.world.settle_down()
    with split.world.within("harbour"):
        order = Order.objects.get(pk=other.order_id)
        assert (order.state, order.filled_quantity) == ("cancelled", 0)
    split.world.assert_in_step(split.agreement)


def test_what_does_not_fit_the_ledger_is_not_affirmed_and_stops_no_other(split: Shop) -> None:
    split.fund(5000)
    fits = split.fill()
    sells = split.fill(3)
    with split.world.within("aurora"):
        Order.objects.filter(pk=sells.order_id).update(side="sell")
        Allocation.objects.filter(pk=sells.pk).update(net_amount=D(300), gross_amount=D(300), fees=0)
        Allocation.objects.filter(pk=sells.pk).update(quantity=D(30))
    split.world.settle_down()
    done = split.at("harbour", affirm, allocation_ids=[sells.pk, fits.pk])
    assert done.count == 1
    assert "would leave it" in done.refused[0][1]
    with split.world.within("harbour"):
        assert Affirmation.objects.count() == Settlement.objects.count() == 1


def test_the_nightly_run_values_what_somebody_else_settles(split: Shop) -> None:
    split.fund(5000)
    with split.world.within("aurora"):
        Valuation.objects.all().delete()
        value_portfolios()
        assert Valuation.objects.get(is_latest=True).market_value == D(5000)
    with split.world.within("harbour"):
        # Who settles derives holdings and leaves values to who manages.
        value_portfolios()
        assert not Valuation.objects.filter(origin__isnull=True).exists()


@pytest.mark.parametrize(
    "who",
    [
        {"reporting": "channel"},
        {"settlement": "channel"},
        {"settlement": "channel", "reporting": "channel"},
    ],
    ids=lambda who: " and ".join(who),
)
def test_reports_read_what_was_received(world: World, who: dict[str, str]) -> None:
    shop = Shop(world, **who)
    shop.fund(5000)
    allocation = shop.fill()
    if shop.settler == "harbour":
        assert shop.at("harbour", affirm, allocation_ids=[allocation.pk]).count == 1
        shop.world.settle_down()
    reporter = Agreement.objects.get(pk=shop.agreement.pk).party(who.get("reporting", "manager")).schema_name
    with world.within(reporter):
        report = Report.objects.create(
            portfolio_id=shop.portfolio.pk, number="R-9", title="Statement", language="en",
            period_from=today(), period_to=today(),
        )  # fmt: skip
        made = make_report(report=report)
        assert (made.state, made.problem) == ("ready", "")
        text = str(made.content)
        assert "Apple" in text
        assert "Deposit" in text or "deposit" in text
    shop.world.settle_down()
    shop.at("harbour", release_report, report=report, by="advisor")
    shop.world.settle_down()
    world.assert_in_step(shop.agreement)


def test_where_one_party_trades_and_settles_nothing_is_to_be_affirmed(world: World) -> None:
    shop = Shop(world)
    shop.fund(5000)
    shop.fill()
    for schema in ("aurora", "harbour"):
        assert shop.holdings(schema)["Apple"] == 10
        with world.within(schema):
            operations = factories.cast().operations
            assert not Allocation.objects.between_parties(operations).exists()
            assert not Affirmation.objects.exists()
