"""What does mirroring cost beside one raw INSERT … SELECT of the same rows, and how soon is an edit visible?

100,000 transactions of 1,000 portfolios, 60,000 of them under the mandates of one agreement. The
baseline copies those 60,000 with one statement: the same joins, columns, indexes and constraints, with
the triggers of foreign keys. Everything is interleaved; figures are ratios of medians to the baseline.
"""

import datetime
import statistics
import time
import uuid
from collections.abc import Callable
from decimal import Decimal

from django.db import connection, transaction
from django.utils import timezone
from django_tenants.utils import tenant_context
from psycopg import sql

from accounts.records import new_id
from benchmarks._latency import bulk_load, latencies, processes
from benchmarks._pairs import agree, create_institution, create_records, drain
from benchmarks._replication import Peer, peer
from benchmarks._throughput import transactions_per_second
from benchmarks.measure import Timing, percentile, print_table, print_timings
from federation.mirror import capture, control, trimming
from federation.mirror.batch import run_batch
from federation.mirror.outcome import Outcome
from federation.models import Side, Stream
from federation.scope import Flow, by_label
from portfolios.models import Portfolio, Security, security_id

PORTFOLIOS, COVERED, EACH, SECURITIES = 1_000, 600, 100, 50
REPEATS = 5
EDITS = 400
# Under one agreement while so many rows at once are loaded under another of the same two.
SIBLING_EDITS, SIBLING_LOAD = 120, 100_000
# Both streams read all of it: where more is written than can be read, no edit ever catches up. So the next load
# waits so many seconds, and on a slower machine until the last one has arrived.
SIBLING_PAUSE = 6.0
KIND = by_label()["portfolios.Transaction"]


def run() -> dict[str, float]:
    """Measure and print; return the figures."""
    bench = Bench()
    with peer(bench.covered_rows()) as replication:
        timings = bench.copies(replication)
    for baseline, others in {
        "raw insert": ("logical replication", "log insert", "first fill", "replay"),
        "raw update": ("log update",),
        "no capture": ("capture",),
    }.items():
        print_timings({name: timings[name] for name in (baseline, *others)}, baseline=baseline)
    with processes():
        alone = bench.latencies()
        beside, loaded = bench.latencies_beside_a_load()
        sibling, loaded_there = bench.latencies_beside_a_sibling()
    print_table(
        ["commit to visible, through Celery", "p50 ms", "p99 ms", "worst ms"],
        [
            [name, percentile(each, 50), percentile(each, 99), max(each)]
            for name, each in (
                ("alone", alone),
                (f"beside a load of {loaded:,} rows", beside),
                (f"beside {loaded_there:,} rows under another agreement of the two", sibling),
            )
        ],
    )
    without, with_capture = bench.throughput()
    print_table(
        ["small transactions", "per second"],
        [["without capture", round(without)], ["with capture", round(with_capture)]],
    )

    def ratio(name: str, baseline: str) -> float:
        return round(timings[name].median / timings[baseline].median, 3)

    return {
        "first_fill": ratio("first fill", "raw insert"),
        "log_insert": ratio("log insert", "raw insert"),
        "log_update": ratio("log update", "raw update"),
        "capture": ratio("capture", "no capture"),
        "replay": ratio("replay", "raw insert"),
        "logical_replication": ratio("log insert", "logical replication"),
        "oltp_loss": round(1 - with_capture / without, 3),
        "visible_p50_ms": round(percentile(alone, 50), 2),
        "visible_p99_ms": round(percentile(alone, 99), 2),
        "edit_during_bulk_ms": round(percentile(beside, 50), 2),
        "edit_during_bulk_p99_ms": round(percentile(beside, 99), 2),
        "edit_beside_sibling_ms": round(percentile(sibling, 50), 2),
        "edit_beside_sibling_p99_ms": round(percentile(sibling, 99), 2),
    }


class Bench:
    """Two institutions under one agreement, and the statements to compare."""

    def __init__(self) -> None:
        self.manager, self.channel = create_institution("alpha"), create_institution("beta")
        self.agreement = agree(self.manager, self.channel)
        self.stream = Stream.objects.get(agreement=self.agreement, owner=self.manager)
        drain()
        create_records(self.manager, self.channel, self.agreement, covered=COVERED, portfolios=PORTFOLIOS)
        self._transactions()
        drain()
        # The raw statements write what only the mirror may.
        self._triggers("DISABLE", "beta")
        self.share = Flow.of(self.agreement, Side.MANAGER).shares[KIND.label]
        self._execute(
            "CREATE UNLOGGED TABLE public.bench_source AS SELECT * FROM alpha.portfolios_transaction"
        )
        self._execute("VACUUM ANALYZE")

    # Set-up

    def _transactions(self) -> None:
        today = datetime.date.today()  # noqa: DTZ011
        with tenant_context(self.manager):
            isins = [f"XX{n:010d}" for n in range(SECURITIES)]
            securities = Security.objects.bulk_create(
                Security(id=security_id(isin), isin=isin, name=isin, asset_class="equity", currency="EUR")
                for isin in isins
            )
            portfolios = list(Portfolio.objects.order_by("pk"))
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

    def _execute(self, *statements: "str | sql.Composable") -> None:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    # Copies

    def covered_rows(self) -> str:
        """Return the query for the rows in scope, as they stand in the owner's schema."""
        return (
            "SELECT s.* FROM alpha.portfolios_transaction s JOIN alpha.portfolios_portfolio p"
            " ON p.id = s.portfolio_id WHERE p.mandate_id IS NOT NULL ORDER BY s.id"
        )

    def copies(self, replication: Peer) -> dict[str, Timing]:
        """Return the timings of the raw statements, of PostgreSQL's replication and of ours."""
        # Each leaves the receiver full, so that the next one starts from there.
        subjects: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
            "raw insert": (self._empty, self._raw_insert),
            "logical replication": (
                replication.empty,
                lambda: replication.replicate(COVERED * EACH),
            ),
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
                itself = subject()
                elapsed = itself if isinstance(itself, float) else time.perf_counter() - started
                if number:
                    seconds[name].append(elapsed)
                self._check()
        return {name: Timing(tuple(each)) for name, each in seconds.items()}

    def _empty(self) -> None:
        self._forget_log()
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

    def _triggers(self, what: str, schema: str = "alpha", table: str = "portfolios_transaction") -> None:
        self._execute(
            *(
                f"ALTER TABLE {schema}.{table} {what} TRIGGER mirror_{operation}"
                for operation in ("insert", "update", "delete", "truncate")
            )
        )

    def _empty_the_source(self) -> None:
        self._triggers("DISABLE")
        self._execute("TRUNCATE alpha.portfolios_transaction CASCADE")

    def _empty_the_captured_source(self) -> None:
        self._empty_the_source()
        self._triggers("ENABLE")

    def _bulk_insert(self) -> None:
        self._execute("INSERT INTO alpha.portfolios_transaction SELECT * FROM public.bench_source")

    # Latency and throughput

    def latencies(self) -> list[float]:
        """Return milliseconds from the commit of a single edit to its visibility."""
        self._triggers("ENABLE")
        drain()
        return latencies("alpha", "beta", self._portfolios("alpha")[:EDITS])

    def latencies_beside_a_load(self) -> tuple[list[float], int]:
        """Return the same for another pair of institutions while this one loads rows, and how many it loaded."""
        gamma, delta = create_institution("gamma"), create_institution("delta")
        agreement = agree(gamma, delta)
        drain()
        create_records(gamma, delta, agreement, covered=EDITS // 4, portfolios=EDITS // 4)
        ids = self._portfolios("gamma")
        with bulk_load(self._load(20)) as rows:
            found = latencies("gamma", "delta", ids[:50] + ids, pause=0.05)
        return found, sum(rows)

    def latencies_beside_a_sibling(self) -> tuple[list[float], int]:
        """Return the same under a second agreement of these two while rows are loaded under the first."""
        agreement = agree(self.manager, self.channel)
        drain()
        known = set(self._portfolios("alpha"))
        create_records(
            self.manager, self.channel, agreement, covered=SIBLING_EDITS, portfolios=SIBLING_EDITS, mark="S-"
        )
        ids = [each for each in self._portfolios("alpha") if each not in known]
        # 100,000 rows at once, all of them under the first agreement.
        under_the_first = "p.number NOT LIKE 'S-%' AND p.mandate_id IS NOT NULL"
        load = self._load(SIBLING_LOAD // COVERED + 1, where=under_the_first)
        seen = "SELECT count(*) FROM beta.portfolios_transaction"
        with bulk_load(load, pause=SIBLING_PAUSE, seen=seen) as rows:
            found = latencies("alpha", "beta", ids, pause=0.05)
        return found, sum(rows)

    def _load(self, each: int, where: str = "true") -> str:
        """Return a statement that books so many entries into each portfolio."""
        return (
            "INSERT INTO alpha.portfolios_transaction (id, created_at, portfolio_id, type, trade_date,"
            " settlement_date, quantity, currency, gross_amount, fees, taxes, net_amount, exchange_rate,"
            " counter_currency, text) SELECT gen_random_uuid(), now(), p.id, 'deposit', current_date,"
            " current_date, 0, 'EUR', 100, 0, 0, 100, 1, '', 'Load' FROM alpha.portfolios_portfolio p,"
            f" generate_series(1, {each}) WHERE {where}"
        )

    def _portfolios(self, schema: str) -> list[uuid.UUID]:
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT id FROM {schema}.portfolios_portfolio WHERE mandate_id IS NOT NULL ORDER BY id"
            )
            return [row[0] for row in cursor.fetchall()]

    def throughput(self) -> tuple[float, float]:
        """Return small transactions a second without and with capture, as medians of interleaved runs."""
        found: dict[str, list[float]] = {"DISABLE": [], "ENABLE": []}
        for number in range(REPEATS + 1):
            for what, rates in found.items():
                for table in ("portfolios_transaction", "portfolios_portfolio"):
                    self._triggers(what, table=table)
                self._execute("TRUNCATE alpha.mirror_log", "VACUUM ANALYZE alpha.portfolios_portfolio")
                rate = transactions_per_second()
                if number:
                    rates.append(rate)
        return statistics.median(found["DISABLE"]), statistics.median(found["ENABLE"])
