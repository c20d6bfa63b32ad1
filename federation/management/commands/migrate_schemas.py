"""manage.py migrate_schemas: bring the platform's tables and those of every institution up to date."""

import math
import multiprocessing
import os
import sys
import time
from collections.abc import Generator, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any, ClassVar

from django.core.management.base import CommandError, CommandParser
from django.db import connection, connections
from django_tenants.management.commands.migrate_schemas import MigrateSchemasCommand
from django_tenants.migration_executors.base import run_migrations
from django_tenants.utils import get_public_schema_name, schema_exists

from federation.forked import end_with
from federation.migrating import Found, Migrator, find
from federation.mirror import capture
from federation.models import Institution
from federation.schemas import BLANK

# Fewer are not worth a process.
_WORTH_PROCESSES = 8
# A connection remembers what it has read of each table: start anew before that takes much memory.
_SCHEMAS_PER_CONNECTION = 100
_SHOW_EVERY_SECONDS = 2.0
# What these ask for is left to django-tenants, one schema after the other.
_RARE = ("plan", "prune", "run_syncdb", "fake_initial")

# django-tenants' connection, which knows of schemas.
_tenants: Any = connection

Result = tuple[str, int, str]


class Command(MigrateSchemasCommand):
    """Go over all schemas in several processes; one that fails is listed, and the others go on.

    Run again, it finds with a few queries what is left to do. Its exit code is 1 where anything failed.
    """

    # Like Django's own: whoever migrates has not got the tables that checks may look at.
    requires_system_checks: ClassVar[list[str]] = []
    help = (
        "Bring the platform's tables and those of every institution up to date. What is done is not done again; "
        "schemas that fail are listed at the end."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--jobs", type=int, default=min(os.cpu_count() or 1, 8), help="processes for the institutions"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        options.setdefault("skip_checks", True)
        if any(options[name] for name in _RARE):
            super().handle(*args, **options)
            return
        public = get_public_schema_name()
        schema, loud = options["schema_name"], options["verbosity"] >= 1
        wants_public = options["shared"] or not options["tenant"]
        if schema == public or (not schema and wants_public):
            self._migrate_public(public, args, options)
        if schema == public or (not schema and options["shared"] and not options["tenant"]):
            return
        schemas = [schema] if schema else _everywhere()
        self._migrate(schemas, options, loud=loud)

    def _migrate_public(self, public: str, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        found = find([public])[0]
        is_whole = not (options["app_label"] or options["fake"] or options["check_unapplied"])
        if found.applied or not is_whole:
            run_migrations(args, options, "standard", public)
        else:
            Migrator().migrate(found)

    def _migrate(self, schemas: list[str], options: dict[str, Any], *, loud: bool) -> None:
        started = time.monotonic()
        migrator = Migrator((options["app_label"], options["migration_name"]), fake=options["fake"])
        found = find(schemas)
        missing = set(schemas) - {each.schema for each in found}
        failures = dict.fromkeys(missing, "there is no such schema")
        waiting = [each for each in found if migrator.needs_work(each)]
        # What is up to date may still have triggers of another version of this code.
        repaired = capture.drifted({each.schema for each in found} - {each.schema for each in waiting})
        if options["check_unapplied"]:
            if waiting:
                self.stdout.write(f"{len(waiting)} of {len(schemas)} schemas have migrations to apply.")
                sys.exit(1)
            return
        for name in repaired:
            capture.install(name)
        if loud:
            self.stdout.write(f"{len(schemas):,} schemas, {len(waiting):,} to migrate")
        shown = began = time.monotonic()
        for done, (name, count, problem) in enumerate(_run(migrator, waiting, options["jobs"]), 1):
            if problem:
                failures[name] = problem
            if loud and (time.monotonic() - shown > _SHOW_EVERY_SECONDS or options["verbosity"] > 1):
                shown = time.monotonic()
                self._show(
                    done,
                    len(waiting),
                    shown - began,
                    f" {name}: {count}" if options["verbosity"] > 1 else "",
                )
        _tenants.set_schema_to_public()
        self._sum_up(len(schemas), waiting, repaired, failures, time.monotonic() - started, loud=loud)

    def _show(self, done: int, total: int, seconds: float, what: str) -> None:
        rate = done / seconds
        left = math.ceil((total - done) / rate)
        self.stdout.write(
            f"{done:,} of {total:,} ({100 * done // total}%), {rate:.1f}/s, {left // 60}:{left % 60:02d} left{what}"
        )

    def _sum_up(
        self,
        total: int,
        waiting: list[Found],
        repaired: list[str],
        failures: dict[str, str],
        seconds: float,
        *,
        loud: bool,
    ) -> None:
        migrated = len([each for each in waiting if each.schema not in failures])
        if loud:
            self.stdout.write(
                f"{migrated:,} migrated, {total - migrated - len(failures):,} were up to date, "
                f"{len(repaired):,} got their triggers again, {len(failures):,} failed; {seconds:.1f} s"
                + (f", {1000 * seconds / migrated:.0f} ms each" if migrated else "")
            )
        for name, problem in sorted(failures.items()):
            self.stderr.write(f"{name}: {problem}")
        if failures:
            raise CommandError(
                f"{len(failures)} of {total} schemas could not be migrated. "
                "Put right what is wrong with them and run migrate_schemas again: it goes on with these."
            )


def _everywhere() -> list[str]:
    """Return the schemas of all hosted institutions, and the one that new ones are made like."""
    _tenants.set_schema_to_public()
    schemas = [
        str(name)
        for name in Institution.objects.order_by("schema_name").values_list("schema_name", flat=True)
    ]
    return [BLANK, *schemas] if schema_exists(BLANK) else schemas


def _run(migrator: Migrator, waiting: list[Found], jobs: int) -> Iterator[Result]:
    """Migrate schemas, in processes where there are many; yield what became of each as it is done."""
    migrator.prepare(waiting)
    if jobs <= 1 or len(waiting) < _WORTH_PROCESSES or connection.in_atomic_block:
        yield from (_migrate_one(migrator, each) for each in waiting)
        return
    lost = yield from _in_processes(migrator, waiting, jobs)
    # One process that is killed takes the others with it: what is left gets one each, from where it stands.
    for each in find(lost):
        if not migrator.needs_work(each):
            yield each.schema, 0, ""
        elif (yield from _in_processes(migrator, [each], 1)):
            yield each.schema, 0, "its process was killed, perhaps for want of memory"


def _in_processes(migrator: Migrator, waiting: list[Found], jobs: int) -> Generator[Result, None, list[str]]:
    """Migrate schemas in several processes; return those that a killed one left open."""
    global _shared
    # The processes are forked, so they have what was worked out here, but need connections of their own.
    _shared = migrator
    connections.close_all()
    lost = []
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("fork"), end_with, (os.getpid(),)) as pool:
        futures = {pool.submit(_migrate_shared, each): each.schema for each in waiting}
        for future in as_completed(futures):
            try:
                yield future.result()
            except BrokenProcessPool:
                lost.append(futures[future])
    return lost


_shared: Migrator | None = None
_touched = 0


def _migrate_shared(found: Found) -> Result:
    global _touched
    assert _shared is not None
    _touched += 1
    if _touched % _SCHEMAS_PER_CONNECTION == 0:
        connection.close()
    return _migrate_one(_shared, found)


def _migrate_one(migrator: Migrator, found: Found) -> Result:
    try:
        count, problem = migrator.migrate(found), ""
    except Exception as error:
        # Whatever a migration raises is that schema's affair: the others go on.
        count, problem = 0, f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
        if connection.in_atomic_block:
            raise
        connection.close()
    return found.schema, count, problem
