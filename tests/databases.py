"""Databases of the tests: one migrated template per server, and quick copies of it."""

import contextlib
import importlib.util
import os
import time
import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import psycopg
from django.core.management import call_command
from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

from config.embedded.paths import Lock
from tests import servers


def _run_id() -> str:
    # Also unique where several runs share a given server.
    return servers.run_folder().name.removeprefix("roboblock-test-").lower()


def template_name() -> str:
    """Return the name of this run's template."""
    return f"test_template_{_run_id()}"


def name_for(owner: str) -> str:
    """Return the name of the database of `owner`, such as an xdist worker."""
    return f"test_{owner}_{_run_id()}"


@contextlib.contextmanager
def administrator() -> Iterator[psycopg.Connection]:
    """Give a connection that may create databases and roles, outside every transaction."""
    with psycopg.connect(os.environ[servers.SERVER_URL], autocommit=True) as connected:
        yield connected


def _administer(statement: str, *names: str) -> None:
    """Run one statement outside every transaction."""
    with administrator() as connected:
        connected.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def create(name: str, *, template: str | None = None) -> None:
    """Create a database as a copy of the run's template; nobody may be connected to the template."""
    _administer("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy", name, template or template_name())


def create_empty(name: str) -> None:
    """Create a database with nothing in it."""
    _administer("CREATE DATABASE {} TEMPLATE template0", name)


def drop(name: str) -> None:
    """Drop a database, also while somebody is connected to it."""
    for attempt in range(50):
        try:
            _administer("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
        except psycopg.errors.InsufficientPrivilege:
            # A worker of autovacuum is in it, which is the server's own and soon done.
            if attempt == 49:
                raise
            time.sleep(0.2)
        else:
            return


def _exists(name: str) -> bool:
    with psycopg.connect(os.environ[servers.SERVER_URL], autocommit=True) as administrator:
        return (
            administrator.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
            is not None
        )


def connect_to(name: str) -> None:
    """Point Django's connection, and what this process starts from now on, at the database `name`."""
    connections.close_all()
    _name(name)


def _name(name: str) -> None:
    connection.settings_dict["NAME"] = name
    parts = urlsplit(os.environ["DATABASE_URL"])
    os.environ["DATABASE_URL"] = urlunsplit(parts._replace(path=f"/{name}"))


# Django's connections to the databases that a process works in again and again, by name.
_kept: dict[str, BaseDatabaseWrapper] = {}


@contextlib.contextmanager
def working_in(name: str) -> Iterator[None]:
    """Work in a database for a while, by a connection that stays open for the next time, until it is forgotten."""
    before, database = connections["default"], str(connection.settings_dict["NAME"])
    kept = _kept.setdefault(name, connections.create_connection("default"))
    connections["default"] = kept
    _name(name)
    try:
        if kept.connection is not None and not kept.is_usable():
            kept.close()
        yield
    finally:
        connections["default"] = before
        _name(database)


def forget(name: str) -> None:
    """Close the connection that was kept to a database."""
    if (kept := _kept.pop(name, None)) is not None:
        kept.close()


@contextlib.contextmanager
def fresh(label: str = "own") -> Iterator[str]:
    """Work in a copy of the template of one's own, for what has to commit; yield its name."""
    before = str(connection.settings_dict["NAME"])
    name = f"test_{label}_{uuid.uuid4().hex[:12]}"
    create(name)
    connect_to(name)
    try:
        yield name
    finally:
        connect_to(before)
        drop(name)


def build_template() -> None:
    """Migrate a database and add the standing institutions, whoever comes first; other servers begin with a copy."""
    lock = Lock(servers.run_folder() / "template.lock")
    lock.take(wait=True)
    try:
        if _exists(template_name()) or servers.begin_with_what_was_left():
            return
        # Under another name until it is complete: a worker that dies halfway leaves no half template.
        building = f"{template_name()}_new"
        drop(building)
        create_empty(building)
        connect_to(building)
        call_command("migrate_schemas", shared=True, verbosity=0)
        if importlib.util.find_spec("tests.factories"):
            from tests import factories

            create_standing_institutions = getattr(factories, "create_standing_institutions", None)
            if create_standing_institutions is not None:
                create_standing_institutions()
        connections.close_all()
        _administer("ALTER DATABASE {} RENAME TO {}", building, template_name())
        servers.leave_for_others()
    finally:
        lock.release()
