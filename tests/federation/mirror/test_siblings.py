"""Several agreements of the same two: each stream gets its turn beside the loads and edits of the others."""

import time
import uuid
from types import SimpleNamespace
from typing import Any

import pytest

from clients.models import Mandate
from federation.mirror import batch, dispatch
from federation.mirror.batch import run_batch
from federation.mirror.outcome import Outcome
from federation.mirror.overlap import settle
from federation.mirror.plan import Plan
from federation.scope import Flow
from portfolios.models import Portfolio, Transaction
from tests.federation.mirror.test_overlap import withhold
from tests.federation.mirror.test_two_agreements import all_is_well
from tests.federation.mirror.world import World


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


@pytest.mark.parametrize("at_once", [10, 100])
def test_f15_a_load_lets_an_edit_under_another_agreement_of_the_same_two_pass(
    world: World, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    loaded, edited = world.agree(), world.agree()
    large, beside = (world.mandate(each) for each in (loaded, edited))
    world.drain()
    portfolio = world.portfolio(large)
    world.portfolio(beside)
    world.drain()
    monkeypatch.setattr("federation.mirror.keys.BATCH_KEYS", at_once)
    monkeypatch.setattr(dispatch, "LONG_SECONDS", 0)
    # The edit comes behind what is a load in the log that both read.
    monkeypatch.setattr(dispatch, "QUICK_KEYS", 5)
    for _ in range(5):
        world.transactions(portfolio, 10)
    with world.within("aurora"):
        Portfolio.objects.filter(mandate=beside.pk).update(name="Edited")
    # A worker has the question about it in hand, and finds the load at work.
    dispatch.is_asked_again(world.stream(edited, "aurora").pk)
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
    assert arrived[0] == min(at_once, 50), "after the first batch of the load"
    assert world.count("harbour", Transaction) == 50


def test_p7_what_is_more_than_an_edit_is_asked_for_again_where_a_load_lets_it_pass(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded, other = world.agree(), world.agree()
    portfolio = world.managed(other)
    monkeypatch.setattr(dispatch, "QUICK_KEYS", 5)
    world.transactions(portfolio, 10)
    waiting = world.stream(other, "aurora").pk
    dispatch.hint(waiting)
    dispatch._serve_siblings(
        world.stream(loaded, "aurora").pk, most=dispatch.QUICK_KEYS, until=time.monotonic() + 9
    )
    assert world.count("harbour", Transaction) == 0
    assert dispatch.is_asked_again(waiting)


def test_p7_edits_that_keep_coming_let_those_under_another_agreement_of_the_same_two_pass(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy, other = world.agree(), world.agree()
    mandates = {world.stream(each, "harbour").pk: world.mandate(each) for each in (busy, other)}
    world.drain()
    stream, beside = mandates
    clock = 0.0
    looked: list[uuid.UUID] = []

    def edit(pk: uuid.UUID, answer: str) -> None:
        with world.within("harbour"):
            Mandate.objects.filter(pk=mandates[pk].pk).update(answer=answer)
        dispatch.hint(pk)

    def edited_behind(pk: uuid.UUID, **kwargs: Any) -> Outcome:
        nonlocal clock
        outcome = run_batch(pk, **kwargs)
        looked.append(pk)
        # No single batch is a long one.
        clock += dispatch.LONG_SECONDS * 0.6
        if pk == stream:
            edit(stream, str(len(looked)))
        else:
            assert world.count("aurora", Mandate, answer="Beside") == 1
        return outcome

    edit(stream, "First")
    edit(beside, "Beside")
    monkeypatch.setattr(dispatch, "run_batch", edited_behind)
    monkeypatch.setattr(dispatch, "time", SimpleNamespace(monotonic=lambda: clock))
    assert dispatch.apply(stream, seconds=dispatch.LONG_SECONDS * 2.5) == Outcome.DONE
    assert looked == [stream, stream, beside, stream, stream]


def test_a_stream_passes_over_what_stands_under_another_agreement_of_the_same_two(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = world.agree(), world.agree()
    portfolio = world.managed(first, transactions=3)
    planned: list[int] = []

    def seen(cursor: Any, flow: Flow, plan: Plan) -> None:
        planned.append(sum(counts.total() for counts in plan.counts.values()))
        settle(cursor, flow, plan)

    monkeypatch.setattr(batch, "settle", seen)
    with world.within("aurora"):
        Portfolio.objects.filter(pk=portfolio.pk).update(name="Edited")
    world.transactions(portfolio, 2)
    for agreement, count in ((first, 3), (second, 0)):
        assert run_batch(world.stream(agreement, "aurora").pk) == Outcome.DONE
        assert planned.pop() == count


def test_p2_a_field_that_the_new_agreement_does_not_share_is_blank_whichever_stream_is_quicker(
    world: World,
) -> None:
    here, there = world.agree(), withhold(world, world.agree(), "portfolios.Transaction.text")
    mandates = [world.mandate(each) for each in (here, there)]
    world.drain()
    for order in ((there, here), (here, there)):
        portfolio = world.portfolio(mandates[0], transactions=3)
        world.drain()
        with world.within("aurora"):
            Portfolio.objects.filter(pk=portfolio.pk).update(mandate=mandates[1].pk)
        for agreement in order:
            run_batch(world.stream(agreement, "aurora").pk)
        all_is_well(world, here, there)
        assert world.count("harbour", Transaction, portfolio=portfolio.pk, text__gt="") == 0
        with world.within("aurora"):
            Portfolio.objects.filter(pk=portfolio.pk).update(mandate=None)


def test_p7_a_turn_lasts_as_long_as_the_batch_that_it_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded, other = world.agree(), world.agree()
    portfolio = world.managed(loaded)
    monkeypatch.setattr("federation.mirror.keys.BATCH_KEYS", 10)
    monkeypatch.setattr("federation.mirror.keys._SLICE", 5)
    world.transactions(portfolio, 60)
    stream, beside = (world.stream(each, "aurora").pk for each in (loaded, other))
    clock = 0.0
    looked: list[uuid.UUID] = []

    def seen(pk: uuid.UUID, **kwargs: Any) -> Outcome:
        nonlocal clock
        looked.append(pk)
        clock += dispatch.TURN_SECONDS * (3 if pk == stream else 1)
        return run_batch(pk, **kwargs)

    dispatch.hint(beside)
    monkeypatch.setattr(dispatch, "run_batch", seen)
    monkeypatch.setattr(dispatch, "time", SimpleNamespace(monotonic=lambda: clock))
    assert dispatch.apply(stream, seconds=1_000) == Outcome.DONE
    assert looked[:5] == [stream, beside, beside, beside, stream]
