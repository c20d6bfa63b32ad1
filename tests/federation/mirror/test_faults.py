"""Faults that one process can show; the numbers are those of the list of faults."""

import dataclasses
import threading
import uuid

import pytest
from django.db import transaction
from django.utils import timezone

from clients.models import Client, ContactDetail, Mandate
from federation.mirror import acting, batch, keys
from federation.mirror.batch import Outcome, run_batch
from federation.models import Agreement, ParkedRow, Stream, StreamWork
from portfolios.models import Account, BankEntry, Holding, Portfolio, Transaction, Valuation
from tests.federation.mirror.beside import beside
from tests.federation.mirror.world import TODAY, World


def test_f6_a_transaction_that_took_its_id_early_and_commits_late_is_delivered(world: World) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    world.drain()
    early = world.another_connection()
    early.execute("UPDATE harbour.clients_mandate SET answer = 'Late' WHERE id = %s", [mandate.pk])
    with world.within("harbour"):
        ContactDetail.objects.create(client_id=mandate.client_id, kind="phone", value="1")
    world.drain()
    assert world.count("aurora", ContactDetail) == 2
    assert world.count("aurora", Mandate, answer="Late") == 0
    early.commit()
    early.close()
    world.drain()
    assert world.count("aurora", Mandate, answer="Late") == 1
    world.assert_in_step(agreement)


def test_f7_an_open_transaction_delays_nobody_else(world: World) -> None:
    agreement = world.agree()
    with world.another_connection() as unrelated:
        unrelated.execute("UPDATE lakeside.accounts_unit SET name = name")
        world.mandate(agreement)
        world.drain()
        assert world.count("aurora", Mandate) == 1
        unrelated.rollback()


def test_f8_what_is_rolled_back_never_crosses(world: World) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    world.drain()
    with world.within("harbour"), transaction.atomic():
        Mandate.objects.update(answer="Rolled back")
        transaction.set_rollback(True)
    with world.within("harbour"), transaction.atomic():
        try:
            with transaction.atomic():
                Mandate.objects.update(answer="Rolled back")
                raise RuntimeError
        except RuntimeError:
            ContactDetail.objects.create(client_id=mandate.client_id, kind="phone", value="1")
    world.drain()
    with world.within("aurora"):
        assert Mandate.objects.get().answer == ""
        assert ContactDetail.objects.count() == 2


def test_f8_a_transaction_wakes_once_and_again_where_a_savepoint_took_the_wake_with_it(world: World) -> None:
    world.mandate(world.agree())
    world.drain()
    with world.another_connection() as other:

        def wakes() -> int:
            found = other.execute("DELETE FROM public.federation_wake RETURNING schema_name").fetchall()
            other.commit()
            return found.count(("harbour",))

        def rename(name: str) -> None:
            other.execute("UPDATE harbour.clients_client SET name = %s", [name])

        wakes()
        rename("One")
        rename("Two")
        other.commit()
        assert wakes() == 1
        other.execute("SAVEPOINT before")
        rename("Lost")
        other.execute("ROLLBACK TO SAVEPOINT before")
        rename("Three")
        other.commit()
        assert wakes() == 1


def test_f9_delete_and_insert_of_one_key_truncate_and_a_changed_key_arrive(world: World) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    world.drain()
    portfolio = world.portfolio(mandate)
    with world.within("aurora"):
        first = Valuation.objects.create(
            portfolio=portfolio, date=TODAY, currency="EUR", market_value=1, is_latest=True
        )
    world.drain()
    with world.within("aurora"):
        with transaction.atomic():
            first.delete()
            Valuation.objects.create(
                pk=first.pk, portfolio=portfolio, date=TODAY, currency="EUR", market_value=2
            )
        world.drain()
        world.assert_in_step(agreement)
        # Across batches.
        Valuation.objects.all().delete()
        world.drain()
        assert world.count("harbour", Valuation) == 0
        Valuation.objects.create(
            pk=first.pk, portfolio=portfolio, date=TODAY, currency="EUR", market_value=3, is_latest=True
        )
        world.drain()
        world.assert_in_step(agreement)
        Valuation.objects.update(is_latest=False)
        changed = uuid.uuid4()
        world.execute("UPDATE aurora.portfolios_valuation SET id = %s", changed)
        world.drain()
        world.assert_in_step(agreement)
    assert world.count("harbour", Valuation, pk=changed) == 1
    world.execute("TRUNCATE aurora.portfolios_valuation")
    world.drain()
    assert world.count("harbour", Valuation) == 0


def test_f9_a_cascade_takes_everything_along(world: World) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    world.drain()
    portfolio = world.portfolio(mandate)
    world.accounts(portfolio, 3)
    world.drain()
    assert world.count("harbour", Account) == 3
    with world.within("harbour"):
        # Django's own: contact details and profiles go with their client.
        other = world.client("harbour")
        two = [world.mandate(agreement, client=other) for _ in range(2)]
    world.drain()
    assert world.count("aurora", ContactDetail) == 2
    with world.within("harbour"):
        Mandate.objects.filter(pk__in=[each.pk for each in two]).delete()
        Client.objects.get(pk=other.pk).delete()
    world.execute("TRUNCATE aurora.portfolios_portfolio CASCADE")
    world.drain()
    assert world.count("aurora", ContactDetail) == 1
    assert world.count("aurora", Account) == world.count("harbour", Account) == 0
    assert world.count("harbour", Portfolio) == 0
    world.assert_in_step(agreement)


def test_f10_a_portfolio_that_moves_to_a_mandate_out_of_scope_takes_its_rows_along(world: World) -> None:
    agreement, other = world.agree(), world.agree("aurora", "lakeside")
    here, there = world.mandate(agreement), world.mandate(other, "lakeside")
    world.drain()
    portfolio = world.portfolio(here, transactions=4)
    world.drain()
    with world.within("aurora"):
        Portfolio.objects.update(mandate_id=there.pk)
    world.drain()
    assert world.count("harbour", Transaction) == world.count("harbour", Portfolio) == 0
    assert world.count("lakeside", Transaction, portfolio_id=portfolio.pk) == 4
    for each in (agreement, other):
        world.assert_in_step(each)


def test_f10_a_row_kept_for_history_leaves_its_place_to_another(world: World) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    world.drain()
    former = world.portfolio(mandate)
    world.drain()
    with world.within("harbour"):
        BankEntry.objects.create(portfolio_id=former.pk, amount=1, currency="EUR", value_date=TODAY)
    with world.within("aurora"):
        Portfolio.objects.filter(pk=former.pk).update(mandate_id=None)
    following = world.portfolio(mandate)
    world.drain()
    assert world.count("harbour", Portfolio, pk=former.pk, retired_at__isnull=False) == 1
    assert world.count("harbour", Portfolio, pk=following.pk, mandate_id=mandate.pk) == 1
    assert not ParkedRow.objects.exists()
    with world.within("aurora"):
        Portfolio.objects.filter(pk=following.pk).delete()
        Portfolio.objects.filter(pk=former.pk).update(mandate_id=mandate.pk)
    world.drain()
    assert world.count("harbour", Portfolio, pk=former.pk, mandate_id=mandate.pk, retired_at=None) == 1
    world.assert_in_step(agreement)


def test_f11_a_suspension_waits_for_the_batch_in_hand_and_none_comes_after(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    agreement = world.agree()
    world.mandate(agreement)
    stream = world.stream(agreement, "harbour")
    events: list[str] = []
    inside, go_on = threading.Event(), threading.Event()

    def hold(name: str) -> None:
        if name == "before_cursor":
            inside.set()
            go_on.wait(10)

    def suspend() -> None:
        world.suspend(agreement)
        events.append("suspended")

    def apply() -> None:
        run_batch(stream.pk)
        events.append("applied")

    monkeypatch.setattr(batch, "failpoint", hold)
    worker = beside(apply)
    worker.start()
    assert inside.wait(10)
    user = beside(suspend)
    user.start()
    user.join(0.5)
    assert user.is_alive()
    go_on.set()
    worker.join(10)
    user.join(10)
    assert sorted(events) == ["applied", "suspended"]
    monkeypatch.undo()
    world.mandate(agreement)
    assert run_batch(stream.pk) == Outcome.STOPPED
    assert world.count("aurora", Mandate) == 1


def test_f14_mutual_agreements_do_not_echo(world: World) -> None:
    there, back = world.agree("aurora", "harbour"), world.agree("harbour", "aurora")
    first = world.mandate(there, "harbour")
    second = world.mandate(back, "aurora")
    world.drain()
    world.portfolio(first, "aurora", transactions=3)
    world.portfolio(second, "harbour", transactions=3)
    world.drain()
    before = sum(Stream.objects.values_list("rows_written", flat=True))
    world.drain()
    assert sum(Stream.objects.values_list("rows_written", flat=True)) == before
    for agreement in (there, back):
        world.assert_in_step(agreement)


def test_f18_a_log_that_is_not_the_one_that_was_followed_asks_for_a_refill(world: World) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    world.drain()
    # A dump is restored: the log is another table, and a change was never logged.
    world.execute("ALTER TABLE harbour.mirror_log RENAME TO former_log")
    world.execute("CREATE TABLE harbour.mirror_log (LIKE harbour.former_log INCLUDING ALL)")
    world.execute("ALTER TABLE harbour.clients_mandate DISABLE TRIGGER USER")
    world.execute("UPDATE harbour.clients_mandate SET answer = 'Restored'")
    world.execute("ALTER TABLE harbour.clients_mandate ENABLE TRIGGER USER")
    world.execute("DROP TABLE harbour.former_log")
    world.look()
    world.drain()
    world.assert_in_step(agreement)
    with world.within("aurora"):
        assert Mandate.objects.get(pk=mandate.pk).answer == "Restored"


def test_f18_a_cursor_from_the_future_asks_for_a_refill(world: World) -> None:
    agreement = world.agree()
    world.mandate(agreement)
    Stream.objects.update(cursor="9000000000:9000000000:")
    world.look()
    world.drain()
    world.assert_in_step(agreement)
    assert world.count("aurora", Mandate) == 1


def test_f19_a_user_who_holds_a_row_that_leaves_is_waited_for_and_keeps_the_edit(world: World) -> None:
    agreement = world.agree()
    portfolio = world.managed(agreement)
    stream = world.stream(agreement, "aurora")
    with world.within("aurora"):
        Portfolio.objects.all().delete()

    worker = beside(lambda: run_batch(stream.pk))
    # Harbour notes something of its own on the received portfolio while Aurora takes it away.
    with world.within("harbour"), transaction.atomic():
        own = BankEntry.objects.create(
            portfolio_id=portfolio.pk, amount=1, currency="EUR", value_date=TODAY
        ).pk
        # What the commit does first: prove the foreign keys, which locks what they name.
        world.execute("SET CONSTRAINTS ALL IMMEDIATE")
        worker.start()
        worker.join(0.7)
        assert worker.is_alive()
    worker.join(20)
    world.drain()
    with world.within("harbour"):
        assert BankEntry.objects.get(pk=own).portfolio.retired_at is not None
    assert world.orphans("harbour") == []


def test_a_large_change_is_cut_into_batches_and_what_is_left_waits(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "BATCH_KEYS", 50)
    monkeypatch.setattr(keys, "_SLICE", 20)
    agreement = world.agree()
    portfolio = world.managed(agreement)
    world.transactions(portfolio, 180)
    stream = world.stream(agreement, "aurora")
    assert run_batch(stream.pk) == Outcome.MORE
    assert StreamWork.objects.filter(stream=stream).exists()
    world.drain()
    assert world.count("harbour", Transaction) == 180
    assert not StreamWork.objects.exists()
    world.assert_in_step(agreement)


def test_where_the_replica_role_is_not_granted_the_same_is_done_with_foreign_keys_checked(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    means = acting._find_means()
    withheld = dataclasses.replace(means, login_may=False, role_may=False)
    monkeypatch.setattr(acting, "_means", lambda: withheld)
    agreement = world.agree()
    first, second = world.mandate(agreement), world.mandate(agreement)
    world.drain()
    world.portfolio(first, transactions=3)
    world.drain()
    world.decide(second, "rejected")
    with world.within("aurora"):
        Holding.objects.create(
            portfolio=Portfolio.objects.get(), currency="EUR", quantity=1, settled_quantity=1, as_of=TODAY
        )
    world.drain()
    world.assert_in_step(agreement)
    assert world.count("aurora", Client) == 1
    assert not ParkedRow.objects.exists()


def test_a_narrower_version_takes_away_what_it_does_not_share(world: World) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    with world.within("harbour"):
        Client.objects.filter(pk=mandate.client_id).update(national_id="SECRET")
    world.drain()
    version = Agreement.objects.get(pk=agreement.pk).version
    version.pk, version.number = uuid.uuid4(), 2
    version.withheld = ["clients.ContactDetail", "clients.Client.national_id"]
    version._state.adding = True
    version.save()
    world.change(agreement, version=version, started_at=timezone.now())
    with world.within("aurora"):
        assert ContactDetail.objects.count() == 0
        assert Client.objects.get().national_id == ""
    with world.within("harbour"):
        Client.objects.filter(pk=mandate.client_id).update(name="Renamed")
    world.drain()
    with world.within("aurora"):
        assert (Client.objects.get().name, Client.objects.get().national_id) == ("Renamed", "")
