"""Processes forked from this one, which end with it."""

import multiprocessing
import os
import threading
import time
from collections.abc import Callable

from django.db import connections


def end_with(parent: int) -> None:
    """Have this process end soon after its parent, even one that was killed: nobody would take its results."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def at_once(*tasks: Callable[[], None]) -> None:
    """Run tasks beside each other, each in a process of its own; RuntimeError where one fails.

    What they change in memory is lost.
    """
    # Each needs connections of its own.
    connections.close_all()
    context = multiprocessing.get_context("fork")
    running = [context.Process(target=_run, args=(task, os.getpid())) for task in tasks]
    for process in running:
        process.start()
    for process in running:
        process.join()
    if any(process.exitcode for process in running):
        raise RuntimeError("a part of the work failed; what is written above says why")


def _run(task: Callable[[], None], parent: int) -> None:
    end_with(parent)
    task()
    connections.close_all()
