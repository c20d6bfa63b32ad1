"""Long changes whose process is killed halfway: whole or not at all, and whoever does it again finishes it."""

import os
import signal
from collections.abc import Callable
from contextlib import contextmanager

import pytest
from django.db import connection, connections

from clients.models import Client
from federation.agreements import sealing
from federation.mirror import erasing
from federation.models import AgreementEvent, Proof
from federation.monitor import proof
from portfolios.models import Handover, Portfolio, Transaction
from portfolios.services.handover import has_taken_over, take_over
from tests import factories
from tests.federation.mirror.processes import eventually
from tests.federation.mirror.sealing import LATER, ended, erase, sealed_at
from tests.federation.mirror.successor import begin_on_its_way
from tests.federation.mirror.world import World


def kill_where_it_waits(world: World, lock: str, do: Callable[[], object]) -> None:
    """Do something in a fork of this process, and kill that where it waits for a lock that is held here."""
    with world.another_connection() as other:
        other.execute(lock)
        # Not the fork's to end.
        connections.close_all()
        pid = os.fork()
        if pid == 0:
            try:
                do()
            finally:
                os._exit(1)
        with _killed_in_the_end(pid):
            eventually(lambda: _others("wait_event_type = 'Lock'"))
        other.rollback()
    # Its server process notices once it has the lock.
    eventually(lambda: not _others("state <> 'idle'"))


@contextmanager
def _killed_in_the_end(pid: int):
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        assert os.WIFSIGNALED(os.waitpid(pid, 0)[1]), "it has ended by itself"


def _others(condition: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            f" AND backend_type = 'client backend' AND pid <> pg_backend_pid() AND {condition}"
        )
        return int(cursor.fetchone()[0])


def test_an_erasure_that_is_killed_halfway_has_erased_nothing_of_its_chunk_and_goes_on(world: World) -> None:
    agreement = world.agree()
    mandates = sorted((world.mandate(agreement) for _ in range(5)), key=lambda each: each.pk)
    ended(world, *mandates, agreement=agreement)
    kept = sealed_at(agreement, "harbour")
    with world.within("harbour"):
        portfolio = Portfolio.objects.get(mandate=mandates[3].pk)

    def erase_by_chunks() -> None:
        while erasing.erase(kept, today=LATER, chunk=2) is not None:
            pass

    # Of the second chunk, the ledger has been deleted when it comes to this portfolio.
    kill_where_it_waits(
        world,
        f"SELECT 1 FROM harbour.portfolios_portfolio WHERE id = '{portfolio.pk}' FOR UPDATE",
        erase_by_chunks,
    )
    kept.refresh_from_db()
    assert (kept.erase_after, kept.erased_at) == (mandates[1].pk, None)
    assert world.count("harbour", Transaction) == 3 * 3
    assert world.count("harbour", Portfolio) == 3
    assert world.orphans("harbour") == []
    erase()
    assert world.count("harbour", Transaction) == world.count("harbour", Portfolio) == 0
    assert world.count("aurora", Client) == 0
    assert world.orphans("harbour") == world.orphans("aurora") == []
    assert AgreementEvent.objects.filter(agreement=agreement, kind="erased").count() == 2


def test_an_erasure_that_is_killed_before_it_says_so_says_so_in_the_end(world: World) -> None:
    agreement = ended(world)
    kill_where_it_waits(
        world,
        "LOCK TABLE public.federation_agreementevent IN EXCLUSIVE MODE",
        lambda: sealing.erase_due(today=LATER, seconds=60),
    )
    assert not AgreementEvent.objects.filter(agreement=agreement, kind="erased").exists()
    assert {sealed_at(agreement, schema).erased_at for schema in ("aurora", "harbour")} == {None}
    erase()
    assert AgreementEvent.objects.filter(agreement=agreement, kind="erased").count() == 2
    lines = AgreementEvent.objects.filter(agreement=agreement, kind="erased")
    assert all(line.data["rows"] > 0 for line in lines)


@pytest.mark.parametrize("table", ["portfolios_transaction", "portfolios_holding", "accounts_auditentry"])
def test_a_portfolio_whose_taking_over_is_killed_halfway_is_taken_over_whole_the_next_time(
    world: World, table: str
) -> None:
    begin_on_its_way(world)
    with world.within("borealis"):
        cast = factories.cast()
        given = Handover.objects.get()

        def take() -> None:
            take_over(handover=Handover.objects.get(pk=given.pk), by=cast.manager)

        kill_where_it_waits(world, f"LOCK TABLE borealis.{table} IN EXCLUSIVE MODE", take)
        assert not has_taken_over(given)
        assert Transaction.objects.count() == 0
        take()
        assert has_taken_over(given)
        assert Transaction.objects.filter(portfolio__in=Portfolio.objects.own()).count() == 3


@pytest.mark.parametrize("repairs", [False, True])
def test_a_proof_that_is_killed_halfway_is_taken_up_and_finished(
    world: World, monkeypatch: pytest.MonkeyPatch, repairs: bool
) -> None:
    sent: list[object] = []
    monkeypatch.setattr(proof, "_send", lambda pk, **_kwargs: sent.append(pk))
    agreement = world.agree()
    world.mandate(agreement)
    world.drain()
    stream = world.stream(agreement, "harbour")
    asked = proof.ask(stream, repairs=repairs)
    kill_where_it_waits(
        world,
        "LOCK TABLE aurora.clients_contactdetail IN ACCESS EXCLUSIVE MODE",
        lambda: proof.run(asked.pk),
    )
    asked.refresh_from_db()
    assert not asked.is_over
    assert proof.ask(stream) == asked, "nobody can begin another one beside it"
    Proof.objects.update(moved_at=asked.moved_at - proof.FORSAKEN * 2)
    sent.clear()
    proof.take_up()
    assert sent == [asked.pk]
    while not asked.is_over:
        proof.run(asked.pk)
        asked.refresh_from_db()
    assert (asked.result, asked.repairs) == ("equal", repairs)
    world.assert_in_step(agreement)
