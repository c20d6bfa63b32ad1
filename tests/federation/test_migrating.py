"""Many schemas are migrated by one command: what is done stays done, and what fails is named."""

import io
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction
from pytest_django import DjangoDbBlocker

from federation.management.commands import migrate_schemas
from federation.migrating import find
from federation.mirror import capture
from federation.schemas import BLANK
from tests import databases
from tests.federation import test_schemas

# Nothing hangs off this migration, so that going back behind it takes only it back.
APP, BEFORE, LAST = "reporting", "0001", "0002_numbers_and_immutable"
pytestmark = pytest.mark.xdist_group("migrating")


@pytest.fixture(scope="module")
def database(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Migrations commit: these tests have a database of their own, and leave all of it migrated."""
    with django_db_blocker.unblock(), databases.fresh("migrating"):
        yield


@pytest.fixture
def everybody(database: None, django_db_blocker: DjangoDbBlocker) -> Iterator[set[str]]:
    """The schemas of all institutions, and the blank one: all of them are migrated."""
    with django_db_blocker.unblock():
        found = set(migrate_schemas._everywhere())
        assert have() == found
        yield found


def migrate(*args: str, **options: object) -> str:
    out = io.StringIO()
    call_command("migrate_schemas", *args, tenant=True, stdout=out, stderr=out, **options)
    return out.getvalue()


def have(app: str = APP, migration: str = LAST) -> set[str]:
    """Return the schemas that have a migration."""
    return {each.schema for each in find(migrate_schemas._everywhere()) if (app, migration) in each.applied}


def execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.parametrize(
    ("jobs", "app", "first", "second"), [(1, APP, BEFORE, LAST), (2, "clients", "0001", "0002_numbers")]
)
def test_all_schemas_go_back_and_forth_also_the_blank_one(
    everybody: set[str], monkeypatch: pytest.MonkeyPatch, jobs: int, app: str, first: str, second: str
) -> None:
    monkeypatch.setattr(migrate_schemas, "_WORTH_PROCESSES", 2)
    assert BLANK in everybody
    # The numbers that sequences have reached are rows' affair.
    kinds = [what for what in test_schemas.QUERIES if what != "sequences"]
    before = {what: test_schemas.read(what, BLANK) for what in kinds}
    migrate(app, first, jobs=jobs)
    assert {what: test_schemas.read(what, BLANK) for what in kinds} != before
    assert have(app, second) == set()
    with pytest.raises(SystemExit):
        migrate(check_unapplied=True)
    assert f"{len(everybody)} migrated, 0 were up to date" in migrate(jobs=jobs)
    assert have() == everybody
    assert {what: test_schemas.read(what, BLANK) for what in kinds} == before
    assert f"0 migrated, {len(everybody)} were up to date" in migrate(jobs=jobs)
    migrate(check_unapplied=True)


def test_a_schema_that_fails_is_named_and_the_others_go_on(everybody: set[str]) -> None:
    migrate(APP, BEFORE)
    execute("CREATE SEQUENCE harbour.reporting_report_number")
    with pytest.raises(CommandError, match=f"1 of {len(everybody)} schemas could not be migrated"):
        migrate()
    assert have() == everybody - {"harbour"}
    execute("DROP SEQUENCE harbour.reporting_report_number")
    # It goes on with what is left.
    assert f"1 migrated, {len(everybody) - 1} were up to date" in migrate()
    assert have() == everybody


def test_triggers_and_permissions_that_an_interruption_left_out_are_made_up_for(everybody: set[str]) -> None:
    execute("DROP TRIGGER mirror_update ON harbour.clients_client")
    execute("DELETE FROM aurora.auth_permission WHERE codename = 'add_client'")
    assert capture.drifted(everybody) == ["harbour"]
    assert "1 migrated" in migrate()
    assert capture.drifted(everybody) == []
    assert all(each.has_permissions for each in find(sorted(everybody)))


@pytest.fixture
def behind(everybody: set[str], monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Have all schemas one migration behind, and so few be worth processes."""
    monkeypatch.setattr(migrate_schemas, "_WORTH_PROCESSES", 2)
    migrate(APP, BEFORE)
    return everybody


@dataclass
class Migrating:
    """A fork of this process that migrates in two processes of its own once it is told to."""

    process: BaseProcess
    began: Any
    said: Path


@pytest.fixture
def migrating(behind: set[str], tmp_path: Path) -> Iterator[Migrating]:
    # Not the fork's to end.
    connections.close_all()
    context, said = multiprocessing.get_context("fork"), tmp_path / "said"
    began = context.Event()

    def migrate_all() -> None:
        began.wait()
        with said.open("w") as out:
            call_command("migrate_schemas", tenant=True, jobs=2, stdout=out, stderr=out)

    process = context.Process(target=migrate_all)
    process.start()
    yield Migrating(process, began, said)
    process.kill()
    process.join()


def wait_for(what: Callable[[], bool]) -> None:
    for _ in range(600):
        if what():
            return
        time.sleep(0.1)
    raise AssertionError("it did not come to that")


def others_here() -> list[int]:
    """Return the server processes of the other connections to this database."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        return [row[0] for row in cursor.fetchall()]


def hold(schema: str) -> None:
    """Have whoever migrates a schema wait, and everybody else not, until the transaction ends."""
    execute(f"LOCK TABLE {schema}.django_migrations IN SHARE MODE")


def test_what_was_migrated_before_a_kill_is_not_migrated_again(
    behind: set[str], migrating: Migrating
) -> None:
    with transaction.atomic():
        hold("harbour")
        migrating.began.set()
        # The other process goes on with all the others.
        wait_for(lambda: have() == behind - {"harbour"})
        children = psutil.Process(migrating.process.pid).children()
        assert len(children) == 2
        migrating.process.kill()
        migrating.process.join()
        # Nobody stays behind.
        wait_for(lambda: not any(child.is_running() for child in children))
    wait_for(lambda: not others_here())
    assert have() == behind - {"harbour"}
    assert f"1 migrated, {len(behind) - 1} were up to date" in migrate(jobs=2)
    assert have() == behind


def test_a_process_that_is_killed_is_replaced_and_stops_nobody(
    behind: set[str], migrating: Migrating
) -> None:
    with transaction.atomic():
        hold("harbour")
        migrating.began.set()
        wait_for(lambda: have() == behind - {"harbour"})
        for child in psutil.Process(migrating.process.pid).children():
            os.kill(child.pid, signal.SIGKILL)
    migrating.process.join(120)
    said = migrating.said.read_text()
    assert migrating.process.exitcode == 0, said
    assert f"{len(behind)} migrated" in said
    assert have() == behind


def test_a_schema_whose_process_is_killed_each_time_is_named(
    behind: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = migrate_schemas._migrate_one

    def one(migrator: migrate_schemas.Migrator, found: migrate_schemas.Found) -> migrate_schemas.Result:
        if found.schema == "harbour":
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(migrator, found)

    with monkeypatch.context() as patch:
        patch.setattr(migrate_schemas, "_migrate_one", one)
        with pytest.raises(CommandError, match=r"^1 of .* run migrate_schemas again: it goes on with these"):
            migrate(jobs=2)
    assert have() == behind - {"harbour"}
    migrate(jobs=2)
    assert have() == behind


def test_a_schema_that_is_not_there_is_named_and_one_with_nothing_in_it_is_migrated_whole(
    everybody: set[str],
) -> None:
    execute("DROP SCHEMA harbour CASCADE")
    with pytest.raises(CommandError, match="1 of"):
        migrate()
    execute("CREATE SCHEMA harbour")
    assert "1 migrated" in migrate()
    assert have() == everybody
    assert capture.differences("harbour") == []
