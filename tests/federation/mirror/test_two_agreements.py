"""Rows that pass from one agreement to another between the same two, while a stream is behind."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from clients.models import Client, ContactDetail, KycStatus, Mandate
from federation.mirror import batch, control
from federation.mirror.batch import run_batch
from federation.models import ParkedRow, RecordsHold, SealedRecords
from models_portfolio.models import ModelVersion, Offer, Target
from portfolios.models import Holding, Portfolio, Security, Transaction
from tests.federation.mirror import everything
from tests.federation.mirror.beside import beside
from tests.federation.mirror.test_overlap import withhold
from tests.federation.mirror.world import TODAY, World


def move(world: World, portfolio: Portfolio, mandate: Mandate | None) -> None:
    with world.within("aurora"):
        Portfolio.objects.filter(pk=portfolio.pk).update(mandate=mandate and mandate.pk)


def meanwhile(monkeypatch: pytest.MonkeyPatch, point: str, do: Callable[[], Any]) -> None:
    """Have something done on a connection of its own, once, when a batch comes to this point."""
    done: list[str] = []

    def at_point(name: str) -> None:
        if name == point and not done and threading.current_thread() is threading.main_thread():
            done.append(name)
            thread = beside(do)
            thread.start()
            thread.join(30)

    monkeypatch.setattr(batch, "failpoint", at_point)


def all_is_well(world: World, *agreements: Any) -> None:
    world.drain()
    for agreement in agreements:
        world.assert_in_step(agreement)
    assert not ParkedRow.objects.exists()
    assert world.strays() == []
    assert world.orphans("harbour") == world.orphans("aurora") == []


def test_f13_a_portfolio_that_comes_back_stays_though_the_others_batch_saw_it_away(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = world.agree(), world.agree()
    mandate = world.mandate(first)
    world.drain()
    portfolio = world.portfolio(mandate, transactions=3)
    world.drain()
    move(world, portfolio, None)

    def come_back() -> None:
        move(world, portfolio, mandate)
        run_batch(world.stream(first, "aurora").pk)

    meanwhile(monkeypatch, "after_keys", come_back)
    run_batch(world.stream(second, "aurora").pk)
    all_is_well(world, first, second)
    assert world.count("harbour", Transaction) == 3


def test_f13_a_portfolio_that_was_with_the_other_for_a_moment_has_all_its_records(world: World) -> None:
    first, second = world.agree(), withhold(world, world.agree(), "portfolios.Transaction")
    here, there = world.mandate(first), world.mandate(second)
    world.drain()
    portfolio = world.portfolio(here, transactions=3)
    world.drain()
    move(world, portfolio, there)
    # The other's stream is slow.
    run_batch(world.stream(first, "aurora").pk)
    move(world, portfolio, here)
    all_is_well(world, first, second)
    assert world.count("harbour", Transaction) == 3


def test_p2_what_hung_off_a_deleted_mandate_goes_though_the_others_stream_was_quicker(world: World) -> None:
    first, second = world.agree(), withhold(world, world.agree(), "clients.ContactDetail")
    mandate = world.mandate(first)
    world.drain()
    assert world.count("aurora", ContactDetail) == 1
    with world.within("harbour"):
        Mandate.objects.filter(pk=mandate.pk).delete()
    run_batch(world.stream(second, "harbour").pk)
    all_is_well(world, first, second)
    assert world.count("aurora", ContactDetail) == world.count("aurora", Client) == 0


def test_p2_what_hung_off_two_deleted_mandates_goes_though_the_others_stream_was_quicker(
    world: World,
) -> None:
    first, second = world.agree(), withhold(world, world.agree(), "clients.ContactDetail")
    client = world.client("harbour")
    mandates = [world.mandate(each, client=client) for each in (first, second)]
    world.drain()
    with world.within("harbour"):
        Mandate.objects.filter(pk__in=[each.pk for each in mandates]).delete()
    run_batch(world.stream(second, "harbour").pk)
    all_is_well(world, first, second)
    assert world.count("aurora", ContactDetail) == world.count("aurora", Client, retired_at=None) == 0


def test_p1_a_client_that_was_away_for_a_moment_comes_back_whole(world: World) -> None:
    first, second = withhold(world, world.agree(), "clients.ContactDetail"), world.agree()
    client = world.client("harbour")
    mandates = [world.mandate(each, client=client) for each in (first, second)]
    world.drain()
    with world.within("harbour"):
        Mandate.objects.filter(pk__in=[each.pk for each in mandates]).update(status=Mandate.Status.WITHDRAWN)
    run_batch(world.stream(first, "harbour").pk)
    with world.within("harbour"):
        Mandate.objects.filter(pk=mandates[1].pk).update(status=Mandate.Status.SUBMITTED)
    all_is_well(world, first, second)
    assert world.count("aurora", Client, retired_at=None) == world.count("aurora", ContactDetail) == 1


def test_p1_targets_follow_a_version_that_the_others_stream_has_brought(world: World) -> None:
    first, second = world.agree(), withhold(world, world.agree(), "models_portfolio.Target")
    model = everything.offer(world, first).model
    security = world.security()
    with world.within("aurora"):
        Offer.objects.create(model_id=model.pk, agreement=second.pk, name="Too", risk_level=3, currency="EUR")
        version = ModelVersion.objects.create(model_id=model.pk, number=7, effective_from=TODAY)
        target = Target.objects.create(version=version, security=security, weight="1")
    world.drain()
    assert world.count("harbour", ModelVersion, pk=version.pk) == 0
    with world.within("aurora"):
        ModelVersion.objects.filter(pk=version.pk).update(state="published", published_at=timezone.now())
    run_batch(world.stream(second, "aurora").pk)
    assert world.count("harbour", ModelVersion, pk=version.pk) == 1
    all_is_well(world, first, second)
    assert world.count("harbour", Target, pk=target.pk) == 1


def test_p2_a_client_under_a_rejected_mandate_is_sealed_with_the_agreement_of_the_other(world: World) -> None:
    first, second = world.agree(), world.agree()
    client = world.client("harbour")
    rejected, accepted = (world.mandate(each, client=client) for each in (first, second))
    world.drain()
    world.decide(rejected, "rejected")
    world.decide(accepted, "accepted")
    world.drain()
    with world.within("aurora"):
        assert Mandate.objects.get(pk=rejected.pk).retired_at is not None
    world.change(second, state="terminated", ended_at=timezone.now())
    with world.within("aurora"):
        assert Client.objects.get().retired_at is not None
        assert ContactDetail.objects.get().retired_at is not None


def test_f13_two_portfolios_change_places_between_two_agreements(world: World) -> None:
    first, second = world.agree(), world.agree()
    here, there = world.mandate(first), world.mandate(second)
    world.drain()
    one, two = world.portfolio(here, transactions=3), world.portfolio(there, transactions=4)
    world.drain()
    with world.within("aurora"), transaction.atomic():
        for portfolio, mandate in ((one, None), (two, here), (one, there)):
            Portfolio.objects.filter(pk=portfolio.pk).update(mandate=mandate and mandate.pk)
    all_is_well(world, first, second)
    assert world.count("harbour", Transaction, portfolio_id=one.pk) == 3
    assert world.count("harbour", Transaction, portfolio_id=two.pk) == 4


@pytest.mark.parametrize("quicker", [0, 1])
def test_p2_a_portfolio_leaves_behind_what_its_new_agreement_does_not_share(
    world: World, quicker: int
) -> None:
    agreements = (
        world.agree(),
        withhold(world, world.agree(), "portfolios.Transaction", "portfolios.Portfolio.minimum_cash_weight"),
    )
    here, there = (world.mandate(each) for each in agreements)
    world.drain()
    portfolio = world.portfolio(here, transactions=3)
    with world.within("aurora"):
        Portfolio.objects.filter(pk=portfolio.pk).update(minimum_cash_weight="0.2")
    world.drain()
    move(world, portfolio, there)
    run_batch(world.stream(agreements[quicker], "aurora").pk)
    all_is_well(world, *agreements)
    assert world.count("harbour", Transaction) == 0
    with world.within("harbour"):
        assert not Portfolio.objects.get().minimum_cash_weight


def test_p2_what_moved_to_an_agreement_that_ends_before_its_stream_comes_is_not_seen(world: World) -> None:
    first, second = world.agree(), world.agree()
    here, there = world.mandate(first), world.mandate(second)
    world.drain()
    for each in (here, there):
        world.decide(each, "accepted")
    portfolio = world.portfolio(here, transactions=3)
    world.drain()
    move(world, portfolio, there)
    run_batch(world.stream(first, "aurora").pk)
    world.change(second, state="terminated", ended_at=timezone.now())
    all_is_well(world, first)
    assert world.count("harbour", Portfolio, retired_at=None) == 0
    assert world.count("harbour", Transaction, retired_at=None) == 0


@pytest.mark.parametrize("then", ["end", "narrow", "refill"])
def test_p2_nothing_is_left_behind_by_an_agreement_whose_stream_did_not_see_a_portfolio_move(
    world: World, then: str
) -> None:
    weight = "portfolios.Portfolio.minimum_cash_weight"
    first, second = world.agree(), withhold(world, world.agree(), "portfolios.Transaction", weight)
    here, there = world.mandate(first), world.mandate(second)
    world.drain()
    portfolio = world.portfolio(here, transactions=3)
    with world.within("aurora"):
        Portfolio.objects.filter(pk=portfolio.pk).update(minimum_cash_weight="0.2")
    world.drain()
    move(world, portfolio, there)
    run_batch(world.stream(second, "aurora").pk)
    if then == "end":
        world.change(first, state="terminated", ended_at=timezone.now())
    elif then == "narrow":
        withhold(world, first, "portfolios.Transaction", weight)
    else:
        control.refill(world.stream(first, "aurora"))
    all_is_well(world, second)
    assert world.count("harbour", Transaction) == 0
    with world.within("harbour"):
        assert not Portfolio.objects.get().minimum_cash_weight


@pytest.mark.parametrize("is_held", [False, True], ids=["free", "held"])
def test_f13_what_its_owner_has_made_anew_takes_the_place_of_what_was_sealed(
    world: World, is_held: bool
) -> None:
    first = world.agree()
    mandate = world.mandate(first)
    world.drain()
    world.decide(mandate, "accepted")
    portfolio, security = world.portfolio(mandate), world.security()
    make_status(world, mandate)
    make_holding(world, portfolio, security)
    world.drain()
    world.change(first, state="terminated", ended_at=timezone.now())
    if is_held:
        for kept in SealedRecords.objects.all():
            RecordsHold.objects.create(sealed=kept, reason="As a test.")
    with world.within("aurora"):
        Holding.objects.own()._raw_delete("default")
    with world.within("harbour"):
        KycStatus.objects.own()._raw_delete("default")
    make_holding(world, portfolio, security)
    make_status(world, mandate)
    second = world.agree()
    following = world.mandate(second, client=mandate.client)
    world.drain()
    move(world, portfolio, following)
    if is_held:
        world.drain()
        assert sorted(ParkedRow.objects.values_list("kind", flat=True)) == [
            "clients.KycStatus", "portfolios.Holding",
        ]  # fmt: skip
        assert world.count("harbour", Holding, retired_at__isnull=False) == 1
        RecordsHold.objects.all().delete()
        ParkedRow.objects.update(retry_at=timezone.now())
    all_is_well(world, second)
    assert world.count("harbour", Holding) == world.count("aurora", KycStatus) == 1


def make_status(world: World, mandate: Mandate) -> None:
    with world.within("harbour"):
        KycStatus.objects.create(client_id=mandate.client_id, state="approved")


def make_holding(world: World, portfolio: Portfolio, security: Security) -> None:
    with world.within("aurora"):
        Holding.objects.create(
            portfolio=portfolio,
            security=security,
            currency="EUR",
            quantity=1,
            settled_quantity=1,
            as_of=TODAY,
        )
