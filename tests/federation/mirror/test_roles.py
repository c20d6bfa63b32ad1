"""The roles of the mirror: what a mistake in its code would run into."""

import contextlib
import uuid
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import ProgrammingError, connection, transaction
from psycopg import sql

from clients.models import Client, Note
from federation.mirror import acting, roles, write
from federation.mirror.batch import Outcome, run_batch
from federation.models import Agreement, Function, ParkedRow, Stream
from federation.scope import KINDS, PRIVATE, by_label, division
from models_portfolio.models import ModelPortfolio
from portfolios.models import Portfolio, Transaction
from tests import databases, factories
from tests.federation.mirror.everything import everything, offer
from tests.federation.mirror.processes import eventually
from tests.federation.mirror.world import PATIENCE, World

BOTH = ("aurora", "harbour")
PRIVATE_TABLES = [apps.get_model(entry.label)._meta.db_table for entry in PRIVATE] + ["accounts_user"]
CLIENT_TABLES = [kind.table for kind in KINDS if not roles.is_client_free(kind)]


@contextlib.contextmanager
def acting_as(role: str) -> Iterator[None]:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
        yield
        cursor.execute("SET LOCAL ROLE NONE")


def assert_denied(role: str, statement: str, *names: str) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"), acting_as(role):
        connection.cursor().execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def assert_nothing_may_be_done(role: str, table: str) -> None:
    for schema in BOTH:
        for statement in (
            "SELECT id FROM {}.{}",
            "SELECT count(*) FROM {}.{}",
            "UPDATE {}.{} SET id = id WHERE false",
            "DELETE FROM {}.{} WHERE false",
            "INSERT INTO {}.{} DEFAULT VALUES",
            "TRUNCATE {}.{}",
        ):
            assert_denied(role, statement, schema, table)


def current_user() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        return str(cursor.fetchone()[0])


def watch(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that fills with the roles under which rows are written."""
    seen: list[str] = []
    monkeypatch.setattr(write, "failpoint", lambda _name: seen.append(current_user()))
    return seen


def assert_received_rows_are_guarded(world: World) -> None:
    with pytest.raises(ProgrammingError, match="received rows are read-only"):
        world.execute(
            "SET LOCAL roboblock.mirror = 'apply'; UPDATE aurora.clients_client SET name = 'Forged'"
        )


@pytest.mark.parametrize("table", PRIVATE_TABLES)
def test_neither_role_can_touch_what_is_private(world: World, table: str) -> None:
    names = roles.names()
    for role in (names.mirror, names.advice):
        assert_nothing_may_be_done(role, table)


@pytest.mark.parametrize("table", CLIENT_TABLES)
def test_p3_the_role_for_advice_can_touch_no_table_of_clients(world: World, table: str) -> None:
    assert_nothing_may_be_done(roles.names().advice, table)


def test_the_owners_function_runs_no_rule_of_whoever_calls_it(world: World) -> None:
    with acting_as(roles.names().advice), connection.cursor() as cursor:
        cursor.execute(
            """
            CREATE TEMP TABLE named (id uuid PRIMARY KEY) ON COMMIT DROP;
            CREATE TEMP TABLE naming (id uuid REFERENCES named) ON COMMIT DROP;
            GRANT SELECT ON naming TO PUBLIC;
            CREATE FUNCTION pg_temp.rule() RETURNS boolean LANGUAGE plpgsql AS
                $rule$ BEGIN RAISE 'this ran as %', current_user; END $rule$;
            ALTER TABLE naming ENABLE ROW LEVEL SECURITY;
            INSERT INTO named VALUES (gen_random_uuid());
            INSERT INTO naming SELECT id FROM named;
            CREATE POLICY rule ON naming USING (pg_temp.rule());
            """
        )
        cursor.execute(
            "SELECT count(*) FROM public.mirror_named('pg_temp.named'::regclass, ARRAY(SELECT id FROM named), false)"
        )
        assert cursor.fetchone()[0] == 0


def test_fields_that_never_leave_cannot_be_read(world: World) -> None:
    kept = [(kind, name) for kind in KINDS for name in kind.kept_fields]
    assert len(kept) > 5
    for kind, name in kept:
        for schema in BOTH:
            assert_denied(
                roles.names().mirror, "SELECT {2} FROM {0}.{1}", schema, kind.table, kind.column(name)
            )


def test_the_roles_have_privileges_on_nothing_beside_the_scope_and_the_books(world: World) -> None:
    names = roles.names()
    books = {"mirror_log", "django_content_type"}
    books |= {"guardian_userobjectpermission", "guardian_groupobjectpermission"}
    free = {kind.table for kind in KINDS if roles.is_client_free(kind)}
    for role, tables in ((names.advice, free), (names.mirror, {kind.table for kind in KINDS})):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT relname FROM pg_class WHERE relnamespace = 'harbour'::regnamespace AND relkind = 'r'"
                " AND (has_any_column_privilege(%s, oid, 'SELECT, INSERT, UPDATE')"
                " OR has_table_privilege(%s, oid, 'DELETE, TRUNCATE, TRIGGER'))",
                [role, role],
            )
            assert {name for (name,) in cursor.fetchall()} == tables | books


def test_batches_run_under_the_role_of_their_agreement_and_give_it_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    names, login, seen = roles.names(), current_user(), watch(monkeypatch)
    agreement = world.agree()
    everything(world, agreement)
    assert set(seen) == {names.mirror}
    seen.clear()
    advice = world.agree("aurora", "meadow", "advice")
    offer(world, advice)
    # The other agreement follows the same owner: new securities concern it too.
    while run_batch(world.stream(advice, "aurora").pk) != Outcome.IDLE:
        continue
    assert set(seen) == {names.advice}
    world.drain()
    assert current_user() == login
    assert world.count("meadow", ModelPortfolio, origin__isnull=False) == 1
    world.assert_in_step(agreement)
    world.assert_in_step(advice)


def test_ending_and_narrowing_run_under_the_role_and_give_it_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    login, seen = current_user(), []
    carry_out = write.Writer.delete_only

    def delete_only(writer: Any, labels: Any) -> None:
        seen.append(current_user())
        carry_out(writer, labels)

    monkeypatch.setattr(write.Writer, "delete_only", delete_only)
    agreement = world.agree()
    everything(world, agreement)
    with transaction.atomic():
        world.change(agreement, state="terminated")
        assert current_user() == login
    assert set(seen) == {roles.names().mirror}


def test_a_field_shared_by_mistake_stops_the_stream_and_does_not_cross(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    agreement = world.agree()
    # What is granted follows from the same table: it was granted before the mistake.
    roles.digest()
    kind = by_label()["clients.Client"]
    right = kind.shared
    # Not the setting of a test: the entry itself is wrong, for everybody who asks it.
    object.__setattr__(kind, "shared", f"{right} next_review_date")
    try:
        wrong = world.agree("aurora", "lakeside", fill=False)
        world.mandate(wrong, "lakeside")
        stream = world.stream(wrong, "lakeside")
        eventually(lambda: run_batch(stream.pk) == Outcome.BROKEN, seconds=PATIENCE)
        assert Stream.objects.get(pk=stream.pk).problem == "permission denied for table clients_client"
        assert world.count("aurora", Client) == 0
    finally:
        object.__setattr__(kind, "shared", right)
    world.mandate(agreement)
    Stream.objects.filter(agreement=wrong).delete()
    world.drain()
    world.assert_in_step(agreement)


def test_p3_clients_shared_by_mistake_under_advice_stop_the_stream_and_do_not_cross(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        division,
        "_candidates",
        lambda version, side: {
            kind.label: kind
            for kind in KINDS
            if kind.function is None or division.performer(version, kind.function) == side
        },
    )
    agreement = world.agree("aurora", "meadow", "advice", fill=False)
    version = Agreement.objects.get(pk=agreement.pk).version
    assert version is not None
    assert Function.RELATIONSHIP in version.private
    world.mandate(agreement, "meadow", client=world.client("meadow", "Zacharias Unmistakable"))
    stream = world.stream(agreement, "meadow")
    # Transactions of other databases of this server may be older than the stream.
    eventually(lambda: run_batch(stream.pk) == Outcome.BROKEN, seconds=PATIENCE)
    assert Stream.objects.get(pk=stream.pk).problem.startswith("permission denied for table clients_")
    assert world.count("aurora", Client) == 0
    assert not ParkedRow.objects.exists()


def test_f20_claiming_to_be_the_mirror_lets_no_session_change_received_rows(world: World) -> None:
    agreement = world.agree()
    world.mandate(agreement)
    world.drain()
    assert_received_rows_are_guarded(world)
    with acting_as(roles.names().mirror):
        world.execute("UPDATE aurora.clients_client SET language = language")


def test_f17_a_privilege_too_many_or_too_few_is_reported_and_repaired(world: World) -> None:
    names = roles.names()
    mirror, advice = sql.Identifier(names.mirror), sql.Identifier(names.advice)
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL(
                "GRANT SELECT ON aurora.clients_note TO {0}; GRANT SELECT (advisor_id) ON aurora.clients_client TO {0};"
                " REVOKE UPDATE ON aurora.models_portfolio_target FROM {1}; REVOKE USAGE ON SCHEMA aurora FROM {1};"
                " REVOKE INSERT ON public.federation_wake FROM {1}"
            ).format(mirror, advice)
        )
    assert sorted(roles.differences("aurora")) == [
        f"aurora.clients_client.advisor_id: {names.mirror} has SELECT",
        f"aurora.clients_note: {names.mirror} has SELECT",
        f"aurora.models_portfolio_target: {names.advice} lacks UPDATE",
        f"aurora: {names.advice} lacks USAGE",
    ]
    assert roles.differences("public") == [f"public.federation_wake: {names.advice} lacks INSERT"]
    call_command("check_mirror", "--repair", stdout=StringIO())
    assert roles.differences("aurora") == roles.differences("public") == []


def test_f18_privileges_that_a_restored_dump_has_lost_are_granted_anew(world: World) -> None:
    agreement = world.agree()
    names = roles.names()
    world.execute(f"REVOKE ALL ON ALL TABLES IN SCHEMA aurora FROM {names.mirror}, {names.advice}")
    world.mandate(agreement)
    world.drain()
    world.assert_in_step(agreement)
    assert world.count("aurora", Client) == 1
    assert roles.differences("aurora") == []


def test_p4_a_leaving_row_that_a_private_row_names_stays_although_the_mirror_cannot_read_it(
    world: World,
) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    world.drain()
    with world.within("aurora"):
        Note.objects.create(client=Client.objects.get(), text="Called.")
    world.decide(mandate, "rejected")
    world.drain()
    with world.within("aurora"):
        assert Client.objects.get().retired_at is not None
        assert Client.objects.get().name == ""


@pytest.fixture
def ordinary_owner(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Work in a database of an owner who may neither create roles nor leave triggers out; give its name."""
    name = f"test_owner_{uuid.uuid4().hex[:8]}"
    login = str(connection.settings_dict["USER"])
    with databases.fresh("owned") as database:
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'test'; GRANT {name} TO {login}")
            cursor.execute(f"ALTER DATABASE {database} OWNER TO {name}")
            cursor.execute(_GIVE_ALL.replace("NEW_OWNER", name))
        connection.close()
        monkeypatch.setitem(connection.settings_dict, "USER", name)
        monkeypatch.setitem(connection.settings_dict, "PASSWORD", "test")
        try:
            yield name
        finally:
            connection.close()
            monkeypatch.undo()
    with connection.cursor() as cursor:
        for role in (f"{name}_mirror", f"{name}_advice", name):
            cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role])
            if cursor.fetchone():
                cursor.execute(f"REVOKE ALL ON PARAMETER session_replication_role FROM {role}")
                cursor.execute(f"DROP ROLE {role}")


_GIVE_ALL = """
DO $give$
DECLARE
    statement text;
BEGIN
    FOR statement IN
        SELECT format('ALTER SCHEMA %I OWNER TO NEW_OWNER', nspname) FROM pg_namespace
        WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'
        UNION ALL
        SELECT format('ALTER TABLE %s OWNER TO NEW_OWNER', c.oid::regclass) FROM pg_class c
        WHERE relkind IN ('r', 'v') AND relnamespace::regnamespace::text !~ '^(pg_|information_schema)'
        UNION ALL
        SELECT format('ALTER SEQUENCE %s OWNER TO NEW_OWNER', c.oid::regclass) FROM pg_class c
        WHERE relkind = 'S' AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = c.oid AND deptype IN ('a', 'i'))
        UNION ALL
        SELECT format('ALTER ROUTINE %s OWNER TO NEW_OWNER', p.oid::regprocedure) FROM pg_proc p
        WHERE pronamespace::regnamespace::text !~ '^(pg_|information_schema)'
    LOOP
        EXECUTE statement;
    END LOOP;
END
$give$
"""


def test_an_owner_that_cannot_create_roles_mirrors_without_them_until_an_administrator_grants_them(
    world: World, ordinary_owner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    login, seen = ordinary_owner, watch(monkeypatch)

    def checked(*options: str) -> str:
        said = StringIO()
        call_command("check_mirror", *options, stdout=said)
        return said.getvalue()

    call_command("migrate_schemas", verbosity=0)
    assert f"may not use the roles {login}_mirror and {login}_advice" in checked()
    agreement = world.agree()
    first, second = world.mandate(agreement), world.mandate(agreement)
    world.drain()
    world.portfolio(first, transactions=3)
    world.decide(second, "rejected")
    world.drain()
    world.assert_in_step(agreement)
    assert set(seen) == {login}
    assert world.count("harbour", Transaction) == 3
    with pytest.raises(ProgrammingError, match="received rows are read-only"):
        world.execute("UPDATE aurora.clients_client SET name = 'Forged'")

    # What README.md has an administrator of the server do.
    only_set = " WITH INHERIT FALSE, SET TRUE" if roles._postgres.pg_version >= 160_000 else ""
    with databases.administrator() as administrator:
        administrator.execute(
            f"CREATE ROLE {login}_advice NOLOGIN; CREATE ROLE {login}_mirror NOLOGIN;"
            f" GRANT {login}_advice TO {login}_mirror;"
            f" GRANT {login}_mirror, {login}_advice TO {login}{only_set};"
            f" GRANT SET ON PARAMETER session_replication_role TO {login}_advice"
        )
    assert "Every trigger and privilege" in checked("--repair")
    connection.close()
    seen.clear()
    third = world.mandate(agreement)
    world.drain()
    world.portfolio(third)
    world.drain()
    assert world.count("harbour", Portfolio) == 2
    world.assert_in_step(agreement)
    assert set(seen) == {f"{login}_mirror"}
    means = acting._means()
    if roles._postgres.pg_version >= 160_000:
        assert (means.login_may, means.role_may) == (False, True)
    assert_received_rows_are_guarded(world)


def test_a_new_institution_has_the_privileges_of_its_schema(world: World) -> None:
    for schema in factories.STANDING:
        assert roles.differences(schema) == []
    assert roles.differences("public") == []
