"""An acceptance and a withdrawal that cross: both read the same, and the portfolio can be wound up."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from accounts.errors import DomainError
from clients import services
from clients.models import Client, ClientInstruction, Mandate, MandateDecision
from federation.agreements import life
from federation.agreements.open_work import open_work
from federation.mirror.batch import Outcome, run_batch
from federation.models import Agreement
from portfolios.models import Portfolio, Transaction
from portfolios.services import book
from tests import factories
from tests.federation.mirror.world import World
from trading.models import Order
from trading.services import propose, send

Cross = Callable[[World, Agreement], None]


def accept(world: World) -> Portfolio:
    with world.within("aurora"):
        cast = factories.cast()
        services.accept_mandate(mandate=Mandate.objects.get(), by=cast.manager, unit=cast.unit)
        return Portfolio.objects.get()


def withdraw(world: World) -> None:
    with world.within("harbour"):
        services.withdraw_mandate(mandate=Mandate.objects.get(), by=factories.cast().advisor, reason="No.")


def run(world: World, agreement: Agreement, owner: str) -> None:
    """Bring one direction up to date; the other waits."""
    stream = world.stream(agreement, owner).pk
    while run_batch(stream) not in {Outcome.IDLE, Outcome.STOPPED}:
        pass


def acceptance_first(world: World, agreement: Agreement) -> None:
    withdraw(world)
    accept(world)
    run(world, agreement, "aurora")
    world.drain()


def withdrawal_first(world: World, agreement: Agreement) -> None:
    accept(world)
    withdraw(world)
    run(world, agreement, "harbour")
    with world.within("aurora"):
        assert not Mandate.objects.current().exists()
        assert open_work(agreement), "the manager knows of a portfolio, though not for whom"
        with pytest.raises(DomainError) as refused:
            propose(portfolio=Portfolio.objects.get(), by=factories.cast().manager)
        assert refused.value.code == "mandate_ending"
    with world.within("harbour"), pytest.raises(DomainError, match="Your partner still has"):
        life.terminate(agreement, by=factories.cast().administrator, institution=world.institution("harbour"))
    world.drain()


def suspended_between(world: World, agreement: Agreement) -> None:
    accept(world)
    world.suspend(agreement)
    withdraw(world)
    world.drain()
    world.resume(agreement)
    world.drain()


@pytest.fixture(params=[acceptance_first, withdrawal_first, suspended_between])
def crossed(request: pytest.FixtureRequest, world: World) -> Agreement:
    """An agreement under which Aurora accepted what Harbour withdrew."""
    agreement = world.agree()
    mandate = world.mandate(agreement)
    world.drain()
    cross: Cross = request.param
    cross(world, agreement)
    for schema in ("harbour", "aurora"):
        with world.within(schema):
            assert Mandate.objects.current().get(pk=mandate.pk).state == "closing"
            assert open_work(agreement).mandates_running == 1
            assert open_work(agreement).mandates_undecided == 0
    world.assert_in_step(agreement)
    return agreement


def test_the_manager_reads_that_it_was_withdrawn_and_buys_nothing_more(
    crossed: Agreement, world: World
) -> None:
    security = world.security("aurora")
    with world.within("aurora"):
        cast = factories.cast()
        browser = Browser(headers={"host": "aurora.localhost"})
        browser.force_login(cast.manager)
        mandate = Mandate.objects.get()
        page = browser.get(reverse("clients:mandate_detail", args=[mandate.pk])).content.decode()
        assert "The sales channel withdrew this mandate" in page
        portfolio = Portfolio.objects.get()
        for mode in ("to_target", "invest_cash"):
            with pytest.raises(DomainError) as refused:
                propose(portfolio=portfolio, by=cast.manager, mode=mode)
            assert refused.value.code == "mandate_ending"
        assert propose(portfolio=portfolio, by=cast.manager, mode="liquidate").state == "draft"
        order = Order.objects.create(
            portfolio=portfolio, security=security, number="O-1", side="buy", quantity=1, currency="EUR",
            reason="manual", state="approved",
        )  # fmt: skip
        with pytest.raises(DomainError, match="Cancel order O-1"):
            send(order_ids=[order.pk], by=cast.manager)
        with pytest.raises(DomainError) as open_one:
            services.close_mandate(mandate=mandate, by=cast.manager)
        assert open_one.value.code == "orders_open"


def test_the_manager_closes_it_without_an_instruction_once_it_is_empty(
    crossed: Agreement, world: World
) -> None:
    today = timezone.now().date()
    paid = {"trade_date": today, "settlement_date": today, "currency": "EUR", "gross_amount": 100}
    with world.within("aurora"):
        cast = factories.cast()
        portfolio, mandate = Portfolio.objects.get(), Mandate.objects.get()
        book(
            entries=[Transaction(portfolio=portfolio, type="deposit", net_amount=100, **paid)],
            by=cast.manager,
        )
        browser = Browser(headers={"host": "aurora.localhost"})
        browser.force_login(cast.manager)
        close = reverse("clients:mandate_close", args=[mandate.pk])
        assert b"still holds something" in browser.post(close, follow=True).content
        book(
            entries=[Transaction(portfolio=portfolio, type="withdrawal", net_amount=-100, **paid)],
            by=cast.manager,
        )
        assert browser.post(close).status_code == 302
        assert Portfolio.objects.get().closed_on == today
    world.drain()
    for schema in ("harbour", "aurora"):
        with world.within(schema):
            assert Mandate.objects.get().state == "closed"
            assert not open_work(crossed)
    world.assert_in_step(crossed)


def test_the_channel_may_instruct_to_close_or_to_transfer_out(crossed: Agreement, world: World) -> None:
    today = timezone.now().date()
    with world.within("aurora"):
        entry = Transaction(
            portfolio=Portfolio.objects.get(), type="deposit", trade_date=today, settlement_date=today,
            currency="EUR", gross_amount=100, net_amount=100,
        )  # fmt: skip
        book(entries=[entry], by=factories.cast().manager)
    with world.within("harbour"):
        cast = factories.cast()
        Client.objects.update(unit=cast.unit)
        mandate = Mandate.objects.get()
        browser = Browser(headers={"host": "harbour.localhost"})
        browser.force_login(cast.advisor)
        page = browser.get(reverse("clients:mandate_detail", args=[mandate.pk])).content
        assert reverse("clients:instruction_create", args=[mandate.pk, "close"]).encode() in page
        wrong = reverse("clients:instruction_create", args=[mandate.pk, "deposit"])
        assert browser.get(wrong).status_code == 404
        deposit = services.draft_instruction(mandate=mandate, kind="deposit", amount=5, by=cast.advisor)
        with pytest.raises(DomainError):
            services.send_instruction(instruction=deposit, by=cast.advisor)
        out = reverse("clients:instruction_create", args=[mandate.pk, "transfer_out"])
        assert browser.post(out, {"note": "To the bank."}).status_code == 302
    world.drain()
    with world.within("aurora"):
        for outcome in ("accepted", "done"):
            services.record_outcome(
                instruction=ClientInstruction.objects.get(), outcome=outcome, by=factories.cast().operations
            )
    world.drain()
    with world.within("harbour"):
        assert Mandate.objects.get().state == "closed"
        assert Transaction.objects.get(type="transfer_out").net_amount == -100
    world.assert_in_step(crossed)


def test_nothing_is_accepted_while_the_agreement_is_suspended(world: World) -> None:
    agreement = world.agree()
    world.mandate(agreement)
    world.drain()
    world.suspend(agreement)
    with pytest.raises(DomainError, match="Accept the mandate once it is resumed"):
        accept(world)
    world.resume(agreement)
    accept(world)
    world.drain()
    with world.within("harbour"):
        assert Mandate.objects.get().state == "active"


def test_one_that_was_withdrawn_in_time_is_seen_no_more(world: World) -> None:
    agreement = world.agree()
    world.mandate(agreement)
    world.drain()
    withdraw(world)
    world.drain()
    with world.within("aurora"):
        assert not Mandate.objects.current().exists()
        assert not open_work(agreement)
    world.assert_in_step(agreement)


@pytest.mark.parametrize("touch", ["deleted", "deleted, accepted before", "changed", "of another mandate"])
def test_p1_a_mandate_comes_back_whose_rejection_is_taken_back(world: World, touch: str) -> None:
    agreement = world.agree()
    mandate, other = world.mandate(agreement), world.mandate(agreement)
    world.drain()
    rejection = world.decide(mandate, "rejected")
    world.drain()
    assert mandates_received(world) == {other.pk}
    if touch == "deleted, accepted before":
        world.decide(mandate, "accepted")
        world.drain()
    with world.within("aurora"):
        theirs = MandateDecision.objects.filter(pk=rejection.pk)
        if touch == "changed":
            theirs.update(outcome="accepted")
        elif touch == "of another mandate":
            theirs.update(mandate=other.pk)
        else:
            theirs.delete()
    world.drain()
    assert mandates_received(world) == {mandate.pk, *({other.pk} if touch != "of another mandate" else ())}
    world.assert_in_step(agreement)


def test_p2_a_mandate_leaves_whose_acceptance_turns_into_a_rejection(world: World) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    world.drain()
    acceptance = world.decide(mandate, "accepted")
    world.drain()
    with world.within("aurora"):
        MandateDecision.objects.filter(pk=acceptance.pk).update(outcome="rejected")
    world.drain()
    assert mandates_received(world) == set()
    world.assert_in_step(agreement)


def mandates_received(world: World) -> set[Any]:
    with world.within("aurora"):
        return set(Mandate.objects.current().values_list("pk", flat=True))
