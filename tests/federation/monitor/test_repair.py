"""A repair or a comparison is asked for at any moment: nobody waits for the mirror, a worker does."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client as Browser
from django.urls import reverse

from federation.mirror import lease
from federation.models import Agreement, AgreementEvent, Proof, Stream
from federation.monitor import proof
from tests import factories
from tests.federation.mirror.beside import beside
from tests.federation.mirror.processes import Processes, eventually, state_of_streams
from tests.federation.mirror.test_life_under_load import writing
from tests.federation.mirror.world import World

PROVER = ["-m", "celery", "-A", "config", "worker", "-Q", "work", "-P", "solo", "-l", "error"]


@contextmanager
def batch_in_hand(stream: Stream) -> Iterator[None]:
    """Hold a stream's lease, as a worker does while it applies."""
    taken, done = threading.Event(), threading.Event()

    def hold() -> None:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                assert isinstance(lease.take(cursor, stream.pk), lease.Lease)
                taken.set()
                done.wait(30)
        finally:
            taken.set()
            connection.close()

    worker = threading.Thread(target=hold)
    worker.start()
    taken.wait()
    try:
        yield
    finally:
        done.set()
        worker.join()


def administrator(world: World, schema: str = "harbour") -> Browser:
    browser = Browser(headers={"host": f"{schema}.localhost"})
    with world.within(schema):
        browser.force_login(factories.cast().administrator)
    return browser


def press(browser: Browser, stream: Stream, **data: str) -> str:
    """Press a button of the mirror's page and return the page that follows."""
    url = reverse("federation:mirror_prove", args=[stream.pk], urlconf="config.urls")
    return browser.post(url, data, follow=True).content.decode()


@pytest.mark.parametrize("data", [{}, {"repair": "1"}], ids=["compare", "repair"])
def test_the_page_answers_while_a_batch_is_in_hand_and_a_second_press_starts_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, data: dict[str, str]
) -> None:
    sent: list[object] = []
    monkeypatch.setattr(proof, "_send", lambda pk, **_kwargs: sent.append(pk))
    agreement = world.agree()
    world.mandate(agreement)
    world.drain()
    stream = world.stream(agreement, "harbour")
    browser = administrator(world)
    with batch_in_hand(stream):
        # Were it to wait for the batch, this would refuse.
        world.execute("SET lock_timeout = '2s'")
        page = press(browser, stream, **data)
        assert 'id="proof-under-way"' in page
        assert "You can leave this page" in page
        assert "under way: see below" in press(browser, stream, **data)
        assert "under way" in press(browser, stream, repair="1")
        world.execute("SET lock_timeout = 0")
    (asked,) = Proof.objects.all()
    assert sent == [asked.pk]
    proof.run(asked.pk)
    asked.refresh_from_db()
    assert (asked.state, asked.result, asked.repairs) == ("done", "equal", bool(data))
    assert AgreementEvent.objects.filter(stream=stream, kind="repair_asked").count() == len(data)
    assert AgreementEvent.objects.filter(stream=stream, kind="proven").count() == 1


@pytest.mark.parametrize("begun", [True, False], ids=["repair", "comparison"])
def test_what_another_has_begun_meanwhile_is_told_as_what_it_is(
    world: World, monkeypatch: pytest.MonkeyPatch, begun: bool
) -> None:
    monkeypatch.setattr(proof, "_send", lambda *_args, **_kwargs: None)
    stream = world.stream(world.agree(), "harbour")
    browser = administrator(world)

    def overtake(execute: Any, statement: str, *rest: Any) -> Any:
        if "INSERT INTO" in statement and "federation_proof" in statement:
            another = beside(lambda: proof.ask(stream, repairs=begun))
            another.start()
            another.join()
        return execute(statement, *rest)

    with connection.execute_wrapper(overtake):
        page = press(browser, stream, **{} if begun else {"repair": "1"})
    assert Proof.objects.get().repairs == begun
    expected = "A repair is under way: see below" if begun else "Ask for the repair when it is done"
    assert expected in page
    assert "You can leave this page." not in page


def test_while_suspended_the_page_says_to_resume_and_nothing_is_started(world: World) -> None:
    agreement = world.agree()
    stream = world.stream(agreement, "harbour")
    world.suspend(agreement)
    browser = administrator(world)
    page = browser.get(reverse("federation:mirror_detail", args=[stream.pk], urlconf="config.urls"))
    assert "Resume everything first" in page.content.decode()
    assert b'id="repair"' not in page.content
    assert "Resume it first" in press(browser, stream, repair="1")
    assert not Proof.objects.exists()


def test_a_repair_that_a_suspension_overtakes_ends_on_the_timeline(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proof, "_send", lambda *_args, **_kwargs: None)
    agreement = world.agree()
    stream = world.stream(agreement, "harbour")
    press(administrator(world), stream, repair="1")
    world.suspend(agreement)
    proof.run(Proof.objects.get().pk)
    assert Proof.objects.get().state == "failed"
    line = AgreementEvent.objects.get(stream=stream, kind="not_proven")
    assert (line.institution, "nothing crosses" in line.note) == (world.institution("harbour"), True)


def test_a_stopped_mirror_names_what_stops_it_and_says_what_to_do(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proof, "_send", lambda *_args, **_kwargs: None)
    agreement = world.agree()
    mandate = world.mandate(agreement)
    world.drain()
    world.portfolio(mandate)
    stream, browser = world.stream(agreement, "aurora"), administrator(world, "aurora")
    world.execute("ALTER TABLE harbour.portfolios_portfolio RENAME COLUMN manager_name TO other_name")
    try:
        press(browser, stream, repair="1")
        proof.run(Proof.objects.get().pk)
        page = browser.get(reverse("federation:mirror_live", args=[stream.pk], urlconf="config.urls"))
    finally:
        world.execute("ALTER TABLE harbour.portfolios_portfolio RENAME COLUMN other_name TO manager_name")
    text = page.content.decode()
    assert "manager_name" in text
    assert "Have it put right" in text
    assert AgreementEvent.objects.filter(stream=stream, kind="not_proven").count() == 1


def test_a_repair_asked_for_during_a_load_and_edits_is_done_by_workers(
    world: World, running: Processes
) -> None:
    agreement = world.agree()
    mandates = [world.mandate(agreement) for _ in range(3)]
    world.drain()
    for mandate in mandates:
        world.decide(mandate, "accepted")
    portfolios = [world.portfolio(mandate) for mandate in mandates]
    world.drain()
    running.start(PROVER)
    stream, browser = world.stream(agreement, "aurora"), administrator(world)

    def moved() -> object:
        return [state_of_streams(), Proof.objects.values_list("moved_at", "state").get()]

    with writing(world, mandates, portfolios) as writers:
        writers.some()
        # More than an edit.
        world.transactions(portfolios[0], 2_500)
        assert "Everything is compared again" in press(browser, stream, repair="1")
        # It is repaired, and compared: a comparison looks again and again as long as somebody writes.
        eventually(
            lambda: Proof.objects.get().state not in {Proof.State.QUEUED, Proof.State.REPAIRING}, moving=moved
        )
        writers.some()
    eventually(lambda: Proof.objects.get().is_over, moving=moved)
    found = Proof.objects.get()
    # What was written meanwhile may be pending still: that is said, and is no difference.
    assert (found.state, found.problem) == ("done", "")
    assert found.result in {"equal", "undecided"}
    eventually(
        lambda: world.differences(Agreement.objects.get(pk=agreement.pk)) == [], moving=state_of_streams
    )
    assert AgreementEvent.objects.filter(stream=stream, kind__in=["repair_asked", "proven"]).count() >= 2
