"""How the receiver's apps hear of what arrived."""

import uuid
from unittest import mock

import pytest
from celery import current_app
from django.utils import timezone

from accounts.records import record_arrived
from clients.models import Mandate
from federation import tasks
from federation.mirror import arrivals, dispatch
from federation.mirror.batch import run_batch
from federation.mirror.outcome import Outcome
from federation.models import Arrival
from portfolios.models import Portfolio
from tests.federation.mirror.beside import beside
from tests.federation.mirror.world import World


def test_new_mandates_are_announced_once_in_the_receivers_schema_in_the_order_they_were_made(
    world: World,
) -> None:
    agreement = world.agree()
    mandates = [world.mandate(agreement) for _ in range(6)]
    # However the server goes about it.
    world.execute("SET enable_sort = off")
    try:
        world.drain()
    finally:
        world.execute("RESET enable_sort")
    heard = mock.Mock()
    record_arrived.connect(heard, sender=Mandate, weak=False)
    try:
        assert arrivals.deliver(agreement.manager) == len(mandates)
        assert arrivals.deliver(agreement.manager) == 0
    finally:
        record_arrived.disconnect(heard, sender=Mandate)
    assert [call.kwargs["key"] for call in heard.call_args_list] == [each.pk for each in mandates]
    assert not Arrival.objects.filter(handled_at=None).exists()


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

    def follow(key: uuid.UUID, **_: object) -> None:
        # As a listener does that opens accounts.
        Portfolio.objects.select_for_update().get(pk=key)
        delivered.append(key)
        if len(delivered) == len(portfolios):
            editor = beside(edit)
            editor.start()
            editor.join(30)

    record_arrived.connect(follow, sender=Portfolio)
    try:
        assert arrivals.deliver(agreement.channel) == len(portfolios)
    finally:
        record_arrived.disconnect(follow, sender=Portfolio)
    assert outcomes == [Outcome.DONE]
    assert world.count("harbour", Portfolio, name="Edited") == 1


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


def test_p7_a_row_that_a_listener_fails_for_is_announced_later_and_keeps_no_other_from_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    agreement = world.agree()
    mandates = [world.mandate(agreement) for _ in range(3)]
    world.drain()
    told: list[uuid.UUID] = []
    fails = True

    def listen(key: uuid.UUID, **_: object) -> None:
        if fails and key == mandates[0].pk:
            raise ValueError("not yet")
        told.append(key)

    sent: list[str] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, **_: sent.append(name))
    stream = world.stream(agreement, "harbour").pk
    record_arrived.connect(listen, sender=Mandate)
    try:
        arrivals.deliver(agreement.manager)
        assert set(told) == {mandates[1].pk, mandates[2].pk}
        # Each batch asks for a delivery where there is something to tell.
        arrivals.hint(stream)
        assert sent == []
        fails = False
        Arrival.objects.update(retry_at=timezone.now())
        arrivals.hint(stream)
        assert sent == ["federation.tasks.deliver_arrivals"]
        arrivals.deliver(agreement.manager)
        assert told[2:] == [mandates[0].pk]
    finally:
        record_arrived.disconnect(listen, sender=Mandate)
    assert not Arrival.objects.filter(handled_at=None).exists()
