"""What does mirroring cost beside one raw INSERT … SELECT of the same rows, and how soon is an edit visible?

100,000 transactions of 1,000 portfolios, 60,000 of them under the mandates of one agreement. The
baseline copies those 60,000 with one statement: the same joins, columns, indexes and constraints, with
the triggers of foreign keys. Everything is interleaved; figures are ratios of medians to the baseline.
"""

import datetime
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal

import psycopg
from django.db import connection, transaction
from django.utils import timezone
from django_tenants.utils import tenant_context
from psycopg import sql

from accounts.records import new_id
from benchmarks.measure import Timing, percentile, print_table, print_timings
from clients.models import Client, Mandate
from config.embedded.paths import PROJECT
from federation.mirror import capture, control, trimming
from federation.mirror.batch import Outcome, run_batch
from federation.models import Agreement, AgreementVersion, Institution, Side, Stream
from federation.scope import PRESETS, Flow, by_label
from portfolios.models import Portfolio, Security, security_id

PORTFOLIOS, COVERED, EACH, SECURITIES = 1_000, 600, 100, 50
REPEATS = 5
EDITS = 400
KIND = by_label()["portfolios.Transaction"]


def run() -> dict[str, float]:
    """Measure and print; return the figures."""
    bench = Bench()
    timings = bench.copies()
    print_timings(
        {name: timing for name, timing in timings.items() if "update" not in name and "capture" not in name},
        baseline="raw insert",
    )
    print_timings(
        {name: timing for name, timing in timings.items() if "update" in name}, baseline="raw update"
    )
    print_timings(
        {name: timing for name, timing in timings.items() if "capture" in name}, baseline="no capture"
    )
    latencies = bench.latencies()
    p50, p99 = percentile(latencies, 50), percentile(latencies, 99)
    print_table(
        ["commit to visible", "p50 ms", "p99 ms", "worst ms"], [["through Celery", p50, p99, max(latencies)]]
    )

    def ratio(name: str, baseline: str) -> float:
        return round(timings[name].median / timings[baseline].median, 3)

    return {
        "first_fill": ratio("first fill", "raw insert"),
        "log_insert": ratio("log insert", "raw insert"),
        "log_update": ratio("log update", "raw update"),
        "capture": ratio("capture", "no capture"),
        "replay": ratio("replay", "raw insert"),
        "visible_p50_ms": round(p50, 2),
        "visible_p99_ms": round(p99, 2),
    }


class Bench:
    """Two institutions under one agreement, and the statements to compare."""

    def __init__(self) -> None:
        self.manager, self.channel = self._institution("alpha"), self._institution("beta")
        self.agreement = self._agreement()
        self.stream = Stream.objects.get(agreement=self.agreement, owner=self.manager)
        self.back = Stream.objects.get(agreement=self.agreement, owner=self.channel)
        self._drain()
        self._records()
        self._drain()
        self.share = Flow.of(self.agreement, Side.MANAGER).shares[KIND.label]
        self._execute(
            "CREATE UNLOGGED TABLE public.bench_source AS SELECT * FROM alpha.portfolios_transaction"
        )
        self._execute("VACUUM ANALYZE")

    # Set-up

    def _institution(self, name: str) -> Institution:
        institution = Institution(schema_name=name, name=name.title(), short_name=name.title())
        institution.save(verbosity=0)
        return institution

    def _agreement(self) -> Agreement:
        agreement = Agreement.objects.create(
            manager=self.manager,
            channel=self.channel,
            name="Benchmark",
            preset=Agreement.Preset.CLOSED,
            drafted_by=self.manager,
            state=Agreement.State.ACTIVE,
            started_at=timezone.now(),
        )
        preset = PRESETS[Agreement.Preset.CLOSED]
        version = AgreementVersion.objects.create(
            agreement=agreement, number=1, division=dict(preset.division), proposed_by=self.manager
        )
        with transaction.atomic():
            agreement.version = version
            agreement.save()
            control.agreement_changed(agreement)
        return agreement

    def _records(self) -> None:
        today = datetime.date.today()  # noqa: DTZ011
        with tenant_context(self.channel):
            clients = Client.objects.bulk_create(
                Client(number=f"C-{n}", name=f"Client {n}") for n in range(COVERED)
            )
            mandates = Mandate.objects.bulk_create(
                Mandate(
                    number=f"M-{n}",
                    client=client,
                    agreement=self.agreement.pk,
                    status=Mandate.Status.SUBMITTED,
                    submission=1,
                    signed_on=today,
                    submitted_at=timezone.now(),
                    disclosure_authorised_on=today,
                )
                for n, client in enumerate(clients)
            )
        self._drain()
        with tenant_context(self.manager):
            isins = [f"XX{n:010d}" for n in range(SECURITIES)]
            securities = Security.objects.bulk_create(
                Security(id=security_id(isin), isin=isin, name=isin, asset_class="equity", currency="EUR")
                for isin in isins
            )
            portfolios = Portfolio.objects.bulk_create(
                Portfolio(
                    number=f"P-{n}",
                    name=f"Portfolio {n}",
                    currency="EUR",
                    opened_on=today,
                    mandate_id=mandates[n].pk if n < COVERED else None,
                )
                for n in range(PORTFOLIOS)
            )
        columns = [str(of.column) for of in KIND.model._meta.concrete_fields]
        rows = (
            {
                "id": new_id(),
                "created_at": timezone.now(),
                "portfolio_id": portfolio.pk,
                "type": "buy",
                "trade_date": today - datetime.timedelta(days=n),
                "settlement_date": today,
                "security_id": securities[n % SECURITIES].pk,
                "quantity": Decimal(n + 1),
                "price": Decimal("101.25"),
                "currency": "EUR",
                "gross_amount": Decimal(100 * n),
                "fees": 1,
                "taxes": 0,
                "net_amount": Decimal(-100 * n),
                "exchange_rate": 1,
                "counter_currency": "",
                "reference": uuid.uuid4(),
                "text": "Benchmark",
            }
            for n in range(EACH)
            for portfolio in portfolios
        )
        with connection.cursor() as cursor:
            statement = sql.SQL("COPY alpha.portfolios_transaction ({}) FROM STDIN").format(
                sql.SQL(", ").join(map(sql.Identifier, columns))
            )
            with cursor.cursor.copy(statement) as copy:
                for row in rows:
                    copy.write_row([row.get(column) for column in columns])

    def _drain(self) -> None:
        while outcomes := {run_batch(self.stream.pk), run_batch(self.back.pk)} - {Outcome.IDLE}:
            if Outcome.BROKEN in outcomes:
                raise RuntimeError("a stream is stopped by a problem")

    def _execute(self, *statements: "str | sql.Composable") -> None:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    # Copies

    def copies(self) -> dict[str, Timing]:
        """Return the timings of the raw statements and of ours."""
        # Each leaves the receiver full, so that the next one starts from there.
        subjects: dict[str, tuple[Callable[[], None], Callable[[], None]]] = {
            "raw insert": (self._empty, self._raw_insert),
            "raw update": (self._edit, self._raw_update),
            "log insert": (self._empty_and_log, self._apply),
            "replay": (lambda: self._log(capture.ANYTHING), self._apply),
            "log update": (self._edit_and_log, self._apply),
            "first fill": (self._empty_and_forget, self._apply),
            "no capture": (self._empty_the_source, self._bulk_insert),
            "capture": (self._empty_the_captured_source, self._bulk_insert),
        }
        seconds: dict[str, list[float]] = {name: [] for name in subjects}
        for number in range(REPEATS + 1):
            for name, (prepare, subject) in subjects.items():
                prepare()
                self._execute(
                    "VACUUM ANALYZE alpha.portfolios_transaction",
                    "VACUUM ANALYZE beta.portfolios_transaction",
                )
                started = time.perf_counter()
                subject()
                if number:
                    seconds[name].append(time.perf_counter() - started)
                self._check()
        return {name: Timing(tuple(each)) for name, each in seconds.items()}

    @contextmanager
    def _as_mirror(self) -> Iterator[None]:
        with transaction.atomic():
            self._execute("SET LOCAL session_replication_role = replica")
            yield

    def _empty(self) -> None:
        self._forget_log()
        with self._as_mirror():
            self._execute("TRUNCATE beta.portfolios_transaction CASCADE")

    def _forget_log(self) -> None:
        while run_batch(self.stream.pk) != Outcome.IDLE:
            pass
        Stream.objects.filter(pk=self.stream.pk).update(last_tick_at=None)
        run_batch(self.stream.pk)
        trimming.trim_log(self.manager)
        self._execute("VACUUM ANALYZE alpha.mirror_log")

    def _log(self, operation: int) -> None:
        self._execute(
            sql.SQL(
                "INSERT INTO alpha.mirror_log (kind, operation, keys)"
                " SELECT {}, {}, array_agg(id) FROM alpha.portfolios_transaction"
            ).format(sql.Literal(KIND.label), sql.Literal(operation))
        )

    def _empty_and_forget(self) -> None:
        self._empty()
        control.refill(self.stream)

    def _empty_and_log(self) -> None:
        self._empty()
        self._log(1)

    def _edit(self) -> None:
        with transaction.atomic():
            # Entries of a ledger do not change; the benchmark has them change all the same.
            self._execute(
                "SET LOCAL session_replication_role = replica",
                sql.SQL("UPDATE alpha.portfolios_transaction SET text = {}").format(
                    sql.Literal(uuid.uuid4().hex)
                ),
            )

    def _edit_and_log(self) -> None:
        self._edit()
        self._log(2)

    def _apply(self) -> None:
        while run_batch(self.stream.pk) == Outcome.MORE:
            pass

    def _check(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM beta.portfolios_transaction")
            count = cursor.fetchone()[0]
        if count != COVERED * EACH:
            raise RuntimeError(f"{count} rows were mirrored instead of {COVERED * EACH}")

    _JOINS = (
        " JOIN alpha.portfolios_portfolio p ON p.id = s.portfolio_id"
        " JOIN alpha.clients_mandate m ON m.id = p.mandate_id"
        " WHERE s.origin IS NULL AND p.origin IS NULL AND m.origin = {partner} AND m.agreement = {agreement}"
    )

    def _raw_insert(self) -> None:
        with self._as_mirror():
            self._execute(
                sql.SQL(
                    "INSERT INTO beta.portfolios_transaction ({columns}, origin) SELECT {values}, {owner}"
                    " FROM alpha.portfolios_transaction s" + self._JOINS
                ).format(
                    columns=sql.SQL(", ").join(map(sql.Identifier, self.share.columns)),
                    values=sql.SQL(", ").join(sql.Identifier("s", name) for name in self.share.columns),
                    owner=sql.Literal(self.manager.pk),
                    partner=sql.Literal(self.channel.pk),
                    agreement=sql.Literal(self.agreement.pk),
                )
            )

    def _raw_update(self) -> None:
        columns = [name for name in self.share.columns if name != "id"]
        with self._as_mirror():
            self._execute(
                sql.SQL(
                    "UPDATE beta.portfolios_transaction d SET {set} FROM alpha.portfolios_transaction s"
                    + self._JOINS
                    + " AND d.id = s.id"
                ).format(
                    set=sql.SQL(", ").join(
                        sql.SQL("{0} = s.{0}").format(sql.Identifier(name)) for name in columns
                    ),
                    partner=sql.Literal(self.channel.pk),
                    agreement=sql.Literal(self.agreement.pk),
                )
            )

    # Capture

    def _triggers(self, what: str) -> None:
        self._execute(
            *(
                f"ALTER TABLE alpha.portfolios_transaction {what} TRIGGER mirror_{operation}"
                for operation in ("insert", "update", "delete", "truncate")
            )
        )

    def _empty_the_source(self) -> None:
        with self._as_mirror():
            self._execute("TRUNCATE alpha.portfolios_transaction CASCADE")
        self._triggers("DISABLE")

    def _empty_the_captured_source(self) -> None:
        self._empty_the_source()
        self._triggers("ENABLE")

    def _bulk_insert(self) -> None:
        self._execute("INSERT INTO alpha.portfolios_transaction SELECT * FROM public.bench_source")

    # Latency

    def latencies(self) -> list[float]:
        """Return milliseconds from the commit of a single edit to its visibility, through Celery."""
        self._triggers("ENABLE")
        self._drain()
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT id FROM alpha.portfolios_portfolio WHERE mandate_id IS NOT NULL ORDER BY id LIMIT %s",
                [EDITS],
            )
            ids = [row[0] for row in cursor.fetchall()]
        commands = [
            [
                "-m",
                "celery",
                "-A",
                "config",
                "worker",
                "-Q",
                "mirror",
                "-c",
                "2",
                "-l",
                "warning",
                "--without-gossip",
                "--without-mingle",
            ],
            ["manage.py", "dispatch"],
        ]
        processes = [
            subprocess.Popen(
                [sys.executable, *command],
                cwd=PROJECT,
                env=os.environ,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for command in commands
        ]
        try:
            with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as watcher:
                # The first ones meet processes that are still starting.
                for key in ids[:40]:
                    self._edit_and_watch(watcher, key)
                return [self._edit_and_watch(watcher, key) for key in ids[40:]]
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(30)

    def _edit_and_watch(self, watcher: "psycopg.Connection", key: uuid.UUID) -> float:
        name = uuid.uuid4().hex
        self._execute(
            sql.SQL("UPDATE alpha.portfolios_portfolio SET name = {} WHERE id = {}").format(
                sql.Literal(name), sql.Literal(key)
            )
        )
        started = time.perf_counter()
        while True:
            row = watcher.execute(
                "SELECT name FROM beta.portfolios_portfolio WHERE id = %s", [key]
            ).fetchone()
            if row is not None and row[0] == name:
                return (time.perf_counter() - started) * 1000
            if time.perf_counter() - started > 30:
                raise RuntimeError("an edit did not become visible")
            time.sleep(0.0005)
