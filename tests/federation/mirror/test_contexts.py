"""F23: whatever an exception, a pooled connection or a thread has left, applying knows its schemas."""

import contextlib
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from django.db import DataError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django_tenants.utils import tenant_context

from clients.models import Client, Mandate
from config.celery import leave_a_clean_connection
from federation.mirror import batch
from federation.mirror.batch import Outcome, run_batch
from federation.models import Agreement, Stream
from tests import factories
from tests.federation.mirror.beside import beside
from tests.federation.mirror.world import World


def _assert_it_went_where_it_belongs(world: World, agreement: Agreement, mandate: Mandate) -> None:
    assert world.count("aurora", Mandate, pk=mandate.pk, origin=agreement.channel_id) == 1
    assert world.count("harbour", Mandate, pk=mandate.pk, origin=None) == 1
    for schema in set(factories.STANDING) - {"aurora", "harbour"}:
        assert world.count(schema, Mandate) == world.count(schema, Client) == 0
    world.assert_in_step(agreement)


def _leave_a_context_by_an_exception(world: World) -> None:
    with pytest.raises(ZeroDivisionError), world.within("lakeside"):
        raise ZeroDivisionError


def _leave_a_suspended_generator(world: World) -> None:
    def rows() -> Iterator[Client]:
        with tenant_context(world.institution("meadow")):
            yield from [Client(), Client()]

    # It stands in Meadow's context for as long as somebody holds it.
    world.left = rows()  # type: ignore[attr-defined]
    next(world.left)  # type: ignore[attr-defined]


def _leave_another_search_path(world: World) -> None:
    world.execute("SET search_path TO lakeside, borealis, public")


def _leave_another_tenant_set(world: World) -> None:
    connection.set_tenant(world.institution("borealis"))


@pytest.mark.parametrize(
    "leave",
    [
        _leave_a_context_by_an_exception,
        _leave_a_suspended_generator,
        _leave_another_search_path,
        _leave_another_tenant_set,
    ],
)
def test_f23_what_a_connection_was_used_for_before_does_not_matter(world: World, leave: object) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    stream = world.stream(agreement, "harbour")
    try:
        leave(world)  # type: ignore[operator]
        assert run_batch(stream.pk) == Outcome.DONE
    finally:
        # Else it would leave its context whenever it is collected, in the middle of another test.
        if hasattr(world, "left"):
            world.left.close()
        connection.set_schema_to_public()
    _assert_it_went_where_it_belongs(world, agreement, mandate)


def test_f23_a_failure_that_is_swallowed_leaves_no_other_schema(world: World) -> None:
    # A COMMIT that ends a failed transaction takes the SET of its schema back, and nobody is told.
    with world.within("lakeside"):
        assert not Client.objects.exists()
    with world.within("aurora"):
        with transaction.atomic(), contextlib.suppress(DataError), connection.cursor() as cursor:
            cursor.execute("SELECT 1 / 0")
        assert _schema() == "aurora"


@pytest.mark.parametrize(
    "statement",
    [
        "SET search_path = harbour",
        "SET LOCAL search_path = harbour",
        "SELECT set_config('search_path', '', true)",
    ],
)
def test_f23_a_schema_is_set_again_where_a_statement_has_set_another_one(
    world: World, statement: str
) -> None:
    with world.within("aurora"), transaction.atomic(), connection.cursor() as cursor:
        assert _schema() == "aurora"
        cursor.execute(statement)
        assert _schema() == "aurora"
        with contextlib.suppress(DataError), transaction.atomic():
            with world.within("lakeside"):
                assert _schema() == "lakeside"
            cursor.execute("SELECT 1 / 0")
        assert _schema() == "aurora"
    with world.within("aurora"):
        assert _schema() == "aurora"


def test_f23_a_schema_that_is_set_is_not_set_again(world: World) -> None:
    if connection.pg_version < 180000:
        pytest.skip("older servers do not report the search path")
    with world.within("aurora"):
        _schema()
        with CaptureQueriesContext(connection) as captured:
            assert not Client.objects.exists()
            assert _schema() == "aurora"
    assert [each["sql"] for each in captured if each["sql"].startswith("SET")] == []


def _schema() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_schema()")
        return str(cursor.fetchone()[0])


def test_f23_a_new_thread_applies_in_the_right_schemas(world: World) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    stream = world.stream(agreement, "harbour")

    with world.within("lakeside"):
        threads = [beside(lambda: run_batch(stream.pk)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    world.drain()
    _assert_it_went_where_it_belongs(world, agreement, mandate)


def test_f23_a_batch_leaves_nothing_of_itself_on_the_connection(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    agreement = world.agree()
    world.mandate(agreement)

    def fail(name: str) -> None:
        if name == "before_cursor":
            raise ZeroDivisionError

    stream = world.stream(agreement, "harbour")
    monkeypatch.setattr(batch, "failpoint", fail)
    with pytest.raises(ZeroDivisionError):
        run_batch(stream.pk)
    monkeypatch.undo()
    _assert_ordinary(world)
    world.drain()
    _assert_ordinary(world)


def test_f23_a_stream_that_does_not_belong_to_its_agreements_parties_is_not_applied(world: World) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    stream = world.stream(agreement, "harbour")
    Stream.objects.filter(pk=stream.pk).update(receiver=world.institution("meadow"))
    with pytest.raises(ValueError, match="parties"):
        run_batch(stream.pk)
    assert world.count("meadow", Mandate) == world.count("aurora", Mandate) == 0
    Stream.objects.filter(pk=stream.pk).update(receiver=agreement.manager)
    world.drain()
    _assert_it_went_where_it_belongs(world, agreement, mandate)


def _assert_ordinary(world: World) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('session_replication_role'), coalesce(current_setting('roboblock.mirror', true), ''),"
            " current_user = session_user, current_setting('statement_timeout'), current_setting('lock_timeout')"
        )
        assert cursor.fetchone() == ("origin", "", True, "0", "0")


def test_f23_a_task_that_was_interrupted_does_not_leave_its_connection_to_the_next(world: World) -> None:
    headers = {"_schema_name": "public"}
    task = SimpleNamespace(request=SimpleNamespace(is_eager=False, headers=headers))
    # None so old that it would end for that.
    connection.close()
    world.execute("SELECT 1")
    kept = connection.connection
    leave_a_clean_connection(task)
    assert connection.connection is kept
    # As a time limit does in the middle of a transaction of the driver's.
    kept.execute("BEGIN")
    leave_a_clean_connection(task)
    assert connection.connection is None
    world.execute("SELECT 1")


def test_f22_a_worker_begins_a_new_connection_after_some_institutions(world: World) -> None:
    world.execute("SELECT 1")
    for number in range(60):
        headers = {"_schema_name": f"institution_{number}"}
        leave_a_clean_connection(SimpleNamespace(request=SimpleNamespace(is_eager=False, headers=headers)))
    assert connection.connection is None
