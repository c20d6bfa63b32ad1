"""What the mirror promises, on real commits."""

import pytest
from django.db import connection, transaction
from django.utils import timezone
from guardian.models import UserObjectPermission
from guardian.shortcuts import assign_perm

from clients.models import Client, ContactDetail, Mandate, MandateDecision, Note, RiskProfile
from federation.mirror import trimming
from federation.mirror.batch import Outcome, run_batch
from federation.models import Arrival, Stream
from portfolios.models import Holding, Portfolio, Price, PriceSource, Security, Transaction
from tests import factories
from tests.federation.mirror.processes import eventually
from tests.federation.mirror.world import TODAY, World


def test_p2_nothing_of_a_prospect_crosses_before_the_mandate_is_submitted(world: World) -> None:
    agreement = world.agree()
    world.mandate(agreement, submitted=False)
    world.drain()
    assert world.count("aurora", Client) == world.count("aurora", Mandate) == 0


def test_p1_a_submitted_mandate_brings_the_client_and_what_hangs_off_it(world: World) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    with world.within("harbour"):
        Note.objects.create(client_id=mandate.client_id, text="Private")
    world.drain()
    world.assert_in_step(agreement)
    assert world.count("aurora", Client, origin=agreement.channel_id) == 1
    assert world.count("aurora", ContactDetail) == world.count("aurora", RiskProfile) == 1
    assert world.count("aurora", Note) == 0
    assert Arrival.objects.filter(
        institution=agreement.manager, kind="clients.Mandate", key=mandate.pk
    ).exists()


def test_p1_what_the_manager_keeps_flows_back_to_the_channel(world: World) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    world.drain()
    world.decide(mandate, "accepted")
    portfolio = world.portfolio(mandate, transactions=5)
    world.drain()
    world.assert_in_step(agreement)
    assert world.count("harbour", Transaction, portfolio_id=portfolio.pk, origin=agreement.manager_id) == 5
    assert world.orphans("harbour") == world.orphans("aurora") == []


def test_a_rejected_client_is_gone_and_the_decision_stays(world: World) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    world.drain()
    world.decide(mandate, "rejected")
    world.drain()
    assert world.count("aurora", Client) == world.count("aurora", ContactDetail) == 0
    with world.within("aurora"):
        stub = Mandate.objects.get()
        assert (stub.client_id, stub.risk_profile_id, stub.amount) == (None, None, None)
        assert stub.retired_at is not None
        assert MandateDecision.objects.get().mandate_id == stub.pk
    assert world.count("harbour", MandateDecision, outcome="rejected") == 1
    assert world.orphans("aurora") == []


def test_a_rejected_mandate_that_is_submitted_again_comes_back(world: World) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    world.drain()
    world.decide(mandate, "rejected")
    world.drain()
    with world.within("harbour"):
        Mandate.objects.update(submission=2, submitted_at=timezone.now())
    world.drain()
    world.assert_in_step(agreement)
    with world.within("aurora"):
        assert Mandate.objects.get().retired_at is None
        assert Client.objects.count() == ContactDetail.objects.count() == 1


def test_a_client_stays_while_another_mandate_covers_it(world: World) -> None:
    agreement = world.agree()
    first = world.mandate(agreement)
    world.mandate(agreement, client=first.client)
    world.drain()
    world.decide(first, "rejected")
    world.drain()
    assert world.count("aurora", Client) == 1
    world.assert_in_step(agreement)


def test_a_client_with_two_managers_is_at_each_with_its_own_mandate_alone(world: World) -> None:
    first, second = world.agree("aurora"), world.agree("borealis")
    mandate = world.mandate(first)
    world.mandate(second, client=mandate.client)
    world.drain()
    world.assert_in_step(first)
    world.assert_in_step(second)
    for schema, agreement in (("aurora", first), ("borealis", second)):
        with world.within(schema):
            assert [row.agreement for row in Mandate.objects.all()] == [agreement.pk]
            assert Client.objects.count() == 1


def test_f13_a_row_that_two_agreements_cover_stays_with_the_other(world: World) -> None:
    first, second = world.agree(), world.agree()
    mandate = world.mandate(first)
    world.mandate(second, client=mandate.client)
    world.drain()
    with world.within("harbour"):
        Mandate.objects.filter(pk=mandate.pk).update(status=Mandate.Status.WITHDRAWN)
    world.drain()
    with world.within("aurora"):
        assert [row.agreement for row in Mandate.objects.current()] == [second.pk]
        assert Client.objects.current().count() == 1
    world.assert_in_step(second)


def test_p4_replaying_everything_changes_no_row(world: World) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    world.drain()
    world.portfolio(mandate, transactions=20)
    world.drain()
    before = sum(Stream.objects.values_list("rows_written", flat=True))
    for stream in Stream.objects.all():
        # As if no change had ever been read, and once more by roots.
        Stream.objects.filter(pk=stream.pk).update(cursor="3:3:")
    world.drain()
    Stream.objects.update(cursor=None, wait_for=0, state=Stream.State.WAITING)
    world.drain()
    assert sum(Stream.objects.values_list("rows_written", flat=True)) == before
    world.assert_in_step(agreement)


def test_p2_a_partner_cannot_hang_rows_on_the_mandates_of_others(world: World) -> None:
    agreement, other = world.agree("aurora"), world.agree("borealis")
    foreign = world.mandate(other)
    portfolio = world.managed(agreement)
    # Aurora forges: its own portfolio names a mandate that it never received.
    with transaction.atomic():
        world.execute("SET LOCAL session_replication_role = replica")
        world.execute(
            "INSERT INTO aurora.clients_mandate (id, origin, number, agreement, status, submission, created_at, name,"
            " offer_name, manager_name, terms, currency, override_reason, disclosure_text, answer, history, revision)"
            " VALUES (%s, %s, 'X', %s, 'submitted', 1, now(), '', '', '', '{}', 'EUR', '', '', '', '[]', '{}')",
            foreign.pk,
            agreement.channel_id,
            agreement.pk,
        )
    forged = world.portfolio(foreign)
    world.drain()
    assert world.count("harbour", Portfolio, pk=portfolio.pk) == 1
    assert world.count("harbour", Portfolio, pk=forged.pk) == 0
    assert world.differences(other) == []


def test_p5_nothing_becomes_visible_after_a_suspension_and_resuming_catches_up(world: World) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    world.drain()
    world.suspend(agreement)
    world.portfolio(mandate, transactions=3)
    world.drain()
    assert world.count("harbour", Portfolio) == 0
    world.resume(agreement)
    world.drain()
    assert world.count("harbour", Transaction) == 3
    world.assert_in_step(agreement)


def test_new_mandates_stay_at_home_while_they_are_suspended(world: World) -> None:
    agreement = world.agree()
    known = world.mandate(agreement)
    world.drain()
    agreement = world.change(agreement, new_mandates_suspended_at=timezone.now())
    new = world.mandate(agreement)
    world.decide(known, "accepted")
    world.drain()
    with world.within("aurora"):
        assert [row.pk for row in Mandate.objects.all()] == [known.pk]
    assert world.count("harbour", MandateDecision) == 1
    world.change(agreement, new_mandates_suspended_at=None)
    world.drain()
    with world.within("aurora"):
        assert {row.pk for row in Mandate.objects.all()} == {known.pk, new.pk}


def test_termination_purges_models_and_mandates_never_accepted_and_seals_the_rest(world: World) -> None:
    agreement = world.agree()
    accepted, never = world.mandate(agreement), world.mandate(agreement)
    world.drain()
    world.decide(accepted, "accepted")
    world.portfolio(accepted, transactions=2)
    world.drain()
    world.change(agreement, state="terminated", ended_at=timezone.now())
    with world.within("aurora"):
        assert not Mandate.objects.filter(pk=never.pk).exists()
        assert not Client.objects.filter(pk=never.client_id).exists()
        assert Mandate.objects.get(pk=accepted.pk).retired_at is not None
        assert Client.objects.current().count() == 0
    with world.within("harbour"):
        assert Portfolio.objects.current().count() == 0
        assert Portfolio.objects.count() == 1
    world.mandate(agreement)
    world.drain()
    assert world.count("aurora", Mandate) == 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT is_called FROM harbour.mirror_switch")
        assert cursor.fetchone() == (False,)


def test_p6_the_log_is_trimmed_below_what_every_stream_has_read(world: World) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    world.drain()

    def is_trimmed() -> bool:
        Stream.objects.update(last_tick_at=None)
        # Also what has nothing to do: its place in the log may lie before a transaction of another database.
        world.look()
        # The server counts what was written, if need be at once.
        world.execute("SELECT pg_stat_force_next_flush()")
        trimming.trim()
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM harbour.mirror_log")
            return cursor.fetchone() == (0,)

    # Transactions of the server's other databases keep rows back for a while.
    eventually(is_trimmed)
    world.suspend(agreement)
    world.portfolio(mandate)
    world.execute("SELECT pg_stat_force_next_flush()")
    trimming.trim()
    world.resume(agreement)
    world.drain()
    assert world.count("harbour", Portfolio) == 1


def test_p6_a_long_pause_gives_up_its_place_in_the_log_and_is_refilled(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trimming, "LOG_CAP", 2)
    agreement = world.agree()
    portfolio = world.managed(agreement)
    world.suspend(agreement)
    for _ in range(4):
        world.transactions(portfolio, 1)
    world.execute("SELECT pg_stat_force_next_flush()")
    trimming.trim()
    assert world.stream(agreement, "aurora").cursor is None
    world.resume(agreement)
    world.drain()
    world.assert_in_step(agreement)
    assert world.count("harbour", Transaction) == 4


def test_a_tenant_without_agreements_logs_nothing(world: World) -> None:
    world.client("lakeside")
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM lakeside.mirror_log")
        assert cursor.fetchone() == (0,)


def test_reference_data_is_added_as_the_receivers_own_and_never_overwritten(world: World) -> None:
    agreement = world.agree()
    world.security("harbour", name="As Harbour calls it")
    mandate = world.mandate(agreement)
    world.drain()
    portfolio = world.portfolio(mandate, transactions=1)
    other = world.security("aurora", "US5949181045", name="Microsoft")
    private = world.security("aurora", None, name="Unlisted fund")
    with world.within("aurora"):
        for security in (other, private):
            Holding.objects.create(
                portfolio=portfolio,
                security=security,
                currency="USD",
                quantity=1,
                settled_quantity=1,
                as_of=TODAY,
            )
    world.drain()
    with world.within("harbour"):
        assert Security.objects.get(isin="US0378331005").name == "As Harbour calls it"
        assert Security.objects.get(pk=other.pk).origin is None
        assert Security.objects.get(pk=private.pk).origin == agreement.manager_id
    assert world.orphans("harbour") == []


def test_prices_of_redistributable_sources_follow_shared_securities(world: World) -> None:
    agreement = world.agree()
    shared, unshared = world.security("aurora"), world.security("aurora", "US5949181045")
    with world.within("aurora"):
        free = PriceSource.objects.create(code="FREE", name="Free", is_redistributable=True)
        paid = PriceSource.objects.create(code="PAID", name="Paid")
        for source in (free, paid):
            for security in (shared, unshared):
                Price.objects.create(security=security, source=source, date=TODAY, close=100, currency="EUR")
    mandate = world.mandate(agreement)
    world.drain()
    world.portfolio(mandate, transactions=1)
    world.drain()
    with world.within("harbour"):
        assert [(price.security_id, price.source.code) for price in Price.objects.all()] == [
            (shared.pk, "FREE")
        ]
    world.assert_in_step(agreement)


def test_swapped_numbers_arrive_as_they_are(world: World) -> None:
    agreement = world.agree()
    first, second = world.mandate(agreement), world.mandate(agreement)
    world.drain()
    with world.within("harbour"), transaction.atomic():
        Mandate.objects.filter(pk=first.pk).update(number="SWAP")
        Mandate.objects.filter(pk=second.pk).update(number=first.number)
        Mandate.objects.filter(pk=first.pk).update(number=second.number)
    world.drain()
    world.assert_in_step(agreement)
    with world.within("aurora"):
        assert Mandate.objects.get(pk=first.pk).number == second.number


def test_a_row_that_leaves_takes_single_grants_with_it(world: World) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    world.drain()
    with world.within("aurora"):
        assign_perm("clients.view_client", factories.cast().stranger, Client.objects.get())
    world.decide(mandate, "rejected")
    world.drain()
    assert world.count("aurora", UserObjectPermission) == 0


def test_a_fill_waits_for_transactions_that_are_older_than_the_log(world: World) -> None:
    older = world.another_connection()
    client = world.client("harbour")
    older.execute("UPDATE harbour.clients_client SET name = 'Late' WHERE id = %s", [client.pk])
    agreement = world.agree(fill=False)
    mandate = world.mandate(agreement, client=client)
    stream = world.stream(agreement, "harbour")
    assert run_batch(stream.pk) == Outcome.WAITING
    older.commit()
    older.close()
    world.drain()
    with world.within("aurora"):
        assert Client.objects.get(mandates=mandate).name == "Late"
