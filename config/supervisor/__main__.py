"""Run, stop or reset the platform of this checkout: `python -m config.supervisor run`."""

import contextlib
import os
import shutil
import signal
import sys

import environ

from config import embedded
from config.embedded import processes
from config.embedded.paths import PROJECT, EmbeddedError, Lock, make_private, read_state
from config.supervisor.parts import stop_leftovers
from config.supervisor.platform import Platform, StartError, port_number
from config.supervisor.terminal import in_foreground, say

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _interrupt(number: int, _frame: object) -> None:
    # Stopping takes its time but an end is certain: a second Ctrl-C would only leave processes behind.
    for each in STOP_SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


def run() -> int:
    """Run the platform until a signal comes; return the exit code."""
    if "MAKELEVEL" in os.environ:
        processes.die_with_parent(os.getppid(), signal.SIGTERM)
    lock = None
    platform = None
    try:
        for each in STOP_SIGNALS:
            signal.signal(each, _interrupt)
        environ.Env.read_env(PROJECT / ".env")
        data = make_private(embedded.data_folder().absolute())
        lock = Lock(data / "platform.lock")
        if not lock.take():
            port = read_state(data / "platform.json").get("port")
            raise StartError(
                f"The platform of this folder runs already: http://localhost:{port} (make stop stops it)."
            )
        platform = Platform(
            data, os.environ.get("BIND", "127.0.0.1"), port_number(os.environ.get("PORT", "8000"))
        )
        with in_foreground():
            try:
                platform.run()
            finally:
                for each in STOP_SIGNALS:
                    signal.signal(each, signal.SIG_IGN)
                if platform.servers is not None:
                    say("Stopping …")
                platform.stop()
    except KeyboardInterrupt:
        say("Stopped. The data is kept: make run continues, make reset forgets it.")
        return 0
    except (StartError, EmbeddedError) as error:
        with contextlib.suppress(OSError):
            print(error, file=sys.stderr, flush=True)
        return 1
    finally:
        if lock is not None:
            lock.release()
    return 0


def stop() -> int:
    """Stop the platform of this checkout, wherever it runs; return the exit code."""
    data = embedded.data_folder().absolute()
    state = read_state(data / "platform.json")
    supervisor = processes.find(state.get("supervisor"))
    if supervisor is not None:
        say("Stopping the platform …")
        supervisor.terminate()
        if not processes.has_ended(supervisor, 60):
            say(
                f"Process {supervisor.pid} does not stop; end it with kill -9 {supervisor.pid}, then try again."
            )
            return 1
    stop_leftovers(data / "platform.json")
    return 0


def reset() -> int:
    """Stop the platform and delete its data; return the exit code."""
    data = embedded.data_folder().absolute()
    if not data.exists():
        return 0
    if stop():
        return 1
    try:
        lock = Lock(data / "servers.lock")
        if not lock.take():
            say("Another process still uses the servers of this folder: stop it, then try again.")
            return 1
        embedded.stop_leftovers(data)
        shutil.rmtree(data)
    except PermissionError as error:
        say(f"{error.filename} belongs to another user: reset as that user.")
        return 1
    say("All data of this folder is forgotten.")
    return 0


if __name__ == "__main__":
    commands = {"run": run, "stop": stop, "reset": reset}
    sys.exit(commands[sys.argv[1]]())
