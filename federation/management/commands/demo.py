"""Create the demonstration's institutions, once."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.utils import timezone

from federation.demo import build, endings, work
from federation.demo.cast import INSTITUTIONS
from federation.demo.institutions import create_institution, missing
from federation.demo.mirrors import drain, forget_times
from federation.models import Institution


class Command(BaseCommand):
    """Create five fictitious institutions with their people, clients and three years of history."""

    help = (
        "Create the demonstration's institutions with clients and history; does nothing where they are there."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        absent = missing()
        if not absent:
            self.stdout.write("The demonstration is there.")
            return
        if Institution.objects.exists():
            raise CommandError(
                "There are institutions here already. The demonstration needs a platform of its own: "
                "make reset forgets this one."
            )
        stage = build.Stage(timezone.now().date(), build.market_until(timezone.now().date()))
        for cast in INSTITUTIONS:
            with self._step(cast.name):
                stage.institutions[cast.schema] = create_institution(cast)
        with self._step("Securities, prices and models"):
            build.create_managers(stage)
            build.create_agreements(stage)
        with self._step("Clients and mandates"):
            build.create_clients(stage)
            drain()
        with self._step("Three years of portfolios"):
            build.create_managed_books(stage)
            build.create_meadow(stage)
        with self._step("Mirrors"):
            drain()
            # What follows asks about few of many new rows, before the server has counted them by itself.
            with connection.cursor() as cursor:
                cursor.execute("ANALYZE")
        with self._step("Today's work"):
            fates = work.submit_new_mandates(stage)
            work.fill_channel_lists(stage)
            instructions = work.ask_for_cash(stage)
            endings.change_manager(stage)
            endings.close_what_ended(stage)
            drain()
            work.decide(stage, fates)
            work.follow_received_models(stage)
            work.fill_manager_lists(stage, instructions)
            work.make_reports(stage)
            endings.end_agreement(stage)
            drain()
            work.release_reports(stage)
            drain()
            forget_times()

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        self.stdout.write(f"  {name} … ", ending="")
        self.stdout.flush()
        started = time.monotonic()
        yield
        self.stdout.write(f"{time.monotonic() - started:.1f} s")
