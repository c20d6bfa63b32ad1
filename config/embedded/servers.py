"""Both servers of one data folder: start them, find them, stop them."""

import atexit
import os
import time
from pathlib import Path
from typing import Any, Self

from config.embedded import postgres, processes, redis
from config.embedded.paths import (
    EmbeddedError,
    Lock,
    data_folder,
    is_private,
    make_private,
    new_socket_folder,
    read_state,
    remove_socket_folder,
    write_state,
)

ATTACH_SECONDS = 60.0


def _state_file(data: Path) -> Path:
    return data / "servers.json"


def urls(data: Path | None = None) -> tuple[str | None, str | None]:
    """Return the URLs of database and Redis: as the environment gives them, else of the running servers.

    Reads one small file and starts nothing. None stands for a server that does not run.
    """
    database, queue = os.environ.get("DATABASE_URL"), os.environ.get("REDIS_URL")
    if database and queue:
        return database, queue
    data = data or data_folder()
    state = read_state(_state_file(data))
    sockets = Path(state.get("sockets", "/nonexistent"))
    # After a restart of the machine another user may have taken the name of the temporary folder.
    if not state or not is_private(sockets, _state_file(data).stat().st_uid):
        return database, queue
    if not database and (sockets / postgres.SOCKET).exists():
        database = state.get("database_url")
    if not queue and (sockets / redis.SOCKET).exists():
        queue = state.get("redis_url")
    return database, queue


def platform_port(data: Path | None = None) -> int | None:
    """Return the port of the platform that runs in this folder, perhaps from another terminal."""
    state = read_state((data or data_folder()) / "platform.json")
    return int(state["port"]) if "port" in state and processes.find(state.get("supervisor")) else None


class Servers:
    """The servers of one data folder. Whoever started them stops them; for the rest `stop` does nothing."""

    def __init__(self, database_url: str, redis_url: str) -> None:
        self.database_url = database_url
        self.redis_url = redis_url
        self._owner = 0
        self._lock: Lock | None = None
        self._sockets: Path | None = None
        self._postgres: postgres.Postgres | None = None
        self._redis: redis.Redis | None = None
        self._state: Path | None = None

    @property
    def celery_url(self) -> str:
        """Return Celery's form of the Redis URL."""
        return redis.celery_url(self.redis_url)

    def restart_failed(self) -> list[str]:
        """Start again what this process started and what ended by itself; return the names."""
        failed = [server for server in (self._postgres, self._redis) if server and not server.is_running()]
        for server in failed:
            server.start()
        if failed and self._state is not None and self._redis is not None:
            write_state(
                self._state, {**read_state(self._state), "redis": processes.identity(self._redis.pid)}
            )
        return [type(server).__name__ for server in failed]

    def stop(self) -> None:
        """Stop what this process started and free its data folder."""
        if self._owner != os.getpid():
            return
        self._owner = 0
        for server in (self._redis, self._postgres):
            if server is not None:
                server.stop()
        if self._state is not None:
            self._state.unlink(missing_ok=True)
        if self._sockets is not None:
            remove_socket_folder(self._sockets)
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self, data: Path, lock: Lock, settings: dict[str, str] | None) -> None:
        """Start the servers that have no URL yet; `lock` keeps every other starter off this folder."""
        self._owner, self._lock, self._state = os.getpid(), lock, _state_file(data)
        stop_leftovers(data)
        self._sockets = new_socket_folder()
        state: dict[str, Any] = {"starter": processes.identity(os.getpid()), "sockets": str(self._sockets)}
        write_state(self._state, state)
        if not self.database_url:
            self._postgres = postgres.Postgres(
                data / "postgres", self._sockets, data / "logs" / "postgres.log", settings=settings
            )
            self._postgres.start()
            self.database_url = state["database_url"] = self._postgres.url()
        if not self.redis_url:
            self._redis = redis.Redis(data / "redis", self._sockets, data / "logs" / "redis.log")
            self._redis.start()
            state["redis"] = processes.identity(self._redis.pid)
            self.redis_url = state["redis_url"] = self._redis.url
        write_state(self._state, state | {"ready": True})


def stop_leftovers(data: Path) -> None:
    """End what a starter that was killed left behind. The caller holds the lock, so nobody else uses it."""
    postgres.stop_leftovers(data / "postgres")
    state = read_state(_state_file(data))
    left = processes.find(state.get("redis"))
    if left is not None:
        processes.stop(left, redis.STOP_STEPS)
    if state.get("sockets"):
        remove_socket_folder(Path(state["sockets"]))
    _state_file(data).unlink(missing_ok=True)


def ensure(data: Path | None = None, *, settings: dict[str, str] | None = None) -> Servers:
    """Return running servers: those of the environment, else of the data folder, started if need be.

    `settings` are further settings of PostgreSQL. Raises EmbeddedError when a server cannot be started.
    """
    servers = Servers(os.environ.get("DATABASE_URL", ""), os.environ.get("REDIS_URL", ""))
    if servers.database_url and servers.redis_url:
        return servers
    data = make_private((data or data_folder()).absolute())
    lock = Lock(data / "servers.lock")
    if not lock.take():
        return _attach(servers, data)
    atexit.register(servers.stop)
    try:
        servers._start(data, lock, settings)
    except BaseException:
        # Also after Ctrl-C: half a start leaves nothing running.
        servers.stop()
        raise
    return servers


def _attach(servers: Servers, data: Path) -> Servers:
    deadline = time.monotonic() + ATTACH_SECONDS
    while time.monotonic() < deadline:
        if read_state(_state_file(data)).get("ready"):
            database, queue = urls(data)
            if database and queue:
                servers.database_url, servers.redis_url = database, queue
                return servers
        time.sleep(0.1)
    raise EmbeddedError(
        f"Another process holds {data / 'servers.lock'} and its servers do not answer: stop it, then try again."
    )
