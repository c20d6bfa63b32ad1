"""The peer: PostgreSQL's own logical replication of the same rows into a second database."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from config.embedded.postgres import SUPERUSER, binaries

DATABASE = "bench_peer"
TABLE = "bench_published"


class Peer:
    """A published table with the rows in scope, and its copy in a second database."""

    def __init__(self) -> None:
        given = conninfo_to_dict(os.environ["DATABASE_URL"])
        self._conninfo: dict[str, Any] = {"host": str(given["host"]), "user": SUPERUSER}
        self._here = psycopg.connect(**self._conninfo, dbname=str(given["dbname"]), autocommit=True)
        self._there = psycopg.connect(**self._conninfo, dbname="postgres", autocommit=True)

    def build(self, rows: str) -> None:
        """Publish a table of these rows with the mirrored table's columns, checks and indexes."""
        self._here.execute(f"CREATE TABLE public.{TABLE} (LIKE beta.portfolios_transaction INCLUDING ALL)")
        self._here.execute(f"CREATE TABLE public.{TABLE}_source AS {rows}")
        self._here.execute(f"CREATE PUBLICATION {TABLE} FOR TABLE public.{TABLE}")
        self._there.execute(f"CREATE DATABASE {DATABASE}")
        self._there.close()
        self._there = psycopg.connect(**self._conninfo, dbname=DATABASE, autocommit=True)
        schema = subprocess.run(
            [
                binaries() / "pg_dump", "-h", self._conninfo["host"], "-U", SUPERUSER, "-s", "-O", "-x",
                "-t", f"public.{TABLE}", "--no-publications", str(self._here.info.dbname),
            ],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        self._there.execute(
            "\n".join(line for line in schema.stdout.splitlines() if not line.startswith("\\"))
        )
        self._here.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [TABLE])
        source = f"host={self._conninfo['host']} user={SUPERUSER} dbname={self._here.info.dbname}"
        self._there.execute(
            f"CREATE SUBSCRIPTION {TABLE} CONNECTION '{source}' PUBLICATION {TABLE}"
            " WITH (create_slot = false, copy_data = false)"
        )

    def empty(self) -> None:
        """Empty both sides, and wait until the copy is."""
        self._here.execute(f"TRUNCATE public.{TABLE}")
        self._wait_for(0)

    def replicate(self, rows: int) -> float:
        """Insert all rows into the published table; return the seconds from that commit to their arrival."""
        self._here.execute(f"INSERT INTO public.{TABLE} SELECT * FROM public.{TABLE}_source")
        started = time.perf_counter()
        self._wait_for(rows)
        return time.perf_counter() - started

    def _wait_for(self, rows: int) -> None:
        until = time.monotonic() + 120
        while time.monotonic() < until:
            found = self._there.execute(f"SELECT count(*) FROM public.{TABLE}").fetchone()
            if found == (rows,):
                return
            time.sleep(0.005)
        raise RuntimeError("logical replication did not arrive")

    def drop(self) -> None:
        """Take the subscription and its database away."""
        self._there.execute(f"DROP SUBSCRIPTION {TABLE}")
        self._there.close()
        self._here.execute(f"DROP PUBLICATION {TABLE}")
        self._here.close()


@contextmanager
def peer(rows: str) -> Iterator[Peer]:
    """Run the peer for a while."""
    of = Peer()
    of.build(rows)
    try:
        yield of
    finally:
        of.drop()
