"""Run the benchmarks on servers of their own: `python -m benchmarks`, or `python -m benchmarks mirror`.

The servers keep PostgreSQL's ordinary durability: what is measured is what is run. Each benchmark
starts in an empty, migrated database. The last line it prints is one JSON object of its figures.
"""

import importlib
import json
import os
import pkgutil
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from config import embedded
from config.embedded.paths import PROJECT, Lock, make_private

_TOOLS = {"__main__", "measure"}
# What a benchmark needs of PostgreSQL besides its ordinary settings.
_SETTINGS = {"mirror": {"wal_level": "logical"}}


def names() -> list[str]:
    """Return the names of all benchmarks."""
    modules = pkgutil.iter_modules([str(Path(__file__).parent)])
    return sorted(
        module.name for module in modules if module.name not in _TOOLS and not module.name.startswith("_")
    )


def main(name: str) -> None:
    """Run one benchmark and print its figures as the last line."""
    # On the disk of the project: a temporary folder may lie in memory and flatter writes.
    parent = make_private(PROJECT / ".data" / "benchmarks")
    remove_leftovers(parent)
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=parent))
    os.environ.pop("DATABASE_URL", None)
    os.environ.pop("REDIS_URL", None)
    os.environ["DATA_DIR"] = str(folder)
    servers = embedded.ensure(folder, settings=_SETTINGS.get(name))
    try:
        os.environ["DATABASE_URL"], os.environ["REDIS_URL"] = servers.database_url, servers.redis_url
        os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate_schemas", shared=True, verbosity=0)
        print(f"{name}\n{'=' * len(name)}", flush=True)
        figures = importlib.import_module(f"benchmarks.{name}").run()
        print(json.dumps(figures), flush=True)
    finally:
        servers.stop()
        shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(parent: Path) -> None:
    """Remove the data of benchmarks that were killed."""
    for folder in parent.iterdir():
        lock = Lock(folder / "servers.lock")
        if lock.take():
            embedded.stop_leftovers(folder)
            shutil.rmtree(folder, ignore_errors=True)
            lock.release()


def main_all() -> int:
    """Run all benchmarks, each in a process of its own; return the exit code."""
    codes = [subprocess.run([sys.executable, "-m", "benchmarks", name]).returncode for name in names()]
    return max(codes, default=0)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        sys.exit(main_all())
    if sys.argv[1] not in names():
        sys.exit(f"There is no benchmark {sys.argv[1]!r}; there are: {', '.join(names()) or 'none yet'}.")
    main(sys.argv[1])
