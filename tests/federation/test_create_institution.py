"""The command that creates an institution says what is wrong, and does nothing twice."""

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django_tenants.utils import schema_exists
from pytest_django import DjangoDbBlocker

from config.embedded import processes
from config.embedded.paths import PROJECT, write_state
from federation.models import Institution
from federation.schemas import BLANK
from tests import databases

GOOD = {
    "name": "Quay Bank",
    "schema": "quay",
    "domain": "quay.localhost",
    "admin_email": "admin@quay.example",
}


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"schema": "Quay Bank"}, "cannot be a schema"),
        ({"schema": "public"}, "cannot be a schema"),
        ({"schema": "pg_quay"}, "cannot be a schema"),
        ({"domain": "http://quay.localhost:8000"}, "no host name"),
        ({"domain": "harbour.localhost"}, "leads to Harbour Bank"),
        ({"name": "harbour bank"}, "already an institution named"),
        ({"name": " "}, "Give the institution a name"),
        ({"admin_email": "admin"}, "no e-mail address"),
        ({"schema": "harbour"}, "belongs to Harbour Bank"),
        ({"country": "Swiss"}, "takes 2 letters"),
        ({"country": "zz"}, "no country 'zz'"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_created(db, wrong, sentence):
    before = Institution.objects.count()
    with pytest.raises(CommandError, match=sentence):
        call_command("create_institution", **{**GOOD, **wrong}, stdout=io.StringIO())
    assert Institution.objects.count() == before


def test_an_institution_that_exists_is_left_alone(harbour):
    out = io.StringIO()
    call_command(
        "create_institution", name="Harbour Bank", schema="harbour", domain="harbour.localhost",
        admin_email="x@harbour.example", stdout=out,
    )  # fmt: skip
    assert "exists already. Nothing was changed." in out.getvalue()


@pytest.mark.django_db
def test_a_new_institution_invites_its_first_administrator(browse):
    out = io.StringIO()
    call_command("create_institution", **GOOD, stdout=out)
    link = out.getvalue().splitlines()[-1]
    institution = Institution.objects.get(schema_name="quay")
    answer = browse(institution).get("/" + link.split("/", 3)[3])
    assert answer.status_code == 200
    assert b"admin" in answer.content


@pytest.fixture
def alone(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """What is killed has committed or not: such a test has a database of its own."""
    with django_db_blocker.unblock(), databases.fresh("creating"):
        yield


def start(**environment: str) -> subprocess.Popen[str]:
    options = [f"--{name.replace('_', '-')}={value}" for name, value in GOOD.items()]
    return subprocess.Popen(
        [sys.executable, "manage.py", "create_institution", *options],
        cwd=PROJECT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
    )


def wait_until_somebody_waits_for(table: str) -> None:
    with connection.cursor() as cursor:
        for _ in range(600):
            cursor.execute(
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = %s::regclass", [table]
            )
            if cursor.fetchone()[0]:
                return
            time.sleep(0.1)
    raise AssertionError(f"nobody waits for {table}")


def wait_until_nobody_else_is_here() -> None:
    with connection.cursor() as cursor:
        for _ in range(600):
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )
            if not cursor.fetchone()[0]:
                return
            time.sleep(0.1)
    raise AssertionError("a killed process's transaction is still open")


def kill_where_it_waits_for(table: str) -> None:
    """Create the institution in a fork of this process, and kill that where it waits for a table."""
    with psycopg.connect(os.environ["DATABASE_URL"]) as other:
        other.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        # Not the fork's to end.
        connections.close_all()
        pid = os.fork()
        if pid == 0:
            try:
                call_command("create_institution", **GOOD, stdout=io.StringIO())
            finally:
                os._exit(1)
        try:
            wait_until_somebody_waits_for(table)
        finally:
            os.kill(pid, signal.SIGKILL)
            assert os.WIFSIGNALED(os.waitpid(pid, 0)[1]), "it has ended by itself"
        other.rollback()
    wait_until_nobody_else_is_here()


def test_a_creation_that_is_killed_halfway_leaves_nothing_and_the_next_one_succeeds(alone: None) -> None:
    for where in (f"{BLANK}.auth_permission", "public.federation_domain"):
        kill_where_it_waits_for(where)
        assert not Institution.everyone.filter(schema_name="quay").exists()
        assert not schema_exists("quay")
    out = io.StringIO()
    call_command("create_institution", **GOOD, stdout=out)
    assert "Quay Bank is ready" in out.getvalue()
    assert schema_exists("quay")


def test_an_institution_that_an_earlier_version_left_without_a_schema_is_finished(alone: None) -> None:
    Institution.objects.bulk_create([Institution(schema_name="quay", name="Quay Bank", short_name="Quay")])
    out = io.StringIO()
    call_command("create_institution", **GOOD, stdout=out)
    assert "Quay Bank is ready" in out.getvalue()
    assert schema_exists("quay")


@pytest.mark.django_db
def test_a_schema_that_somebody_else_made_is_not_taken_and_not_removed() -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA quay")
    with pytest.raises(ValidationError, match="already a schema quay"):
        Institution(schema_name="quay", name="Quay Bank", short_name="Quay").save(verbosity=0)
    assert schema_exists("quay")
    assert not Institution.objects.filter(schema_name="quay").exists()


def test_the_address_has_the_port_of_the_platform_that_runs(alone: None, tmp_path: Path) -> None:
    running = {"supervisor": processes.identity(os.getpid()), "port": 8123}
    write_state(tmp_path / "platform.json", running)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PORT", raising=False)
        said, _ = start(DATA_DIR=str(tmp_path)).communicate(timeout=120)
    assert said.splitlines()[-1].startswith("http://quay.localhost:8123/")
