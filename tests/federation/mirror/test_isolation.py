"""Every shared kind × {no agreement, suspended, terminated, another partner, another row}."""

from django.db import connection
from django.utils import timezone
from psycopg import sql

from federation.models import ParkedRow
from federation.scope import KINDS
from models_portfolio.models import ModelPortfolio, Offer
from tests import factories
from tests.federation.mirror.everything import everything, management, offer, relationship
from tests.federation.mirror.successor import everything_in
from tests.federation.mirror.world import World

# Present as the receiver's own row, not as a received one, where it has an ISIN.
OWN_TOO = {"portfolios.Security", "portfolios.Listing"}


def received(schemas: list[str]) -> dict[tuple[str, str], int]:
    """Return how many rows of each kind a schema holds of others', and of reference data at all."""
    counts = {}
    with connection.cursor() as cursor:
        for schema in schemas:
            for kind in KINDS:
                where = sql.SQL("") if kind.label in OWN_TOO else sql.SQL(" WHERE origin IS NOT NULL")
                cursor.execute(
                    sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(schema, kind.table)) + where
                )
                counts[schema, kind.label] = cursor.fetchone()[0]
    return counts


def test_every_kind_arrives_under_an_active_agreement(world: World) -> None:
    agreement = world.agree()
    everything(world, agreement)
    counts = received(["aurora", "harbour"])
    missing = [
        kind.label for kind in KINDS if not counts["aurora", kind.label] + counts["harbour", kind.label]
    ]
    assert missing == []
    assert list(ParkedRow.objects.values_list("kind", "reason")) == []
    world.assert_in_step(agreement)
    assert world.orphans("aurora") == world.orphans("harbour") == []


def test_no_kind_crosses_without_an_agreement(world: World) -> None:
    relationship(world, None)
    offered = offer(world, None)
    management(world, None, offered.model)
    world.drain()
    others = [schema for schema in factories.STANDING if schema != "aurora"]
    assert {key: count for key, count in received(others).items() if count} == {}


def test_no_kind_reaches_another_partner(world: World) -> None:
    # Aurora and Harbour each have another partner too, to which nothing of this belongs.
    world.agree("aurora", "lakeside")
    world.agree("borealis", "harbour")
    world.agree("aurora", "meadow", "advice")
    everything(world, world.agree())
    counts = received(["borealis", "lakeside", "meadow"])
    # The source of redistributable prices is no secret; what it prices is shared with nobody here.
    leaked = {key for key, count in counts.items() if count and key[1] != "portfolios.PriceSource"}
    assert leaked == set()


def test_no_kind_crosses_while_everything_is_suspended(world: World) -> None:
    agreement = world.agree()
    known = everything(world, agreement)
    world.suspend(agreement)
    before = received(["aurora", "harbour"])
    relationship(world, agreement)
    management(world, known_for(world, known), offer(world, agreement).model)
    world.drain()
    assert _received_only(received(["aurora", "harbour"])) == _received_only(before)


def test_no_kind_crosses_after_termination(world: World) -> None:
    agreement = world.agree()
    known = everything(world, agreement)
    world.change(agreement, state="terminated", ended_at=timezone.now())
    before = received(["aurora", "harbour"])
    relationship(world, agreement)
    management(world, known_for(world, known), offer(world, agreement).model)
    world.drain()
    assert _received_only(received(["aurora", "harbour"])) == _received_only(before)


def test_no_kind_of_another_row_crosses(world: World) -> None:
    agreement = world.agree()
    everything(world, agreement)
    before = received(["aurora", "harbour"])
    relationship(world, agreement, submitted=False)
    relationship(world, None)
    management(world, None, offer(world, None).model)
    with world.within("aurora"):
        # A draft version of the offered model stays at home too.
        model = ModelPortfolio.objects.get(offers__agreement=agreement.pk)
        model.versions.create(number=2, effective_from=timezone.now().date())
        assert Offer.objects.count() == 2
    world.drain()
    assert _received_only(received(["aurora", "harbour"])) == _received_only(before)


def test_p3_advice_lets_models_through_and_nothing_back(world: World) -> None:
    agreement = world.agree("aurora", "meadow", "advice")
    offer(world, agreement)
    world.mandate(None, "meadow", client=world.client("meadow", "Zacharias Unmistakable"))
    # Even a mandate that wrongly names the agreement does not leave.
    world.mandate(agreement, "meadow", client=world.client("meadow", "Balthasar Unmistakable"))
    world.drain()
    for schema in ("aurora", "public"):
        assert "Unmistakable" not in everything_in(schema)
    assert "Unmistakable" in everything_in("meadow")
    counts = received(["aurora", "meadow"])
    assert counts["meadow", "models_portfolio.Target"] == 2
    assert {key for key, count in _received_only(counts).items() if count and key[0] == "aurora"} == set()
    world.assert_in_step(agreement)


def known_for(world: World, mandate: object) -> object:
    """Return the mandate, whose decision is already there, without its agreement's instructions."""
    with world.within("aurora"):
        from portfolios.models import Portfolio

        with_mandate = Portfolio.objects.filter(mandate_id=mandate.pk)
        # One portfolio per mandate: the new one takes the place of the old.
        for portfolio in with_mandate:
            Portfolio.objects.filter(pk=portfolio.pk).update(mandate=None)
    return mandate


def _received_only(counts: dict[tuple[str, str], int]) -> dict[tuple[str, str], int]:
    """Leave out the securities that Aurora made itself."""
    return {key: count for key, count in counts.items() if not (key[0] == "aurora" and key[1] in OWN_TOO)}
