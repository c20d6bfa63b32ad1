"""The same thing asked for twice at the same moment, as by a double click on two workers: it happens once."""

import datetime
import threading
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client as Caller
from django.utils import timezone

from accounts.errors import DomainError
from clients import services
from clients.models import Client, InstructionOutcome, Mandate
from federation.agreements import sealing
from federation.mirror import batch as batches
from federation.mirror import erasing
from federation.mirror.batch import run_batch
from federation.models import AgreementEvent, ParkedRow, Proof, RecordsHold
from federation.monitor import parked, proof
from portfolios.models import BankEntry, Handover, Portfolio, Transaction
from portfolios.services import book, reverse
from portfolios.services.arrived_cash import enter_cash, import_cash
from portfolios.services.cash_matching import match_cash
from portfolios.services.handover import book_out_rest, take_over
from tests import factories
from tests.factories import create_token
from tests.federation.mirror.beside import beside, refusing
from tests.federation.mirror.sealing import LATER, cut, ended, sealed_at
from tests.federation.mirror.shop import Shop
from tests.federation.mirror.successor import begin, begin_on_its_way
from tests.federation.mirror.world import TODAY, World
from trading.models import Affirmation, Proposal
from trading.services import affirm_one, propose, reject_allocation


def at_once(world: World, schema: str, *calls: Callable[[], Any]) -> list[str]:
    """Call each on a connection of its own; return what was refused, by code."""
    refused, start = [], threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> None:
        try:
            with world.within(schema):
                start.wait()
                call()
        except DomainError as error:
            refused.append(error.code)

    threads = [beside(partial(run, call)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return refused


def one_after_the_other(
    world: World, schema: str, first: Callable[[], Any], second: Callable[[], Any]
) -> list[str]:
    """Have the first end once the second, on a connection of its own, has come as far as it can; return its refusal."""
    refused: list[str] = []

    def waits() -> bool:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT EXISTS (SELECT FROM pg_locks waiting JOIN pg_locks held USING (pid)"
                " JOIN pg_database d ON d.oid = held.database"
                " WHERE d.datname = current_database() AND NOT waiting.granted)"
            )
            return bool(cursor.fetchone()[0])

    other = threading.Thread(target=lambda: refused.extend(at_once(world, schema, second)))
    with world.within(schema), transaction.atomic():
        first()
        other.start()
        while other.is_alive() and not waits():
            other.join(0.05)
    other.join()
    return refused


def test_two_successors_of_a_mandate_do_not_begin(world: World) -> None:
    journey = begin(world)
    with world.within("harbour"):
        by = factories.cast().advisor
        Mandate.objects.filter(pk=journey.new.pk).update(status="withdrawn")
        old = Mandate.objects.select_related("client").get(pk=journey.old.pk)

    def start() -> None:
        services.start_mandate(client=old.client, by=by, predecessor=old)

    assert at_once(world, "harbour", start, start) == ["handover_begun"]
    assert world.count("harbour", Mandate, predecessor=old.pk, status="draft") == 1


def test_a_portfolio_is_taken_over_once(world: World) -> None:
    begin_on_its_way(world)
    with world.within("borealis"):
        cast = factories.cast()
        given = Handover.objects.get()

    def take() -> None:
        take_over(handover=Handover.objects.get(pk=given.pk), by=cast.manager)

    assert at_once(world, "borealis", take, take) == ["taken_over"]
    with world.within("borealis"):
        assert Transaction.objects.filter(portfolio__in=Portfolio.objects.own()).count() == 3


def test_an_entry_is_reversed_once(world: World) -> None:
    portfolio = world.portfolio(None)
    with world.within("aurora"):
        deposit = Transaction(
            portfolio=portfolio, type="deposit", trade_date=TODAY, settlement_date=TODAY, currency="EUR",
            gross_amount=10, net_amount=10,
        )  # fmt: skip
        book(entries=[deposit], by=None)

    def take_back() -> None:
        reverse(entry=Transaction.objects.get(pk=deposit.pk), by=None, text="Wrong.")

    assert at_once(world, "aurora", take_back, take_back, take_back) == [
        "already_reversed",
        "already_reversed",
    ]
    assert world.count("aurora", Transaction, type="reversal") == 1


def test_what_came_late_is_booked_out_once(world: World) -> None:
    portfolio, security = world.portfolio(None), world.security()
    with world.within("aurora"):
        late = Transaction(
            portfolio=portfolio, security=security, type="transfer_in", quantity=10, trade_date=TODAY,
            settlement_date=TODAY, currency="EUR", gross_amount=660, original_cost=500,
        )  # fmt: skip
        Portfolio.objects.update(closed_on=TODAY)
        book(entries=[late], by=None)
        by = factories.cast().operations

    def book_out() -> None:
        book_out_rest(portfolio=Portfolio.objects.get(pk=portfolio.pk), by=by)

    assert at_once(world, "aurora", book_out, book_out) == []
    assert world.count("aurora", Transaction, type="transfer_out") == 1


def test_arrived_cash_that_is_sent_twice_at_once_is_entered_once(world: World) -> None:
    with world.within("aurora"):
        by = factories.cast().operations
    rows = (
        f"value_date;amount;currency;payer;reference\n{TODAY};10.00;EUR;Ann;RF1\n{TODAY};20.00;EUR;Bob;RF2\n"
    )
    imported, refused = [], []

    def enter() -> None:
        enter_cash(value_date=TODAY, amount=Decimal(5), currency="EUR", reference="RF3", by=by)

    def import_rows() -> None:
        imported.append(import_cash(content=rows.encode(), file_name="a.csv", by=by))

    for call in (enter, import_rows):
        refused += one_after_the_other(world, "aurora", call, call)
    assert refused == ["entry_known"]
    assert [each[:2] for each in imported] == [(2, 0), (0, 2)]
    assert world.count("aurora", BankEntry) == 3


def test_an_instruction_ends_with_all_that_was_booked_for_it_meanwhile(world: World) -> None:
    shop = Shop(world)
    instruction = shop.announce(700)
    entries = [
        shop.at("aurora", enter_cash, value_date=TODAY, amount=Decimal(amount), currency="EUR")
        for amount in (300, 200)
    ]

    def book_part(entry: BankEntry) -> None:
        shop.at("aurora", match_cash, entry=entry, instruction=instruction, accepts_difference=True, more_to_come=True)  # fmt: skip

    def close() -> None:
        shop.at("aurora", services.close_short, instruction=instruction, note="The rest does not come.")

    book_part(entries[0])
    assert one_after_the_other(world, "aurora", lambda: book_part(entries[1]), close) == []
    with world.within("aurora"):
        assert InstructionOutcome.objects.get(outcome="done").amount == 500


def test_the_same_answer_to_an_instruction_is_given_once(world: World) -> None:
    shop = Shop(world)
    instruction = shop.announce(700)

    def answer() -> None:
        shop.at(
            "aurora", services.answer_by_hand, instruction=instruction, outcome="in_progress", note="Soon."
        )

    assert at_once(world, "aurora", answer, answer, answer) == []
    assert world.count("aurora", InstructionOutcome, instruction=instruction.pk) == 1


def test_a_proposal_that_is_being_submitted_is_not_replaced(world: World) -> None:
    portfolio = world.portfolio(None)
    with world.within("aurora"):
        by = factories.cast().manager

    def work_out() -> None:
        propose(portfolio=Portfolio.objects.get(pk=portfolio.pk), by=by, mode="liquidate")

    with world.within("aurora"):
        work_out()

    def submitted() -> None:
        Proposal.objects.update(state="proposed")

    assert one_after_the_other(world, "aurora", submitted, work_out) == ["open_proposal"]
    with world.within("aurora"):
        assert Proposal.objects.get().state == "proposed"


def test_an_allocation_is_answered_once(world: World) -> None:
    shop = Shop(world, settlement="channel")
    shop.fund(5000)
    allocation = shop.fill()
    with world.within("harbour"):
        by = factories.cast().operations
    refused = at_once(
        world,
        "harbour",
        lambda: affirm_one(allocation=allocation, by=by),
        lambda: reject_allocation(allocation=allocation, reason="Wrong.", by=by),
        lambda: affirm_one(allocation=allocation, by=by),
    )
    assert refused == ["answered", "answered"]
    with world.within("harbour"):
        answer = Affirmation.objects.get()
        booked = Transaction.objects.filter(type="buy").count()
    assert booked == (1 if answer.state == "affirmed" else 0)


def test_one_proof_is_under_way_and_one_hold_stands(world: World) -> None:
    agreement = world.agree()
    stream = world.stream(agreement, "harbour")
    assert at_once(world, "harbour", lambda: proof.ask(stream), lambda: proof.ask(stream)) == []
    assert Proof.objects.filter(stream=stream).count() == 1
    kept = sealed_at(ended(world, world.mandate(agreement), agreement=agreement), "aurora")
    with world.within("aurora"):
        by = factories.cast().compliance

    def hold() -> None:
        sealing.place_hold(kept, by=by, institution=kept.receiver, reason="A lawsuit.")

    assert at_once(world, "aurora", hold, hold) == ["held_already"]
    assert RecordsHold.objects.count() == 1


def test_a_parked_row_is_skipped_by_one_of_two_administrators_or_tried_again(world: World) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    world.drain()
    with refusing(world, "harbour.portfolios_portfolio", "currency <> 'EUR'"):
        world.portfolio(mandate)
        world.drain()
        row = ParkedRow.objects.get()
        parties = [world.institution(schema) for schema in ("aurora", "harbour")]
        with world.within("harbour"):
            by = factories.cast().administrator

        def skip(number: int) -> None:
            parked.skip(row, by=by, institution=parties[number], reason=f"Reason {number}")

        refused = at_once(world, "harbour", lambda: skip(0), lambda: skip(1))
        assert refused == ["skipped_already"]
        row.refresh_from_db()
        assert row.skip_reason == f"Reason {parties.index(row.skipped_by)}"
        (line,) = AgreementEvent.objects.filter(agreement=agreement, kind="skipped")
        assert (line.institution, row.skip_reason in line.note) == (row.skipped_by, True)
        # One tries it again while the other one still reads why it was skipped, and skips it too.
        at_once(world, "harbour", lambda: parked.retry(row, by=by), lambda: skip(0))
        row.refresh_from_db()
        is_skipped = row.skipped_at is not None
        assert (row.skip_reason != "") == (row.skipped_by is not None) == is_skipped
        assert (row.retry_at > timezone.now() + datetime.timedelta(days=1)) == is_skipped
    with world.within("harbour"):
        parked.retry(row, by=by)
        world.drain()
        assert not ParkedRow.objects.exists()
        world.assert_in_step(agreement)
        # It has crossed meanwhile.
        with pytest.raises(DomainError, match="no longer parked"):
            parked.retry(row, by=by)


def test_f13_two_agreements_that_end_at_once_leave_nothing_that_both_covered(world: World) -> None:
    first, second = world.agree(), world.agree()
    old = world.mandate(first)
    new = world.mandate(second, client=old.client)
    world.drain()
    for mandate in (old, new):
        world.decide(mandate, "accepted")
    world.drain()

    other = beside(lambda: cut(world, second))
    with transaction.atomic():
        cut(world, first)
        other.start()
        other.join(1)
    other.join(30)
    assert world.count("aurora", Client) == 1
    assert world.count("aurora", Client, retired_at=None) == 0


def test_f13_a_batch_does_not_keep_what_an_agreement_covered_that_ends_meanwhile(world: World) -> None:
    first, second = world.agree(), world.agree()
    old = world.mandate(first)
    new = world.mandate(second, client=old.client)
    world.drain()
    with world.within("harbour"):
        Mandate.objects.filter(pk=old.pk).update(status=Mandate.Status.WITHDRAWN)

    batch = beside(lambda: run_batch(world.stream(first, "harbour").pk))
    with transaction.atomic():
        # The client is still covered by the first, as far as the receiver knows.
        cut(world, second)
        batch.start()
        batch.join(1)
    batch.join(30)
    world.drain()
    assert new.client_id == old.client_id
    assert world.count("aurora", Client) == 0


def test_f13_what_comes_alive_while_it_is_erased_stays(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = world.agree(), world.agree()
    old = world.mandate(first)
    ended(world, old, agreement=first)
    new = world.mandate(second, client=old.client)

    delete_only = erasing.Writer.delete_only

    def delete_after_a_batch(writer: Any, labels: Any) -> None:
        if writer.flow.receiver.schema_name == "aurora":
            batch = beside(lambda: run_batch(world.stream(second, "harbour").pk))
            batch.start()
            batch.join(30)
        delete_only(writer, labels)

    monkeypatch.setattr(erasing.Writer, "delete_only", delete_after_a_batch)
    # What it needs is locked all the while.
    monkeypatch.setattr(batches, "TRIES", 2)
    sealing.erase_due(today=LATER)
    monkeypatch.undo()
    world.drain()
    with world.within("aurora"):
        assert Client.objects.get().name == "Ann Example"
        assert Mandate.objects.get(retired_at=None).pk == new.pk
    world.assert_in_step(second)
    assert world.orphans("aurora") == []


def test_somebody_who_is_entered_twice_at_once_is_recognised(world: World) -> None:
    with world.within("harbour"):
        by = factories.cast().advisor
        _token, text = create_token(
            user=by,
            name="Test",
            may_write=True,
            expires_at=timezone.now() + datetime.timedelta(days=1),
            by=by,
        )
    person = {
        "kind": "person", "first_name": "Ada", "last_name": "Example", "birth_date": "1960-02-03", "country": "DE",
        "currency": "EUR",
    }  # fmt: skip
    answers = []

    def enter(first_name: str = "Ada") -> None:
        caller = Caller(headers={"host": "harbour.localhost", "authorization": f"Bearer {text}"})
        body = {**person, "first_name": first_name}
        answers.append(caller.post("/api/v1/clients/", body, content_type="application/json").status_code)

    at_once(world, "harbour", enter, enter, lambda: enter("ADA"), lambda: enter("Bea"))
    assert sorted(answers) == [201, 201, 409, 409]
    assert world.count("harbour", Client, last_name="Example") == 2
