"""Cash that a client announced, where one party manages and another settles: what its sender hears of it."""

from decimal import Decimal

import pytest
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from accounts.errors import DomainError
from accounts.models import User
from clients.models import ClientInstruction, Mandate, PayoutAccount
from clients.services import (
    close_short,
    draft_instruction,
    record_outcome,
    send_instruction,
    withdraw_instruction,
)
from clients.timeline import instruction_events
from federation.models import Stream
from portfolios.models import BankEntry, Transaction, Valuation
from portfolios.services.arrived_cash import enter_cash
from portfolios.services.cash_matching import expected, match_cash, pay_withdrawal, send_back
from portfolios.services.ledger import reverse as reverse_entry
from tests import factories
from tests.federation.divisions import SENSIBLE, Division
from tests.federation.mirror.shop import Shop, today
from tests.federation.mirror.world import World

D = Decimal
# Where the ledger is kept, and whether its owner shares it: nothing else of a division tells these divisions apart.
BY_LEDGER = [
    each for each in SENSIBLE if str(each) in {"closed", "settlement private", "settlement at channel"}
]


def test_cash_is_matched_by_who_settles_and_answered_by_who_manages(split: Shop) -> None:
    split.fund(5000)
    assert split.holdings("harbour") == split.holdings("aurora") == {"EUR": D(5000)}
    for schema in ("aurora", "harbour"):
        with split.world.within(schema):
            [outcome] = split.instruction.outcomes.model.objects.filter(instruction_id=split.instruction.pk)
            assert (outcome.outcome, outcome.amount) == ("done", D(5000))
            latest = Valuation.objects.get(portfolio_id=split.portfolio.pk, is_latest=True)
            assert latest.market_value == D(5000)
            # Valuation is the manager's, the ledger the channel's.
            assert (latest.origin is None) == (schema == "aurora")
            assert BankEntry.objects.exists() == (schema == "harbour")
    split.world.assert_in_step(split.agreement)


def arrived(shop: Shop, amount: int, currency: str = "EUR", reference: str = "") -> BankEntry:
    """Enter cash where the ledger is kept."""
    return shop.at(
        shop.settler, enter_cash, value_date=today(), amount=D(amount), currency=currency, payer="Client",
        reference=reference,
    )  # fmt: skip


def answers(shop: Shop, schema: str) -> list[tuple[str, Decimal | None, str, str]]:
    """Return what became of the announced deposit as an institution reads it."""
    with shop.world.within(schema):
        outcomes = ClientInstruction.objects.get(pk=shop.instruction.pk).outcomes.all()
        return [(each.outcome, each.amount, each.currency, each.note) for each in outcomes]


@pytest.mark.parametrize("each", BY_LEDGER, ids=str)
def test_who_gave_an_instruction_reads_what_it_is_done_with_and_why(world: World, each: Division) -> None:
    shop = Shop(world, each)
    for goes in (_less_comes, _another_currency_comes, _cash_goes_back, _the_booking_is_reversed):
        goes(shop)
        # No instruction is open at either party, and their records are in step.
        for schema in ("aurora", "harbour"):
            with world.within(schema):
                assert not ClientInstruction.objects.open().exists(), goes
        world.assert_in_step(shop.agreement)


def _less_comes(shop: Shop) -> None:
    instruction = shop.announce(5000)
    entry = arrived(shop, 4990)
    accepted = {"entry": entry, "instruction": instruction, "accepts_difference": True}
    with pytest.raises(DomainError, match="Say why"):
        shop.at(shop.settler, match_cash, **accepted)
    shop.at(shop.settler, match_cash, **accepted, reason="The bank kept its charges.")
    shop.world.settle_down()
    for schema in ("aurora", "harbour"):
        [(outcome, amount, currency, note)] = answers(shop, schema)
        assert (outcome, amount, currency) == ("done", D(4990), "EUR")
        assert "The bank kept its charges." in note


def _another_currency_comes(shop: Shop) -> None:
    instruction = shop.announce(5000)
    entry = arrived(shop, 5500, "USD")
    accepted = {
        "entry": entry, "instruction": instruction, "accepts_difference": True, "reason": "From a dollar account.",
    }  # fmt: skip
    with pytest.raises(DomainError, match="rate"):
        shop.at(shop.settler, match_cash, **accepted)
    shop.at(shop.settler, match_cash, **accepted, exchange_rate=D("0.9"))
    shop.world.settle_down()
    for schema in ("aurora", "harbour"):
        assert schema != shop.settler or shop.holdings(schema)["USD"] == D(5500)
        [(outcome, amount, currency, note)] = answers(shop, schema)
        assert (outcome, amount, currency) == ("done", D(4950), "EUR")
        assert "5,500.00" in note
        assert "0.9" in note
        assert "From a dollar account." in note


def _cash_goes_back(shop: Shop) -> None:
    instruction = shop.announce(5000)
    entry = arrived(shop, 5500, "USD", "once more")
    shop.at(shop.settler, send_back, entry=entry, reason="We take no dollars.", instruction=instruction)
    shop.world.settle_down()
    for schema in ("aurora", "harbour"):
        [(outcome, amount, _currency, note)] = answers(shop, schema)
        assert (outcome, amount) == ("rejected", None)
        assert "We take no dollars." in note


def _the_booking_is_reversed(shop: Shop) -> None:
    shop.fund(7000)
    shop.at(shop.settler, _reverse_deposit, amount=7000, text="It was another client's.")
    shop.world.settle_down()
    for schema in ("aurora", "harbour"):
        with shop.world.within(schema):
            instruction = ClientInstruction.objects.get(pk=shop.instruction.pk)
            done, reopened = instruction.outcomes.all()
            assert (instruction.state, done.outcome, reopened.outcome) == ("received", "done", "reopened")
            assert "It was another client's." in reopened.note
            assert ClientInstruction.objects.open().get() == instruction
    with shop.world.within(shop.settler):
        assert set(expected(factories.cast().operations, "deposit")) == {instruction}
        entry = BankEntry.objects.get(amount=7000)
    shop.at(shop.settler, match_cash, entry=entry, instruction=instruction)
    shop.world.settle_down()
    for schema in ("aurora", "harbour"):
        assert [answer[0] for answer in answers(shop, schema)] == ["done", "reopened", "done"]


def _reverse_deposit(*, by: User, amount: int, text: str) -> None:
    reverse_entry(entry=Transaction.objects.get(type="deposit", gross_amount=amount), by=by, text=text)


def test_what_was_answered_where_it_was_booked_is_not_matched_again_before_the_manager_knows(
    split: Shop,
) -> None:
    instruction = split.announce(5000)
    split.at("harbour", match_cash, entry=arrived(split, 5000), instruction=instruction)
    again = arrived(split, 5000, reference="once more")
    with split.world.within("harbour"):
        assert not expected(factories.cast().operations, "deposit").exists()
    with pytest.raises(DomainError, match="no longer open"):
        split.at("harbour", match_cash, entry=again, instruction=instruction)
    with pytest.raises(DomainError, match="no longer open"):
        split.at("harbour", send_back, entry=again, reason="Twice", instruction=instruction)


def test_an_instruction_of_which_a_part_comes_is_closed_with_what_was_booked(split: Shop) -> None:
    instruction = split.announce(5000)
    entry, rest = arrived(split, 1800, "USD"), arrived(split, 1380)
    part = {"instruction": instruction, "accepts_difference": True, "more_to_come": True}
    split.at("harbour", match_cash, entry=entry, **part, exchange_rate=D("0.9"))
    split.at("harbour", match_cash, entry=rest, **part)
    with pytest.raises(DomainError, match="part of it is booked"):
        split.at("harbour", send_back, entry=arrived(split, 1), reason="Too little", instruction=instruction)
    split.world.settle_down()
    assert [each[:3] for each in answers(split, "harbour")] == [
        ("in_progress", D(1620), "EUR"),
        ("in_progress", D(3000), "EUR"),
    ]
    with split.world.within("aurora"):
        browser = Browser(headers={"host": "aurora.localhost"})
        browser.force_login(factories.cast().operations)
        answer = reverse("clients:instruction_answer", args=[instruction.pk])
        page = browser.get(reverse("clients:instruction_detail", args=[instruction.pk]))
        assert b"Close with what was booked" in page.content
        assert b"3,000" in page.content
        assert b"More is to come." in page.content
        assert browser.post(answer, {"outcome": "done", "note": ""}).status_code == 409
        browser.post(answer, {"outcome": "done", "note": "The client keeps the rest."})
    split.world.settle_down()
    with split.world.within("harbour"):
        mine = ClientInstruction.objects.get(pk=instruction.pk)
        said = [event["text"].partition("\n")[0] for event in instruction_events(mine)][1:]
        assert [each.replace("\u00a0", " ") for each in said] == [
            f"EUR {booked} of EUR 5,000.00 booked." for booked in ("1,620.00", "3,000.00", "3,000.00")
        ]
        assert mine.state == "done"
        assert mine.outcomes.get(outcome="done").amount == D(3000)
        assert not ClientInstruction.objects.open().exists()


def test_an_instruction_of_which_more_comes_is_done_with_it_and_says_why(split: Shop) -> None:
    instruction = split.announce(5000)
    entry = split.at(
        "harbour", enter_cash, value_date=today(), amount=D(6000), currency="EUR", payer="Client",
        reference="NOTPROVIDED " + "9" * 120,
    )  # fmt: skip
    reason = "The client adds a bonus. " + "He has told us by telephone. " * 4
    split.at(
        "harbour", match_cash, entry=entry, instruction=instruction, accepts_difference=True, reason=reason
    )
    split.world.settle_down()
    for schema in ("aurora", "harbour"):
        with split.world.within(schema):
            mine = ClientInstruction.objects.get(pk=instruction.pk)
            assert mine.state == "done"
            outcome = mine.outcomes.get(outcome="done")
            assert outcome.amount == D(6000)
            assert reason.strip() in outcome.note
    split.world.assert_in_step(split.agreement)


def test_an_instruction_without_any_booking_is_not_closed_with_what_was_booked(split: Shop) -> None:
    instruction = split.announce(5000)
    with split.world.within("aurora"), pytest.raises(DomainError, match="Nothing has been booked"):
        close_short(
            instruction=ClientInstruction.objects.get(pk=instruction.pk),
            by=factories.cast().operations,
            note="Nothing came.",
        )


def test_nothing_moves_for_an_instruction_whose_withdrawal_would_not_be_heard(world: World) -> None:
    shop = Shop(world)
    shop.fund(5000)
    deposit = shop.announce(700)
    entry = arrived(shop, 700)
    with world.within("harbour"):
        cast = factories.cast()
        mandate = Mandate.objects.get()
        account = PayoutAccount.objects.create(
            client=mandate.client, iban="DE89370400440532013000", verified_at=timezone.now()
        )
        asked = draft_instruction(
            mandate=mandate, kind="withdrawal", amount=D(1000), payout_account=account, by=cast.advisor
        )
        withdrawal = send_instruction(instruction=asked, by=cast.advisor)
        closing = draft_instruction(mandate=mandate, kind="close", by=cast.advisor)
        closing = send_instruction(instruction=closing, by=cast.advisor)
    shop.world.settle_down()
    world.suspend(shop.agreement)
    with world.within("harbour"):
        for each in (withdrawal, deposit, closing):
            withdraw_instruction(instruction=each, by=cast.advisor)

    def refused(code: str) -> None:
        for service, what in [
            (pay_withdrawal, {"instruction": withdrawal}),
            (match_cash, {"instruction": deposit, "entry": entry}),
            (record_outcome, {"instruction": closing, "outcome": "accepted"}),
        ]:
            with pytest.raises(DomainError) as error:
                shop.at("aurora", service, **what)
            assert error.value.code == code, service

    refused("agreement_suspended")
    with world.within("aurora"):
        browser = Browser(headers={"host": "aurora.localhost"})
        browser.force_login(factories.cast().operations)
        page = browser.post(reverse("portfolios:withdrawal_pay", args=[withdrawal.pk]), follow=True)
        assert page.context["held_up"] == {withdrawal.pk, deposit.pk}
        desk = browser.get(reverse("trading:desk"))
        assert desk.context["held_up"] == {withdrawal.pk, deposit.pk, closing.pk}
        assert desk.content.decode().count("Suspended") == 3
    shown = page.content.decode()
    assert "it may have withdrawn the instruction" in shown
    assert reverse("portfolios:withdrawal_pay", args=[withdrawal.pk]) not in shown
    world.resume(shop.agreement)
    with world.within("aurora"):
        assert "Suspended" not in browser.get(reverse("trading:desk")).content.decode()
    # Resumed, and what happened meanwhile is on its way.
    refused("partner_not_heard")
    Stream.objects.filter(agreement=shop.agreement).update(state="broken")
    refused("partner_not_heard")
    Stream.objects.filter(agreement=shop.agreement).update(state="running")
    shop.world.settle_down()
    with world.within("aurora"):
        assert {each.state for each in ClientInstruction.objects.exclude(amount=5000)} == {"withdrawn"}
    assert shop.holdings("aurora") == {"EUR": D(5000)}
    shop.announce(700)
    shop.at("aurora", match_cash, entry=entry, instruction=shop.instruction)
    shop.world.settle_down()
    assert shop.holdings("harbour") == {"EUR": D(5700)}
