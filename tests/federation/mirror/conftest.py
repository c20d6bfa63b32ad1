"""Mirrors need real commits: these tests share a database of their own, emptied after each."""

import os
import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.db import connection
from pytest_django import DjangoDbBlocker

from federation.models import Agreement, Arrival, SharedCurrency, SharedSecurity
from federation.scope import KINDS, PRIVATE
from tests import databases, factories
from tests.federation.mirror.processes import Processes
from tests.federation.mirror.world import World


@pytest.fixture(scope="session")
def mirror_database(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    """A copy of the template for all tests of the mirror in this process."""
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
        try:
            yield World(mirror_database)
        finally:
            connection.close()
            _empty()
            databases.connect_to(before)


@pytest.fixture(scope="session")
def running(mirror_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """A dispatcher and a worker on the mirrors' database, from the first test that wants them on."""
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
    statements = ["SET session_replication_role = replica"]
    for schema in factories.STANDING:
        statements += [f'DELETE FROM "{schema}"."{table}"' for table in tables]
        statements += [
            f'DELETE FROM "{schema}".guardian_userobjectpermission',
            f'DELETE FROM "{schema}".mirror_log',
            f"SELECT setval('{schema}.mirror_switch', 1, false)",
        ]
    statements += ["SET session_replication_role = origin", "DELETE FROM public.federation_wake"]
    with connection.cursor() as cursor:
        cursor.execute(";".join(statements))
    Agreement.objects.update(version=None)
    for model in (Arrival, SharedSecurity, SharedCurrency, Agreement):
        model.objects.all().delete()
