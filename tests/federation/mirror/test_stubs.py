"""What stays of rows that left, since own rows named them: until nothing does any more."""

import threading
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from clients.models import Client, Mandate, MandateDecision, Note
from federation.mirror import batch as batches
from federation.mirror import stubs
from federation.mirror.batch import run_batch
from federation.models import Agreement, SealedRecords
from models_portfolio.models import Adoption, ModelPortfolio, ModelVersion
from portfolios.models import BankEntry, Portfolio
from tests.federation.mirror import everything
from tests.federation.mirror.beside import beside
from tests.federation.mirror.sealing import cut, ended, erase
from tests.federation.mirror.world import TODAY, World


def clear(world: World, owner: str = "harbour", receiver: str = "aurora") -> int:
    return stubs.clear(world.institution(owner), world.institution(receiver))


def test_a_stub_goes_with_the_last_row_that_names_it(world: World) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    world.drain()
    with world.within("aurora"):
        note = Note.objects.create(client_id=mandate.client_id, text="Our own words.")
    world.decide(mandate, "rejected")
    world.drain()
    assert world.count("aurora", Client) == world.count("aurora", Mandate) == 1
    assert clear(world) == 0, "the note and the decision name them still"
    with world.within("aurora"):
        note.delete()
    assert clear(world) == 1
    assert world.count("aurora", Client) == 0
    with world.within("harbour"):
        Mandate.objects.filter(pk=mandate.pk).update(status=Mandate.Status.WITHDRAWN)
    with world.within("aurora"):
        MandateDecision.objects.all().delete()
    world.drain()
    assert clear(world) == 1
    assert world.count("aurora", Mandate) == 0
    assert world.orphans("aurora") == []
    world.assert_in_step(agreement)


def test_what_a_stub_alone_names_goes_in_the_same_night(world: World) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    ended(world, mandate, agreement=agreement)
    with world.within("harbour"):
        own = BankEntry.objects.create(
            portfolio=Portfolio.objects.get(), value_date=TODAY, amount=5, currency="EUR"
        )
    erase()
    assert world.count("harbour", Portfolio) == 1
    with world.within("harbour"):
        own.delete()
    assert stubs.clear_away() is None
    assert world.count("harbour", Portfolio) == 0
    assert world.orphans("harbour") == world.orphans("aurora") == []


def test_what_is_sealed_or_shared_stays(world: World) -> None:
    first, second = world.agree(), world.agree()
    ended(world, world.mandate(first), agreement=first)
    live = world.mandate(second)
    world.drain()
    before = {name: world.count(name, Client) + world.count(name, Mandate) for name in ("aurora", "harbour")}
    assert stubs.clear_away() is None
    after = {name: world.count(name, Client) + world.count(name, Mandate) for name in ("aurora", "harbour")}
    assert after == before
    world.assert_in_step(second)
    with world.within("aurora"):
        assert Client.objects.get(pk=live.client_id).retired_at is None
        assert Client.objects.exclude(pk=live.client_id).get().name == "Ann Example", (
            "sealed, with its content"
        )
    SealedRecords.objects.update(erased_at=timezone.now())
    assert clear(world) > 0, "what no set holds, nor a row names"


def test_p2_a_model_that_was_withdrawn_goes_from_an_exchange_of_advice_too(world: World) -> None:
    agreement = world.agree("aurora", "harbour", "advice")
    everything.offer(world, agreement)
    world.drain()
    with world.within("harbour"):
        version = ModelVersion.objects.get()
        own = Adoption.objects.create(version=version, decision="accepted", decided_at=timezone.now())
    cut(world, agreement)
    assert world.count("harbour", ModelPortfolio) == 1, "an own row names its version"
    assert clear(world, "aurora", "harbour") == 0
    with world.within("harbour"):
        own.delete()
    assert clear(world, "aurora", "harbour") > 0
    assert world.count("harbour", ModelPortfolio) == world.count("harbour", ModelVersion) == 0


def test_f13_a_stub_that_comes_alive_while_it_is_cleared_away_stays(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    world.drain()
    with world.within("aurora"):
        note = Note.objects.create(client_id=mandate.client_id, text="Our own words.")
    with world.within("harbour"):
        Mandate.objects.filter(pk=mandate.pk).update(status=Mandate.Status.WITHDRAWN)
    world.drain()
    with world.within("aurora"):
        note.delete()
    with world.within("harbour"):
        Mandate.objects.filter(pk=mandate.pk).update(status=Mandate.Status.SUBMITTED)

    delete_only = stubs.Writer.delete_only

    def delete_after_a_batch(writer: Any, labels: list[str]) -> None:
        if labels == ["clients.Client"]:
            batch = beside(lambda: run_batch(world.stream(agreement, "harbour").pk))
            batch.start()
            batch.join(30)
        delete_only(writer, labels)

    monkeypatch.setattr(stubs.Writer, "delete_only", delete_after_a_batch)
    # What it needs is locked all the while.
    monkeypatch.setattr(batches, "TRIES", 2)
    clear(world)
    monkeypatch.undo()
    world.drain()
    with world.within("aurora"):
        assert Client.objects.get().name == "Ann Example"
    world.assert_in_step(agreement)
    assert world.orphans("aurora") == []


def test_clearing_away_goes_on_where_it_stopped(world: World) -> None:
    agreements = world.agree(), world.agree("borealis", "harbour")
    for agreement, manager in zip(agreements, ("aurora", "borealis"), strict=True):
        mandate = world.mandate(agreement)
        world.drain()
        world.decide(mandate, "rejected", manager)
        world.drain()
    for manager in ("aurora", "borealis"):
        with world.within(manager):
            MandateDecision.objects.all().delete()
    after, turns = stubs.clear_away(seconds=-1), 1
    while after is not None:
        after, turns = stubs.clear_away(after=after, seconds=-1), turns + 1
    assert turns == 5, "two directions of two agreements, and a last look"
    assert world.count("aurora", Mandate) == world.count("borealis", Mandate) == 0


def test_what_is_sealed_while_stubs_are_cleared_away_stays(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    world.drain()
    world.decide(mandate, "accepted")
    world.portfolio(mandate, transactions=2)
    world.drain()
    become = stubs.become_the_mirror
    ending = threading.Thread(target=_cut, args=(world, agreement))

    def become_after_the_end(cursor: Any, **kwargs: Any) -> None:
        ending.start()
        ending.join(30)
        become(cursor, **kwargs)

    monkeypatch.setattr(stubs, "become_the_mirror", become_after_the_end)
    assert clear(world) == 0
    monkeypatch.undo()
    with world.within("aurora"):
        assert Client.objects.get().name == "Ann Example"
        assert Client.objects.get().retired_at is not None


def _cut(world: World, agreement: Agreement) -> None:
    try:
        cut(world, agreement)
    finally:
        connection.close()
