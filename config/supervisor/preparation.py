"""What has to be in place before the platform serves: tables, demo, static files. Each is skipped when it is."""

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from config.embedded.paths import PROJECT, read_state, write_state


@dataclass(frozen=True)
class Step:
    """A management command to run unless it ran before with the same fingerprint.

    One that ``is_apart`` needs no other and runs beside them. ``title_again`` says what it does where it ran before.
    """

    title: str
    command: tuple[str, ...]
    fingerprint: str
    is_apart: bool = False
    title_again: str = ""


class Ledger:
    """Remembers in a file which steps are done."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def has(self, step: Step) -> bool:
        """Say whether `step` is done as it stands."""
        return bool(read_state(self._path).get(step.command[0]) == step.fingerprint)

    def title(self, step: Step) -> str:
        """Return what `step` does now."""
        ran_before = step.command[0] in read_state(self._path)
        return step.title_again if ran_before and step.title_again else step.title

    def add(self, step: Step) -> None:
        """Remember that `step` is done."""
        write_state(self._path, {**read_state(self._path), step.command[0]: step.fingerprint})


def steps(database_url: str, *, demo: bool, keep_current: bool) -> Sequence[Step]:
    """Return the steps in their order.

    `keep_current` is for a server that others may change too: its tables are checked at every start.
    """
    packages = [PROJECT / "requirements.txt"]
    database = _identity(database_url)
    # Migrating also installs what federation declares, such as the capture of changes.
    sources = [*_sources("migrations/**/*.py"), *sorted(PROJECT.glob("federation/**/*.py"))]
    tables = _digest(database, str(time.time()) if keep_current else "", *_contents(sources))
    found = [Step("tables", ("migrate_schemas",), _digest(tables, *_contents(packages)))]
    if demo and _has_command("demo"):
        # Once a day: what it tells is told relative to the day.
        today = time.strftime("%Y-%m-%d", time.gmtime())
        found.append(
            Step("demo institutions", ("demo",), _digest(tables, today), title_again="demo up to yesterday")
        )
    static = _digest(*_contents(packages), *_stamps(_sources("static/**/*")))
    found.append(Step("static files", ("collectstatic", "--no-input"), static, is_apart=True))
    return found


def has_dispatcher() -> bool:
    """Say whether the platform has a mirror dispatcher to run."""
    return _has_command("dispatch")


def _has_command(name: str) -> bool:
    return any(PROJECT.glob(f"*/management/commands/{name}.py"))


def _sources(pattern: str) -> list[Path]:
    return sorted(
        path
        for path in PROJECT.glob(f"[!.]*/{pattern}")
        if path.is_file() and "__pycache__" not in path.parts
    )


def _contents(paths: Sequence[Path]) -> Iterator[str]:
    for path in paths:
        yield str(path.relative_to(PROJECT))
        yield hashlib.sha256(path.read_bytes()).hexdigest()


def _stamps(paths: Sequence[Path]) -> Iterator[str]:
    for path in paths:
        status = path.stat()
        yield f"{path.relative_to(PROJECT)} {status.st_size} {status.st_mtime_ns}"


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _identity(database_url: str) -> str:
    """Return what tells this database from another one with the same name."""
    with psycopg.connect(database_url, connect_timeout=10) as connection:
        row = connection.execute(
            "SELECT current_database(), oid FROM pg_database WHERE datname = current_database()"
        ).fetchone()
    return str(row)
