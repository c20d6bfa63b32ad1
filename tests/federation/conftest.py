"""Mirrors need real commits: their tests share databases of their own, emptied after each, as made for each module."""

import os
import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.db import connection
from psycopg.pq import TransactionStatus
from pytest_django import DjangoDbBlocker

from tests import databases
from tests.federation.mirror.emptying import empty
from tests.federation.mirror.processes import Processes
from tests.federation.mirror.world import World
from tests.federation.restoring import Reused


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests of a module to one worker of xdist: they share databases and processes."""
    for item in items:
        wanted = getattr(item, "fixturenames", ())
        if "world" in wanted and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


@pytest.fixture(scope="session")
def _mirrors(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Reused]:
    reused = Reused("mirror")
    yield reused
    with django_db_blocker.unblock():
        reused.drop()


@pytest.fixture(scope="module")
def mirror_database(_mirrors: Reused, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    """A database like the template for a module, in which nothing runs but what a test does."""
    with django_db_blocker.unblock():
        name = _mirrors.take()
    yield name
    with django_db_blocker.unblock():
        _mirrors.give_back()


@pytest.fixture(scope="module")
def live_database(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    """A copy of the template for those tests of a module that want processes to be `running`."""
    name = f"test_live_{uuid.uuid4().hex[:12]}"
    with django_db_blocker.unblock():
        databases.create(name)
    yield name
    with django_db_blocker.unblock():
        databases.forget(name)
        databases.drop(name)


@pytest.fixture
def world(request: pytest.FixtureRequest, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    """The standing institutions in a database where everything commits."""
    is_live = "running" in request.fixturenames
    database = request.getfixturevalue("live_database" if is_live else "mirror_database")
    with django_db_blocker.unblock(), databases.working_in(database):
        connection.set_schema_to_public()
        world = World(database)
        try:
            yield world
        finally:
            world.close_connections()
            _end_what_is_open()
            empty()


def _end_what_is_open() -> None:
    """Close a connection that a test has left in the middle of something: nothing of it goes on."""
    opened = connection.connection
    if opened is not None and opened.info.transaction_status != TransactionStatus.IDLE:
        connection.close()


@pytest.fixture(scope="module")
def running(live_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """A dispatcher and a worker, from the first test of a module that wants them on."""
    parts = urlsplit(os.environ["DATABASE_URL"])
    url = urlunsplit(parts._replace(path=f"/{live_database}"))
    started = Processes(tmp_path_factory.mktemp("mirror") / "failpoint", url)
    started.start_all()
    yield started
    started.stop()
