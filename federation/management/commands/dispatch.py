"""manage.py dispatch: see who wrote, and tell the workers which streams have work."""

import signal
import threading
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import InterfaceError, OperationalError, connection

from federation.mirror.dispatcher import Dispatcher
from federation.mirror.waking import Listener

# While nobody writes and nothing is left to do, this is soon enough for what comes due by itself.
REST_SECONDS = 10.0
# The server's process remembers every log that it has ever looked at: after this time another one sweeps.
RECONNECT_SECONDS = 600.0


class Command(BaseCommand):
    """Run the dispatcher until it is told to stop."""

    # They load every page, which takes as long as all else at its start.
    requires_system_checks = []
    help = "Tell the workers which mirrors have work; sweeps for what was missed. Stops on SIGTERM or Ctrl-C."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--sweep", type=float, default=2.0, help="seconds between two sweeps")

    def handle(self, *_args: Any, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        self.stdout.write("Dispatching")
        # A log is a file, which else would get it at the end.
        self.stdout.flush()
        if not run(stop, sweep_seconds=options["sweep"]):
            raise CommandError("The sweep broke off; what it said is above.")


def run(stop: threading.Event, *, sweep_seconds: float) -> bool:
    """Poll and sweep until asked to stop; a database that goes away is waited for.

    Sweeps have a thread of their own: what they apply themselves must not hold up a hint.
    """
    dispatcher = Dispatcher()
    swept: list[bool] = []

    def sweep() -> None:
        try:
            _sweep(dispatcher, stop, sweep_seconds)
            swept.append(True)
        finally:
            connection.close()
            stop.set()

    sweeper = threading.Thread(target=sweep, name="sweep", daemon=True)
    sweeper.start()
    listener = Listener(longest=sweep_seconds)
    while not stop.is_set():
        try:
            listener.note(dispatcher.poll())
            listener.wait(stop)
        except (OperationalError, InterfaceError):
            connection.close()
            dispatcher.start_over()
            listener = Listener(longest=sweep_seconds)
            stop.wait(0.5)
    sweeper.join(10)
    return bool(swept) or sweeper.is_alive()


def _sweep(dispatcher: Dispatcher, stop: threading.Event, seconds: float) -> None:
    connected_at = time.monotonic()
    swept_at = 0.0
    while not stop.is_set():
        try:
            if not dispatcher.is_resting or time.monotonic() - swept_at > REST_SECONDS - seconds / 2:
                swept_at = time.monotonic()
                dispatcher.sweep()
            if time.monotonic() - connected_at > RECONNECT_SECONDS:
                connection.close()
                connected_at = time.monotonic()
        except (OperationalError, InterfaceError):
            connection.close()
            dispatcher.start_over()
        stop.wait(seconds)
