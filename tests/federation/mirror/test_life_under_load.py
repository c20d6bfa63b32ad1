"""The life of an agreement while people write on both sides and real workers apply: P1, P2 and P5 hold throughout."""

import contextlib
import random
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django_tenants.utils import tenant_context

from clients.models import Client, ContactDetail, Mandate, MandateDecision, Party
from federation.agreements import drafting, life, proposals
from federation.models import Agreement, AgreementVersion, SealedRecords, Stream
from portfolios.models import Portfolio, Transaction
from tests import factories
from tests.federation.mirror.processes import STILL, Processes, eventually, state_of_streams
from tests.federation.mirror.world import World

SECRET = "Unmistakable"


def act(world: World, service: Any, target: Any, schema: str, **more: Any) -> Any:
    institution = world.institution(schema)
    with world.within(schema):
        return service(target, by=factories.cast().administrator, institution=institution, **more)


class Writers:
    """Threads that write at both parties until told to stop: clients, contacts, ledgers."""

    def __init__(self, world: World, mandates: list[Mandate], portfolios: list[Portfolio]) -> None:
        self.world, self.mandates, self.portfolios = world, mandates, portfolios
        self.stopped = threading.Event()
        self.failures: list[BaseException] = []
        self.writes = 0
        self.threads = [
            threading.Thread(target=self._run, args=(each, seed), daemon=True)
            for seed, each in enumerate([self._at_the_channel, self._at_the_manager, self._at_the_channel])
        ]

    def _run(self, write: Any, seed: int) -> None:
        chance = random.Random(seed)
        try:
            while not self.stopped.wait(0.01):
                write(chance)
                self.writes += 1
        except BaseException as error:  # noqa: BLE001  (shown by the test)
            self.failures.append(error)
        finally:
            connection.close()

    def _at_the_channel(self, chance: random.Random) -> None:
        mandate = chance.choice(self.mandates)
        with tenant_context(self.world.institution("harbour")):
            Client.objects.filter(pk=mandate.client_id).update(
                name=f"{SECRET} {chance.random()}", national_id=f"N{chance.randrange(10**6)}"
            )
            ContactDetail.objects.create(
                client_id=mandate.client_id, kind="email", value=f"{chance.random()}"
            )
            Party.objects.filter(client_id=mandate.client_id).update(national_id=f"P{chance.random()}"[:20])

    def _at_the_manager(self, chance: random.Random) -> None:
        portfolio = chance.choice(self.portfolios)
        with tenant_context(self.world.institution("aurora")):
            Portfolio.objects.filter(pk=portfolio.pk).update(name=f"{SECRET} {chance.random()}")
            Transaction.objects.create(
                portfolio=portfolio, type="fee", trade_date="2026-03-02", settlement_date="2026-03-02",
                currency="EUR", net_amount=-1,
            )  # fmt: skip

    def stop(self) -> None:
        """Have all of them end; AssertionError where one hangs in what it writes."""
        self.stopped.set()
        for thread in self.threads:
            thread.join(STILL)
        assert not any(thread.is_alive() for thread in self.threads)

    def some(self, count: int = 15) -> None:
        """Wait for this many more writes."""
        target = self.writes + count
        eventually(lambda: self.writes >= target or self.failures, moving=lambda: self.writes)
        assert self.failures == []


@contextlib.contextmanager
def writing(world: World, mandates: list[Mandate], portfolios: list[Portfolio]) -> Iterator[Writers]:
    writers = Writers(world, mandates, portfolios)
    for thread in writers.threads:
        thread.start()
    try:
        yield writers
    finally:
        writers.stop()
    assert writers.failures == []


@pytest.fixture
def loaded(world: World, running: Processes) -> Iterator[tuple[World, Agreement, Writers]]:
    agreement = world.agree()
    mandates = []
    for _ in range(4):
        client = world.client("harbour", f"{SECRET} Person")
        with world.within("harbour"):
            Party.objects.create(client=client, role="joint_owner", name=SECRET, national_id="P")
        mandates.append(world.mandate(agreement, client=client))
    world.drain()
    for mandate in mandates:
        world.decide(mandate, "accepted")
    portfolios = [world.portfolio(mandate, transactions=5) for mandate in mandates]
    world.drain()
    with writing(world, mandates, portfolios) as writers:
        writers.some()
        yield world, agreement, writers


def content(schema: str) -> list[Any]:
    """Return what is received in a schema, row for row."""
    found = []
    with connection.cursor() as cursor:
        for model in (Client, ContactDetail, Party, Mandate, MandateDecision, Portfolio, Transaction):
            cursor.execute(
                f'SELECT to_jsonb(t)::text FROM "{schema}"."{model._meta.db_table}" t'
                " WHERE origin IS NOT NULL ORDER BY id"
            )
            found.append(cursor.fetchall())
    return found


def caught_up(world: World, agreement: Agreement, writers: Writers) -> None:
    """Stop writing, let the workers finish by themselves, and prove both sides equal."""
    writers.stop()
    eventually(lambda: world.differences(agreement) == [], moving=state_of_streams)
    for schema in ("aurora", "harbour"):
        assert world.orphans(schema) == []


def newest(agreement: Agreement) -> AgreementVersion:
    version = Agreement.objects.select_related("version").get(pk=agreement.pk).version
    assert version is not None
    return version


def reworded(world: World, agreement: Agreement, schema: str, *withheld: str) -> AgreementVersion:
    draft = act(world, drafting.revise, Agreement.objects.get(pk=agreement.pk), schema)
    AgreementVersion.objects.filter(pk=draft.pk).update(withheld=list(withheld))
    version: AgreementVersion = act(
        world, proposals.propose, AgreementVersion.objects.get(pk=draft.pk), schema
    )
    return version


def test_p5_suspending_and_resuming_under_load(loaded: tuple[World, Agreement, Writers]) -> None:
    world, agreement, writers = loaded
    for what, schema in (("everything", "harbour"), ("everything", "aurora")):
        act(world, life.suspend, agreement, schema, what=what)
        seen = [content("aurora"), content("harbour")]
        writers.some(30)
        assert [content("aurora"), content("harbour")] == seen
        act(world, life.resume, agreement, schema, what=what)
        writers.some()
    caught_up(world, agreement, writers)


def test_p5_new_mandates_stay_at_home_while_only_they_are_suspended_under_load(
    loaded: tuple[World, Agreement, Writers],
) -> None:
    world, agreement, writers = loaded
    act(world, life.suspend, agreement, "aurora", what="new_mandates")
    late = world.mandate(agreement)
    before = world.count("harbour", Transaction, origin__isnull=False)
    writers.some(30)
    eventually(
        lambda: world.count("harbour", Transaction, origin__isnull=False) > before, moving=state_of_streams
    )
    assert world.count("aurora", Mandate, pk=late.pk) == world.count("aurora", Client, pk=late.client_id) == 0
    act(world, life.resume, agreement, "aurora", what="new_mandates")
    eventually(lambda: world.count("aurora", Mandate, pk=late.pk) == 1, moving=state_of_streams)
    caught_up(world, agreement, writers)


def test_p2_narrowing_and_widening_under_load(loaded: tuple[World, Agreement, Writers]) -> None:
    world, agreement, writers = loaded

    def leaked() -> int:
        return world.count("aurora", Party) + world.count("aurora", Client, national_id__gt="")

    assert leaked() > 0
    narrow = reworded(world, agreement, "harbour", "clients.Party", "clients.Client.national_id")
    assert newest(agreement) == narrow, "narrowing takes one"
    for _ in range(4):
        assert leaked() == 0
        writers.some(8)
    wide = reworded(world, agreement, "harbour")
    assert newest(agreement) == narrow, "widening takes two"
    assert leaked() == 0
    act(world, proposals.accept, wide, "aurora")
    assert newest(agreement) == wide
    caught_up(world, agreement, writers)
    assert leaked() > 0


@pytest.mark.parametrize("how", ["cut", "terminate"])
def test_p5_the_end_under_load(loaded: tuple[World, Agreement, Writers], how: str) -> None:
    world, agreement, writers = loaded
    act(world, life.wind_down, agreement, "harbour")
    before = world.count("harbour", Transaction, origin__isnull=False)
    writers.some(20)
    eventually(
        lambda: world.count("harbour", Transaction, origin__isnull=False) > before, moving=state_of_streams
    )
    if how == "terminate":
        for mandate in writers.mandates:
            world.decide(mandate, "closed")
        eventually(
            lambda: world.count("harbour", MandateDecision, outcome="closed") == 4, moving=state_of_streams
        )
        act(world, life.terminate, agreement, "aurora")
    else:
        act(world, life.cut, agreement, "aurora", reason="As a test.")
    seen = [content("aurora"), content("harbour")]
    writers.some(30)
    assert [content("aurora"), content("harbour")] == seen
    assert world.count("aurora", Client, origin__isnull=False, retired_at=None) == 0
    assert world.count("harbour", Portfolio, origin__isnull=False, retired_at=None) == 0
    assert SealedRecords.objects.filter(agreement=agreement).count() == 2
    assert {each.state for each in Stream.objects.filter(agreement=agreement)} == {"ended"}
    for schema in ("aurora", "harbour"):
        assert world.orphans(schema) == []
