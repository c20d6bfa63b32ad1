"""Every shared kind × {no agreement, suspended, terminated, another partner, another row}."""

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone
from psycopg import sql

from federation.models import ParkedRow
from federation.scope import KINDS
from models_portfolio.models import ModelPortfolio, Offer
from portfolios.models import Portfolio
from tests import factories
from tests.federation.mirror.everything import everything, management, offer, relationship
from tests.federation.mirror.searching import held_in
from tests.federation.mirror.successor import everything_in
from tests.federation.mirror.world import World

# Present as the receiver's own row, not as a received one, where it has an ISIN.
OWN_TOO = {"portfolios.Security", "portfolios.Listing"}
# What nobody changes: the ledger, what was published, a report that is ready.
FIXED = {
    "models_portfolio.ModelVersion",
    "models_portfolio.Target",
    "models_portfolio.View",
    "portfolios.Transaction",
    "reporting.Report",
}


Contents = dict[tuple[str, str], tuple[int, str]]


def received(schemas: list[str]) -> Contents:
    """Return how many rows of each kind a schema holds of others', and of reference data at all, and their hash."""
    found = {}
    with connection.cursor() as cursor:
        for schema in schemas:
            for kind in KINDS:
                where = sql.SQL("") if kind.label in OWN_TOO else sql.SQL(" WHERE origin IS NOT NULL")
                cursor.execute(
                    sql.SQL(
                        "SELECT count(*), coalesce(md5(string_agg(t::text, ' ' ORDER BY id)), '') FROM {} t"
                    ).format(sql.Identifier(schema, kind.table))
                    + where
                )
                found[schema, kind.label] = cursor.fetchone()
    return found


def change_all(world: World, schemas: list[str]) -> set[str]:
    """Change a field that is always shared in all own rows; return the kinds that had some and let it be done."""
    changed = set()
    for schema in schemas:
        for kind in KINDS:
            if kind.function is None:
                continue
            change = sql.SQL(
                "UPDATE {} SET created_at = created_at + interval '1 second' WHERE origin IS NULL"
            )
            try:
                with transaction.atomic(), connection.cursor() as cursor:
                    cursor.execute(change.format(sql.Identifier(schema, kind.table)))
                    changed |= {kind.label} if cursor.rowcount else set()
            except IntegrityError:
                # As the database has it with those of `FIXED`.
                continue
    return changed


def test_every_kind_arrives_under_an_active_agreement(world: World) -> None:
    agreement = world.agree()
    everything(world, agreement)
    counts = received(["aurora", "harbour"])
    missing = [
        kind.label for kind in KINDS if not counts["aurora", kind.label][0] + counts["harbour", kind.label][0]
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
    assert {key for key, (count, _) in received(others).items() if count} == set()


def test_no_kind_reaches_another_partner(world: World) -> None:
    # Aurora and Harbour each have another partner too, to which nothing of this belongs.
    world.agree("aurora", "lakeside")
    world.agree("borealis", "harbour")
    world.agree("aurora", "meadow", "advice")
    everything(world, world.agree())
    counts = received(["borealis", "lakeside", "meadow"])
    # The source of redistributable prices is no secret; what it prices is shared with nobody here.
    leaked = {key for key, (count, _) in counts.items() if count and key[1] != "portfolios.PriceSource"}
    assert leaked == set()


def test_no_kind_crosses_while_everything_is_suspended(world: World) -> None:
    agreement = world.agree()
    known = everything(world, agreement)
    world.suspend(agreement)
    before = _received_only(received(["aurora", "harbour"]))
    changed = change_all(world, ["aurora", "harbour"])
    assert {kind.label for kind in KINDS if kind.function is not None} - changed == FIXED
    relationship(world, agreement)
    management(world, known_for(world, known), offer(world, agreement).model)
    world.drain()
    world.look()
    assert _received_only(received(["aurora", "harbour"])) == before
    # Only the suspension kept it from crossing.
    world.resume(agreement)
    world.drain()
    after = _received_only(received(["aurora", "harbour"]))
    assert {key[1] for key in after if after[key] != before[key]} >= changed
    world.assert_in_step(agreement)


def test_no_kind_crosses_after_termination(world: World) -> None:
    agreement = world.agree()
    known = everything(world, agreement)
    world.change(agreement, state="terminated", ended_at=timezone.now())
    before = _received_only(received(["aurora", "harbour"]))
    change_all(world, ["aurora", "harbour"])
    relationship(world, agreement)
    management(world, known_for(world, known), offer(world, agreement).model)
    world.drain()
    world.look()
    assert _received_only(received(["aurora", "harbour"])) == before


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
    assert counts["meadow", "models_portfolio.Target"][0] == 2
    assert {
        key for key, (count, _) in _received_only(counts).items() if count and key[0] == "aurora"
    } == set()
    world.assert_in_step(agreement)


def test_p3_what_a_follower_refuses_tells_the_adviser_nothing_of_its_clients(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    agreement = world.agree("aurora", "meadow", "advice")
    # Made for a client, under the id of one that the manager offers.
    taken = offer(world, agreement).model_id
    with world.within("meadow"):
        ModelPortfolio.objects.create(
            pk=taken, code="OWN", name="For Zacharias Unmistakable", currency="EUR", risk_level=3
        )
    # A rule of the follower's database that names a client in what it says.
    world.execute(
        "CREATE FUNCTION meadow.refuse(text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION"
        " 'Not for Balthasar Unmistakable: %%', $1 USING ERRCODE = 'check_violation', DETAIL = 'Unmistakable'; END $$;"
        " ALTER TABLE meadow.models_portfolio_view ADD CONSTRAINT refusing"
        " CHECK (origin IS NULL OR meadow.refuse(rationale)) NOT VALID"
    )
    try:
        offer(world, agreement)
        world.drain()
    finally:
        world.execute(
            "ALTER TABLE meadow.models_portfolio_view DROP CONSTRAINT refusing; DROP FUNCTION meadow.refuse"
        )
    stream = world.stream(agreement, "aurora")
    reasons = dict(stream.parked.values_list("kind", "reason"))
    assert reasons["models_portfolio.ModelPortfolio"] == "id belongs to another owner"
    assert "models_portfolio.View" in reasons
    assert "Unmistakable" not in held_in("aurora", [agreement.pk])
    assert "Unmistakable" not in caplog.text
    browser = Browser(headers={"host": "aurora.localhost"})
    with world.within("aurora"):
        browser.force_login(factories.cast().administrator)
    for name in ("mirror_detail", "mirror_live", "mirror_parked"):
        page = browser.get(reverse(f"federation:{name}", args=[stream.pk], urlconf="config.urls"))
        assert "id belongs to another owner" in page.content.decode()
        assert "Unmistakable" not in page.content.decode()


def known_for(world: World, mandate: object) -> object:
    """Return the mandate, whose decision is already there, without its agreement's instructions."""
    with world.within("aurora"):
        with_mandate = Portfolio.objects.filter(mandate_id=mandate.pk)
        # One portfolio per mandate: the new one takes the place of the old.
        for portfolio in with_mandate:
            Portfolio.objects.filter(pk=portfolio.pk).update(mandate=None)
    return mandate


def _received_only(found: Contents) -> Contents:
    """Leave out the securities that Aurora made itself."""
    return {key: each for key, each in found.items() if not (key[0] == "aurora" and key[1] in OWN_TOO)}
