"""From a commit to the dispatcher: a wake that it finds, and a bell that tells it to look while little is written.

Who writes leaves a wake in any case, and rings only while the dispatcher listens: with NOTIFY in every
transaction all that commit would wait for each other. Whether it listens is kept in a sequence, since that is
seen at once by every transaction, whatever its snapshot. Nothing but latency depends on it: the dispatcher looks
for wakes as often as it sweeps, whether the bell rings or not.
"""

import select
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

CHANNEL = "federation_wake"
# In the place of a schema: which streams there are, or may run, has changed.
STREAMS_CHANGED = ""
# While more than this is written in a second, looking all the time costs less than being told each time.
BUSY_WAKES = 150
HOT_SECONDS = 0.004
IDLE_SECONDS = 0.1
# Stay hot this long after somebody wrote.
COOL_AFTER_SECONDS = 2.0
# Whoever listens looks this often whether it is to stop.
_SLICE_SECONDS = 1.0


def wake(cursor: Any, schema: str) -> None:
    """Tell the dispatcher, with the commit, that an institution's log or streams have something new."""
    # The wake first: with it the transaction has a number, by which whoever begins to listen waits for it.
    cursor.execute(
        "INSERT INTO public.federation_wake (schema_name) VALUES (%s);"
        f" SELECT pg_catalog.pg_notify('{CHANNEL}', '') FROM public.federation_bell WHERE is_called",
        [schema],
    )


@dataclass
class Listener:
    """Decides when the dispatcher looks for wakes: at once when the bell rings, or all the time while much is written.

    Lives as long as the connection it listens on. ``longest`` is how many seconds pass without a look at most.
    """

    longest: float
    is_listening: bool = False
    # Transactions below this number may have found that nobody listens; None once they all have ended.
    _until: int | None = None
    _is_allowed: bool | None = None
    _is_busy: bool = False
    _count: int = 0
    _counted_at: float = field(default_factory=time.monotonic)
    _written_at: float = 0.0

    def note(self, wakes: int) -> None:
        """Note how many wakes the last look has found."""
        now = time.monotonic()
        if wakes:
            self._written_at = now
        passed = now - self._counted_at
        if passed > 1:
            self._is_busy = self._count > BUSY_WAKES * passed
            self._count, self._counted_at = 0, now
        self._count += wakes
        self._is_busy |= self._count > BUSY_WAKES

    def wait(self, stop: threading.Event) -> None:
        """Wait until it is time to look again, or until asked to stop."""
        with connection.wrap_database_errors:
            if self._is_allowed is None:
                self._begin()
            if self._is_allowed and self.is_listening == self._is_busy:
                self._switch(on=not self._is_busy)
            if self.is_listening:
                self._listen(stop)
            else:
                stop.wait(self._pause())

    def _listen(self, stop: threading.Event) -> None:
        if self._until is None:
            if not self._hear(self.longest, stop):
                # Another dispatcher, or a server that was restored, may have switched it off.
                self.is_listening = _is_on()
        elif self._is_reliable():
            # What was written until now is found by the look that follows.
            self._until = None
        else:
            self._hear(self._pause(), stop)

    def _begin(self) -> None:
        """Find out whether this server lets whoever writes ring; where not, nobody does."""
        # A transaction with NOTIFY cannot be prepared, as an application may want where it is possible.
        self._is_allowed = _setting("max_prepared_transactions") == "0"
        if not self._is_allowed and _is_on():
            self._switch(on=False)

    def _pause(self) -> float:
        is_hot = time.monotonic() - self._written_at < COOL_AFTER_SECONDS
        return HOT_SECONDS if is_hot else IDLE_SECONDS

    def _switch(self, *, on: bool) -> None:
        driver = connection.connection
        driver.execute(f"{'LISTEN' if on else 'UNLISTEN'} {CHANNEL}")
        driver.execute(f"SELECT pg_catalog.setval('public.federation_bell', 1, {on})")
        self.is_listening = on
        if on:
            # Asked for after the switch: who has not begun to write by now finds it on.
            text = driver.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text").fetchone()[0]
            self._until = int(text)

    def _is_reliable(self) -> bool:
        """Say whether all have ended that may have written without ringing; however long, they keep it looking."""
        row = connection.connection.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text").fetchone()
        return self._until is not None and int(row[0]) >= self._until

    def _hear(self, seconds: float, stop: threading.Event) -> bool:
        """Wait for the bell; say whether it rang."""
        driver = connection.connection
        until = time.monotonic() + seconds
        while not stop.is_set():
            # Also what came with the answer to something else.
            if list(driver.notifies(timeout=0, stop_after=1)):
                return True
            left = until - time.monotonic()
            if left <= 0:
                return False
            # The driver itself would look ten times a second.
            select.select([driver], [], [], min(left, _SLICE_SECONDS))
        return False


def _setting(name: str) -> str:
    return str(connection.connection.execute("SELECT current_setting(%s)", [name]).fetchone()[0])


def _is_on() -> bool:
    return bool(connection.connection.execute("SELECT is_called FROM public.federation_bell").fetchone()[0])


__all__ = ["STREAMS_CHANGED", "Listener", "wake"]
