"""When positions are handed over to the next manager, as they stand, booked out or late, and when not yet."""

import datetime
import importlib
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from accounts.errors import DomainError
from clients import services
from clients.models import ClientInstruction, Mandate
from federation.agreements import life
from federation.models import Agreement
from portfolios.models import (
    Handover,
    HandoverPosition,
    Portfolio,
    Transaction,
)
from portfolios.services import book
from portfolios.services import reverse as reverse_entry
from portfolios.services.chain import load_chain
from portfolios.services.handover import snapshot, take_over, to_take_over, waiting
from tests import factories
from tests.federation.mirror.successor import (
    ISIN,
    accept_at,
    advisor_of_all,
    begin,
    begin_on_its_way,
    book_out,
    buy,
    instruct_out,
    owned_in_all,
    security_key,
    submit,
    take_over_at,
)
from tests.federation.mirror.test_overlap import withhold
from tests.federation.mirror.world import TODAY, World

D = Decimal


def test_nobody_transfers_out_before_somebody_can_take_over(world: World) -> None:
    journey = begin(world)
    submit(world, journey.new)
    with pytest.raises(DomainError) as refused:
        instruct_out(world, journey)
    assert refused.value.code == "successor_not_active"


def test_where_the_former_agreement_was_cut_the_channel_hands_over_what_it_knew(world: World) -> None:
    journey = begin(world)
    accept_at(world, journey)
    with world.within("harbour"):
        cast = factories.cast()
        browser = Browser(headers={"host": "harbour.localhost"})
        browser.force_login(advisor_of_all())
        complete = reverse("portfolios:handover_complete", args=[journey.new.pk])
        early = browser.post(complete, {"as_submitted": "1"}, follow=True).content
        assert b"The former manager books the positions out first" in early
        assert b"has not arrived here" in browser.post(complete, follow=True).content
        life.cut(
            Agreement.objects.get(pk=Mandate.objects.get(pk=journey.old.pk).agreement),
            by=cast.administrator,
            institution=world.institution("harbour"),
            reason="Broken into.",
        )
        page = browser.get(reverse("portfolios:handover", args=[journey.new.pk])).content
        assert b"Hand over as they stand" in page
        assert browser.post(complete, {"as_submitted": "1"}).status_code == 302
    world.settle_down()
    with world.within("borealis"):
        take_over(handover=Handover.objects.get(), by=factories.cast().operations)
        assert Transaction.objects.filter(portfolio__in=Portfolio.objects.own()).count() == 3


def test_what_a_former_manager_still_manages_is_not_handed_over_as_it_stands(world: World) -> None:
    journey = begin(world)
    accept_at(world, journey)
    former = Agreement.objects.get(manager__schema_name="aurora")
    withhold(world, former, "portfolios.Transaction")
    with world.within("harbour"):
        browser = Browser(headers={"host": "harbour.localhost"})
        browser.force_login(advisor_of_all())
        page, complete = (
            reverse(f"portfolios:{name}", args=[journey.new.pk]) for name in ("handover", "handover_complete")
        )
        assert b"Hand over as they stand" not in browser.get(page).content
        early = browser.post(complete, {"as_submitted": "1"}, follow=True).content
        assert b"The former manager books the positions out first" in early
        assert Handover.objects.get().booked_out_on is None
    assert owned_in_all(world, journey).total == D(11_885)
    book_out(world, journey)
    with world.within("harbour"):
        with pytest.raises(DomainError) as refused:
            snapshot(Mandate.objects.get(pk=journey.old.pk))
        assert refused.value.code == "ledger_not_shared"
        assert b"Hand over as they stand" in browser.get(page).content
        assert browser.post(complete, {"as_submitted": "1"}).status_code == 302
    assert owned_in_all(world, journey).total == D(11_885)


def test_positions_are_booked_after_the_client_has_asked_to_close_the_new_mandate_too(world: World) -> None:
    journey = begin_on_its_way(world)
    with world.within("harbour"):
        by = factories.cast().advisor
        instruction = services.draft_instruction(
            mandate=Mandate.objects.get(pk=journey.new.pk), kind=ClientInstruction.Kind.CLOSE, by=by
        )
        services.send_instruction(instruction=instruction, by=by)
    world.settle_down()
    with world.within("borealis"):
        cast = factories.cast()
        received = ClientInstruction.objects.get()
        services.record_outcome(instruction=received, outcome="accepted", by=cast.operations)
        assert Mandate.objects.get().state == "closing"
        desk = Browser(headers={"host": "borealis.localhost"})
        desk.force_login(cast.operations)
        page, take = (
            reverse(f"portfolios:{name}", args=[journey.new.pk]) for name in ("handover", "handover_take")
        )
        assert page.encode() in desk.get(reverse("trading:desk")).content
        assert take.encode() in desk.get(page).content
        assert desk.post(take).status_code == 302
        assert Transaction.objects.filter(portfolio__in=Portfolio.objects.own()).count() == 3


def test_what_was_taken_over_before_it_was_booked_out_stays_as_it_was_taken_over(world: World) -> None:
    journey = begin(world)
    accept_at(world, journey)
    today = timezone.now().date()
    with world.within("borealis"):
        # As it was done before: all that is taken over names the handover.
        given = Handover.objects.get()
        taken = Transaction(
            portfolio=Portfolio.objects.own().get(), type="transfer_in", trade_date=today, settlement_date=today,
            currency="EUR", gross_amount=D(1985), net_amount=D(1985), reference=given.pk,
        )  # fmt: skip
        book(entries=[taken], by=factories.cast().operations)
        assert not waiting(given).exists()
    world.settle_down()
    with world.within("harbour"):
        before = list(HandoverPosition.objects.order_by("pk").values())
    book_out(world, journey)
    with world.within("harbour"):
        given = Handover.objects.get()
        assert list(HandoverPosition.objects.order_by("pk").values()) == before
        assert given.booked_out_on is None
    migration = importlib.import_module("portfolios.migrations.0010_handover_taken_over")
    for schema in ("borealis", "harbour"):
        with world.within(schema), connection.cursor() as cursor:
            cursor.execute(migration.FORWARDS)
            assert cursor.rowcount == (1 if schema == "harbour" else 0)
    world.drain()
    with world.within("borealis"):
        assert Handover.objects.get().booked_out_on == given.as_of
    world.assert_in_step(journey.second)


def test_what_comes_late_to_a_portfolio_that_moved_on_follows_it(world: World) -> None:
    journey = begin(world)
    portfolio = take_over_at(world, journey)
    today = timezone.now().date()
    with world.within("aurora"):
        operations = factories.cast().operations
        late = Transaction(
            portfolio=Portfolio.objects.get(), type="dividend", trade_date=TODAY + datetime.timedelta(days=1),
            settlement_date=today, security_id=security_key(), currency="EUR", gross_amount=D(40), net_amount=D(40),
        )  # fmt: skip
        bought = Transaction.objects.get(type="buy", quantity=50)
        # It had been bought a day later than was booked.
        again = buy(Portfolio.objects.get(), "50", "60", "5", bought.trade_date + datetime.timedelta(days=1))
        book(entries=[late, again], by=operations)
        reverse_entry(entry=bought, by=operations)
        assert Portfolio.objects.closed_but_holding().exists()
    world.settle_down()
    with world.within("borealis"):
        assert Handover.objects.get().positions.count() == 3
    assert owned_in_all(world, journey).total == D(11_925)
    with world.within("aurora"):
        browser = Browser(headers={"host": "aurora.localhost"})
        browser.force_login(operations)
        former = reverse("portfolios:portfolio_detail", args=[journey.former.pk])
        assert former in browser.get(reverse("trading:desk")).content.decode()
        assert "moved on to the next manager" in browser.get(former).content.decode()
        browser.post(reverse("portfolios:rest_book_out", args=[journey.former.pk]))
        assert not Portfolio.objects.closed_but_holding().exists()
    world.settle_down()
    assert owned_in_all(world, journey).total == D(11_925)
    with world.within("borealis"):
        given = Handover.objects.get()
        came = [(each.isin, each.quantity, each.acquired_on, each.value) for each in waiting(given)]
        assert came == [
            ("", D(40), None, None),
            (ISIN, D(-50), bought.trade_date, None),
            (ISIN, D(50), again.trade_date, None),
        ]
        assert to_take_over(Portfolio.objects.own()).get() == given
        take_over(handover=given, by=factories.cast().operations)
        cash = Transaction.objects.filter(type="transfer_in", security=None)
        assert {each.net_amount for each in cash} == {D(1985), D(40)}
    world.settle_down()
    owned = owned_in_all(world, journey)
    assert (owned.total, owned.paid_in, owned.gain) == (D(11_925), D(10_000), D(1925))
    with world.within("harbour"):
        mine = Portfolio.objects.select_related("mandate").get(pk=portfolio.pk)
        chain = load_chain(mine, TODAY - datetime.timedelta(days=1), today)
        # Nor is what came back out with what came in: 50 @ 66.
        assert sum(day.inflow for day in chain.days) == 10_000
        assert sum(day.outflow for day in chain.days) == 0
    for agreement in Agreement.objects.all():
        world.assert_in_step(agreement)


def test_a_former_portfolio_that_never_held_anything_is_not_taken_for_a_ledger_withheld(world: World) -> None:
    journey = begin(world, is_funded=False)
    accept_at(world, journey)
    book_out(world, journey)
    with world.within("harbour"):
        assert snapshot(Mandate.objects.get(pk=journey.old.pk)).positions == []
        assert Handover.objects.get().booked_out_on == timezone.now().date()
        browser = Browser(headers={"host": "harbour.localhost"})
        browser.force_login(advisor_of_all())
        page = browser.get(reverse("portfolios:handover", args=[journey.new.pk])).content
        assert b"closed empty: there is nothing to take over" in page
        assert b"no longer shares" not in page
    with world.within("borealis"):
        services.close_mandate(mandate=Mandate.objects.get(), by=factories.cast().operations)
