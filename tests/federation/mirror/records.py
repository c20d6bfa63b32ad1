"""The records of the plain model in a real database: every change is made to both."""

import datetime
import itertools
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import psycopg
from django.db import IntegrityError, OperationalError, ProgrammingError, connection, models, transaction
from django_tenants.utils import tenant_context
from psycopg import sql

from accounts.records import new_id
from clients.models import Client, ContactDetail, Mandate, MandateDecision
from models_portfolio.models import ModelPortfolio, ModelVersion, Offer, View
from portfolios.models import Account, Portfolio
from tests.federation.mirror.plain import FIELDS, Key, Pair, Plain, Values
from tests.federation.mirror.world import TODAY, World

SCHEMAS = ("aurora", "borealis", "harbour")
MODELS: dict[str, type[models.Model]] = {
    "client": Client,
    "contact": ContactDetail,
    "mandate": Mandate,
    "decision": MandateDecision,
    "portfolio": Portfolio,
    "account": Account,
    "model": ModelPortfolio,
    "offer": Offer,
    "version": ModelVersion,
    "view": View,
}
MOMENTS = {"at": "submitted_at", "published": "published_at"}
BEGINNING = datetime.datetime(2026, 3, 2, tzinfo=datetime.UTC)
# What the plain model does not look at, and the database asks for.
REST: dict[str, dict[str, Any]] = {
    "client": {},
    "contact": {"kind": "email"},
    "mandate": {"signed_on": TODAY, "disclosure_authorised_on": TODAY},
    "decision": {"reason": "As it is.", "decided_at": BEGINNING},
    "portfolio": {"currency": "EUR", "opened_on": TODAY},
    "account": {"kind": "cash", "currency": "EUR"},
    "model": {"currency": "EUR", "risk_level": 3},
    "offer": {"currency": "EUR", "risk_level": 3},
    "version": {"effective_from": TODAY},
    "view": {"asset_class": "equity", "tilt": "0.01", "valid_from": TODAY},
}


def moment(tick: int) -> datetime.datetime:
    """Return the instant that the model's clock means."""
    return BEGINNING + datetime.timedelta(seconds=tick)


@dataclass(frozen=True)
class Change:
    """One row that is new, set to other values, or dropped."""

    verb: str
    kind: str
    key: uuid.UUID
    values: dict[str, Any] = field(default_factory=dict)

    def columns(self) -> dict[str, Any]:
        """Return the values as Django's fields take them."""
        found = {}
        for name, value in self.values.items():
            if name in MOMENTS:
                found[MOMENTS[name]] = moment(value)
            else:
                found[f"{name}_id" if name in FIELDS else name] = value
        return found


class Records:
    """Writes to the database and, if it accepts, to the plain model; reads what is visible where."""

    def __init__(self, world: World) -> None:
        self.plain = Plain()
        for schema in SCHEMAS:
            self.plain.rows[schema] = {kind: {} for kind in FIELDS}
        self._institutions = {schema: world.institution(schema) for schema in SCHEMAS}
        self._schemas = {each.pk: schema for schema, each in self._institutions.items()}
        self._world = world
        self._numbers = itertools.count(1)
        # Transactions since the last look at everything.
        self.written = 0

    def clock(self) -> int:
        """Return a later moment than ever before."""
        return next(self._numbers)

    # New rows

    def new(self, kind: str, **values: Any) -> Change:
        number = self.clock()
        defaults = {
            "client": {"number": f"C-{number}", "name": "Ann", "national_id": f"id {number}"},
            "contact": {"value": "first"},
            "decision": {},
            "portfolio": {"number": f"P-{number}", "name": "Portfolio"},
            "account": {"number": f"A-{number}", "custodian": ""},
            "model": {"code": f"MP-{number}", "name": "Model"},
            "offer": {"name": f"Offer {number}", "is_open": True},
            "version": {"number": number, "state": "draft", "comment": ""},
            "view": {"rationale": "Up"},
        }
        return Change("new", kind, new_id(), {**defaults[kind], **values})

    def mandate(self, client: uuid.UUID, agreement: uuid.UUID, *, submitted: bool) -> Change:
        number = self.clock()
        values = {"client": client, "agreement": agreement, "number": f"M-{number}", "answer": ""}
        status: dict[str, Any] = {"status": "draft", "submission": 0}
        if submitted:
            status = {"status": "submitted", "submission": 1, "at": number}
        return Change("new", "mandate", new_id(), values | status)

    # Picking

    def pick(self, kind: str, number: int, *, at: str | None = None) -> tuple[str, uuid.UUID | None]:
        """Return one of the own rows of a kind, there or anywhere."""
        found = [
            (schema, key) for schema in ([at] if at else SCHEMAS) for key in self.plain.rows[schema][kind]
        ]
        return found[number % len(found)] if found else (at or SCHEMAS[0], None)

    def pick_received(self, number: int, *, at: str | None = None) -> tuple[str, uuid.UUID | None, int]:
        """Return a mandate that a partner has shared, and its submission."""
        found = [
            (pair[1], key[1], values[FIELDS["mandate"].index("submission")])
            for pair, seen in sorted(self.seen().items())
            for key, values in sorted(seen.items())
            if key[0] == "mandate" and at in {None, pair[1]}
        ]
        return found[number % len(found)] if found else (at or SCHEMAS[0], None, 0)

    def hanging_off(self, schema: str, kind: str, name: str, key: uuid.UUID) -> list[uuid.UUID]:
        return [each for each, values in self.plain.rows[schema][kind].items() if values[name] == key]

    # Writing

    def write(self, schema: str, *changes: Change, rolled_back: Iterable[Change] = ()) -> None:
        """Make the changes in one transaction; those of ``rolled_back`` in a savepoint that is rolled back."""

        def do() -> None:
            with tenant_context(self._institutions[schema]), transaction.atomic():
                for change in rolled_back:
                    point = transaction.savepoint()
                    self._carry_out([change])
                    transaction.savepoint_rollback(point)
                for _, together in itertools.groupby(changes, _statement):
                    self._carry_out(list(together))

        self.try_to(do, lambda: self.committed(schema, *changes))

    def committed(self, schema: str, *changes: Change) -> None:
        """Make changes that have been committed to the plain model too."""
        self.written += 1
        for change in changes:
            if change.verb == "drop":
                self.plain.drop(schema, change.kind, change.key)
            else:
                self.plain.put(schema, change.kind, change.key, change.values)
        self.plain.committed()

    def try_to(self, do: Callable[[], None], then: Callable[[], object]) -> None:
        """Do something that the database may refuse: rows that partners still name, locks of others."""
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '300ms'")
            do()
        except (IntegrityError, OperationalError):
            return
        except ProgrammingError as error:
            if "read-only" not in str(error):
                raise
            return
        finally:
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = 0")
        then()

    def _carry_out(self, changes: list[Change]) -> None:
        model = MODELS[changes[0].kind]
        if changes[0].verb == "new":
            model.objects.bulk_create(
                [model(pk=each.key, **REST[each.kind], **each.columns()) for each in changes]
            )
            return
        rows = model.objects.filter(pk__in=[each.key for each in changes])
        if changes[0].verb == "set":
            rows.update(**changes[0].columns())
        else:
            rows._raw_delete("default")

    def begin(self, schema: str, change: Change) -> psycopg.Connection:
        """Insert one contact detail in a transaction that stays open."""
        opened = self._world.another_connection()
        opened.execute(
            sql.SQL(
                "INSERT INTO {}.clients_contactdetail (id, client_id, kind, value, is_primary, created_at)"
                " VALUES (%s, %s, 'email', %s, false, now())"
            ).format(sql.Identifier(schema)),
            [change.key, change.values["client"], change.values["value"]],
        )
        return opened

    def change_key(self, schema: str, key: uuid.UUID) -> None:
        """Give a contact detail another key."""
        other = new_id()
        values = self.plain.rows[schema]["contact"][key]
        self.try_to(
            lambda: self._world.execute(
                f"UPDATE {schema}.clients_contactdetail SET id = %s WHERE id = %s", other, key
            ),
            lambda: self.committed(
                schema, Change("drop", "contact", key), Change("new", "contact", other, dict(values))
            ),
        )

    def truncate(self, schema: str) -> None:
        """Empty a table; refused where it holds received rows."""
        drops = [Change("drop", "contact", key) for key in self.plain.rows[schema]["contact"]]
        self.try_to(
            lambda: self._world.execute(f"TRUNCATE {schema}.clients_contactdetail"),
            lambda: self.committed(schema, *drops),
        )

    # Reading

    def seen(self) -> dict[Pair, dict[Key, Values]]:
        """Return what each institution sees of its partners' rows."""
        found: dict[Pair, dict[Key, Values]] = {}
        for schema in SCHEMAS:
            for kind in FIELDS:
                for origin, key, *values in self._rows(
                    schema, kind, "origin IS NOT NULL AND retired_at IS NULL"
                ):
                    pair = (self._schemas[origin], schema)
                    found.setdefault(pair, {})[kind, key] = tuple(values)
        return found

    def own(self) -> dict[str, Any]:
        """Return the own rows of every institution as the plain model has them, without the clock."""
        return {
            schema: {
                kind: {
                    key: dict(zip(FIELDS[kind], values, strict=True))
                    for _, key, *values in self._rows(schema, kind, "origin IS NULL")
                }
                for kind in FIELDS
            }
            for schema in SCHEMAS
        }

    def _rows(self, schema: str, kind: str, where: str) -> list[tuple[Any, ...]]:
        columns = [f"{name}_id" if name in FIELDS else name for name in FIELDS[kind]]
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT origin, id, {', '.join(columns)} FROM {schema}.{MODELS[kind]._meta.db_table} WHERE {where}"
            )
            return cursor.fetchall()

    def orphans(self) -> list[str]:
        """Return the rows, own and received, that name what is not there."""
        found = []
        with connection.cursor() as cursor:
            for schema, (kind, names) in itertools.product(SCHEMAS, FIELDS.items()):
                for name in names:
                    if name not in FIELDS:
                        continue
                    cursor.execute(
                        f"SELECT id FROM {schema}.{MODELS[kind]._meta.db_table} t WHERE {name}_id IS NOT NULL AND NOT EXISTS"
                        f" (SELECT 1 FROM {schema}.{MODELS[name]._meta.db_table} p WHERE p.id = t.{name}_id)"
                    )
                    found += [f"{schema} {kind} {row[0]}" for row in cursor.fetchall()]
        return found


def _statement(change: Change) -> tuple[str, str, str]:
    """Return what may go into one statement with others."""
    return change.verb, change.kind, repr(change.values) if change.verb == "set" else ""
