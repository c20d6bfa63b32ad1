"""What comes late where the successor is closed too, took over before positions were told apart, or hears of it early."""

import datetime
from decimal import Decimal

import pytest
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from clients import services
from clients.models import ClientInstruction, InstructionOutcome, Mandate, Task
from federation.models import Agreement
from portfolios.models import ExchangeRate, Handover, Holding, Portfolio, Price, PriceSource, Transaction
from portfolios.services import book
from portfolios.services import reverse as reverse_entry
from portfolios.services.handover import book_out_rest, take_over, transfer_out, waiting
from portfolios.tasks import hand_over_late
from tests import factories
from tests.federation.mirror import everything
from tests.federation.mirror.successor import (
    Journey,
    accept_at,
    advisor_of_all,
    begin,
    book_out,
    buy,
    instruct_out,
    last_weekday,
    owned_in_all,
    price_at,
    security_key,
    submit,
    take_over_at,
)
from tests.federation.mirror.world import TODAY, World

D = Decimal


def dividend(portfolio: Portfolio, amount: int, day: datetime.date) -> Transaction:
    return Transaction(
        portfolio=portfolio, type="dividend", trade_date=day, settlement_date=timezone.now().date(),
        security_id=security_key(), currency="EUR", gross_amount=D(amount), net_amount=D(amount),
    )  # fmt: skip


def pay_late(world: World, schema: str, amount: int, day: datetime.date) -> None:
    """Book a dividend into the closed portfolio of a manager, and book it out."""
    with world.within(schema):
        by, portfolio = factories.cast().operations, Portfolio.objects.own().get()
        book(entries=[dividend(portfolio, amount, day)], by=by)
        book_out_rest(portfolio=portfolio, by=by)
    world.settle_down()


def waits_at(world: World, schema: str) -> list[Decimal]:
    with world.within(schema):
        return [each.quantity for each in waiting(Handover.objects.current().get())]


def move_on(world: World, journey: Journey) -> Journey:
    """Have Lakeside take over what Borealis took over from Aurora."""
    third = world.agree("lakeside")
    plan = everything.offer(world, third, "lakeside")
    price_at(world, "lakeside", last_weekday(), "66")
    world.drain()
    with world.within("harbour"):
        former = Mandate.objects.select_related("client").get(pk=journey.new.pk)
        assert former.client is not None
        new = services.start_mandate(client=former.client, by=factories.cast().advisor, predecessor=former)
        new.agreement, new.offer, new.offer_name, new.amount = third.pk, plan.pk, plan.name, D(10_000)
        new.risk_profile = former.client.risk_profiles.first()
        new.save()
    submit(world, new)
    with world.within("lakeside"):
        cast = factories.cast()
        services.accept_mandate(mandate=Mandate.objects.get(), by=cast.manager, unit=cast.unit)
    world.settle_down()
    instruct_out(world, Journey(journey.new, new, journey.former, third))
    with world.within("borealis"):
        for outcome in ("accepted", "done"):
            services.record_outcome(
                instruction=ClientInstruction.objects.get(), outcome=outcome, by=factories.cast().operations
            )
    world.settle_down()
    with world.within("lakeside"):
        take_over(handover=Handover.objects.get(), by=factories.cast().operations)
    world.settle_down()
    return Journey(journey.new, new, journey.former, third)


def test_what_comes_late_to_the_first_of_three_goes_to_whoever_has_the_client_now(world: World) -> None:
    journey = begin(world)
    take_over_at(world, journey)
    last = move_on(world, journey)
    assert owned_in_all(world, journey).total == D(11_885)

    pay_late(world, "aurora", 40, TODAY + datetime.timedelta(days=1))

    assert waits_at(world, "lakeside") == [D(40)]
    assert waits_at(world, "borealis") == []
    assert owned_in_all(world, journey).total == D(11_925)
    with world.within("lakeside"):
        take_over(handover=Handover.objects.get(), by=factories.cast().operations)
    world.settle_down()
    # What the second is paid late comes beside it, and takes nothing of it back.
    pay_late(world, "borealis", 10, timezone.now().date())
    assert waits_at(world, "lakeside") == [D(10)]
    owned = owned_in_all(world, journey)
    assert (owned.total, owned.paid_in, owned.gain) == (D(11_935), D(10_000), D(1935))
    for agreement in Agreement.objects.all():
        world.assert_in_step(agreement)
    with world.within("harbour"):
        assert not Task.objects.exists()
        assert Handover.objects.get(mandate=last.new.pk).positions.count() == 5


def test_where_nobody_has_the_client_any_more_the_advisor_is_told_what_came_late(world: World) -> None:
    journey = begin(world)
    portfolio = take_over_at(world, journey)
    with world.within("borealis"):
        by = factories.cast().operations
        transfer_out(portfolio=portfolio, reference=portfolio.pk, by=by)
        services.close_mandate(mandate=Mandate.objects.get(), by=by)
    world.settle_down()

    pay_late(world, "aurora", 40, TODAY + datetime.timedelta(days=1))

    world.settle_down()
    assert owned_in_all(world, journey).total == D(40)
    with world.within("harbour"):
        browser = Browser(headers={"host": "harbour.localhost"})
        browser.force_login(advisor_of_all())
        title = Task.objects.get().title
        assert (
            title
            == f"Something came late for mandate {journey.new.number}, which is closed: agree where it goes."
        )
        assert title in browser.get(reverse("clients:my_day"), {"of": "unit"}).content.decode()
        page = browser.get(reverse("portfolios:handover", args=[journey.new.pk])).content.decode()
        assert "nobody takes them over" in page
        assert page.count("not booked<") == 1


def test_a_position_that_came_after_all_were_booked_together_waits(world: World) -> None:
    journey = begin(world)
    portfolio = accept_at(world, journey)
    book_out(world, journey)
    today = timezone.now().date()
    with world.within("borealis"):
        given, by = Handover.objects.get(), factories.cast().operations
        # As it was done before positions were told apart: all that is taken over names the handover.
        lots = [
            Transaction(
                portfolio=portfolio, type="transfer_in", trade_date=today, settlement_date=today, currency="EUR",
                security_id=None if each.is_cash else security_key(), reference=given.pk, price=66,
                quantity=0 if each.is_cash else each.quantity, gross_amount=each.quantity * (1 if each.is_cash else 66),
                net_amount=each.quantity if each.is_cash else 0,
            )
            for each in given.positions.all()
        ]  # fmt: skip
        book(entries=lots, by=by)
    world.settle_down()

    pay_late(world, "aurora", 40, TODAY + datetime.timedelta(days=1))

    assert waits_at(world, "borealis") == [D(40)]
    assert owned_in_all(world, journey).total == D(11_925)
    with world.within("borealis"):
        assert len(take_over(handover=Handover.objects.get(), by=by)) == 1
    world.settle_down()
    assert owned_in_all(world, journey).total == D(11_925)


def test_transfers_that_arrive_after_the_word_that_they_are_booked_are_handed_over(world: World) -> None:
    journey = begin(world)
    take_over_at(world, journey)
    with world.within("aurora"):
        by, portfolio = factories.cast().operations, Portfolio.objects.get()
        instruction = ClientInstruction.objects.get()
        book(entries=[dividend(portfolio, 40, TODAY + datetime.timedelta(days=1))], by=by)
        InstructionOutcome.objects.create(instruction=instruction, outcome="done", at=timezone.now())
    world.settle_down()
    with world.within("aurora"):
        transfer_out(portfolio=portfolio, reference=instruction.pk, by=by)
    world.settle_down()
    assert waits_at(world, "borealis") == []

    with world.within("harbour"):
        hand_over_late()
    world.settle_down()

    assert waits_at(world, "borealis") == [D(40)]


@pytest.mark.parametrize(("price", "days", "cost"), [("60", 1, 8015), ("58", 0, 7915)], ids=["day", "price"])
def test_a_purchase_that_is_corrected_after_all_was_handed_over_has_its_cost_corrected(
    world: World, price: str, days: int, cost: int
) -> None:
    journey = begin(world)
    take_over_at(world, journey)
    with world.within("aurora"):
        by, portfolio = factories.cast().operations, Portfolio.objects.own().get()
        bought = Transaction.objects.get(type="buy", quantity=50)
        day = bought.trade_date + datetime.timedelta(days=days)
        book(entries=[buy(portfolio, "50", price, "5", day)], by=by)
        reverse_entry(entry=bought, by=by)
        if Holding.objects.something().filter(portfolio=portfolio).exists():
            book_out_rest(portfolio=portfolio, by=by)
    world.settle_down()
    with world.within("harbour"):
        hand_over_late()
    world.settle_down()
    with world.within("borealis"):
        take_over(handover=Handover.objects.get(), by=factories.cast().operations)
        held = Holding.objects.get(security__isnull=False)
        assert (held.quantity, held.book_cost) == (150, cost)


def test_a_purchase_whose_exchange_rate_alone_is_corrected_has_its_cost_in_the_portfolios_currency_corrected(
    world: World,
) -> None:
    journey = begin(world)
    dollars = {"trade_date": TODAY, "settlement_date": TODAY, "currency": "USD", "gross_amount": D(1000)}
    for schema in ("aurora", "borealis"):
        key = world.security(schema, isin="US5949181045", name="Microsoft", currency="USD").pk
        with world.within(schema):
            source = PriceSource.objects.own().get(code="TEST")
            Price.objects.create(
                security_id=key, source=source, date=last_weekday(), close=100, currency="USD"
            )
            ExchangeRate.objects.create(source=source, date=TODAY, currency="USD", rate=1)

    def purchase(rate: str) -> Transaction:
        return Transaction(
            portfolio=journey.former, type="buy", security_id=key, quantity=10, price=100, net_amount=-1000,
            exchange_rate=D(rate), **dollars,
        )  # fmt: skip

    with world.within("aurora"):
        by, bought = factories.cast().operations, purchase("0.9")
        deposit = Transaction(portfolio=journey.former, type="deposit", net_amount=D(1000), **dollars)
        book(entries=[deposit, bought], by=by)
    world.drain()
    take_over_at(world, journey)
    with world.within("borealis"):
        assert Holding.objects.get(security=key).book_cost == 900

    with world.within("aurora"):
        book(entries=[purchase("0.95")], by=by)
        reverse_entry(entry=bought, by=by)
    world.settle_down()
    with world.within("harbour"):
        hand_over_late()
    world.settle_down()

    with world.within("borealis"):
        take_over(handover=Handover.objects.get(), by=factories.cast().operations)
        held = Holding.objects.get(security=key)
        assert (held.quantity, held.book_cost) == (10, 950)
    with world.within("harbour"):
        # All of it is given now, and nothing more.
        hand_over_late()
        assert Handover.objects.get(mandate=journey.new.pk).positions.filter(isin="US5949181045").count() == 3
