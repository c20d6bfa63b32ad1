"""manage.py dispatch: see who wrote, and tell the workers which streams have work."""

import signal
import threading
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import InterfaceError, OperationalError, connection

from federation.mirror.dispatch import Dispatcher

HOT_SECONDS = 0.004
IDLE_SECONDS = 0.1
# Stay hot this long after somebody wrote.
COOL_AFTER_SECONDS = 2.0


class Command(BaseCommand):
    help = "Tell the workers which mirrors have work; sweeps for what was missed. Stops on SIGTERM or Ctrl-C."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--sweep", type=float, default=2.0, help="seconds between two sweeps")

    def handle(self, *_args: Any, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        self.stdout.write("Dispatching")
        run(stop, sweep_seconds=options["sweep"])


def run(stop: threading.Event, *, sweep_seconds: float) -> None:
    """Poll and sweep until asked to stop; a database that goes away is waited for."""
    dispatcher = Dispatcher()
    next_sweep = last_written = 0.0
    while not stop.is_set():
        try:
            if dispatcher.poll():
                last_written = time.monotonic()
            if time.monotonic() >= next_sweep:
                dispatcher.sweep()
                next_sweep = time.monotonic() + sweep_seconds
        except (OperationalError, InterfaceError):
            connection.close()
            stop.wait(0.5)
        hot = time.monotonic() - last_written < COOL_AFTER_SECONDS
        stop.wait(HOT_SECONDS if hot else IDLE_SECONDS)
