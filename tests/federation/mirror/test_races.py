"""Users who write while a batch is at work, and partners in a ring."""

import threading
from typing import Any

import psycopg
import pytest
from django.db import connection, transaction

from clients.models import Client, Mandate
from federation.mirror import batch, control, failpoints, fill, trimming, write
from federation.mirror.batch import run_batch
from federation.models import Institution, ParkedRow, Stream
from portfolios.models import Account, BankEntry, Portfolio, Transaction
from tests.federation.mirror.beside import beside
from tests.federation.mirror.processes import eventually
from tests.federation.mirror.world import TODAY, World


def test_f10_rows_that_move_during_a_batch_are_where_they_belong(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    agreement, other = world.agree(), world.agree("aurora", "lakeside")
    here, there = world.mandate(agreement), world.mandate(other, "lakeside")
    world.drain()
    stays, comes = world.portfolio(here, transactions=3), world.portfolio(there, transactions=4)
    world.drain()
    entries = {stays.pk: 3, comes.pk: 4}
    user = world.another_connection()
    user.autocommit = True
    waiting: list[str] = []

    def move(name: str) -> None:
        if name in waiting:
            waiting.remove(name)
            # The two change places: each leaves one partner and comes to the other.
            with user.transaction():
                for portfolio, mandate in ((stays, None), (comes, here), (stays, there)):
                    user.execute(
                        "UPDATE aurora.portfolios_portfolio SET mandate_id = %s WHERE id = %s",
                        [mandate and mandate.pk, portfolio.pk],
                    )

    monkeypatch.setattr(batch, "failpoint", move)
    monkeypatch.setattr(write, "failpoint", move)
    for point in failpoints.NAMES:
        for portfolio in (stays, comes):
            world.transactions(portfolio, 2)
            entries[portfolio.pk] += 2
        waiting.append(point)
        for each in (agreement, other):
            run_batch(world.stream(each, "aurora").pk)
            # Whole or not at all.
            assert world.orphans("harbour") == world.orphans("lakeside") == [], point
        world.drain()
        assert not waiting, point
        for each in (agreement, other):
            assert world.differences(each) == [], point
        for schema, portfolio in (("harbour", comes), ("lakeside", stays)):
            assert (
                world.count(schema, Transaction)
                == world.count(schema, Transaction, portfolio_id=portfolio.pk)
                == entries[portfolio.pk]
            ), point
        # And back again at the next point.
        stays, comes = comes, stays


def test_f10_a_portfolio_that_moves_to_a_mandate_that_has_just_gone_leaves_its_place_to_another(
    world: World,
) -> None:
    agreement = world.agree()
    first, second = world.mandate(agreement), world.mandate(agreement)
    world.drain()
    moves = world.portfolio(first, transactions=3)
    world.drain()
    with world.within("harbour"):
        Mandate.objects.filter(pk=second.pk)._raw_delete("default")
    # Aurora has not heard of it yet.
    with world.within("aurora"):
        Portfolio.objects.filter(pk=moves.pk).update(mandate=second.pk)
    following = world.portfolio(first, transactions=2)
    world.drain()
    world.assert_in_step(agreement)
    assert world.count("harbour", Portfolio) == world.count("harbour", Portfolio, pk=following.pk) == 1
    assert world.count("harbour", Transaction) == 2
    assert not ParkedRow.objects.exists()
    assert world.orphans("harbour") == world.orphans("aurora") == []
    with world.within("aurora"):
        Portfolio.objects.filter(pk=following.pk).update(mandate=None)
        Portfolio.objects.filter(pk=moves.pk).update(mandate=first.pk)
    world.drain()
    world.assert_in_step(agreement)
    assert world.count("harbour", Transaction, portfolio_id=moves.pk) == 3


def test_f19_in_a_deadlock_with_a_user_the_batch_gives_way_and_the_edit_is_kept(world: World) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    world.drain()
    portfolio = world.portfolio(mandate)
    world.accounts(portfolio, 1)
    world.drain()
    stream = world.stream(agreement, "aurora")
    with world.within("aurora"):
        account = Account.objects.get()
        Account.objects.all()._raw_delete("default")
        Portfolio.objects.all()._raw_delete("default")

    worker = beside(lambda: run_batch(stream.pk))
    with world.within("harbour"), transaction.atomic():
        own = BankEntry.objects.create(portfolio_id=portfolio.pk, amount=1, currency="EUR", value_date=TODAY)
        world.execute("SET CONSTRAINTS ALL IMMEDIATE")
        worker.start()
        # The batch has deleted the account and waits for the portfolio; longer than PostgreSQL waits
        # before it looks for a deadlock, so that it would find the user's.
        worker.join(1.5)
        assert worker.is_alive()
        world.execute("SELECT 1 FROM harbour.portfolios_account WHERE id = %s FOR KEY SHARE", account.pk)
    worker.join(30)
    assert not worker.is_alive()
    world.drain()
    with world.within("harbour"):
        assert BankEntry.objects.get(pk=own.pk).portfolio.retired_at is not None
    assert world.orphans("harbour") == []
    assert world.stream(agreement, "aurora").state == Stream.State.RUNNING


@pytest.mark.parametrize(
    "ring",
    [
        [("aurora", "harbour"), ("harbour", "lakeside"), ("lakeside", "aurora")],
        [("aurora", "harbour"), ("harbour", "aurora")],
    ],
    ids=["three", "two"],
)
def test_f14_in_a_ring_thousands_of_edits_do_not_echo_and_the_logs_stay_bounded(
    world: World, ring: list[tuple[str, str]]
) -> None:
    agreements = {pair: world.agree(*pair) for pair in ring}
    mandates = {pair: world.mandate(agreement, pair[1]) for pair, agreement in agreements.items()}
    world.drain()
    portfolios = {pair: world.portfolio(mandate, pair[0]) for pair, mandate in mandates.items()}
    for round_ in range(3):
        for (manager, channel), portfolio in portfolios.items():
            world.accounts(portfolio, 300, manager)
            with world.within(manager):
                Account.objects.filter(portfolio=portfolio).update(custodian=f"Round {round_}")
            with world.within(channel):
                for number in range(10):
                    Client.objects.filter(origin=None).update(name=f"Edit {round_} {number}")
        for stream in Stream.objects.all():
            run_batch(stream.pk)
    world.drain()
    for agreement in agreements.values():
        world.assert_in_step(agreement)
    written = {stream.pk: stream.rows_written for stream in Stream.objects.all()}
    Stream.objects.update(last_tick_at=None)
    world.drain()
    assert {stream.pk: stream.rows_written for stream in Stream.objects.all()} == written
    for schema in {manager for manager, _channel in ring}:
        # Transactions of the server's other databases keep rows back for a while.
        eventually(lambda schema=schema: _is_trimmed(world, schema), seconds=60)
        # Each has one partner's client beside its own: nothing went on to the third.
        assert world.count(schema, Client) == 2
        assert world.count(schema, Mandate) == 2
        assert world.count(schema, Account) == 1_800


def _is_waited_for(holder: psycopg.Connection) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid)))",
            [holder.info.backend_pid],
        )
        return bool(cursor.fetchone()[0])


def _is_trimmed(world: World, schema: str) -> bool:
    Stream.objects.update(last_tick_at=None)
    # Also what has nothing to do: its place in the log may lie before a transaction of another database.
    world.look()
    trimming.trim_log(Institution.objects.get(schema_name=schema))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {schema}.mirror_log")
        return bool(cursor.fetchone() == (0,))


def test_p6_the_log_is_not_trimmed_beneath_a_stream_that_takes_its_place(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    agreement, other = world.agree(), world.agree("borealis", "harbour")
    mandate = world.mandate(agreement)
    world.drain()
    filled, held = world.stream(agreement, "harbour"), world.stream(other, "harbour")
    control.refill(filled)
    has_begun, may_go_on = threading.Event(), threading.Event()
    take_roots = fill.take_roots

    def take_roots_late(*args: Any) -> int:
        has_begun.set()
        assert may_go_on.wait(30)
        return take_roots(*args)

    monkeypatch.setattr(fill, "take_roots", take_roots_late)

    # It has its snapshot, and waits for somebody who locks the agreement and leaves it as it is.
    holder = world.another_connection()
    holder.execute("SELECT 1 FROM public.federation_agreement WHERE id = %s FOR UPDATE", [agreement.pk])
    first_batch = beside(lambda: run_batch(filled.pk))
    first_batch.start()
    eventually(lambda: _is_waited_for(holder))
    with world.within("harbour"):
        Mandate.objects.filter(pk=mandate.pk).update(amount=777)
    holder.rollback()
    assert has_begun.wait(30)
    for _ in range(2):
        run_batch(held.pk)
        trimming.trim_log(world.institution("harbour"))
    may_go_on.set()
    first_batch.join(30)
    world.drain()
    with world.within("aurora"):
        assert Mandate.objects.get().amount == 777
    world.assert_in_step(agreement)
    eventually(lambda: _is_trimmed(world, "harbour"), seconds=60)
