"""Two or more institutions in a database of their own, whose mirrors really commit."""

import datetime
import itertools
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import psycopg
from django.db import connection, transaction
from django.utils import timezone
from django_tenants.utils import tenant_context
from psycopg import sql

from clients.models import Client, ContactDetail, Mandate, MandateDecision, RiskProfile
from federation.mirror import arrivals, control
from federation.mirror.batch import Outcome, run_batch
from federation.mirror.dispatch import behind, due_ids, live_streams
from federation.mirror.overlap import ANSWERS
from federation.models import Agreement, AgreementVersion, Institution, Side, Stream
from federation.scope import KINDS, PRESETS, Flow, Kind, Share
from portfolios.models import Account, Portfolio, Security, Transaction, security_id

TODAY = datetime.date(2026, 3, 2)
# A stream's first fill waits for older transactions in any database of the server: for a whole test beside this one.
PATIENCE = 300
_numbers = itertools.count(1)


@dataclass
class World:
    """The standing institutions, and what tests do with them."""

    database: str
    _connections: list[psycopg.Connection] = field(default_factory=list)
    _institutions: dict[str, Institution] = field(default_factory=dict)
    _owners: dict[uuid.UUID, Institution] = field(default_factory=dict)

    def institution(self, schema: str) -> Institution:
        if schema not in self._institutions:
            self._institutions[schema] = Institution.objects.get(schema_name=schema)
        return self._institutions[schema]

    def within(self, schema: str) -> AbstractContextManager[None]:
        return tenant_context(self.institution(schema))

    # Agreements

    def agree(
        self,
        manager: str = "aurora",
        channel: str = "harbour",
        preset: str = "closed",
        *,
        fill: bool = True,
        division: Mapping[str, str] | None = None,
        private: Collection[str] = (),
    ) -> Agreement:
        """Return an active agreement whose streams have been filled."""
        parties = self.institution(manager), self.institution(channel)
        agreement = Agreement.objects.create(
            manager=parties[0],
            channel=parties[1],
            name=f"{manager} {channel}",
            preset=preset if division is None else "custom",
            drafted_by=parties[0],
            state=Agreement.State.ACTIVE,
            started_at=timezone.now(),
        )
        version = AgreementVersion.objects.create(
            agreement=agreement,
            number=1,
            division=dict(division or PRESETS[preset].division),
            private=list(private if division else PRESETS[preset].private),
            proposed_by=parties[0],
        )
        self.change(agreement, version=version)
        if fill:
            self.drain()
        return agreement

    def change(self, agreement: Agreement, **values: Any) -> Agreement:
        """Change an agreement's row as the services do, and tell the mirror."""
        with transaction.atomic():
            agreement = Agreement.objects.select_for_update().get(pk=agreement.pk)
            for name, value in values.items():
                setattr(agreement, name, value)
            agreement.save()
            control.agreement_changed(agreement)
        return agreement

    def suspend(self, agreement: Agreement) -> None:
        self.change(agreement, suspended_at=timezone.now())

    def resume(self, agreement: Agreement) -> None:
        self.change(agreement, suspended_at=None, resumed_at=timezone.now())

    # Streams

    def stream(self, agreement: Agreement, owner: str) -> Stream:
        return Stream.objects.get(agreement=agreement, owner__schema_name=owner)

    def look(self) -> None:
        """Run a batch of every stream, as the dispatcher does once an hour whatever the logs say."""
        for stream in live_streams():
            run_batch(stream.pk)

    def drain(self) -> None:
        """Run a batch of every stream that has something to do, as the sweep finds it, until nothing is left."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            streams = behind(self._live(), known=due_ids())
            if not streams:
                return
            found = {run_batch(stream.pk) for stream in streams}
            if Outcome.BROKEN in found:
                raise AssertionError(list(Stream.objects.values_list("state", "problem")))
            if Outcome.WAITING in found:
                # Transactions of the server's other databases count too.
                time.sleep(0.02)
        raise AssertionError("the streams do not come to rest")

    def _live(self) -> list[Stream]:
        """Return `live_streams`, by a statement that is composed once."""
        streams = list(Stream.objects.raw(*_live_statement()))
        for stream in streams:
            if stream.owner_id not in self._owners:
                self._owners[stream.owner_id] = Institution.objects.get(pk=stream.owner_id)
            stream.owner = self._owners[stream.owner_id]
        return streams

    def settle_down(self) -> None:
        """Have everything cross, and everybody hear of it, until nothing moves any more."""
        self.drain()
        for _turn in range(10):
            if not arrivals.waiting_institutions().exists():
                return
            arrivals.deliver_all()
            self.drain()
        raise AssertionError("there is no end of telling")

    def differences(self, agreement: Agreement) -> list[str]:
        """Return where a mirror differs from the projection of its source, by id and column."""
        found = []
        for stream in Stream.objects.filter(agreement=agreement).exclude(state=Stream.State.ENDED):
            flow = Flow.of(Agreement.objects.get(pk=agreement.pk), agreement.side_of(stream.owner))
            written = _written(str(flow.owner.schema_name), str(flow.receiver.schema_name))
            for share in flow.shares.values():
                if share.kind.table in written:
                    found += _differences(flow, share)
        return found

    def assert_in_step(self, agreement: Agreement) -> None:
        assert self.differences(agreement) == []

    def strays(self) -> list[str]:
        """Return the received rows that can be seen and stand under no agreement in force, but for answers."""
        found = []
        live = Agreement.objects.filter(state__in=["active", "winding_down"], version__isnull=False)
        flows = [Flow.of(each, side) for each in live for side in Side if each.manager.is_hosted]
        hosted = list(Institution.objects.exclude(schema_name=None))
        for receiver in hosted:
            written = _written(str(receiver.schema_name))
            kinds = [
                kind
                for kind in KINDS
                if kind.table in written and kind.function is not None and kind.label not in ANSWERS
            ]
            for owner in (each for each in hosted if each != receiver):
                between = [flow for flow in flows if (flow.owner, flow.receiver) == (owner, receiver)]
                for kind in kinds:
                    found += _strays(kind, owner, receiver, between)
        return found

    def orphans(self, schema: str) -> list[str]:
        """Return the foreign keys of a schema that name what is not there."""
        found, written = [], _written(schema)
        with connection.cursor() as cursor:
            cursor.execute(
                """
                SELECT c.conname, r.relname, a.attname, f.relname FROM pg_constraint c
                JOIN pg_class r ON r.oid = c.conrelid JOIN pg_namespace n ON n.oid = r.relnamespace
                JOIN pg_class f ON f.oid = c.confrelid
                JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum = c.conkey[1]
                WHERE c.contype = 'f' AND n.nspname = %s
                """,
                [schema],
            )
            for name, table, column, target in cursor.fetchall():
                if table not in written or not column.endswith("_id") or target == "django_content_type":
                    continue
                cursor.execute(
                    sql.SQL(
                        "SELECT count(*) FROM {0}.{1} t WHERE t.{2} IS NOT NULL"
                        " AND NOT EXISTS (SELECT 1 FROM {0}.{3} p WHERE p.id = t.{2})"
                    ).format(*map(sql.Identifier, (schema, table, column, target)))
                )
                if cursor.fetchone()[0]:
                    found.append(name)
        return found

    # Records

    def client(self, schema: str, name: str = "Ann Example") -> Client:
        with self.within(schema):
            client = Client.objects.create(number=f"C-{next(_numbers)}", name=name)
            ContactDetail.objects.create(client=client, kind="email", value=f"{client.number}@example.test")
            RiskProfile.objects.create(
                client=client,
                level=3,
                knowledge=3,
                capacity=3,
                tolerance=3,
                horizon_years=5,
                valid_from=TODAY,
                valid_until=TODAY + datetime.timedelta(days=365),
            )
        return client

    def mandate(
        self,
        agreement: Agreement | None,
        schema: str = "harbour",
        *,
        client: Client | None = None,
        submitted: bool = True,
    ) -> Mandate:
        client = client or self.client(schema)
        with self.within(schema):
            mandate = Mandate.objects.create(
                number=f"M-{next(_numbers)}",
                client=client,
                agreement=agreement.pk if agreement else None,
                risk_profile=client.risk_profiles.first(),
                signed_on=TODAY,
                disclosure_authorised_on=TODAY,
            )
            if submitted:
                mandate.status, mandate.submission = Mandate.Status.SUBMITTED, 1
                mandate.submitted_at = timezone.now()
                mandate.save()
        return mandate

    def decide(self, mandate: Mandate, outcome: str, schema: str = "aurora") -> MandateDecision:
        with self.within(schema):
            return MandateDecision.objects.create(
                mandate_id=mandate.pk,
                submission=mandate.submission,
                outcome=outcome,
                reason="As it is.",
                decided_at=timezone.now(),
            )

    def security(self, schema: str = "aurora", isin: str | None = "US0378331005", **values: Any) -> Security:
        with self.within(schema):
            keys = {"id": security_id(isin)} if isin else {}
            defaults = {"isin": isin, "name": "Apple", "asset_class": "equity", "currency": "EUR", **values}
            if isin:
                return Security.objects.get_or_create(**keys, defaults=defaults)[0]
            return Security.objects.create(**defaults)

    def portfolio(
        self, mandate: Mandate | None, schema: str = "aurora", *, transactions: int = 0
    ) -> Portfolio:
        with self.within(schema):
            number = f"P-{next(_numbers)}"
            portfolio = Portfolio.objects.create(
                number=number,
                name=f"Portfolio {number}",
                mandate_id=mandate.pk if mandate else None,
                currency="EUR",
                opened_on=TODAY,
            )
        if transactions:
            self.transactions(portfolio, transactions, schema)
        return portfolio

    def managed(self, agreement: Agreement, *, transactions: int = 0) -> Portfolio:
        """Return a portfolio of Aurora's under an agreement with Harbour, which both have by now."""
        mandate = self.mandate(agreement)
        self.drain()
        portfolio = self.portfolio(mandate, transactions=transactions)
        self.drain()
        return portfolio

    def transactions(self, portfolio: Portfolio, count: int, schema: str = "aurora") -> list[Transaction]:
        security = self.security(schema)
        with self.within(schema):
            return Transaction.objects.bulk_create(
                [
                    Transaction(
                        portfolio=portfolio,
                        type="buy",
                        trade_date=TODAY,
                        settlement_date=TODAY,
                        security=security,
                        quantity=number + 1,
                        currency="EUR",
                        net_amount=-number,
                        text=f"Entry {number}",
                    )
                    for number in range(count)
                ]
            )

    def accounts(self, portfolio: Portfolio, count: int, schema: str = "aurora") -> list[Account]:
        """Open accounts: records of a portfolio that may be changed and deleted, as a ledger's may not."""
        with self.within(schema):
            return Account.objects.bulk_create(
                Account(portfolio=portfolio, kind="cash", number=f"A-{next(_numbers)}", currency="EUR")
                for _ in range(count)
            )

    def count(self, schema: str, model: type[Any], **filters: Any) -> int:
        with self.within(schema):
            return int(model.objects.filter(**filters).count())

    def execute(self, statement: str, *parameters: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement, list(parameters))

    def another_connection(self) -> psycopg.Connection:
        """Return a connection beside Django's, for a transaction that stays open."""
        parameters = connection.get_connection_params()
        opened = psycopg.connect(
            **{name: value for name, value in parameters.items() if name not in {"cursor_factory", "context"}}
        )
        self._connections.append(opened)
        return opened

    def close_connections(self) -> None:
        """Close what `another_connection` opened; what was not committed is rolled back."""
        for opened in self._connections:
            opened.close()


@cache
def _live_statement() -> tuple[str, tuple[Any, ...]]:
    return live_streams().select_related(None).query.sql_with_params()


def _written(*schemas: str) -> set[str]:
    """Return the tables that have held a row in one of the schemas: the others hold none to look at."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = ANY(%s) AND c.relkind = 'r' AND pg_relation_size(c.oid) > 0",
            [list(schemas)],
        )
        return {table for (table,) in cursor.fetchall()}


def _differences(flow: Flow, share: Share) -> Iterator[str]:
    kind = share.kind
    columns = sql.SQL(", ").join(sql.Identifier("t", name) for name in share.columns)
    source = sql.SQL("SELECT {} FROM {}.{} t WHERE {}").format(
        columns, flow.source, sql.Identifier(kind.table), flow.in_scope(kind, "t")
    )
    received = sql.SQL("SELECT {} FROM {}.{} t WHERE t.origin = {} AND t.retired_at IS NULL AND {}").format(
        columns,
        flow.target,
        sql.Identifier(kind.table),
        sql.Literal(flow.owner.pk),
        # Two agreements between the same two share one table: compare what stands under this one.
        flow.received(kind, "t"),
    )
    with connection.cursor() as cursor:
        cursor.execute(source)
        ours = {row[0]: row for row in cursor.fetchall()}
        cursor.execute(received)
        theirs = {row[0]: row for row in cursor.fetchall()}
    for key in ours.keys() | theirs.keys():
        if ours.get(key) != theirs.get(key):
            state = "missing" if key not in theirs else "too much" if key not in ours else "different"
            yield f"{kind.label} {key} {state}"


def _strays(kind: Kind, owner: Institution, receiver: Institution, flows: list[Flow]) -> Iterator[str]:
    held = [flow.received(kind, "t") for flow in flows if kind.label in flow.shares]
    query = sql.SQL(
        "SELECT id FROM {}.{} t WHERE t.origin = {} AND t.retired_at IS NULL AND NOT ({})"
    ).format(
        sql.Identifier(str(receiver.schema_name)),
        sql.Identifier(kind.table),
        sql.Literal(owner.pk),
        sql.SQL(" OR ").join(sql.SQL("({})").format(each) for each in held) if held else sql.SQL("false"),
    )
    with connection.cursor() as cursor:
        cursor.execute(query)
        for (key,) in cursor.fetchall():
            yield f"{receiver}: {kind.label} {key} of {owner} is left behind"


Make = Callable[..., Any]
