"""What is left of a model, client or benchmark under two agreements when one or both let it go."""

import pytest
from django.utils import timezone

from clients.models import Client, Mandate, Note
from federation.mirror.batch import run_batch
from federation.models import Agreement
from models_portfolio.models import ModelPortfolio, ModelVersion, Offer, Target
from portfolios.models import Benchmark, BenchmarkValue
from tests.federation.mirror import everything
from tests.federation.mirror.test_overlap import personal, withhold
from tests.federation.mirror.test_two_agreements import all_is_well
from tests.federation.mirror.world import World


@pytest.mark.parametrize("how", ["withdrawn", "withdrawn from the quicker", "ended", "narrowed"])
def test_f13_a_model_under_two_agreements_keeps_what_the_other_shares_of_it(world: World, how: str) -> None:
    left_out = (
        "models_portfolio.Target",
        "portfolios.BenchmarkValue",
        "models_portfolio.ModelPortfolio.name",
    )
    first, second = world.agree(), withhold(world, world.agree(), *left_out)
    offer = everything.offer(world, first)
    with world.within("aurora"):
        Offer.objects.create(model=offer.model, agreement=second.pk, name="Too", risk_level=3, currency="EUR")
    world.drain()
    assert world.count("harbour", Target) == 2
    assert world.count("harbour", BenchmarkValue) == 1
    if how.startswith("withdrawn"):
        with world.within("aurora"):
            Offer.objects.filter(pk=offer.pk).delete()
        if how != "withdrawn":
            run_batch(world.stream(second, "aurora").pk)
    elif how == "ended":
        world.change(first, state="terminated", ended_at=timezone.now())
    else:
        withhold(world, first, *left_out)
    all_is_well(world, second)
    with world.within("harbour"):
        assert ModelPortfolio.objects.get().name == ""
        assert ModelVersion.objects.get().retired_at is None
        assert Benchmark.objects.get().retired_at is None
    assert world.count("harbour", Target) == world.count("harbour", BenchmarkValue) == 0


@pytest.mark.parametrize("quicker", [0, 1])
def test_p2_a_client_under_two_deleted_mandates_leaves_nothing_of_what_one_alone_shared(
    world: World, quicker: int
) -> None:
    agreements = withhold(world, world.agree(), "clients.Client.national_id"), world.agree()
    client = personal(world)
    mandates = [world.mandate(each, client=client) for each in agreements]
    world.drain()
    with world.within("harbour"):
        Mandate.objects.filter(pk__in=[each.pk for each in mandates]).delete()
    run_batch(world.stream(agreements[quicker], "harbour").pk)
    all_is_well(world, *agreements)
    with world.within("aurora"):
        # The risk profile, which a mandate of the other still named, may have kept it as a stub.
        assert not Client.objects.current().exists()
        assert {(stub.name, stub.national_id) for stub in Client.objects.all()} <= {("", "")}


def test_p2_a_stub_is_blank_of_what_another_agreement_alone_shared(world: World) -> None:
    first, second = withhold(world, world.agree(), "clients.Client.national_id"), world.agree()
    client = personal(world)
    mandates = [world.mandate(each, client=client) for each in (first, second)]
    world.drain()
    with world.within("aurora"):
        Note.objects.create(client_id=client.pk, text="Our own words.")
    with world.within("harbour"):
        Mandate.objects.filter(pk__in=[each.pk for each in mandates]).delete()
    # The one that does not share the field is the last to let go of the client.
    run_batch(world.stream(second, "harbour").pk)
    all_is_well(world, first, second)
    with world.within("aurora"):
        stub = Client.objects.get()
        assert (stub.name, stub.national_id, stub.retired_at is not None) == ("", "", True)


def offered_under_both(world: World, first: Agreement, second: Agreement) -> Offer:
    """Offer a model with a benchmark under two agreements of the same two."""
    offer = everything.offer(world, first)
    with world.within("aurora"):
        Offer.objects.create(model=offer.model, agreement=second.pk, name="Too", risk_level=3, currency="EUR")
    world.drain()
    assert world.count("harbour", BenchmarkValue) == 1
    return offer


@pytest.mark.parametrize("quicker", [0, 1])
def test_p2_a_model_that_both_agreements_withdraw_takes_along_what_only_one_shared(
    world: World, quicker: int
) -> None:
    agreements = withhold(world, world.agree(), "portfolios.Benchmark"), world.agree()
    offered_under_both(world, *agreements)
    with world.within("aurora"):
        Offer.objects.own().delete()
    run_batch(world.stream(agreements[quicker], "aurora").pk)
    all_is_well(world, *agreements)
    for kind in (Offer, ModelPortfolio, ModelVersion, Target, Benchmark, BenchmarkValue):
        assert world.count("harbour", kind) == 0


@pytest.mark.parametrize("quicker", [0, 1])
def test_p2_a_benchmark_that_a_model_under_two_agreements_no_longer_names_goes(
    world: World, quicker: int
) -> None:
    agreements = world.agree(), world.agree()
    offer = offered_under_both(world, *agreements)
    with world.within("aurora"):
        ModelPortfolio.objects.filter(pk=offer.model_id).update(benchmark=None)
    run_batch(world.stream(agreements[quicker], "aurora").pk)
    all_is_well(world, *agreements)
    assert world.count("harbour", Benchmark, retired_at=None) == world.count("harbour", BenchmarkValue) == 0
