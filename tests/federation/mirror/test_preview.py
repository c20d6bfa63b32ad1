"""The preview counts what will cross, before and after it has."""

import datetime

from federation import scope
from federation.models import Agreement, AgreementVersion, Side
from portfolios.models import ExchangeRate, Price, PriceSource
from tests.federation.mirror.everything import everything, offer
from tests.federation.mirror.world import TODAY, World


def counts(version: AgreementVersion, side: Side) -> dict[str, int | None]:
    return {kind.label: kind.count for kind in scope.preview(version, side)}


def test_before_acceptance_reference_data_that_will_follow_is_counted(world: World) -> None:
    agreement = Agreement.objects.create(
        manager=world.institution("aurora"),
        channel=world.institution("meadow"),
        name="Not in force",
        drafted_by=world.institution("aurora"),
    )
    advice = scope.PRESETS["advice"]
    version = AgreementVersion.objects.create(
        agreement=agreement, division=dict(advice.division), private=list(advice.private)
    )
    offered = offer(world, agreement)
    world.security("aurora", "DE0007164600", name="Named by nothing")
    with world.within("aurora"):
        [security] = {
            target.security for target in offered.model.versions.get().targets.exclude(security=None)
        }
        for code, is_open in (("FREE", True), ("SECRET", False)):
            source = PriceSource.objects.create(code=code, name=code, is_redistributable=is_open)
            for days in range(3):
                day = TODAY - datetime.timedelta(days=days)
                Price.objects.create(security=security, source=source, date=day, close=1, currency="EUR")
                ExchangeRate.objects.create(source=source, date=day, currency="EUR", rate=1)
                ExchangeRate.objects.create(source=source, date=day, currency="JPY", rate=160)
    found = counts(version, Side.MANAGER)
    assert (found["portfolios.Security"], found["portfolios.Price"], found["portfolios.ExchangeRate"]) == (
        1,
        3,
        3,
    )
    assert found["portfolios.PriceSource"] == 1


def test_what_was_counted_before_is_what_stands_there_after(world: World) -> None:
    agreement = world.agree()
    everything(world, agreement)
    version = agreement.versions.get()
    for side in Side:
        before = counts(version, side)
        # Asked again once everything has crossed: nothing more is going to.
        assert counts(version, side) == before
    found = counts(version, Side.MANAGER)
    assert found["portfolios.Security"] == 3
    assert found["portfolios.Price"] == 2
