"""What is sealed shows nowhere, under any division of work: not by contents, order, search, filter or count.

Everything that can be read is read. Then every field of every sealed row is changed, more such rows are added
where there can be, and everything has to read the same.
"""

import datetime
import difflib
import re
from typing import Any

import pytest
from django.db import IntegrityError, connection, models, transaction
from django.test import Client as Browser
from psycopg import sql

from accounts.errors import DomainError
from accounts.models import User
from clients.models import Client, KycStatus, RiskProfile
from federation.mirror.ending import is_sealed
from federation.models import Agreement, AgreementVersion, Side
from federation.scope import KINDS, Kind, shares
from models_portfolio.models import ModelAssignment
from models_portfolio.services.following import change_model
from portfolios.models import Portfolio
from reporting.models import Report
from reporting.services import make_report
from tests import factories
from tests.federation.divisions import SENSIBLE, divided
from tests.federation.mirror.everything import everything, offer
from tests.federation.mirror.reading import read, read_by
from tests.federation.mirror.sealing import cut
from tests.federation.mirror.world import TODAY, World
from trading.models import Proposal

SEALED = [kind for kind in KINDS if is_sealed(kind)]
SCHEMAS = ("aurora", "harbour")
RECEIVED_FROM = {"aurora": Side.CHANNEL, "harbour": Side.MANAGER}
# Ledger and reports at either party, all shared: the other divisions share a part of one of these.
WHOLE = [each for each in SENSIBLE if each.division["management"] == "manager" and not each.private]
SHOWN = {"/book/", "/book/?_export=csv", "/api/v1/portfolios/", "/orders/", "/reports/"}
WORD = "Hidden"
# Days that may not pass one another, and what a reversal is known by.
_BOUND = {
    "portfolios.Transaction": {"type", "trade_date"},
    "reporting.Report": {"period_from"},
}


def test_nothing_sealed_shows_at_either_party_under_any_sensible_division(world: World) -> None:
    roots = {}
    for schema in SCHEMAS:
        with world.within(schema):
            roots[schema] = User.objects.create_superuser("root@example.test", "!", full_name="Root")
    for each in WHOLE:
        agreement = world.agree(division=each.division, private=each.private)
        _everything(world, agreement)
        cut(world, agreement)
    for schema in SCHEMAS:
        assert {kind.label for kind in SEALED if _count(kind, schema)} == _ever_sealed(schema)
    before = _all_that_is_read(world, roots)
    assert {path for _schema, _person, path in before} >= SHOWN
    for schema in SCHEMAS:
        for kind in SEALED:
            _change(kind, schema)
            _multiply(kind, schema)
    after = _all_that_is_read(world, roots)
    assert _differences(before, after) == {}


def _ever_sealed(schema: str) -> set[str]:
    """Return the labels of all kinds that may be sealed at an institution, over all divisions."""
    versions = [AgreementVersion(division=each.division, private=list(each.private)) for each in SENSIBLE]
    received = {share.kind for version in versions for share in shares(version, RECEIVED_FROM[schema])}
    return {kind.label for kind in SEALED if kind in received}


def test_the_same_changes_show_before_the_end(world: World) -> None:
    agreement = world.agree(division=divided().division)
    _everything(world, agreement)
    with world.within("harbour"):
        person = factories.cast().compliance
        before = _shown(person)
        for kind in SEALED:
            _change(kind, "harbour")
        after = _shown(person)
    assert all(before[path] != after[path] for path in SHOWN)


def test_nothing_sealed_comes_to_light_by_what_rests_on_it(world: World) -> None:
    """Not by a proposal, a report that was ordered before, another model, or the followers of somebody else's."""
    agreement, advice = world.agree(), world.agree("borealis", "aurora", "advice")
    model = offer(world, advice, "borealis").model
    _everything(world, agreement)
    with world.within("harbour"):
        RiskProfile.objects.update(
            valid_from=datetime.date(2020, 1, 1), valid_until=datetime.date(2021, 1, 1)
        )
        KycStatus.objects.update(valid_until=datetime.date(2021, 1, 1))
    world.drain()
    with world.within("aurora"):
        by, portfolio = factories.cast().manager, Portfolio.objects.own().get()
        ModelAssignment.objects.filter(portfolio=portfolio).update(model=model)
        proposal = Proposal.objects.create(portfolio=portfolio, reason="drift", inputs={"currency": "EUR"})
        report = Report.objects.create(
            portfolio=portfolio, number="R-1", title="Statement", period_from=TODAY, period_to=TODAY
        )
    said = {
        f"/models/received/{model.pk}/": "Zacharias Unmistakable",
        f"/proposals/{proposal.pk}/": "expired on",
    }
    browser = Browser(headers={"host": "aurora.localhost"})
    with world.within("aurora"):
        browser.force_login(by)
    for path, words in said.items():
        assert words in browser.get(path).content.decode()
    cut(world, agreement)
    for path, words in said.items():
        assert words not in browser.get(path).content.decode()
    with world.within("aurora"):
        made = make_report(report=report)
        assert (made.state, made.content) == (Report.State.FAILED, {})
        assert "sealed" in made.problem
        with pytest.raises(DomainError, match="not managed any more"):
            change_model(portfolio=Portfolio.objects.own().get(), model=model, by=by)


def _shown(person: User) -> dict[str, bytes]:
    """Return the pages that are sure to show what changes."""
    browser = Browser(headers={"host": "harbour.localhost"})
    browser.force_login(person)
    return {path: read_by(browser, path) for path in SHOWN}


def _everything(world: World, agreement: Agreement) -> None:
    """Mirror a row of every kind, and let people of both sides see what is their own."""
    everything(world, agreement)
    with world.within("harbour"):
        cast = factories.cast()
        Client.objects.update(advisor=cast.advisor, status="client", unit=cast.unit)
    with world.within("aurora"):
        Portfolio.objects.own().update(unit=factories.cast().unit)
    world.drain()


def _all_that_is_read(world: World, roots: dict[str, User]) -> dict[tuple[str, str, str], bytes]:
    """Return every answer by institution, person and path: compliance probes, the others read what it has not."""
    found = {}
    for schema in SCHEMAS:
        with world.within(schema):
            cast = factories.cast()
            shapes: set[str] = set()
            for path, body in read(
                cast.compliance, schema, word=WORD, portfolios=len(WHOLE), others_read=shapes
            ):
                found[schema, "compliance", path] = body
            for person in (cast.manager, cast.advisor, cast.operations, roots[schema]):
                for path, body in read(person, schema, others_read=shapes):
                    found[schema, person.full_name, path] = body
    return found


def _differences(
    before: dict[tuple[str, str, str], bytes], after: dict[tuple[str, str, str], bytes]
) -> dict[tuple[str, str, str], list[str]]:
    """Return which words have come or gone, by answer."""
    found = {}
    for key in before.keys() | after.keys():
        one, other = (_words(answers.get(key, b"")) for answers in (before, after))
        if one != other:
            found[key] = [line for line in difflib.ndiff(one, other) if line[:1] in "+-"][:10]
    return found


def _words(body: bytes) -> list[str]:
    return [line for line in re.sub(r"<[^>]*>", "\n", body.decode("utf-8", "replace")).split("\n") if line]


def _count(kind: Kind, schema: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_sql("SELECT count(*) FROM {table} WHERE retired_at IS NOT NULL", kind, schema))
        return int(cursor.fetchone()[0])


def _change(kind: Kind, schema: str) -> None:
    """Change every shared field of the received rows but those that name other rows."""
    for name in kind.shared_fields:
        value = _another(kind.field(name))
        if value is not None and name not in _BOUND.get(kind.label, ()):
            statement = _sql(
                "UPDATE {table} t SET {column} = " + value + " WHERE origin IS NOT NULL",
                kind,
                schema,
                column=sql.Identifier(kind.column(name)),
            )
            _execute(statement)


def _another(field: Any) -> str | None:
    """Return another value of a field as SQL, drawn from the row's id; None for what is left alone."""
    drawn = "abs(hashtext(t.id::text))"
    if field.is_relation:
        return None
    if field.choices:
        values = [value for value, _label in field.flatchoices if value != ""]
        listed = ", ".join(f"'{value}'" for value in values)
        return f"(ARRAY[{listed}])[1 + {drawn} % {len(values)}]"
    for types, value in (
        (models.BooleanField, "NOT {column}"),
        (models.DateField, f"{{column}} + interval '1 day' * (1 + {drawn} % 400)"),
        # Levels of risk end at seven.
        (models.IntegerField, f"1 + ({{column}} + {drawn} % 6) % 7"),
        (models.DecimalField, f"{{column}} + 1 + {drawn} % 5"),
    ):
        if isinstance(field, types):
            return value
    if not isinstance(field, models.CharField | models.TextField):
        return None
    # Countries and currencies have two and three letters.
    longest = field.max_length or 40
    return f"'{'CHF'[:longest]}'" if longest < 4 else f"left('{WORD} ' || md5(t.id::text), {longest})"


def _multiply(kind: Kind, schema: str) -> None:
    """Add another such row for each received one; of some kinds there can be only one."""
    names = {field.name: field for field in kind.model._meta.concrete_fields}
    other = {"id": "gen_random_uuid()"}
    if "number" in names:
        is_text = isinstance(names["number"], models.CharField)
        other["number"] = "left(md5(random()::text), 12)" if is_text else "number + 1"
    columns = [field.column for name, field in names.items() if name not in other]
    statement = _sql(
        "INSERT INTO {table} (" + ", ".join(other) + ", {columns}) SELECT " + ", ".join(other.values()) + ","
        " {columns} FROM {table} WHERE origin IS NOT NULL",
        kind,
        schema,
        columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
    )
    try:
        _execute(statement)
    except IntegrityError as error:
        if "unique constraint" not in str(error):
            raise


def _sql(statement: str, kind: Kind, schema: str, **parts: Any) -> sql.Composable:
    return sql.SQL(statement).format(table=sql.Identifier(schema, kind.table), **parts)


def _execute(statement: sql.Composable) -> None:
    """Change received rows past their guard."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(statement)
