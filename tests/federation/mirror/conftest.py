"""Mirrors need real commits: these tests share a database of their own, emptied after each."""

import os
import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.db import connection
from pytest_django import DjangoDbBlocker

from tests import databases
from tests.federation.mirror.emptying import empty
from tests.federation.mirror.processes import Processes
from tests.federation.mirror.shop import Shop
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
            empty()
            databases.connect_to(before)


@pytest.fixture
def split(world: World) -> Shop:
    """The manager manages and trades, the channel settles."""
    return Shop(world, settlement="channel")


@pytest.fixture(scope="module")
def running(mirror_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """A dispatcher and a worker on this module's database, from the first test that wants them on."""
    parts = urlsplit(os.environ["DATABASE_URL"])
    url = urlunsplit(parts._replace(path=f"/{mirror_database}"))
    started = Processes(tmp_path_factory.mktemp("mirror") / "failpoint", url)
    started.start_all()
    yield started
    started.stop()
