"""manage.py dispatch: see who wrote, and tell the workers which streams have work."""

import signal
import threading
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import InterfaceError, OperationalError, connection

from federation.mirror.dispatcher import Dispatcher

HOT_SECONDS = 0.004
IDLE_SECONDS = 0.1
# Stay hot this long after somebody wrote.
COOL_AFTER_SECONDS = 2.0
# The server's process remembers every log that it has ever looked at: after this time another one sweeps.
RECONNECT_SECONDS = 600.0


class Command(BaseCommand):
    help = "Tell the workers which mirrors have work; sweeps for what was missed. Stops on SIGTERM or Ctrl-C."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--sweep", type=float, default=2.0, help="seconds between two sweeps")

    def handle(self, *_args: Any, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        self.stdout.write("Dispatching")
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
    last_written = 0.0
    while not stop.is_set():
        try:
            if dispatcher.poll():
                last_written = time.monotonic()
        except (OperationalError, InterfaceError):
            connection.close()
            dispatcher.start_over()
            stop.wait(0.5)
        hot = time.monotonic() - last_written < COOL_AFTER_SECONDS
        stop.wait(HOT_SECONDS if hot else IDLE_SECONDS)
    sweeper.join(10)
    return bool(swept) or sweeper.is_alive()


def _sweep(dispatcher: Dispatcher, stop: threading.Event, seconds: float) -> None:
    connected_at = time.monotonic()
    while not stop.is_set():
        try:
            dispatcher.sweep()
            if time.monotonic() - connected_at > RECONNECT_SECONDS:
                connection.close()
                connected_at = time.monotonic()
        except (OperationalError, InterfaceError):
            connection.close()
            dispatcher.start_over()
        stop.wait(seconds)
