"""What goes on beside a test: work on another connection, and tables that refuse rows."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection

from tests.federation.mirror.world import World


def beside(do: Callable[[], Any]) -> threading.Thread:
    """Return a thread that does it on a connection of its own, once it is started."""

    def run() -> None:
        try:
            do()
        finally:
            connection.close()

    return threading.Thread(target=run)


@contextmanager
def refusing(world: World, table: str, condition: str) -> Iterator[None]:
    """Have the table take only rows that meet the condition; the others are refused as ``poison``."""
    world.execute(f"ALTER TABLE {table} ADD CONSTRAINT poison CHECK ({condition})")
    try:
        yield
    finally:
        world.execute(f"ALTER TABLE {table} DROP CONSTRAINT poison")
