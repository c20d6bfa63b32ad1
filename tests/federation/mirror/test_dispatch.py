"""Who is asked to look after a commit, and how a mirror's state reads."""

import datetime
import threading
import time
import uuid
from typing import Any
from unittest import mock

import pytest
from celery import current_app
from django.conf import settings
from django.db import connection

from accounts.records import record_arrived
from clients.models import ContactDetail, Mandate
from federation import tasks
from federation.checks import check_scope
from federation.mirror import arrivals, control, dispatch
from federation.mirror.batch import run_batch
from federation.mirror.dispatcher import Dispatcher
from federation.mirror.outcome import Outcome
from federation.mirror.status import streams_of
from federation.models import Arrival, Stream
from federation.monitor import watch
from portfolios.models import Portfolio, Transaction
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


def test_p7_a_question_about_a_stream_that_waits_for_another_of_the_same_two_comes_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = world.agree(), world.agree()
    world.mandate(second)
    world.drain()
    stream = world.stream(second, "harbour")
    sent: list[tuple[list[str], float]] = []
    dispatch.hint(stream.pk)
    monkeypatch.setattr(
        dispatch.current_app,
        "send_task",
        lambda name, *, args, countdown=0, **_: name == dispatch.TASK and sent.append((args, countdown)),
    )
    holder = world.another_connection()
    holder.execute(
        "SELECT FROM public.federation_stream WHERE id = %s FOR UPDATE", [world.stream(first, "harbour").pk]
    )
    with world.within("harbour"):
        Mandate.objects.update(answer="Meanwhile")
    assert dispatch.apply(stream.pk, seconds=5) == Outcome.BUSY
    assert dispatch.apply(stream.pk, seconds=5) == Outcome.BUSY
    assert sent == [([str(stream.pk)], dispatch.SIBLING_SECONDS)] * 2
    # A hint too many asks for nothing.
    assert dispatch.is_asked_again(stream.pk)
    assert dispatch.apply(stream.pk, seconds=5) == Outcome.BUSY
    assert len(sent) == 2
    holder.rollback()
    assert dispatch.apply(stream.pk, seconds=5) == Outcome.DONE


@pytest.mark.parametrize("batch", [10, 100])
def test_f15_a_load_lets_an_edit_under_another_agreement_of_the_same_two_pass(
    world: World, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    loaded, edited = world.agree(), world.agree()
    large, beside = (world.mandate(each) for each in (loaded, edited))
    world.drain()
    portfolio = world.portfolio(large)
    world.portfolio(beside)
    world.drain()
    monkeypatch.setattr("federation.mirror.keys.BATCH_KEYS", batch)
    monkeypatch.setattr(dispatch, "LONG_SECONDS", 0)
    # The edit comes behind what is a load in the log that both read.
    monkeypatch.setattr(dispatch, "QUICK_KEYS", 5)
    for _ in range(5):
        world.transactions(portfolio, 10)
    with world.within("aurora"):
        Portfolio.objects.filter(mandate=beside.pk).update(name="Edited")
    dispatch.hint(world.stream(edited, "aurora").pk)
    stream = world.stream(loaded, "aurora").pk
    arrived: list[int] = []
    real = run_batch

    def seen(pk: uuid.UUID, **kwargs: object) -> Outcome:
        outcome = real(pk, **kwargs)
        if pk != stream and outcome == Outcome.DONE:
            arrived.append(world.count("harbour", Transaction))
            assert world.count("harbour", Portfolio, name="Edited") == 1
        return outcome

    monkeypatch.setattr(dispatch, "run_batch", seen)
    assert dispatch.apply(stream, seconds=30) == Outcome.DONE
    assert arrived[0] == min(batch, 50), "after the first batch of the load"
    assert world.count("harbour", Transaction) == 50


def test_p7_what_is_more_than_an_edit_is_asked_for_again_where_a_load_lets_it_pass(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded, other = world.agree(), world.agree()
    mandate = world.mandate(other)
    world.drain()
    portfolio = world.portfolio(mandate)
    world.drain()
    monkeypatch.setattr(dispatch, "QUICK_KEYS", 5)
    world.transactions(portfolio, 10)
    waiting = world.stream(other, "aurora").pk
    dispatch.hint(waiting)
    dispatch._serve_siblings(
        world.stream(loaded, "aurora").pk, most=dispatch.QUICK_KEYS, until=time.monotonic() + 9
    )
    assert world.count("harbour", Transaction) == 0
    assert dispatch.is_asked_again(waiting)


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
    world.suspend(agreement)
    world.mandate(agreement)
    asked.clear()
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


def test_a_new_mandate_is_announced_once_in_the_receivers_schema(world: World) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    world.drain()
    heard = mock.Mock()
    record_arrived.connect(heard, sender=Mandate, weak=False)
    try:
        assert arrivals.deliver(agreement.manager) == 1
        assert arrivals.deliver(agreement.manager) == 0
    finally:
        record_arrived.disconnect(heard, sender=Mandate)
    assert [call.kwargs["key"] for call in heard.call_args_list] == [mandate.pk]
    assert Arrival.objects.get().handled_at is not None


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


def test_p7_what_arrived_is_announced_where_a_second_look_found_nothing_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    agreement = world.agree()
    world.mandate(agreement)
    stream = world.stream(agreement, "harbour").pk
    sent: list[str] = []
    real = run_batch

    def asked_meanwhile(pk: uuid.UUID, **kwargs: object) -> Outcome:
        outcome = real(pk, **kwargs)
        outcomes.append(outcome)
        if outcome == Outcome.DONE:
            dispatch.hint(pk)
        return outcome

    outcomes: list[Outcome] = []
    monkeypatch.setattr(dispatch, "run_batch", asked_meanwhile)
    monkeypatch.setattr(current_app, "send_task", lambda name, **_: sent.append(name))
    tasks.apply_load(str(stream))
    assert outcomes == [Outcome.DONE, Outcome.IDLE]
    assert sent.count("federation.tasks.deliver_arrivals") == 1


def test_f19_an_edit_does_not_wait_for_the_delivery_of_what_arrived_with_its_row(world: World) -> None:
    agreement = world.agree()
    mandates = [world.mandate(agreement) for _ in range(3)]
    world.drain()
    arrivals.deliver_all()
    portfolios = [world.portfolio(mandate) for mandate in mandates]
    world.drain()
    delivered: list[uuid.UUID] = []
    outcomes: list[Outcome] = []
    stream = world.stream(agreement, "aurora")

    def edit() -> None:
        with world.within("aurora"):
            Portfolio.objects.filter(pk=delivered[0]).update(name="Edited")
        outcomes.append(run_batch(stream.pk))
        connection.close()

    def follow(key: uuid.UUID, **_: object) -> None:
        # As a listener does that opens accounts.
        Portfolio.objects.select_for_update().get(pk=key)
        delivered.append(key)
        if len(delivered) == len(portfolios):
            editor = threading.Thread(target=edit)
            editor.start()
            editor.join(30)

    record_arrived.connect(follow, sender=Portfolio)
    try:
        assert arrivals.deliver(agreement.channel) == len(portfolios)
    finally:
        record_arrived.disconnect(follow, sender=Portfolio)
    assert outcomes == [Outcome.DONE]
    assert world.count("harbour", Portfolio, name="Edited") == 1


def test_f19_an_edit_does_not_wait_for_the_watch(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    agreement = world.agree()
    world.mandate(agreement)
    world.drain()
    outcomes: list[Outcome] = []
    streams: list[uuid.UUID] = []
    tell = watch._tell

    def apply() -> None:
        outcomes.extend(run_batch(pk) for pk in streams[:-1])
        connection.close()

    def told(look: watch._Look, now: datetime.datetime) -> None:
        tell(look, now)
        streams.append(look.stream.pk)
        batch = threading.Thread(target=apply)
        batch.start()
        batch.join(30)

    monkeypatch.setattr(watch, "_tell", told)
    watch.look()
    # Both fills were told of, and meanwhile nobody else held the stream of the first.
    assert len(streams) == 2
    assert outcomes == [Outcome.IDLE]


def test_many_arrivals_are_left_to_the_workers_for_loads(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    agreement = world.agree()
    for _ in range(4):
        world.mandate(agreement)
    world.drain()
    monkeypatch.setattr(arrivals, "AT_ONCE", 2)
    sent = mock.Mock()
    monkeypatch.setattr(tasks.deliver_many, "delay", sent)
    tasks.deliver_arrivals(str(agreement.manager_id))
    assert Arrival.objects.filter(handled_at=None).exists()
    sent.assert_called_once_with(str(agreement.manager_id))
    tasks.deliver_many(str(agreement.manager_id))
    assert not Arrival.objects.filter(handled_at=None).exists()


def test_the_state_of_a_mirror_reads_in_words(world: World) -> None:
    agreement = world.agree()
    outgoing, incoming = streams_of(world.institution("harbour"))
    assert (outgoing.is_outgoing, incoming.is_outgoing) == (True, False)
    assert (outgoing.state, outgoing.pending, outgoing.partner) == ("in_step", 0, agreement.manager)
    world.mandate(agreement)
    behind = streams_of(world.institution("harbour"))[0]
    assert behind.pending
    assert behind.oldest_age is not None
    theirs = streams_of(world.institution("aurora"))[1]
    assert (theirs.is_outgoing, theirs.pending) == (False, None), "p2: the log holds other clients' changes"
    _age(world)
    theirs = streams_of(world.institution("aurora"))[1]
    assert theirs.state == "behind"
    assert theirs.oldest_age is not None
    world.suspend(agreement)
    theirs = streams_of(world.institution("aurora"))[1]
    assert (theirs.state, theirs.pending, theirs.oldest_age) == ("suspended", None, None), "p5"
    Stream.objects.filter(owner=agreement.channel).update(state=Stream.State.BROKEN, problem="a reason")
    world.resume(agreement)
    assert streams_of(world.institution("harbour"))[0].last_error == "a reason"
    run_batch(world.stream(agreement, "harbour").pk)
    assert streams_of(world.institution("harbour"))[0].state == "in_step"


def _age(world: World) -> None:
    world.execute("UPDATE harbour.mirror_log SET at = at - interval '90 s'")


def test_p2_of_what_the_owner_changes_for_others_the_receiver_does_not_even_learn_when(world: World) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    world.drain()
    world.mandate(world.agree("borealis", "harbour"))
    world.mandate(None)
    _age(world)
    outgoing = streams_of(world.institution("harbour"), agreement)[0]
    assert outgoing.state == "behind", "its own log is the owner's to read"
    theirs = streams_of(world.institution("aurora"), agreement)[1]
    assert (theirs.state, theirs.words) == ("in_step", "In step")
    assert (theirs.oldest_age, theirs.pending, theirs.last_tick_at) == (None, None, None)

    with world.within("harbour"):
        Mandate.objects.filter(pk=mandate.pk).update(name="Changed")
    world.execute(
        "UPDATE harbour.mirror_log SET at = now() - interval '9 s' WHERE at > now() - interval '30 s'"
    )
    theirs = streams_of(world.institution("aurora"), agreement)[1]
    assert theirs.state == "behind"
    assert theirs.oldest_age is not None
    assert theirs.oldest_age.total_seconds() < 60, "that of the change that concerns it"


def test_p2_a_shared_row_that_was_deleted_waits_for_the_receiver_too(world: World) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    world.drain()
    with world.within("harbour"):
        ContactDetail.objects.filter(client=mandate.client_id).delete()
    _age(world)
    assert streams_of(world.institution("aurora"), agreement)[1].state == "behind"


def test_f12_a_stream_that_begins_anew_between_two_looks_of_the_sweep_is_behind(world: World) -> None:
    agreement = world.agree()
    known = dispatch.due_ids()
    assert known == set()
    control.refill(world.stream(agreement, "harbour"))
    streams = list(Stream.objects.filter(agreement=agreement))
    assert dispatch.behind(streams, known=known) == [world.stream(agreement, "harbour")]


def test_a_third_party_sees_no_stream(world: World) -> None:
    world.agree()
    assert streams_of(world.institution("lakeside")) == []


def test_the_system_check_finds_nothing_to_complain_of() -> None:
    assert check_scope(None) == []
