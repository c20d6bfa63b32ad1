"""A client moves from one manager to the next: who books what, and one chain of returns."""

import datetime
import json
from decimal import Decimal

import pytest
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from accounts.errors import DomainError
from clients import services, wealth
from clients.models import Client, ClientInstruction, Mandate
from federation.models import Agreement
from portfolios.calculations.ledger import CostMethod
from portfolios.models import (
    Handover,
    Portfolio,
    Transaction,
    Valuation,
)
from portfolios.services.chain import load_chain
from portfolios.services.handover import take_over
from reporting.figures import gather
from tests import factories
from tests.federation.mirror.successor import (
    ISIN,
    advisor_of_all,
    begin,
    everything_in,
    lots_of,
    price_at,
    submit,
    take_over_at,
)
from tests.federation.mirror.world import TODAY, World

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
    submit(world, journey.new)
    with world.within("borealis"):
        cast = factories.cast()
        desk = Browser(headers={"host": "borealis.localhost"})
        desk.force_login(cast.operations)
        page = reverse("trading:desk")
        assert b"Positions to take over" not in desk.get(page).content
        services.accept_mandate(mandate=Mandate.objects.get(), by=cast.manager, unit=cast.unit)
        text = desk.get(page).content
        assert b"Positions to take over" in text
        assert reverse("portfolios:handover", args=[journey.new.pk]).encode() in text
        take_over(handover=Handover.objects.get(), by=cast.operations)
        assert b"Positions to take over" not in desk.get(page).content


def test_until_the_former_manager_books_out_the_client_owns_each_position_once(world: World) -> None:
    journey = begin(world)
    take_over_at(world, journey)
    with world.within("harbour"):
        client = Mandate.objects.get(pk=journey.new.pk).client
        assert client is not None
        mandates = list(Mandate.objects.filter(client=client))
        owned = wealth.wealth_of(client, mandates, TODAY, wealth.rates())
        # 150 × 66 + 1,985 of cash on 10,000 paid in.
        assert (owned.total, owned.paid_in, owned.gain) == (D(11_885), D(10_000), D(1885))
        assert {each.has_moved_on: each.share for each in owned.positions} == {True: None, False: D(1)}
        rows = wealth.with_total(Client.objects.filter(pk=client.pk), wealth.rates())
        assert rows.get().total == D(11_885)
        assert sum(amount for _name, amount in wealth.allocation(mandates, "EUR", wealth.rates())) == D(
            11_885
        )
        shown = Mandate.objects.filter(client=client).with_book()
        assert sum(each.value or 0 for each in shown) == D(11_885)


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
        before, after = (
            lots_of(world, schema, of, method)
            for schema, of in (("aurora", journey.former), ("borealis", portfolio))
        )
        assert [(lot.quantity, lot.acquired_on, lot.book_cost) for lot in before] == [
            (lot.quantity, lot.acquired_on, lot.book_cost) for lot in after
        ]

    world.drain()
    with world.within("harbour"):
        instruction = services.draft_instruction(
            mandate=Mandate.objects.get(pk=journey.old.pk),
            kind=ClientInstruction.Kind.TRANSFER_OUT,
            by=factories.cast().advisor,
        )
        services.send_instruction(instruction=instruction, by=factories.cast().advisor)
    world.drain()
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
            assert str(secret) not in at_borealis, secret
    assert json.dumps("Aurora") not in at_borealis
