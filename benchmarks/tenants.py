"""What do many institutions cost: to create, to migrate, and while nobody there does anything?

1,000 institutions are created one after the other, then migrated by one real migration and by none. As many
more are created, and each has an agreement with the next. Real workers and a real dispatcher fill them all;
then the processor time of the whole platform is read while all are idle, and twenty of them are edited.
"""

import multiprocessing
import os
import random
import statistics
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

import psutil
import psycopg
from django.db import connection, connections
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone
from django_tenants.utils import tenant_context
from psycopg import sql

from benchmarks._pairs import agree
from benchmarks.measure import percentile, print_table
from clients.models import Client, Mandate
from config.embedded.paths import PROJECT
from federation.models import Agreement, Institution, Stream

CREATED = int(os.environ.get("BENCH_TENANTS", "1000"))
IDLE = 2 * CREATED
HOT, EDITS_EACH, EDIT_SECONDS = 20, 30, 1.0
IDLE_SECONDS = 120
MIGRATED_APP = "clients"
_CELERY = ["-m", "celery", "-A", "config"]
_WORKER = [*_CELERY, "worker", "-l", "warning", "--without-gossip", "--without-mingle"]
PARTS = {
    "dispatcher": ["manage.py", "dispatch"],
    "mirror worker": [*_WORKER, "-Q", "mirror", "-c", "2", "-n", "mirror@%h"],
    "load worker": [*_WORKER, "-Q", "load", "-c", "1", "-n", "load@%h"],
    "work worker": [*_WORKER, "-Q", "work", "-c", "2", "-n", "work@%h"],
    "beat": [*_CELERY, "beat", "-l", "warning", "--pidfile", ""],
}


def run() -> dict[str, float]:
    """Measure and print; return the figures."""
    create_s = _create()
    per_tenant_ms = _migrate()
    _create_more()
    with _platform() as parts:
        _agree()
        worker_mb = _fill(parts)
        idle = _idle(parts)
        hot = _edit()
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


def _name(number: int) -> str:
    return f"tenant_{number:04d}"


def _create_one(number: int) -> float:
    started = time.perf_counter()
    name = _name(number)
    Institution(schema_name=name, name=name.title(), short_name=name[-4:]).save(verbosity=0)
    return time.perf_counter() - started


def _create() -> float:
    """Create institutions one after the other; return the median seconds of the last tenth."""
    lot = max(1, CREATED // 10)
    rows: list[tuple[str, float, float]] = []
    for start in range(0, CREATED, lot):
        seconds = [_create_one(number) for number in range(start, min(start + lot, CREATED))]
        if start == 0:
            # The first one of all makes the blank schema.
            print(f"the first institution: {seconds.pop(0):.1f} s", flush=True)
        rows.append((f"to {start + lot:,}", statistics.median(seconds), max(seconds)))
        print(f"{start + lot:,} of {CREATED:,} created, {rows[-1][1]:.2f} s each", flush=True)
    print_table(["institutions", "median s", "worst s"], rows)
    return rows[-1][1]


def _migrate() -> float:
    """Take one migration back and forth everywhere, then none; return the milliseconds of the way forth."""
    loader = MigrationLoader(None)
    leaf = next(node for node in loader.graph.leaf_nodes() if node[0] == MIGRATED_APP)
    before = next(node for node in loader.graph.node_map[leaf].parents if node[0] == MIGRATED_APP)
    rows: list[tuple[str, float, float]] = []
    for what, arguments in (
        (f"{leaf[0]}.{leaf[1]}, back", [MIGRATED_APP, before[1]]),
        (f"{leaf[0]}.{leaf[1]}, forth", []),
        ("nothing to do", []),
    ):
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, "manage.py", "migrate_schemas", "--tenant", *arguments], cwd=PROJECT, check=True
        )
        seconds = time.perf_counter() - started
        rows.append((what, seconds, 1000 * seconds / CREATED))
    print_table([f"migrate_schemas, {CREATED:,} institutions", "s", "ms each"], rows)
    return rows[1][2]


def _create_more() -> None:
    """Create the other institutions, by as many processes as there are cores."""
    started = time.perf_counter()
    connections.close_all()
    with ProcessPoolExecutor(os.cpu_count(), mp_context=multiprocessing.get_context("fork")) as pool:
        list(pool.map(_create_one, range(CREATED, IDLE)))
    seconds = time.perf_counter() - started
    print(f"{IDLE - CREATED:,} more in {os.cpu_count()} processes: {seconds:.0f} s", flush=True)


def _agree() -> None:
    """Have each institution agree with the next one."""
    started = time.perf_counter()
    institutions = list(Institution.objects.order_by("schema_name"))
    for manager, channel in zip(institutions, [*institutions[1:], institutions[0]], strict=True):
        agree(manager, channel)
    print(f"{len(institutions):,} agreements: {time.perf_counter() - started:.0f} s", flush=True)


@contextmanager
def _platform() -> Iterator[dict[str, psutil.Process]]:
    """Run what the platform runs, but for its web server."""
    children = {
        name: subprocess.Popen(
            [sys.executable, *command], cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
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
    started = time.perf_counter()
    total = Stream.objects.count()
    worker = server = 0.0
    while left := Stream.objects.exclude(state=Stream.State.RUNNING).count():
        worker = max([worker, *(_own_mb(each) for each in parts["load worker"].children())])
        server = max([server, *(_own_mb(each) for each in parts["PostgreSQL"].children())])
        if int(time.perf_counter() - started) % 10 == 0:
            print(f"{total - left:,} of {total:,} streams filled", flush=True)
        time.sleep(1)
        if time.perf_counter() - started > 900:
            raise RuntimeError("the streams were not filled in time")
    print(f"{total:,} streams filled: {time.perf_counter() - started:.0f} s", flush=True)
    print_table(["memory of its own, at most", "MB"], [["worker", worker], ["its server process", server]])
    return worker + server


def _own_mb(process: psutil.Process) -> float:
    try:
        return float(process.memory_full_info().uss) / 2**20
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
    with connection.cursor() as cursor:
        # What creating left to do is not what being idle costs.
        cursor.execute(
            "VACUUM ANALYZE pg_class, pg_attribute, pg_index, pg_depend, pg_constraint, pg_trigger"
        )
    print(f"waiting a minute, then {IDLE_SECONDS} s of nothing", flush=True)
    time.sleep(60)
    before = {name: _seconds(process) for name, process in parts.items()}
    started = time.perf_counter()
    time.sleep(IDLE_SECONDS)
    lasted = time.perf_counter() - started
    percent = {name: 100 * (_seconds(parts[name]) - before[name]) / lasted for name in parts}
    print_table(
        [f"{IDLE:,} institutions, idle", "% of a core"],
        [*([name, value] for name, value in percent.items()), ["all", sum(percent.values())]],
    )
    return sum(percent.values())


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
        raise RuntimeError(f"{len(agreements) * EDITS_EACH - len(found)} edits did not become visible")
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
                if time.perf_counter() - started > 60:
                    return
                time.sleep(0.004)
            if number >= 0:
                found.append((time.perf_counter() - started) * 1000)
