"""Mirrors need real commits: these tests share a database of their own, emptied after each."""

import os
import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from django.db import OperationalError, connection
from pytest_django import DjangoDbBlocker

from federation.models import Agreement, Arrival, SharedCurrency, SharedSecurity
from federation.scope import KINDS, PRIVATE
from tests import databases, factories
from tests.federation.mirror.processes import Processes
from tests.federation.mirror.world import World


@pytest.fixture(scope="module")
def mirror_database(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    """A copy of the template for the tests of one module: none meets another module's processes."""
    name = f"test_mirror_{uuid.uuid4().hex[:12]}"
    with django_db_blocker.unblock():
        databases.create(name)
    yield name
    with django_db_blocker.unblock():
        databases.drop(name)


@pytest.fixture
def world(mirror_database: str, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    """The standing institutions in a database where everything commits."""
    before = str(connection.settings_dict["NAME"])
    with django_db_blocker.unblock():
        databases.connect_to(mirror_database)
        world = World(mirror_database)
        try:
            yield world
        finally:
            world.close_connections()
            connection.close()
            _empty()
            databases.connect_to(before)


@pytest.fixture(scope="module")
def running(mirror_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """A dispatcher and a worker on this module's database, from the first test that wants them on."""
    parts = urlsplit(os.environ["DATABASE_URL"])
    url = urlunsplit(parts._replace(path=f"/{mirror_database}"))
    started = Processes(tmp_path_factory.mktemp("mirror") / "failpoint", url)
    started.start_all()
    yield started
    started.stop()


def _empty() -> None:
    """Remove what a test left: its records, agreements, logs."""
    from django.apps import apps

    tables = [kind.table for kind in KINDS] + [apps.get_model(kind.label)._meta.db_table for kind in PRIVATE]
    # Rather an error than a teardown that waits for ever for a lock that a test has left.
    statements = ["SET lock_timeout = '20s'", "SET session_replication_role = replica"]
    for schema in factories.STANDING:
        statements += [f'DELETE FROM "{schema}"."{table}"' for table in tables]
        statements += [
            f'DELETE FROM "{schema}".guardian_userobjectpermission',
            f'DELETE FROM "{schema}".mirror_log',
            f"SELECT setval('{schema}.mirror_switch', 1, false)",
        ]
    statements += ["SET session_replication_role = origin", "DELETE FROM public.federation_wake"]
    _execute_beside_workers(";".join(statements))
    Agreement.objects.update(version=None)
    for model in (Arrival, SharedSecurity, SharedCurrency, Agreement):
        model.objects.all().delete()


def _execute_beside_workers(statements: str) -> None:
    """Run statements that may meet a batch of a living worker in a deadlock."""
    for _ in range(5):
        try:
            with connection.cursor() as cursor:
                cursor.execute(statements)
        except OperationalError as error:
            if not isinstance(error.__cause__, psycopg.errors.DeadlockDetected):
                raise
        else:
            return
    raise AssertionError("the workers do not let go")
