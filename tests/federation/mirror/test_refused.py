"""Rows, tables and people that are refused: poison, other structures, other owners, received rows that are edited."""

import uuid

import pytest
from django.core.management import CommandError, call_command
from django.db import ProgrammingError, transaction
from django.utils import timezone

from clients.models import Client, ContactDetail, Mandate
from federation.mirror import capture, control
from federation.mirror.batch import Outcome, run_batch
from federation.models import ParkedRow, Stream
from portfolios.models import Account, Portfolio, Transaction
from tests.federation.mirror.beside import refusing
from tests.federation.mirror.world import TODAY, World


def test_f16_of_five_thousand_rows_one_poison_row_is_parked_and_a_retry_clears_it(world: World) -> None:
    agreement = world.agree()
    portfolio = world.managed(agreement)
    entries = world.transactions(portfolio, 5_000)
    with refusing(world, "harbour.portfolios_transaction", "text <> 'Entry 3077'"):
        world.drain()
        assert world.count("harbour", Transaction) == 4_999
        parked = ParkedRow.objects.get()
        assert (parked.key, parked.reason) == (entries[3077].pk, "poison")
    control.retry_parked(parked)
    world.drain()
    assert not ParkedRow.objects.exists()
    world.assert_in_step(agreement)


def test_f16_a_row_that_is_refused_in_its_new_place_stays_as_it_was_with_all_that_hangs_off_it(
    world: World,
) -> None:
    agreement = world.agree()
    *mandates, free = [world.mandate(agreement) for _ in range(15)]
    world.drain()
    portfolios = [world.portfolio(mandate, transactions=2) for mandate in mandates]
    world.drain()
    # Each takes the mandate of the next: one that is refused is in the way of all.
    places = list(zip(portfolios, [*mandates[1:], free], strict=True))
    with refusing(world, "harbour.portfolios_portfolio", "name <> 'Poison'"):
        with world.within("aurora"), transaction.atomic():
            Portfolio.objects.filter(pk=portfolios[-1].pk).update(name="Poison")
            for portfolio, mandate in reversed(places):
                Portfolio.objects.filter(pk=portfolio.pk).update(mandate=mandate.pk)
        world.drain()
        assert world.orphans("harbour") == []
        assert world.count("harbour", Portfolio) == len(portfolios)
        assert world.count("harbour", Transaction) == 2 * len(portfolios)
        assert ParkedRow.objects.get(key=portfolios[-1].pk).reason == "poison"
    for parked in ParkedRow.objects.all():
        control.retry_parked(parked)
    world.drain()
    assert not ParkedRow.objects.exists()
    world.assert_in_step(agreement)


def test_f17_a_column_that_is_missing_on_one_side_stops_the_stream_with_a_reason(world: World) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    world.drain()
    world.execute("ALTER TABLE harbour.portfolios_portfolio RENAME COLUMN manager_name TO other_name")
    try:
        world.portfolio(mandate)
        stream = world.stream(agreement, "aurora")
        assert run_batch(stream.pk) == Outcome.BROKEN
        assert "manager_name" in Stream.objects.get(pk=stream.pk).problem
    finally:
        world.execute("ALTER TABLE harbour.portfolios_portfolio RENAME COLUMN other_name TO manager_name")
    world.look()
    world.drain()
    world.assert_in_step(agreement)
    assert world.count("harbour", Portfolio) == 1


def test_f17_a_trigger_that_is_dropped_or_disabled_is_reported_and_repaired(world: World) -> None:
    world.execute("DROP TRIGGER mirror_update ON aurora.clients_client")
    world.execute("ALTER TABLE aurora.clients_mandate DISABLE TRIGGER mirror_insert")
    assert {str(found) for found in capture.differences("aurora")} == {
        "aurora.clients_client: mirror_update is missing",
        "aurora.clients_mandate: mirror_insert is disabled",
    }
    with pytest.raises(CommandError, match="2 differences"):
        call_command("check_mirror")
    call_command("check_mirror", "--repair")
    assert capture.differences("aurora") == []


def test_f24_the_same_keys_with_other_values_in_every_institution_do_not_mix(world: World) -> None:
    keys = [uuid.uuid4() for _ in range(4)]
    client, detail, portfolio, account = keys
    pairs = {"harbour": world.agree("aurora", "harbour"), "lakeside": world.agree("borealis", "lakeside")}
    mandate = uuid.uuid4()

    def write(schema: str) -> None:
        with world.within(schema):
            Client.objects.create(pk=client, number="SAME", name=f"Client of {schema}")
            ContactDetail.objects.create(
                pk=detail, client_id=client, kind="email", value=f"{schema}@example.test"
            )

    # Meadow has them too, and works with nobody.
    for schema in (*pairs, "meadow"):
        write(schema)
    for schema, agreement in pairs.items():
        with world.within(schema):
            Mandate.objects.create(
                pk=mandate, number="SAME", client_id=client, agreement=agreement.pk, status="submitted", submission=1,
                submitted_at=timezone.now(), signed_on=TODAY, disclosure_authorised_on=TODAY,
            )  # fmt: skip
    world.drain()
    for schema in ("aurora", "borealis", "meadow"):
        with world.within(schema):
            Portfolio.objects.create(
                pk=portfolio, number="SAME", name=f"Portfolio of {schema}", currency="EUR", opened_on=TODAY,
                mandate_id=None if schema == "meadow" else mandate,
            )  # fmt: skip
            Account.objects.create(
                pk=account, portfolio_id=portfolio, kind="cash", number=schema, currency="EUR"
            )
    world.drain()

    def seen(schema: str) -> list[str]:
        with world.within(schema):
            return [
                *Client.objects.values_list("name", flat=True),
                *ContactDetail.objects.values_list("value", flat=True),
                *Portfolio.objects.values_list("name", flat=True),
                *Account.objects.values_list("number", flat=True),
            ]

    def of(channel: str, manager: str) -> list[str]:
        return [f"Client of {channel}", f"{channel}@example.test", f"Portfolio of {manager}", manager]

    everywhere = {"meadow": of("meadow", "meadow")}
    everywhere |= dict.fromkeys(("aurora", "harbour"), of("harbour", "aurora"))
    everywhere |= dict.fromkeys(("borealis", "lakeside"), of("lakeside", "borealis"))
    assert {schema: seen(schema) for schema in everywhere} == everywhere
    with world.within("lakeside"):
        Client.objects.update(name="Renamed")
    with world.within("borealis"):
        Account.objects.all().delete()
    world.drain()
    for schema in ("aurora", "harbour", "meadow"):
        assert seen(schema) == everywhere[schema]
    assert (
        seen("borealis") == seen("lakeside") == ["Renamed", "lakeside@example.test", "Portfolio of borealis"]
    )
    for agreement in pairs.values():
        world.assert_in_step(agreement)
    assert not ParkedRow.objects.exists()


def test_p4_a_row_of_another_owner_is_never_touched(world: World) -> None:
    agreement = world.agree()
    taken = uuid.uuid4()
    with world.within("aurora"):
        Client.objects.create(pk=taken, number="OWN", name="Aurora's own client")
    mandate = world.mandate(agreement)
    with world.within("harbour"):
        stolen = Client.objects.create(pk=taken, number="C-STOLEN", name="Harbour's client")
        Mandate.objects.filter(pk=mandate.pk).update(client=stolen)
    world.drain()
    with world.within("aurora"):
        assert Client.objects.get(pk=taken).name == "Aurora's own client"
        assert Mandate.objects.count() == 0
    assert ParkedRow.objects.get(kind="clients.Client").reason == "id belongs to another owner"
    assert ParkedRow.objects.get(kind="clients.Mandate").key == mandate.pk


def test_f20_received_rows_cannot_be_changed_by_anybody_but_the_mirror(world: World) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    world.drain()
    with world.within("aurora"):
        received = Client.objects.get()
        attempts = [
            lambda: received.save(),
            lambda: Client.objects.update(name="Changed"),
            lambda: Client.objects.bulk_update([received], ["name"]),
            lambda: Mandate.objects.filter(pk=mandate.pk).delete(),
            lambda: Client.objects.create(name="Forged", origin=agreement.channel_id),
            lambda: Client.objects.bulk_create([Client(name="Forged", origin=uuid.uuid4())]),
            lambda: world.execute("UPDATE aurora.clients_client SET origin = NULL"),
            lambda: world.execute("DELETE FROM aurora.clients_contactdetail"),
            lambda: world.execute("TRUNCATE aurora.clients_contactdetail"),
            lambda: world.execute("TRUNCATE aurora.clients_client CASCADE"),
        ]
        for attempt in attempts:
            with pytest.raises(ProgrammingError, match="read-only"), transaction.atomic():
                attempt()
    world.drain()
    world.assert_in_step(agreement)
