"""The manager manages and trades, the channel settles: from the fill to the valuation, through the real mirror."""

import datetime
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from accounts.errors import DomainError
from accounts.models import Role, RoleAssignment, User
from clients.models import Client, ClientInstruction, KycStatus, Mandate
from clients.services import accept_mandate, close_short, draft_instruction, send_instruction
from federation.mirror import arrivals
from federation.models import Agreement
from portfolios.models import Account, BankEntry, Holding, Portfolio, Transaction, Valuation
from portfolios.services import book, value_portfolios
from portfolios.services.cash_matching import enter_cash, match_cash
from reporting.models import Report
from reporting.services import make_report, release_report
from tests import factories
from tests.federation.divisions import divided
from tests.federation.mirror.world import World
from trading.models import Affirmation, Allocation, Block, Order, Settlement
from trading.services import (
    affirm,
    correct,
    propose,
    record_execution,
    reject_allocation,
    settle_due,
    withdraw,
)
from trading.services.settlements import close_settled

D = Decimal


def today() -> datetime.date:
    return timezone.now().date()


class Shop:
    """Aurora and Harbour under one division of work, with a funded portfolio."""

    def __init__(self, world: World, **who: str) -> None:
        self.world = world
        self.agreement = world.agree(division=divided(**who).division)
        client = world.client("harbour")
        with world.within("harbour"):
            client.risk_profiles.update(valid_until=today() + datetime.timedelta(days=300))
            KycStatus.objects.create(
                client=client, state="approved", valid_until=today() + datetime.timedelta(days=300)
            )
        self.mandate = world.mandate(self.agreement, client=client)
        self.sync()
        self.at("aurora", accept_mandate, mandate=self.mandate, unit=None, by="manager")
        self.sync()
        with world.within("aurora"):
            self.portfolio = Portfolio.objects.get(mandate_id=self.mandate.pk)
        self.settler = self.agreement.party(who.get("settlement", "manager")).schema_name
        self.security = world.security("aurora", currency="EUR")

    def sync(self) -> None:
        """Let everything cross, and everybody hear of it, until nothing is left."""
        for _ in range(6):
            self.world.drain()
            arrivals.deliver_all()
        self.world.drain()

    def at(self, schema: str, service: Any, *, by: str = "operations", **kwargs: Any) -> Any:
        """Call a service in an institution's schema as one of its people."""
        with self.world.within(schema):
            return service(by=getattr(factories.cast(), by), **kwargs)

    def announce(self, amount: int) -> ClientInstruction:
        """Send a deposit instruction at the channel."""
        with self.world.within("harbour"):
            by: User = factories.cast().advisor
            instruction = draft_instruction(
                mandate=Mandate.objects.get(pk=self.mandate.pk),
                kind="deposit",
                by=by,
                amount=D(amount),
                currency="EUR",
            )
            self.instruction = send_instruction(instruction=instruction, by=by)
        self.sync()
        return self.instruction

    def fund(self, amount: int) -> None:
        """Send a deposit instruction at the channel, and match the cash where the ledger is kept."""
        self.announce(amount)
        entry = self.at(
            self.settler, enter_cash, value_date=today(), amount=D(amount), currency="EUR", payer="Client"
        )
        self.at(self.settler, match_cash, entry=entry, instruction=self.instruction)
        self.sync()

    def fill(self, quantity: int = 10, price: str = "100") -> Allocation:
        """Have the manager buy, in one fill."""
        with self.world.within("aurora"):
            block = Block.objects.create(
                security=self.security, side="buy", currency="EUR", quantity=quantity, sent_at=timezone.now(),
                state="new",
            )  # fmt: skip
            order = Order.objects.create(
                portfolio=self.portfolio, security=self.security, number=f"O-{block.pk.hex[-6:]}", side="buy",
                quantity=quantity, currency="EUR", reason="manual", block=block, state="new",
            )  # fmt: skip
            record_execution(block_id=block.pk, quantity=D(quantity), price=D(price), reference=order.number)
            allocation: Allocation = order.allocations.get()
        self.sync()
        return allocation

    def holdings(self, schema: str) -> dict[str, Decimal]:
        """Return what a schema says the portfolio holds."""
        with self.world.within(schema):
            rows = Holding.objects.filter(portfolio_id=self.portfolio.pk).select_related("security")
            return {str(row.security or row.currency): row.quantity for row in rows}


@pytest.fixture
def split(world: World) -> Iterator[Shop]:
    return Shop(world, settlement="channel")


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
    from trading.services import affirm_one

    allocation = split.fill()
    with split.world.within("aurora"):
        affirm_one(allocation=allocation, by=factories.cast().operations)


def _deposit(portfolio: Portfolio) -> Transaction:
    return Transaction(
        portfolio=portfolio, type="deposit", trade_date=today(), settlement_date=today(), currency="EUR",
        gross_amount=D(5), net_amount=D(5),
    )  # fmt: skip


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


def test_an_instruction_of_which_a_part_comes_is_closed_with_what_was_booked(split: Shop) -> None:
    instruction = split.announce(5000)
    entry = split.at(
        "harbour", enter_cash, value_date=today(), amount=D(3000), currency="EUR", payer="Client"
    )
    accepted = {"entry": entry, "instruction": instruction, "accepts_difference": True}
    with pytest.raises(DomainError, match="Say why"):
        split.at("harbour", match_cash, **accepted)
    split.at("harbour", match_cash, **accepted, reason="The client keeps a part.")
    split.sync()
    with split.world.within("aurora"):
        browser = Browser(headers={"host": "aurora.localhost"})
        browser.force_login(factories.cast().operations)
        answer = reverse("clients:instruction_answer", args=[instruction.pk])
        page = browser.get(reverse("clients:instruction_detail", args=[instruction.pk]))
        assert b"Close with what was booked" in page.content
        assert b"3,000" in page.content
        assert b"The client keeps a part." in page.content
        assert browser.post(answer, {"outcome": "done", "note": ""}).status_code == 409
        browser.post(answer, {"outcome": "done", "note": "The client keeps the rest."})
    split.sync()
    with split.world.within("harbour"):
        mine = ClientInstruction.objects.get(pk=instruction.pk)
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
    split.sync()
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
    split.sync()
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
    split.sync()
    with split.world.within("aurora"):
        close_settled()
        assert Order.objects.get().state == "settled"
    split.sync()
    split.world.assert_in_step(split.agreement)
    assert split.world.orphans("aurora") == split.world.orphans("harbour") == []


def test_a_rejected_allocation_is_allocated_anew_or_withdrawn(split: Shop) -> None:
    split.fund(5000)
    wrong = split.fill()
    with split.world.within("harbour"), pytest.raises(DomainError, match="Say why"):
        reject_allocation(allocation=wrong, reason=" ", by=factories.cast().operations)
    split.at("harbour", reject_allocation, allocation=wrong, reason="Fees are not as agreed")
    split.sync()
    assert split.holdings("harbour") == {"EUR": D(5000)}
    with split.world.within("aurora"):
        operations = factories.cast().operations
        [rejected] = Allocation.objects.rejected(operations)
        assert rejected.answered.reason == "Fees are not as agreed"
    anew = split.at(
        "aurora", correct, allocation=wrong, price=D(100), fees=D(0), settlement_date=wrong.settlement_date
    )
    split.sync()
    with split.world.within("harbour"):
        operations = factories.cast().operations
        assert list(Allocation.objects.to_affirm(operations)) == [anew]
        assert Allocation.objects.get(pk=wrong.pk).withdrawn_at is not None
    assert split.at("harbour", affirm, allocation_ids=[anew.pk]).count == 1
    split.sync()
    assert split.holdings("aurora") == {"EUR": D(4000), "Apple": D(10)}
    other = split.fill(5)
    split.at("harbour", reject_allocation, allocation=other, reason="Not our client's")
    split.sync()
    split.at("aurora", withdraw, allocation=other, note="Wrong account")
    split.sync()
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
    split.sync()
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
        shop.sync()
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
    shop.sync()
    shop.at("harbour", release_report, report=report, by="advisor")
    shop.sync()
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
