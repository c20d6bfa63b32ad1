"""A client moves from one manager to the next: positions, lots, dates and costs, and one chain of returns."""

import datetime
import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from accounts.errors import DomainError
from clients import services, wealth
from clients.models import Client, ClientInstruction, Mandate
from federation.agreements import life
from federation.mirror import arrivals
from federation.models import Agreement
from models_portfolio.offers import cards
from portfolios.calculations.ledger import CostMethod, Lot, derive_positions
from portfolios.models import (
    Handover,
    HandoverPosition,
    Portfolio,
    Price,
    PriceSource,
    Transaction,
    Valuation,
)
from portfolios.services import book, refresh
from portfolios.services.chain import load_chain
from portfolios.services.entries import load_entries
from portfolios.services.handover import snapshot, take_over
from reporting.figures import gather
from tests import factories
from tests.federation.divisions import divided
from tests.federation.mirror import everything
from tests.federation.mirror.world import TODAY, World

D = Decimal
ISIN = "US0378331005"


@dataclass
class Journey:
    """A mandate that Aurora manages, and the one by which Borealis takes it over."""

    old: Mandate
    new: Mandate
    former: Portfolio
    second: Agreement


def _price(world: World, schema: str, day: datetime.date, close: str) -> None:
    security = world.security(schema)
    with world.within(schema):
        source, _ = PriceSource.objects.get_or_create(code="TEST", origin=None, defaults={"name": "Test"})
        Price.objects.create(security=security, source=source, date=day, close=D(close), currency="EUR")


def _buy(portfolio: Portfolio, quantity: str, price: str, fees: str, day: datetime.date) -> Transaction:
    gross = D(quantity) * D(price)
    return Transaction(
        portfolio=portfolio, type="buy", trade_date=day, settlement_date=day, quantity=D(quantity), price=D(price),
        security_id=everything_id(), currency="EUR", gross_amount=gross, fees=D(fees), net_amount=-gross - D(fees),
    )  # fmt: skip


def everything_id() -> Any:
    from portfolios.models import security_id

    return security_id(ISIN)


def begin(world: World, **who: str) -> Journey:
    """Have Aurora manage 100 @ 50 and 50 @ 60, bought on two days; start the mandate of the successor.

    ``who`` divides the successor's work otherwise.
    """
    first = world.agree("aurora")
    second = world.agree("borealis", division=divided(**who).division if who else None)
    plan = everything.offer(world, second, "borealis")
    mandate = world.mandate(first)
    world.drain()
    for day, close in (
        (TODAY, "50"),
        (TODAY + datetime.timedelta(days=1), "60"),
        (timezone.now().date(), "66"),
    ):
        _price(world, "aurora", day, close)
    _price(world, "borealis", timezone.now().date(), "66")
    with world.within("aurora"):
        cast = factories.cast()
        services.accept_mandate(mandate=Mandate.objects.get(pk=mandate.pk), by=cast.manager, unit=cast.unit)
        portfolio = Portfolio.objects.get()
        Portfolio.objects.update(opened_on=TODAY)
        portfolio.refresh_from_db()
        deposit = Transaction(
            portfolio=portfolio, type="deposit", trade_date=TODAY, settlement_date=TODAY, currency="EUR",
            gross_amount=D(10_000), net_amount=D(10_000),
        )  # fmt: skip
        entries = [
            deposit,
            _buy(portfolio, "100", "50", "10", TODAY),
            _buy(portfolio, "50", "60", "5", TODAY + datetime.timedelta(days=1)),
        ]
        book(entries=entries, by=cast.manager)
        refresh(portfolio_ids=[portfolio.pk], from_date=datetime.date.min)
    world.drain()
    with world.within("harbour"):
        old = Mandate.objects.get(pk=mandate.pk)
        client = old.client
        assert client is not None
        new = services.start_mandate(client=client, by=factories.cast().advisor, predecessor=old)
        new.agreement, new.offer, new.offer_name, new.amount = second.pk, plan.pk, plan.name, D(10_000)
        new.risk_profile = client.risk_profiles.first()
        new.save()
    return Journey(old, new, portfolio, second)


def submit(world: World, mandate: Mandate, **more: Any) -> None:
    today = timezone.localdate()
    with world.within("harbour"):
        from clients.models import RiskProfile

        RiskProfile.objects.update(valid_until=today + datetime.timedelta(days=100))
        services.submit_mandate(
            mandate=mandate,
            by=factories.cast().advisor,
            signed_on=today,
            disclosure_authorised_on=today,
            **more,
        )
    world.drain()


def take_over_at(world: World, journey: Journey) -> Portfolio:
    """Have the successor accept, and whoever settles book what was handed over."""
    submit(world, journey.new)
    with world.within("borealis"):
        cast = factories.cast()
        services.accept_mandate(mandate=Mandate.objects.get(), by=cast.manager, unit=cast.unit)
        portfolio = Portfolio.objects.own().get()
    for _turn in range(4):
        world.drain()
        arrivals.deliver_all()
    version = Agreement.objects.get(pk=journey.second.pk).version
    assert version is not None
    settler = version.division["settlement"]
    with world.within("borealis" if settler == "manager" else "harbour"):
        take_over(handover=Handover.objects.get(mandate=journey.new.pk), by=factories.cast().operations)
    for _turn in range(4):
        world.drain()
        arrivals.deliver_all()
    return portfolio


def test_where_the_channel_settles_it_takes_the_positions_over(world: World) -> None:
    journey = begin(world, settlement="channel")
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


def test_the_former_managers_own_plans_are_not_offered(world: World) -> None:
    journey = begin(world)
    with world.within("harbour"):
        old = Mandate.objects.get(pk=journey.old.pk)
        new = Mandate.objects.get(pk=journey.new.pk)
        former = Agreement.objects.get(pk=old.agreement)
    everything.offer(world, former)
    world.drain()
    with world.within("harbour"):
        user = _advisor_of_all()
        ask = {"profile": new.risk_profile, "amount": new.amount}
        assert {each.offer.agreement for each in cards(new, user, **ask)} == {journey.second.pk}
        new.predecessor = None
        assert {each.offer.agreement for each in cards(new, user, **ask)} == {journey.second.pk, former.pk}
        choice = services.Choice(
            offer=old.pk, offer_name="x", agreement=former.pk, manager_name="", reasons_against=(), terms={}
        )
        with pytest.raises(DomainError, match="former manager's own"):
            services.choose_plan(mandate=new, choice=choice, by=user)


def test_after_a_cut_the_page_says_what_to_do_instead_of_a_handover(world: World) -> None:
    journey = begin(world)
    with world.within("harbour"):
        Mandate.objects.filter(pk=journey.new.pk).update(status="withdrawn")
        old = Mandate.objects.get(pk=journey.old.pk)
        life.cut(
            Agreement.objects.get(pk=old.agreement),
            by=factories.cast().administrator,
            institution=world.institution("harbour"),
            reason="Broken into.",
        )
        browser = Browser(headers={"host": "harbour.localhost"})
        browser.force_login(_advisor_of_all())
        page = browser.get(reverse("portfolios:handover_start", args=[journey.old.pk]))
        assert page.status_code == 200
        assert b"Start a new mandate for the client" in page.content
        assert reverse("clients:mandate_start", args=[old.client_id]).encode() in page.content
        with pytest.raises(DomainError) as refused:
            snapshot(old)
        assert refused.value.code == "handover_sealed"


def lots_of(world: World, schema: str, portfolio: Portfolio, method: CostMethod) -> list[Lot]:
    with world.within(schema):
        entries = load_entries([portfolio.pk])[portfolio.pk]
        held = derive_positions(entries, as_of=timezone.now().date(), method=method).holdings
        return list(held[everything_id()].lots)


def everything_in(schema: str) -> str:
    """Return all that stands in a schema's tables, to search it."""
    found = []
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", [schema])
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT coalesce(json_agg(t)::text, \'\') FROM "{schema}"."{table}" t')
            found.append(cursor.fetchone()[0])
    return "".join(found)


def test_nothing_is_handed_over_before_the_new_mandate_is_submitted(world: World) -> None:
    journey = begin(world)
    world.drain()
    assert world.count("harbour", Handover) == world.count("borealis", HandoverPosition) == 0
    submit(world, journey.new)
    assert world.count("borealis", Handover, mandate_id=journey.new.pk) == 1
    assert world.count("borealis", HandoverPosition) == 3
    assert world.count("aurora", Handover) == 0
    world.assert_in_step(journey.second)


def test_a_client_changes_manager_with_lots_dates_costs_and_one_chain_of_returns(world: World) -> None:
    journey = begin(world)
    with world.within("harbour"):
        browser = Browser(headers={"host": "harbour.localhost"})
        browser.force_login(factories.cast().compliance)
        assert browser.get(reverse("portfolios:handover_start", args=[journey.old.pk])).status_code == 404
        browser.force_login(_advisor_of_all())
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


def _advisor_of_all() -> Any:
    from clients.models import Client

    cast = factories.cast()
    Client.objects.own().update(unit=cast.unit)
    return cast.advisor


def test_the_next_mandate_begins_with_what_the_portfolio_is_worth(world: World) -> None:
    journey = begin(world)
    with world.within("harbour"):
        Mandate.objects.filter(pk=journey.new.pk).update(status="withdrawn")
        browser = Browser(headers={"host": "harbour.localhost"})
        browser.force_login(_advisor_of_all())
        begun = browser.post(reverse("portfolios:handover_start", args=[journey.old.pk]))
        assert begun.status_code == 302
        following = Mandate.objects.get(predecessor=journey.old.pk, status="draft")
        # 150 × 66 + 1,985 of cash.
        assert (following.amount, following.currency) == (D(11_885), "EUR")


def test_a_rejected_successor_loses_what_was_handed_over_and_the_former_manager_goes_on(world: World) -> None:
    journey = begin(world)
    submit(world, journey.new)
    with world.within("borealis"):
        services.reject_mandate(
            mandate=Mandate.objects.get(), by=factories.cast().manager, reason="Too small for us."
        )
    world.drain()
    assert world.count("borealis", Handover) == world.count("borealis", HandoverPosition) == 0
    with world.within("harbour"):
        assert Mandate.objects.get(pk=journey.old.pk).state == "active"


def test_a_handover_is_written_anew_when_the_mandate_is_submitted_again(world: World) -> None:
    journey = begin(world)
    submit(world, journey.new)
    with world.within("borealis"):
        services.return_mandate(
            mandate=Mandate.objects.get(), by=factories.cast().manager, reason="Sign again."
        )
    world.drain()
    with world.within("aurora"):
        day = timezone.now().date()
        sale = _buy(Portfolio.objects.get(), "60", "66", "0", day)
        sale.type, sale.quantity, sale.net_amount = "sell", -sale.quantity, sale.gross_amount
        book(entries=[sale], by=factories.cast().manager)
    world.drain()
    submit(world, Mandate(pk=journey.new.pk), answer="Signed.")
    with world.within("borealis"):
        given = Handover.objects.get()
        lots = [(each.quantity, each.acquired_on) for each in given.positions.exclude(isin="")]
        assert lots == [(D(40), TODAY), (D(50), TODAY + datetime.timedelta(days=1))]
        # 8,015 × 90 ÷ 150 at average cost, spread as the purchases cost.
        assert sum(each.book_cost for each in given.positions.exclude(isin="")) == D(4809)
    world.assert_in_step(journey.second)
