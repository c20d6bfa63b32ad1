"""Who is asked to look after a commit, and what becomes of a question."""

import datetime
import uuid
from typing import Any

import pytest
from django.conf import settings

from clients.models import Mandate
from federation.checks import check_scope
from federation.mirror import control, dispatch
from federation.mirror.batch import run_batch
from federation.mirror.dispatcher import Dispatcher
from federation.mirror.outcome import Outcome
from federation.models import Stream
from federation.monitor import watch
from tests.federation.mirror.beside import beside
from tests.federation.mirror.world import World


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The streams that a worker has been asked to look at."""
    found: list[object] = []
    monkeypatch.setattr(dispatch, "hint", lambda pk, **_: found.append(pk))
    return found


def test_an_edit_wakes_the_streams_of_its_own_agreement_alone(world: World, asked: list[object]) -> None:
    first, second = world.agree("aurora"), world.agree("borealis")
    mandates = {agreement.pk: world.mandate(agreement) for agreement in (first, second)}
    world.drain()
    dispatcher = Dispatcher()
    # From here on the dispatcher knows what it has seen.
    dispatcher.poll()
    with world.within("harbour"):
        Mandate.objects.filter(pk=mandates[first.pk].pk).update(answer="Once")
    dispatcher.poll()
    asked.clear()
    with world.within("harbour"):
        Mandate.objects.filter(pk=mandates[second.pk].pk).update(answer="Twice")
    assert dispatcher.poll()
    assert asked == [world.stream(second, "harbour").pk]
    assert not dispatcher.poll()


def test_p7_what_is_written_as_soon_as_an_agreement_begins_wakes_its_streams(
    world: World, asked: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = world.agree()
    mandate = world.mandate(first)
    dispatcher = Dispatcher()
    world.drain()
    dispatcher.poll()
    world.portfolio(mandate)
    # Now it knows the institution's streams, and for how long is no matter here.
    dispatcher.poll()
    monkeypatch.setattr("federation.mirror.dispatcher.KNOWN_SECONDS", 3_600)
    second = world.agree("aurora", "lakeside")
    other = world.mandate(second, "lakeside")
    world.drain()
    dispatcher.poll()
    asked.clear()
    world.portfolio(other)
    dispatcher.poll()
    assert asked == [world.stream(second, "aurora").pk]


def test_p7_a_question_about_a_stream_that_another_worker_holds_goes_back_to_that_one(world: World) -> None:
    agreement = world.agree()
    world.mandate(agreement)
    world.drain()
    stream = world.stream(agreement, "harbour")
    holder = world.another_connection()
    holder.execute("SELECT FROM public.federation_stream WHERE id = %s FOR UPDATE", [stream.pk])
    dispatch.hint(stream.pk)
    assert dispatch.apply(stream.pk, seconds=5) == Outcome.BUSY
    # The holder finds it after its commit.
    holder.rollback()
    assert dispatch.is_asked_again(stream.pk)


def test_p7_what_is_asked_while_a_batch_is_at_work_is_looked_at_after_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    agreement = world.agree()
    world.mandate(agreement)
    world.drain()
    stream = world.stream(agreement, "harbour")
    looked: list[Outcome] = []

    def edited_behind(pk: uuid.UUID, *, most: int | None = None) -> Outcome:
        looked.append(run_batch(pk, most=most))
        if len(looked) == 1:
            with world.within("harbour"):
                Mandate.objects.update(answer="Behind the batch")
            dispatch.hint(pk)
        return looked[-1]

    dispatch.hint(stream.pk)
    monkeypatch.setattr(dispatch, "run_batch", edited_behind)
    dispatch.apply(stream.pk, seconds=5)
    assert looked == [Outcome.IDLE, Outcome.DONE]
    assert not dispatch.is_asked_again(stream.pk)


def test_a_client_of_two_managers_wakes_both(world: World, asked: list[object]) -> None:
    first, second = world.agree("aurora"), world.agree("borealis")
    mandate = world.mandate(first)
    world.mandate(second, client=mandate.client)
    world.drain()
    dispatcher = Dispatcher()
    dispatcher.poll()
    with world.within("harbour"):
        mandate.client.save()
    dispatcher.poll()
    asked.clear()
    with world.within("harbour"):
        mandate.client.save()
    dispatcher.poll()
    assert set(asked) == {world.stream(each, "harbour").pk for each in (first, second)}


def test_a_sweep_asks_only_for_streams_that_are_behind(world: World, asked: list[object]) -> None:
    agreement = world.agree()
    world.agree("borealis", "lakeside")
    world.drain()
    asked.clear()
    Dispatcher().sweep()
    assert asked == []
    world.mandate(agreement)
    Dispatcher().sweep()
    assert asked == [world.stream(agreement, "harbour").pk]


def test_a_suspended_agreement_is_not_asked_for(world: World, asked: list[object]) -> None:
    agreement = world.agree()
    control.refill(world.stream(agreement, "aurora"))
    world.suspend(agreement)
    world.mandate(agreement)
    asked.clear()
    assert dispatch.due_ids() == set()
    Dispatcher().sweep()
    assert asked == []


def test_redis_away_leaves_the_work_to_the_sweep(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "REDIS_URL", "unix:///nonexistent/redis.sock")
    monkeypatch.setattr(dispatch, "_redis", dispatch._redis.__wrapped__)
    agreement = world.agree()
    mandate = world.mandate(agreement)
    dispatch.hint(world.stream(agreement, "harbour").pk)
    monkeypatch.setattr(dispatch, "HINT_SECONDS", -1)
    dispatcher = Dispatcher()
    dispatcher.sweep()
    dispatcher.sweep()
    assert world.count("aurora", Mandate, pk=mandate.pk) == 1


def test_p7_a_worker_that_is_asked_again_and_again_leaves_the_rest_to_another_task(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    stream = world.stream(agreement, "harbour").pk
    looked: list[Outcome] = []

    def edited_behind(pk: uuid.UUID, **kwargs: Any) -> Outcome:
        looked.append(run_batch(pk, **kwargs))
        with world.within("harbour"):
            Mandate.objects.filter(pk=mandate.pk).update(answer=str(len(looked)))
        if len(looked) < 100:
            dispatch.hint(pk)
        return looked[-1]

    monkeypatch.setattr(dispatch, "run_batch", edited_behind)
    assert dispatch.apply(stream, seconds=0.2) == Outcome.DONE
    assert len(looked) < 100
    assert dispatch.is_asked_again(stream), "by another task"


def test_f19_an_edit_does_not_wait_for_the_watch(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    agreement = world.agree()
    world.mandate(agreement)
    world.drain()
    outcomes: list[Outcome] = []
    streams: list[uuid.UUID] = []
    tell = watch._tell

    def told(look: watch._Look, now: datetime.datetime) -> None:
        tell(look, now)
        streams.append(look.stream.pk)
        batch = beside(lambda: outcomes.extend(run_batch(pk) for pk in streams[:-1]))
        batch.start()
        batch.join(30)

    monkeypatch.setattr(watch, "_tell", told)
    watch.look()
    # Both fills were told of, and meanwhile nobody else held the stream of the first.
    assert len(streams) == 2
    assert outcomes == [Outcome.IDLE]


def test_f12_a_stream_that_begins_anew_between_two_looks_of_the_sweep_is_behind(world: World) -> None:
    agreement = world.agree()
    known = dispatch.due_ids()
    assert known == set()
    control.refill(world.stream(agreement, "harbour"))
    streams = list(Stream.objects.filter(agreement=agreement))
    assert dispatch.behind(streams, known=known) == [world.stream(agreement, "harbour")]


def test_the_system_check_finds_nothing_to_complain_of() -> None:
    assert check_scope(None) == []
