"""A client moves from one manager to the next: who books what, and one chain of returns."""

import datetime
import json
import re
from decimal import Decimal

import pytest
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from accounts.errors import DomainError
from clients import day, services, wealth
from clients.models import Client, ClientInstruction, Mandate
from federation.agreements import life
from federation.models import Agreement
from portfolios.calculations.lots import CostMethod
from portfolios.models import (
    ExchangeRate,
    Handover,
    HandoverPosition,
    Portfolio,
    PriceSource,
    Transaction,
    Valuation,
)
from portfolios.services import book, refresh
from portfolios.services import reverse as reverse_entry
from portfolios.services.chain import load_chain
from portfolios.services.handover import take_over, waiting
from reporting.figures import gather
from tests import factories
from tests.federation.mirror.successor import (
    ISIN,
    accept_at,
    advisor_of_all,
    begin,
    begin_on_its_way,
    book_out,
    buy,
    everything_in,
    instruct_out,
    lots_of,
    owned_in_all,
    price_at,
    security_key,
    submit,
    take_over_at,
    total_of,
)
from tests.federation.mirror.world import TODAY, World
from trading.models import Order

D = Decimal


def test_where_the_channel_settles_it_takes_the_positions_over(world: World) -> None:
    journey = begin(world, settlement="channel")
    price_at(world, "harbour", timezone.now().date(), "66")
    portfolio = take_over_at(world, journey)

    for schema in ("harbour", "borealis"):
        with world.within(schema):
            booked = Transaction.objects.filter(portfolio=portfolio.pk)
            assert {each.type for each in booked} == {"transfer_in"}
            assert {each.origin is None for each in booked} == {schema == "harbour"}
    world.assert_in_step(journey.second)


def test_the_desk_of_who_settles_lists_what_waits_to_be_taken_over(world: World) -> None:
    journey = begin(world)
    accept_at(world, journey)
    with world.within("borealis"):
        cast = factories.cast()
        desk = Browser(headers={"host": "borealis.localhost"})
        desk.force_login(cast.operations)
        page = reverse("trading:desk")
        assert b"Positions to take over" not in desk.get(page).content
    book_out(world, journey)
    with world.within("borealis"):
        text = desk.get(page).content
        assert b"Positions to take over" in text
        assert reverse("portfolios:handover", args=[journey.new.pk]).encode() in text
        take_over(handover=Handover.objects.get(), by=cast.operations)
        assert b"Positions to take over" not in desk.get(page).content


def test_a_client_owns_each_position_once_before_on_the_way_and_after(world: World) -> None:
    journey = begin(world)

    def figures() -> tuple[Decimal | None, Decimal | None, Decimal | None]:
        owned = owned_in_all(world, journey)
        return owned.total, owned.paid_in, owned.gain

    # 150 × 66 + 1,985 of cash on 10,000 paid in.
    whole = (D(11_885), D(10_000), D(1885))
    assert figures() == whole
    accept_at(world, journey)
    assert figures() == whole
    book_out(world, journey)
    assert figures() == whole
    with world.within("aurora"), pytest.raises(DomainError, match="may have been taken over"):
        reverse_entry(entry=Transaction.objects.filter(type="transfer_out")[0], by=None)
    way = {each.on_its_way for each in owned_in_all(world, journey).positions}
    assert way == {D(0), D(11_885)}
    price_at(world, "borealis", timezone.now().date(), "68", again=True)
    with world.within("borealis"):
        take_over(handover=Handover.objects.get(), by=factories.cast().operations)
    world.settle_down()
    # What 150 have risen by on the way is gain: nobody has paid it in.
    assert figures() == (D(12_185), D(10_000), D(2185))


def test_a_transfer_in_that_is_reversed_waits_again_and_no_other(world: World) -> None:
    journey = begin(world)
    portfolio = take_over_at(world, journey)
    price_at(world, "borealis", timezone.now().date(), "68", again=True)
    with world.within("borealis"):
        cast = factories.cast()
        refresh(portfolio_ids=[portfolio.pk])
        reverse_entry(entry=Transaction.objects.get(type="transfer_in", security=None), by=cast.operations)
        given = Handover.objects.get()
        assert [each.quantity for each in waiting(given)] == [D(1985)]
        browser = Browser(headers={"host": "borealis.localhost"})
        browser.force_login(cast.operations)
        page = reverse("portfolios:handover", args=[journey.new.pk])
        assert page in browser.get(reverse("trading:desk")).content.decode()
        assert browser.get(page).content.decode().count("not booked<") == 1
    world.settle_down()
    # What is booked counts at today's price, what waits as it was booked out.
    owned = owned_in_all(world, journey)
    assert (owned.total, owned.paid_in, owned.gain) == (D(12_185), D(10_000), D(2185))
    assert {each.on_its_way for each in owned.positions} == {D(0), D(1985)}
    with world.within("harbour"):
        # What was handed over before values were kept has none: it is not counted as nothing.
        cash = HandoverPosition.objects.filter(isin="", quantity=1985)
        cash.update(value=None)
        beside = HandoverPosition.objects.create(
            handover=Handover.objects.get(), currency="EUR", quantity=10, value=10
        )
        client, mandates = Client.objects.get(), Mandate.objects.all()
        unknown = wealth.wealth_of(client, mandates, TODAY, wealth.rates())
        assert (unknown.total, unknown.gain) == (None, None)
        assert "The value of what is on its way is not known" in unknown.problem
        assert total_of(Client.objects.all()) is None
        beside.delete()
        cash.update(value=1985)
    with world.within("borealis"):
        take = reverse("portfolios:handover_take", args=[journey.new.pk])
        assert browser.post(take).status_code == 302
        assert not waiting(given).exists()
        assert page not in browser.get(reverse("trading:desk")).content.decode()
        assert Transaction.objects.filter(type="transfer_in").count() == 4
        with pytest.raises(DomainError, match="booked already"):
            take_over(handover=given, by=cast.operations)
    world.settle_down()
    owned = owned_in_all(world, journey)
    assert (owned.total, owned.paid_in, owned.gain) == (D(12_185), D(10_000), D(2185))


def test_what_is_on_its_way_counts_when_the_agreement_with_the_former_manager_has_ended(world: World) -> None:
    journey = begin_on_its_way(world)
    with world.within("harbour"):
        life.terminate(
            Agreement.objects.get(pk=Mandate.objects.get(pk=journey.old.pk).agreement),
            by=factories.cast().administrator,
            institution=world.institution("harbour"),
        )
    assert owned_in_all(world, journey).total == D(11_885)


def test_what_is_on_its_way_in_a_currency_without_a_rate_is_not_counted_as_nothing(world: World) -> None:
    journey = begin_on_its_way(world)
    with world.within("harbour"):
        Handover.objects.update(currency="USD")
        clients = Client.objects.filter(mandates=journey.new.pk)
        assert total_of(clients) is None
        browser = Browser(headers={"host": "harbour.localhost"})
        browser.force_login(advisor_of_all())
        page = reverse("clients:mandate_detail", args=[journey.new.pk])
        assert browser.get(page).context["position"].value is None
        source = PriceSource.objects.create(code="RATES", name="Rates")
        ExchangeRate.objects.create(source=source, date=TODAY, currency="USD", rate=2)
        assert browser.get(page).context["position"].value == D("5942.5")
        assert total_of(clients) == D("5942.5")


def test_what_the_former_manager_books_meanwhile_is_handed_over(world: World) -> None:
    journey, today = begin(world), timezone.now().date()
    with world.within("aurora"):
        order = Order.objects.create(
            portfolio=journey.former, security_id=security_key(), number="O-1", side="sell", quantity=150,
            currency="EUR", reason="manual", state="sent",
        )  # fmt: skip
    world.drain()
    portfolio = accept_at(world, journey)
    with world.within("harbour"):
        assert [each.text for each in day.moving(Client.objects.all()).items] == [
            "In house can transfer out: the next manager has accepted."
        ]
    with world.within("borealis"), pytest.raises(DomainError) as refused:
        take_over(handover=Handover.objects.get(), by=factories.cast().operations)
    assert refused.value.code == "not_booked_out"
    instruct_out(world, journey)
    with world.within("harbour"):
        assert day.moving(Client.objects.all()).count == 0
    with world.within("aurora"):
        operations = factories.cast().operations
        instruction = ClientInstruction.objects.get()
        services.record_outcome(instruction=instruction, outcome="accepted", by=operations)
        with pytest.raises(DomainError) as refused:
            services.record_outcome(instruction=instruction, outcome="done", by=operations)
        assert refused.value.code == "orders_open"
        Order.objects.filter(pk=order.pk).update(state="filled")
        sold = buy(journey.former, "150", "66", "0", today)
        sold.type, sold.quantity, sold.net_amount = "sell", -sold.quantity, sold.gross_amount
        paid = Transaction(
            portfolio=journey.former, type="dividend", trade_date=today, settlement_date=today,
            security_id=security_key(), currency="EUR", gross_amount=D(500), net_amount=D(500),
        )  # fmt: skip
        by_hand = Transaction(
            portfolio=journey.former, type="transfer_out", trade_date=today, settlement_date=today,
            currency="EUR", gross_amount=D(385), net_amount=D(-385),
        )  # fmt: skip
        book(entries=[sold, paid, by_hand], by=operations)
        services.record_outcome(instruction=instruction, outcome="done", by=operations)
    world.settle_down()
    assert owned_in_all(world, journey).total == D(12_385)
    with world.within("borealis"):
        operations, given = factories.cast().operations, Handover.objects.get()
        assert [(each.isin, each.quantity) for each in given.listed()] == [("", D(12_385))]
        assert (given.booked_out_on, given.value) == (today, None), "the former manager's prices stay at home"
        with pytest.raises(DomainError) as refused:
            services.close_mandate(mandate=Mandate.objects.get(), by=operations)
        assert refused.value.code == "not_taken_over"
        take_over(handover=given, by=operations)
        assert Transaction.objects.get(portfolio=portfolio).net_amount == D(12_385)
    world.settle_down()
    owned = owned_in_all(world, journey)
    assert (owned.total, owned.paid_in, owned.gain) == (D(12_385), D(10_000), D(2385))
    for agreement in Agreement.objects.all():
        world.assert_in_step(agreement)


def test_a_client_changes_manager_with_lots_dates_costs_and_one_chain_of_returns(world: World) -> None:
    journey = begin(world)
    with world.within("harbour"):
        browser = Browser(headers={"host": "harbour.localhost"})
        browser.force_login(factories.cast().compliance)
        assert browser.get(reverse("portfolios:handover_start", args=[journey.old.pk])).status_code == 404
        browser.force_login(advisor_of_all())
        page = browser.get(reverse("portfolios:handover_start", args=[journey.old.pk]))
        assert b"Apple" in page.content
        assert journey.new.number.encode() in page.content
    submit(world, journey.new)
    today = timezone.now().date()

    with world.within("borealis"):
        cast = factories.cast()
        given = Handover.objects.get()
        # 150 × 66 + 1,985 of cash on 10,000 paid in.
        assert given.time_weighted_return == D("0.1885")
        positions = [
            (each.isin, each.quantity, each.acquired_on, each.book_cost)
            for each in given.positions.order_by("-isin", "acquired_on")
        ]
        assert positions == [
            (ISIN, D(100), TODAY, D(5010)),
            (ISIN, D(50), TODAY + datetime.timedelta(days=1), D(3005)),
            ("", D(1985), None, None),
        ]
        inbox = Browser(headers={"host": "borealis.localhost"})
        inbox.force_login(cast.manager)
        assert (
            b"Positions to take over"
            in inbox.get(reverse("clients:mandate_decide", args=[journey.new.pk])).content
        )
        with pytest.raises(DomainError):
            take_over(handover=given, by=cast.manager)
        services.accept_mandate(mandate=Mandate.objects.get(), by=cast.manager, unit=cast.unit)
        assert [each.is_cash for each in given.listed()] == [False, False, True]
        portfolio = Portfolio.objects.own().get()
        shown_at = reverse("portfolios:portfolio_detail", args=[portfolio.pk])
        assert b"has not booked the positions out yet" in inbox.get(shown_at).content
    world.settle_down()
    held = {
        each: lots_of(world, "aurora", journey.former, each) for each in (CostMethod.AVERAGE, CostMethod.FIFO)
    }
    instruct_out(world, journey)
    with world.within("aurora"):
        cast = factories.cast()
        received = ClientInstruction.objects.get()
        services.record_outcome(instruction=received, outcome="accepted", by=cast.operations)
        assert Mandate.objects.get().state == "closing"
        services.record_outcome(
            instruction=ClientInstruction.objects.get(), outcome="done", by=cast.operations
        )
        assert Mandate.objects.get().state == "closed"
        assert Portfolio.objects.get().closed_on is not None
        out = Transaction.objects.filter(type="transfer_out")
        assert {(each.quantity, each.net_amount) for each in out} == {(D(-150), D(0)), (D(0), D(-1985))}
    world.settle_down()
    with world.within("borealis"):
        cast = factories.cast()
        given = Handover.objects.get()
        assert [(each.quantity, each.acquired_on, each.book_cost) for each in given.listed()] == [
            (D(100), TODAY, D(5010)),
            (D(50), TODAY + datetime.timedelta(days=1), D(3005)),
            (D(1985), None, None),
        ]
        assert b"not booked yet" in inbox.get(shown_at).content
        taken = inbox.post(reverse("portfolios:handover_take", args=[journey.new.pk]))
        assert taken.status_code == 302
        assert b"not booked yet" not in inbox.get(shown_at).content
        assert set(Transaction.objects.values_list("type", flat=True)) == {"transfer_in"}
        with pytest.raises(DomainError) as refused:
            take_over(handover=given, by=cast.manager)
        assert refused.value.code == "taken_over"
        shown = gather(portfolio, today, today).change_of_manager
        assert shown is not None
        assert (shown.before.value, shown.chained.value) == (D("0.1885"), D("0.1885"))
        assert b"18.85" in inbox.get(shown_at).content

    for method in (CostMethod.AVERAGE, CostMethod.FIFO):
        before, after = held[method], lots_of(world, "borealis", portfolio, method)
        assert [(lot.quantity, lot.acquired_on, lot.book_cost) for lot in before] == [
            (lot.quantity, lot.acquired_on, lot.book_cost) for lot in after
        ]

    with world.within("borealis"):
        # A day on: the new manager's first return.
        last = Valuation.objects.get(portfolio=portfolio, is_latest=True)
        assert last.return_index == 1
        Valuation.objects.create(
            portfolio=portfolio,
            date=today + datetime.timedelta(days=1),
            currency="EUR",
            market_value=last.market_value * D("1.05"),
            return_index=D("1.05"),
            gross_return_index=D("1.05"),
        )
    world.drain()
    with world.within("harbour"):
        mine = Portfolio.objects.select_related("mandate").get(mandate=journey.new)
        chain = load_chain(mine, TODAY - datetime.timedelta(days=1), today + datetime.timedelta(days=1))
        assert chain.changes == (today,)
        # By hand: 11,885 / 10,000 under the first manager, × 1.05 under the second.
        assert chain.days[-1].index == D("1.1885") * D("1.05")
        assert sum(day.inflow - day.outflow for day in chain.days) == 10_000, (
            "what moved is no flow of the client's"
        )
        browser = Browser(headers={"host": "harbour.localhost"})
        browser.force_login(factories.cast().operations)
        page = browser.get(reverse("portfolios:portfolio_detail", args=[mine.pk]))
        assert b"Change of manager" in page.content
    for agreement in Agreement.objects.all():
        world.assert_in_step(agreement)

    # Neither manager has a trace of the other.
    at_aurora, at_borealis = everything_in("aurora"), everything_in("borealis")
    for secret in (journey.second.pk, journey.second.manager_id, journey.new.pk, portfolio.pk):
        assert str(secret) not in at_aurora
    aurora = world.institution("aurora")
    for secret in (
        aurora.pk,
        journey.old.pk,
        journey.old.number,
        journey.former.pk,
        journey.former.number + '"',
    ):
        if secret != portfolio.number + '"':
            assert not re.search(rf"{secret}(?!\d)", at_borealis), secret
    assert json.dumps("Aurora") not in at_borealis
