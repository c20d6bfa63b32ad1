"""Many schemas are migrated by one command: what is done stays done, and what fails is named."""

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import psutil
import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from pytest_django import DjangoDbBlocker

from config.embedded.paths import PROJECT
from federation.management.commands import migrate_schemas
from federation.migrating import find
from federation.mirror import capture
from federation.models import Institution
from federation.schemas import BLANK
from tests import databases

LAST, BEFORE = "0002_numbers", "0001"


@pytest.fixture
def alone(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Migrations commit: each of these tests has a database of its own."""
    with django_db_blocker.unblock(), databases.fresh("migrating"):
        yield


def migrate(*args: str, **options: object) -> str:
    out = io.StringIO()
    call_command("migrate_schemas", *args, tenant=True, stdout=out, stderr=out, **options)
    return out.getvalue()


def have(migration: str = LAST) -> set[str]:
    """Return the schemas that have a migration of clients."""
    return {
        each.schema for each in find(migrate_schemas._everywhere()) if ("clients", migration) in each.applied
    }


def execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.parametrize("jobs", [1, 2])
def test_all_schemas_go_back_and_forth_also_the_blank_one(
    alone: None, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    monkeypatch.setattr(migrate_schemas, "_WORTH_PROCESSES", 2)
    everybody = set(migrate_schemas._everywhere())
    assert BLANK in everybody
    assert have() == everybody
    migrate("clients", BEFORE, jobs=jobs)
    assert have() == set()
    assert f"{len(everybody)} migrated, 0 were up to date" in migrate(jobs=jobs)
    assert have() == everybody
    assert f"0 migrated, {len(everybody)} were up to date" in migrate(jobs=jobs)


def test_a_schema_that_fails_is_named_and_the_others_go_on(alone: None) -> None:
    everybody = set(migrate_schemas._everywhere())
    migrate("clients", BEFORE)
    execute("CREATE SEQUENCE harbour.clients_mandate_number")
    with pytest.raises(CommandError, match=f"1 of {len(everybody)} schemas could not be migrated"):
        migrate()
    assert have() == everybody - {"harbour"}
    execute("DROP SEQUENCE harbour.clients_mandate_number")
    # It goes on with what is left.
    assert f"1 migrated, {len(everybody) - 1} were up to date" in migrate()
    assert have() == everybody


def test_a_schema_that_is_not_there_is_named(alone: None) -> None:
    execute("DROP SCHEMA harbour CASCADE")
    with pytest.raises(CommandError, match="1 of"):
        migrate()


def test_triggers_and_permissions_that_an_interruption_left_out_are_made_up_for(alone: None) -> None:
    execute("DROP TRIGGER mirror_update ON harbour.clients_client")
    execute("DELETE FROM aurora.auth_permission WHERE codename = 'add_client'")
    assert capture.drifted(migrate_schemas._everywhere()) == ["harbour"]
    assert "1 migrated" in migrate()
    assert capture.drifted(migrate_schemas._everywhere()) == []
    assert all(each.has_permissions for each in find(migrate_schemas._everywhere()))


def test_a_schema_with_nothing_in_it_is_migrated_whole(alone: None) -> None:
    execute("DROP SCHEMA harbour CASCADE; CREATE SCHEMA harbour")
    assert "1 migrated" in migrate()
    assert "harbour" in have()
    assert capture.differences("harbour") == []


def test_check_says_by_its_exit_code_whether_anything_is_left(alone: None) -> None:
    migrate(check_unapplied=True)
    migrate("clients", BEFORE, schema_name="harbour")
    with pytest.raises(SystemExit):
        migrate(check_unapplied=True)


@pytest.fixture
def many(alone: None) -> set[str]:
    """Have enough institutions that several processes migrate them, all one migration behind."""
    for number in range(migrate_schemas._WORTH_PROCESSES):
        name = f"quay_{number}"
        Institution(schema_name=name, name=name, short_name=name).save(verbosity=0)
    migrate("clients", BEFORE)
    return set(migrate_schemas._everywhere())


def start() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "manage.py", "migrate_schemas", "--tenant", "--jobs", "2"],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


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


def test_what_was_migrated_before_a_kill_is_not_migrated_again(many: set[str]) -> None:
    with transaction.atomic():
        hold("quay_3")
        process = start()
        # The other process goes on with all the others.
        wait_for(lambda: have() == many - {"quay_3"})
        children = psutil.Process(process.pid).children()
        process.send_signal(signal.SIGKILL)
        process.communicate()
        # Nobody stays behind.
        wait_for(lambda: not any(child.is_running() for child in children))
    wait_for(lambda: not others_here())
    assert have() == many - {"quay_3"}
    assert f"1 migrated, {len(many) - 1} were up to date" in migrate(jobs=2)
    assert have() == many


def test_a_process_that_is_killed_is_replaced_and_stops_nobody(many: set[str]) -> None:
    with transaction.atomic():
        hold("quay_3")
        process = start()
        wait_for(lambda: have() == many - {"quay_3"})
        for child in psutil.Process(process.pid).children():
            os.kill(child.pid, signal.SIGKILL)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert f"{len(many)} migrated" in said
    assert have() == many


def test_a_schema_whose_process_is_killed_each_time_is_named(
    many: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = migrate_schemas._migrate_one

    def one(migrator: migrate_schemas.Migrator, found: migrate_schemas.Found) -> migrate_schemas.Result:
        if found.schema == "quay_3":
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(migrator, found)

    monkeypatch.setattr(migrate_schemas, "_migrate_one", one)
    with pytest.raises(CommandError, match=r"^1 of .* run migrate_schemas again: it goes on with these"):
        migrate(jobs=2)
    monkeypatch.undo()
    assert have() == many - {"quay_3"}
    migrate(jobs=2)
    assert have() == many
