"""What do many institutions cost: to create, to migrate, and while nobody there does anything?

1,000 institutions are created, the first and the last few one after the other, then migrated by the newest
migration that adds a table with those that follow it, and by none. As many more are created, and each has
an agreement with the next. Real workers and a real dispatcher fill the last of them, other processes the
rest; then the processor time of the whole platform is read while all are idle, and twenty of them are
edited. What is not measured is done by several processes.
"""

import datetime
import multiprocessing
import os
import random
import statistics
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

import psutil
import psycopg
from django.db import connection, connections
from django.db.migrations import CreateModel, Migration
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone
from django_tenants.utils import tenant_context
from psycopg import sql

from benchmarks._pairs import agree
from benchmarks.measure import percentile, print_table
from clients.models import Client, Mandate
from config.embedded import processes
from config.embedded.paths import PROJECT, data_folder
from config.embedded.postgres import NAME, SUPERUSER
from config.supervisor.parts import parts as platform_parts
from federation.mirror.batch import run_batch
from federation.mirror.outcome import Outcome
from federation.models import Agreement, Institution, Stream

CREATED = int(os.environ.get("BENCH_TENANTS", "1000"))
IDLE = 2 * CREATED
# So many at the beginning, and at the end, are created one after the other and timed.
TIMED = min(20, CREATED // 3)
# So many streams are left to the platform's own workers: a worker starts a new connection after 200.
BY_WORKERS = min(IDLE, 600)
HOT, EDITS_EACH, EDIT_SECONDS = 20, 30, 1.0
SETTLE_SECONDS, IDLE_SECONDS = 60, 120
FILL_SECONDS = 600
# An edit that is not visible by then counts with this time.
GIVE_UP_SECONDS = 60
SAY_SECONDS = 10
MIGRATED_APP = "clients"
# What the platform runs, but for its web server.
PARTS = {part.name: part.command for part in platform_parts("127.0.0.1", 0) if part.name != "web"}


def run() -> dict[str, float]:
    """Measure and print; return the figures."""
    create_s = _create()
    per_tenant_ms = _migrate()
    _in_processes(f"{IDLE - CREATED:,} more institutions", _create_one, range(CREATED, IDLE))
    _agree()
    with _platform() as parts:
        worker_mb = _fill(parts)
        idle = _idle(parts)
        _say(f"editing in {HOT} agreements")
        hot = _edit()
        _still_running(parts)
    print_table(
        ["commit to visible, 20 hot agreements", "p50 ms", "p95 ms", "p99 ms", "worst ms"],
        [["one edit a second each", *(percentile(hot, p) for p in (50, 95, 99)), max(hot)]],
    )
    return {
        "create_s": round(create_s, 3),
        "migrate_per_tenant_ms": round(per_tenant_ms, 1),
        "idle_core_percent": round(idle, 2),
        "worker_mb": round(worker_mb),
        "hot_p95_ms": round(percentile(hot, 95), 1),
    }


def _say(text: str) -> None:
    print(f"{datetime.datetime.now():%H:%M:%S} {text}", flush=True)  # noqa: DTZ005 (a clock on the wall)


def _in_processes(what: str, task: Callable[[int], object], numbers: Sequence[int]) -> None:
    """Run a task for each number, by as many processes as there are cores, and say how it goes."""
    started = said = time.perf_counter()
    connections.close_all()
    with ProcessPoolExecutor(os.cpu_count(), mp_context=multiprocessing.get_context("fork")) as pool:
        for done, _ in enumerate(pool.map(task, numbers, chunksize=5), 1):
            if time.perf_counter() - said > SAY_SECONDS:
                said = time.perf_counter()
                _say(f"{what}: {done:,} of {len(numbers):,}")
    _say(f"{what}: {time.perf_counter() - started:.0f} s in {os.cpu_count()} processes")


def _name(number: int) -> str:
    return f"tenant_{number:04d}"


def _forget_now_and_then(number: int) -> None:
    """Start a new connection after some institutions: a server process remembers each table it has met."""
    if number % 50 == 0:
        connection.close()


def _create_one(number: int) -> float:
    _forget_now_and_then(number)
    started = time.perf_counter()
    name = _name(number)
    Institution(schema_name=name, name=name.title(), short_name=name[-4:]).save(verbosity=0)
    return time.perf_counter() - started


def _create() -> float:
    """Create institutions; return the median seconds of the last ones."""
    # The first one of all makes the blank schema.
    _say(f"the first institution: {_create_one(0):.1f} s")
    first = [_create_one(number) for number in range(1, TIMED)]
    _in_processes("institutions", _create_one, range(TIMED, CREATED - TIMED))
    last = [_create_one(number) for number in range(CREATED - TIMED, CREATED)]
    print_table(
        ["create one after the other", "median s", "worst s"],
        [
            [f"number 2 to {TIMED}", statistics.median(first), max(first)],
            [f"number {CREATED - TIMED + 1:,} to {CREATED:,}", statistics.median(last), max(last)],
        ],
    )
    return statistics.median(last)


def _migrate() -> float:
    """Take the newest table and all that follows back and forth everywhere, then nothing; return the milliseconds forth."""
    loader = MigrationLoader(None)
    leaf = next(node for node in loader.graph.leaf_nodes() if node[0] == MIGRATED_APP)
    own = [node for node in loader.graph.forwards_plan(leaf) if node[0] == MIGRATED_APP]
    first = max(number for number, node in enumerate(own) if _adds_a_table(loader.get_migration(*node)))
    what_moves = f"{own[first][1]} to {leaf[1]}"
    rows: list[tuple[str, float, float]] = []
    for what, arguments in (
        (f"{MIGRATED_APP}, {what_moves}, back", [MIGRATED_APP, own[first - 1][1]]),
        (f"{MIGRATED_APP}, {what_moves}, forth", []),
        ("nothing to do", []),
    ):
        _say(f"migrate_schemas: {what}")
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, "manage.py", "migrate_schemas", "--tenant", *arguments], cwd=PROJECT, check=True
        )
        seconds = time.perf_counter() - started
        rows.append((what, seconds, 1000 * seconds / CREATED))
    print_table([f"migrate_schemas, {CREATED:,} institutions, {os.cpu_count()} jobs", "s", "ms each"], rows)
    return rows[1][2]


def _adds_a_table(migration: Migration) -> bool:
    return any(isinstance(operation, CreateModel) for operation in migration.operations)


def _agree() -> None:
    """Have each institution agree with the next one, and fill the streams that the workers need not."""
    _in_processes(f"agreements, {2 * IDLE - BY_WORKERS:,} streams filled", _agree_one, range(IDLE))


def _agree_one(number: int) -> None:
    _forget_now_and_then(number)
    manager, channel = (
        Institution.objects.get(schema_name=_name(each % IDLE)) for each in (number, number + 1)
    )
    agreement = agree(manager, channel)
    if number < IDLE - BY_WORKERS // 2:
        for stream in agreement.streams.all():
            while (outcome := run_batch(stream.pk)) in {Outcome.MORE, Outcome.WAITING}:
                # Waiting: for the other processes' transactions.
                time.sleep(0.02 if outcome == Outcome.WAITING else 0)


@contextmanager
def _platform() -> Iterator[dict[str, psutil.Process]]:
    """Run what the platform runs, but for its web server."""
    connections.close_all()
    logs = data_folder() / "logs"
    children = {
        name: processes.spawn(command, log=logs / f"{name}.log", cwd=PROJECT)
        for name, command in PARTS.items()
    }
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            server = psutil.Process(cursor.fetchone()[0]).parent()
        redis = next(each for each in psutil.process_iter() if _is_own_redis(each))
        assert server is not None
        yield {
            **{name: psutil.Process(child.pid) for name, child in children.items()},
            "PostgreSQL": server,
            "Redis": redis,
        }
    finally:
        for child in children.values():
            child.terminate()
        for child in children.values():
            child.wait(30)


def _still_running(parts: dict[str, psutil.Process]) -> None:
    """Stop where a part has ended: what is measured without it means nothing."""
    for name, process in parts.items():
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            said = processes.tail(data_folder() / "logs" / f"{name}.log")
            raise RuntimeError(f"{name} has ended. The end of its log:\n{said}")


def _is_own_redis(process: psutil.Process) -> bool:
    socket = os.environ["REDIS_URL"].removeprefix("unix://").partition("?")[0]
    try:
        command = " ".join(process.cmdline())
        return "redis-server" in command and (
            socket in command or any(each.laddr == socket for each in process.net_connections("unix"))
        )
    except psutil.Error:
        return False


def _fill(parts: dict[str, psutil.Process]) -> float:
    """Wait until every stream runs; return the megabytes of the largest worker with its server process."""
    started = said = time.perf_counter()
    total = Stream.objects.count()
    worker = server = 0.0
    while left := Stream.objects.exclude(state=Stream.State.RUNNING).count():
        worker = max([worker, *(_own_mb(each) for each in parts["load"].children())])
        server = max([server, *(_own_mb(each) for each in parts["PostgreSQL"].children())])
        if time.perf_counter() - said > SAY_SECONDS:
            said = time.perf_counter()
            _say(f"{total - left:,} of {total:,} streams filled")
            _still_running(parts)
        time.sleep(1)
        if time.perf_counter() - started > FILL_SECONDS:
            raise RuntimeError("the streams were not filled in time")
    _say(
        f"{total:,} streams filled, the last {BY_WORKERS:,} by workers: {time.perf_counter() - started:.0f} s"
    )
    print_table(["memory of its own, at most", "MB"], [["worker", worker], ["its server process", server]])
    return worker + server


def _own_mb(process: psutil.Process) -> float:
    """Return the megabytes that would be free without a process: no shared buffers, nothing of its parent's."""
    try:
        memory = process.memory_full_info()
        private = memory.rss - memory.shared if process.name().startswith("postgres") else memory.uss
        return float(private) / 2**20
    except psutil.Error:
        return 0.0


def _seconds(process: psutil.Process) -> float:
    """Return the processor time of a process and all below it, those included that have ended."""
    times = process.cpu_times()
    own = times.user + times.system + times.children_user + times.children_system
    for child in process.children(recursive=True):
        try:
            each = child.cpu_times()
            own += each.user + each.system
        except psutil.Error:
            continue
    return float(own)


def _idle(parts: dict[str, psutil.Process]) -> float:
    """Return the percent of a core that everything together takes while nobody does anything."""
    _vacuum()
    _say(f"waiting {SETTLE_SECONDS} s, then {IDLE_SECONDS} s of nothing")
    time.sleep(SETTLE_SECONDS)
    _still_running(parts)
    before = {name: _seconds(process) for name, process in parts.items()}
    started = time.perf_counter()
    time.sleep(IDLE_SECONDS)
    lasted = time.perf_counter() - started
    _still_running(parts)
    percent = {name: 100 * (_seconds(parts[name]) - before[name]) / lasted for name in parts}
    print_table(
        [f"{IDLE:,} institutions, idle", "% of a core"],
        [
            *([name, value] for name, value in percent.items()),
            ["all", sum(percent.values())],
        ],
    )
    return sum(percent.values())


def _vacuum() -> None:
    """Do what autovacuum would have to do because of all that was created: that is not what being idle costs."""
    url = os.environ["DATABASE_URL"].replace(f"//{NAME}@", f"//{SUPERUSER}@")
    with psycopg.connect(url, autocommit=True) as own:
        own.execute("SELECT pg_stat_force_next_flush()")
        due = own.execute(
            "SELECT format('%I.%I', schemaname, relname) FROM pg_stat_all_tables WHERE schemaname <> 'pg_toast'"
            " AND greatest(n_mod_since_analyze, n_dead_tup, n_ins_since_vacuum / 20) > 40"
        ).fetchall()
        _say(f"vacuuming the {len(due):,} tables that creating has left to autovacuum")
        for (table,) in due:
            own.execute(f"VACUUM ANALYZE {table}")


def _edit() -> list[float]:
    """Return the milliseconds from commit to visibility of edits in twenty agreements at once."""
    every = Agreement.objects.select_related("manager", "channel").order_by("channel__schema_name")
    # No two of them share an institution.
    agreements = list(every[: 2 * HOT : 2])
    clients = {agreement.pk: _client(agreement) for agreement in agreements}
    found: list[float] = []
    threads = [
        threading.Thread(
            target=_edit_one,
            args=(str(each.channel.schema_name), str(each.manager.schema_name), clients[each.pk], found),
        )
        for each in agreements
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(found) != len(agreements) * EDITS_EACH:
        raise RuntimeError(f"{len(agreements) * EDITS_EACH - len(found)} edits were not made")
    return found


def _client(agreement: Agreement) -> uuid.UUID:
    today = timezone.now().date()
    with tenant_context(agreement.channel):
        client = Client.objects.create(number="C-1", name="Client")
        Mandate.objects.create(
            number="M-1",
            client=client,
            agreement=agreement.pk,
            status=Mandate.Status.SUBMITTED,
            submission=1,
            signed_on=today,
            submitted_at=timezone.now(),
            disclosure_authorised_on=today,
        )
    return client.pk


def _edit_one(source: str, target: str, key: uuid.UUID, found: list[float]) -> None:
    edit = sql.SQL("UPDATE {}.clients_client SET name = %s WHERE id = %s").format(sql.Identifier(source))
    look = sql.SQL("SELECT name = %s FROM {}.clients_client WHERE id = %s").format(sql.Identifier(target))
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as own:
        # The first edits are not counted: the client itself is still on its way.
        for number in range(-5, EDITS_EACH):
            time.sleep(random.uniform(0.5, 1.5) * EDIT_SECONDS)
            name = uuid.uuid4().hex
            own.execute(edit, [name, key])
            started = time.perf_counter()
            while not ((row := own.execute(look, [name, key]).fetchone()) and row[0]):
                if time.perf_counter() - started > GIVE_UP_SECONDS:
                    _say(f"an edit in {source} did not become visible in {GIVE_UP_SECONDS} s")
                    break
                time.sleep(0.004)
            if number >= 0:
                found.append((time.perf_counter() - started) * 1000)
