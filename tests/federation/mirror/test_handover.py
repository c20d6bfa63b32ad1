"""What the sales side hands to the next manager, and when it hands over nothing."""

import datetime
from decimal import Decimal

import pytest
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from accounts.errors import DomainError
from clients import services
from clients.models import Client, ClientInstruction, Mandate
from federation.agreements import life
from federation.models import Agreement
from models_portfolio.offers import cards
from portfolios.models import (
    Handover,
    HandoverPosition,
    Holding,
    Portfolio,
    Price,
    PriceSource,
    Transaction,
)
from portfolios.services import book
from portfolios.services.handover import snapshot
from tests import factories
from tests.federation.divisions import divided
from tests.federation.mirror import everything
from tests.federation.mirror.successor import (
    ISIN,
    advisor_of_all,
    begin,
    buy,
    price_at,
    security_key,
    submit,
)
from tests.federation.mirror.world import TODAY, World

D = Decimal
NO_PRICE = b"no source that may be passed on has one"


def test_the_former_managers_own_plans_are_not_offered(world: World) -> None:
    journey = begin(world)
    with world.within("harbour"):
        old = Mandate.objects.get(pk=journey.old.pk)
        new = Mandate.objects.get(pk=journey.new.pk)
        former = Agreement.objects.get(pk=old.agreement)
    everything.offer(world, former)
    world.drain()
    with world.within("harbour"):
        user = advisor_of_all()
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
        browser.force_login(advisor_of_all())
        page = browser.get(reverse("portfolios:handover_start", args=[journey.old.pk]))
        assert page.status_code == 200
        assert b"Start a new mandate for the client" in page.content
        assert reverse("clients:mandate_start", args=[old.client_id]).encode() in page.content
        with pytest.raises(DomainError) as refused:
            snapshot(old)
        assert refused.value.code == "handover_sealed"


def test_nothing_is_handed_over_before_the_new_mandate_is_submitted(world: World) -> None:
    journey = begin(world)
    world.drain()
    assert world.count("harbour", Handover) == world.count("borealis", HandoverPosition) == 0
    submit(world, journey.new)
    assert world.count("borealis", Handover, mandate_id=journey.new.pk) == 1
    assert world.count("borealis", HandoverPosition) == 3
    assert world.count("aurora", Handover) == 0
    world.assert_in_step(journey.second)


def test_the_next_mandate_begins_with_what_the_portfolio_is_worth_and_what_the_client_wishes(
    world: World,
) -> None:
    journey = begin(world)
    with world.within("harbour"):
        wish = {"kind": "exclude_security", "value": ISIN, "note": "Works there."}
        services.add_restriction(mandate=journey.old, by=factories.cast().advisor, **wish)
        Mandate.objects.filter(pk=journey.new.pk).update(status="withdrawn")
        browser = Browser(headers={"host": "harbour.localhost"})
        browser.force_login(advisor_of_all())
        begun = browser.post(reverse("portfolios:handover_start", args=[journey.old.pk]))
        assert begun.status_code == 302
        following = Mandate.objects.get(predecessor=journey.old.pk, status="draft")
        # 150 × 66 + 1,985 of cash.
        assert (following.amount, following.currency) == (D(11_885), "EUR")
        assert [(each.kind, each.value, each.note) for each in following.wishes] == [tuple(wish.values())]
        assert ISIN in browser.get(begun["Location"]).content.decode()


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
        sale = buy(Portfolio.objects.get(), "60", "66", "0", day)
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


def prices_handed_over(world: World) -> set[tuple[Decimal | None, str, bool]]:
    with world.within("borealis"):
        lots = HandoverPosition.objects.exclude(isin="")
        return set(lots.values_list("price", "price_source_name", "is_price_simulated"))


def test_no_price_of_the_former_managers_and_none_that_stays_here_is_handed_over(world: World) -> None:
    journey = begin(world)
    with world.within("harbour"):
        held = Holding.objects.received().get(security=security_key())
        assert held.price == D(66), "the former manager's price is known here"
    price_at(world, "harbour", timezone.now().date(), "67")
    submit(world, journey.new)
    assert prices_handed_over(world) == {(None, "", False)}
    with world.within("harbour"):
        browser = Browser(headers={"host": "harbour.localhost"})
        browser.force_login(advisor_of_all())
        page = browser.get(reverse("portfolios:handover", args=[journey.new.pk]))
        assert page.content.count(NO_PRICE) == 1


def test_a_price_that_may_be_passed_on_is_handed_over_with_its_source_named(world: World) -> None:
    journey = begin(world)
    today = timezone.now().date()
    price_at(world, "harbour", today, "67")
    with world.within("harbour"):
        free = PriceSource.objects.create(code="FREE", name="Free closes", is_redistributable=True)
        Price.objects.create(
            security_id=security_key(), source=free, date=today, close=D("65.5"), currency="EUR"
        )
    submit(world, journey.new)
    assert prices_handed_over(world) == {(D("65.5"), "Free closes", False)}
    with world.within("borealis"):
        browser = Browser(headers={"host": "borealis.localhost"})
        browser.force_login(factories.cast().manager)
        page = browser.get(reverse("portfolios:handover", args=[journey.new.pk]))
        assert b"Free closes" in page.content
        assert NO_PRICE not in page.content


def test_a_price_in_another_currency_than_the_positions_is_left_out(world: World) -> None:
    journey = begin(world)
    today = timezone.now().date()
    with world.within("harbour"):
        free = PriceSource.objects.create(code="FREE", name="Free closes", is_redistributable=True)
        Price.objects.create(security_id=security_key(), source=free, date=today, close=D(70), currency="USD")
    submit(world, journey.new)
    assert prices_handed_over(world) == {(None, "", False)}


def test_where_the_former_manager_shares_no_ledger_nothing_is_said_to_be_there(world: World) -> None:
    division = divided(private=("trading", "settlement"))
    agreement = world.agree("aurora", division=division.division, private=division.private)
    mandate = world.mandate(agreement)
    world.drain()
    with world.within("aurora"):
        cast = factories.cast()
        services.accept_mandate(mandate=Mandate.objects.get(), by=cast.manager, unit=cast.unit)
        book(entries=[deposit(Portfolio.objects.get())], by=cast.manager)
    world.drain()
    with world.within("harbour"), pytest.raises(DomainError) as refused:
        snapshot(Mandate.objects.get(pk=mandate.pk))
    assert refused.value.code == "ledger_not_shared"


def deposit(portfolio: Portfolio) -> Transaction:
    today = timezone.now().date()
    return Transaction(
        portfolio=portfolio, type="deposit", trade_date=today, settlement_date=today, currency="EUR",
        gross_amount=D(100), net_amount=D(100),
    )  # fmt: skip


def test_where_the_channel_keeps_the_ledger_it_books_out_what_the_former_manager_closes(world: World) -> None:
    agreement = world.agree("aurora", division=divided(settlement="channel").division)
    world.mandate(agreement)
    world.drain()
    with world.within("aurora"):
        cast = factories.cast()
        services.accept_mandate(mandate=Mandate.objects.get(), by=cast.manager, unit=cast.unit)
    world.settle_down()
    with world.within("harbour"):
        cast = factories.cast()
        operations = Browser(headers={"host": "harbour.localhost"})
        operations.force_login(cast.operations)
        Client.objects.update(unit=cast.unit)
        portfolio = Portfolio.objects.get()
        book(entries=[deposit(portfolio)], by=cast.operations)
        instruction = services.draft_instruction(
            mandate=Mandate.objects.get(), kind="transfer_out", by=cast.advisor
        )
        services.send_instruction(instruction=instruction, by=cast.advisor)
        page = reverse("clients:instruction_detail", args=[instruction.pk])
        out = reverse("portfolios:instruction_finish", args=[instruction.pk])
        assert b"has to accept the instruction first" in operations.post(out, {"seen": "early"}).content
    world.settle_down()
    with world.within("aurora"):
        by = factories.cast().operations
        services.record_outcome(instruction=ClientInstruction.objects.get(), outcome="accepted", by=by)
        with pytest.raises(DomainError):
            services.record_outcome(instruction=ClientInstruction.objects.get(), outcome="done", by=by)
    world.settle_down()
    with world.within("harbour"):
        assert out.encode() in operations.get(page).content
        shown = operations.get(out)
        assert b"Transfer out the cash<" in shown.content
        assert operations.post(out, {"seen": shown.context["ending"].seen}).status_code == 302
        assert b"Nothing is left to book out" in operations.get(out).content
        assert Transaction.objects.get(type="transfer_out").net_amount == -100
    world.settle_down()
    with world.within("aurora"):
        services.record_outcome(instruction=ClientInstruction.objects.get(), outcome="done", by=by)
        assert Portfolio.objects.get().closed_on is not None
    world.drain()
    world.assert_in_step(agreement)
