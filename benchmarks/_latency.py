"""How soon a single edit is visible at the partner, alone and beside a bulk load of somebody else's."""

import math
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from config.embedded.paths import PROJECT

_WORKER = [
    *("-m", "celery", "-A", "config", "worker", "-l", "warning"),
    *("--without-gossip", "--without-mingle", "--without-heartbeat"),
]
PARTS = [
    [*_WORKER, "-Q", "mirror", "-c", "2", "-n", "mirror@%h"],
    [*_WORKER, "-Q", "load", "-c", "1", "-n", "load@%h"],
    ["manage.py", "dispatch"],
]
# The first edits meet processes that are still starting.
_WARM_UP = 40


@contextmanager
def processes() -> Iterator[None]:
    """Run a dispatcher, and the workers for edits and for loads, as the platform does."""
    running = [
        subprocess.Popen(
            [sys.executable, *command],
            cwd=PROJECT,
            env=os.environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for command in PARTS
    ]
    try:
        yield
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(30)


def latencies(owner: str, receiver: str, ids: list[uuid.UUID], *, pause: float = 0) -> list[float]:
    """Edit the names of these portfolios one after the other; return milliseconds from commit to visible."""
    url = os.environ["DATABASE_URL"]
    with psycopg.connect(url, autocommit=True) as writer, psycopg.connect(url, autocommit=True) as watcher:
        found = []
        for key in ids:
            time.sleep(pause)
            found.append(_edit_and_watch(writer, watcher, owner, receiver, key))
        return found[_WARM_UP:]


def _edit_and_watch(
    writer: "psycopg.Connection", watcher: "psycopg.Connection", owner: str, receiver: str, key: uuid.UUID
) -> float:
    name = uuid.uuid4().hex
    writer.execute(
        psycopg.sql.SQL("UPDATE {}.portfolios_portfolio SET name = %s WHERE id = %s").format(
            psycopg.sql.Identifier(owner)
        ),
        [name, key],
    )
    started = time.perf_counter()
    query = psycopg.sql.SQL("SELECT name FROM {}.portfolios_portfolio WHERE id = %s").format(
        psycopg.sql.Identifier(receiver)
    )
    while True:
        row = watcher.execute(query, [key]).fetchone()
        if row is not None and row[0] == name:
            return (time.perf_counter() - started) * 1000
        if time.perf_counter() - started > 120:
            raise RuntimeError("an edit did not become visible in two minutes")
        time.sleep(0.0005)


@contextmanager
def bulk_load(statement: str, *, pause: float = 0, seen: str = "") -> Iterator[list[int]]:
    """Run a statement over and over on a connection of its own; the list counts the rows of each run.

    ``pause`` seconds between two runs let whoever reads the same log keep up. ``seen`` is a query that
    counts the rows as they arrived: with it the next run waits for those of the last one too.
    """
    stop, rows = threading.Event(), list[int]()

    def load() -> None:
        with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
            before = _count(connection, seen)
            while not stop.is_set():
                rows.append(connection.execute(statement).rowcount)
                stop.wait(pause)
                while _count(connection, seen) < before + sum(rows) and not stop.wait(0.2):
                    pass

    thread = threading.Thread(target=load)
    thread.start()
    try:
        yield rows
    finally:
        stop.set()
        thread.join()


def _count(connection: "psycopg.Connection", query: str) -> float:
    found = connection.execute(query).fetchone() if query else None
    return found[0] if found else math.inf
