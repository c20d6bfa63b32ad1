"""Many rows below others that come or move: most are brought from there, without each being planned."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection
from django.db.models import Case, F, Value, When

from clients.models import Mandate
from federation.mirror import control, fill
from federation.mirror.batch import Outcome, run_batch
from federation.mirror.keys import BATCH_KEYS
from federation.models import Agreement, ParkedRow, Stream
from portfolios.models import Account, Portfolio, Transaction
from tests.federation.mirror.beside import refusing
from tests.federation.mirror.world import TODAY, World

MANY = 600


def move(world: World, portfolio: Portfolio, mandate: Mandate | None) -> None:
    with world.within("aurora"):
        Portfolio.objects.filter(pk=portfolio.pk).update(mandate=mandate and mandate.pk)


def filled(world: World, agreement: Agreement) -> Stream:
    """Return the manager's stream after the first chunk of a fill."""
    stream = world.stream(agreement, "aurora")
    control.refill(stream)
    while (outcome := run_batch(stream.pk)) == Outcome.WAITING:
        time.sleep(0.02)
    assert outcome == Outcome.MORE
    return world.stream(agreement, "aurora")


@contextmanager
def poisoned(world: World, account: Account) -> Iterator[None]:
    """Have the receiver's table refuse this account."""
    with refusing(world, "harbour.portfolios_account", f"number <> '{account.number}'"):
        yield


@pytest.fixture
def agreement(world: World) -> Agreement:
    return world.agree()


@pytest.fixture
def mandate(world: World, agreement: Agreement) -> Mandate:
    mandate = world.mandate(agreement)
    world.drain()
    return mandate


@pytest.fixture
def portfolio(world: World, mandate: Mandate) -> Portfolio:
    """Return a portfolio in the scope, with many accounts, that is not at the receiver."""
    portfolio = world.portfolio(mandate)
    world.accounts(portfolio, MANY)
    return portfolio


def test_p1_they_come_with_what_they_hang_off_and_count_for_the_next_chunk(
    world: World, agreement: Agreement, portfolio: Portfolio
) -> None:
    stream = filled(world, agreement)
    assert world.count("harbour", Account) == MANY
    # As many roots as make a batch of keys, were each followed by as many accounts.
    assert stream.fill_chunk < BATCH_KEYS / MANY
    world.drain()
    world.assert_in_step(agreement)


def test_f16_one_that_is_refused_is_parked_and_a_retry_clears_it(
    world: World, agreement: Agreement, portfolio: Portfolio
) -> None:
    with world.within("aurora"):
        poison = Account.objects.order_by("number")[MANY // 2]
    with poisoned(world, poison):
        filled(world, agreement)
        world.drain()
        assert world.count("harbour", Account) == MANY - 1
    parked = ParkedRow.objects.get()
    assert parked.key == poison.pk
    control.retry_parked(parked)
    world.drain()
    assert not ParkedRow.objects.exists()
    world.assert_in_step(agreement)


def test_f16_one_that_was_parked_and_comes_with_them_is_parked_no_longer(
    world: World, agreement: Agreement, mandate: Mandate
) -> None:
    portfolio = world.portfolio(mandate)
    (poison,) = world.accounts(portfolio, 1)
    with poisoned(world, poison):
        world.drain()
        assert ParkedRow.objects.get().key == poison.pk
        world.accounts(portfolio, MANY)
    filled(world, agreement)
    assert world.count("harbour", Account) == MANY + 1
    # Long before it would have been tried again by itself.
    assert not ParkedRow.objects.exists()


def test_p4_one_that_names_what_is_not_there_is_parked(
    world: World, agreement: Agreement, portfolio: Portfolio
) -> None:
    (elsewhere,) = world.transactions(world.portfolio(None), 1)
    world.transactions(portfolio, MANY)
    with world.within("aurora"):
        reversal = Transaction.objects.create(
            portfolio=portfolio,
            type="reversal",
            trade_date=TODAY,
            settlement_date=TODAY,
            currency="EUR",
            net_amount=1,
            reverses=elsewhere,
        )
    filled(world, agreement)
    world.drain()
    assert world.count("harbour", Transaction) == MANY
    parked = ParkedRow.objects.get()
    assert (parked.key, parked.reason) == (reversal.pk, "reverses: not there")
    assert world.orphans("harbour") == []


def test_p4_one_with_the_id_of_a_row_of_the_receivers_is_parked_and_leaves_that_as_it_is(
    world: World, agreement: Agreement, portfolio: Portfolio
) -> None:
    own = world.portfolio(None, "harbour")
    with world.within("aurora"):
        key = Account.objects.order_by("number")[MANY // 2].pk
    with world.within("harbour"):
        Account.objects.create(pk=key, portfolio=own, kind="cash", number="Own", currency="EUR")
    filled(world, agreement)
    world.drain()
    assert world.count("harbour", Account) == MANY
    assert world.count("harbour", Account, pk=key, number="Own", portfolio=own.pk) == 1
    assert ParkedRow.objects.get().key == key


def test_p1_those_that_the_receiver_has_below_another_row_move(
    world: World,
    agreement: Agreement,
    mandate: Mandate,
    portfolio: Portfolio,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fill, "FIRST_CHUNK", 1)
    elsewhere = world.mandate(agreement)
    world.drain()
    other = world.portfolio(elsewhere)
    world.accounts(other, 20)
    move(world, portfolio, None)
    world.drain()
    with world.within("aurora"):
        Account.objects.filter(portfolio=other, custodian="").update(portfolio=portfolio.pk)
    move(world, portfolio, mandate)
    filled(world, agreement)
    assert world.count("harbour", Account, portfolio=portfolio.pk) == MANY + 20
    world.drain()
    world.assert_in_step(agreement)


def test_p1_many_that_change_are_written_beside_those_that_come_leave_and_move(
    world: World, agreement: Agreement, mandate: Mandate, portfolio: Portfolio
) -> None:
    another = world.mandate(agreement)
    world.drain()
    other, outside = world.portfolio(another), world.portfolio(None)
    world.drain()
    with world.within("aurora"):
        moves, leaves, poison, foreign, *same = Account.objects.order_by("number")[: MANY // 2]
    # The id of one is taken by a row of the receiver's own.
    world.execute(
        "SET LOCAL session_replication_role = replica; UPDATE harbour.portfolios_account SET origin = NULL"
        f" WHERE id = '{foreign.pk}'"
    )
    before = world.stream(agreement, "aurora").rows_written
    with refusing(world, "harbour.portfolios_account", "custodian <> 'Poison'"):
        with world.within("aurora"):
            changing = Account.objects.exclude(pk__in=[each.pk for each in same])
            changing.update(
                custodian=Case(When(pk=poison.pk, then=Value("Poison")), default=Value("Another")),
                portfolio=Case(
                    When(pk=moves.pk, then=Value(other.pk)),
                    When(pk=leaves.pk, then=Value(outside.pk)),
                    default=Value(portfolio.pk),
                ),
            )
            # Most of the batch is the same as before.
            Account.objects.filter(pk__in=[each.pk for each in same]).update(kind=F("kind"))
        world.accounts(portfolio, 3)
        world.drain()
    parked = {row.key: row for row in ParkedRow.objects.all()}
    assert parked.keys() == {poison.pk, foreign.pk}
    changed = MANY - len(same) - 4
    assert world.count("harbour", Account, custodian="Another", portfolio=portfolio.pk) == changed
    assert world.count("harbour", Account, custodian="Another", portfolio=other.pk, pk=moves.pk) == 1
    assert world.count("harbour", Account, pk=leaves.pk) == 0
    assert world.count("harbour", Account, pk=foreign.pk, custodian="", origin=None) == 1
    # The others that changed, the two that moved and left, and the three that came.
    assert world.stream(agreement, "aurora").rows_written - before == changed + 2 + 3
    control.retry_parked(parked[poison.pk])
    world.execute(
        "SET LOCAL session_replication_role = replica; UPDATE harbour.portfolios_account SET origin ="
        f" '{world.institution('aurora').pk}' WHERE id = '{foreign.pk}'"
    )
    control.retry_parked(parked[foreign.pk])
    world.drain()
    world.assert_in_step(agreement)


def test_f13_they_pass_from_one_agreement_to_another_between_the_same_two(
    world: World, agreement: Agreement, portfolio: Portfolio
) -> None:
    world.drain()
    other = world.agree()
    place = world.mandate(other)
    world.drain()
    move(world, portfolio, place)
    # The one that lets it go is first.
    run_batch(world.stream(agreement, "aurora").pk)
    assert world.count("harbour", Account) == 0
    world.drain()
    assert world.count("harbour", Account) == MANY
    for each in (agreement, other):
        world.assert_in_step(each)
    assert world.strays() == world.orphans("harbour") == []


def test_the_server_looks_at_tables_that_many_rows_have_come_into(world: World, portfolio: Portfolio) -> None:
    # As they are where an institution has just been created, whatever earlier tests left.
    world.execute(
        "SET LOCAL session_replication_role = replica;"
        " TRUNCATE aurora.portfolios_account, harbour.portfolios_account CASCADE"
    )
    assert never_looked_at("portfolios_account") >= {"aurora", "harbour"}
    world.accounts(portfolio, MANY)
    world.drain()
    assert not never_looked_at("portfolios_account") & {"aurora", "harbour"}


def never_looked_at(table: str) -> set[str]:
    """Return the schemas in which the server has no statistics of a table."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relname = %s AND c.reltuples < 0",
            [table],
        )
        return {row[0] for row in cursor.fetchall()}
