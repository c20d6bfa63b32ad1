"""Create the demonstration's institutions once, and let them go on from then."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from clients.models import ClientInstruction, Mandate
from federation.demo import build, continuing, endings, work
from federation.demo.cast import INSTITUTIONS
from federation.demo.institutions import create_institution, missing, open_doors
from federation.demo.mirrors import count_rows, drain, forget_times
from federation.forked import at_once
from federation.models import Institution


class Command(BaseCommand):
    """Create five fictitious institutions with their people, clients and three years of history."""

    help = (
        "Create the demonstration's institutions with clients and history; where they are there, bring prices and "
        "values up to yesterday, and what is dated relative to today."
    )
    # They load every page, which takes a second.
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        today = timezone.now().date()
        if not missing():
            self.stdout.write(f"The demonstration is there; it goes on to {today}.")
            for cast, institution in continuing.institutions():
                with self._step(cast.name):
                    continuing.go_on(cast, institution, today)
            return
        if Institution.objects.exists():
            raise CommandError(
                "There are institutions here already, or a demonstration that was interrupted. It needs a platform "
                "of its own: make reset forgets this one."
            )
        stage = build.Stage(today, build.market_until(today))
        for cast in INSTITUTIONS:
            with self._step(cast.name):
                stage.institutions[cast.schema] = create_institution(cast)
        with self._step("Securities, prices and models"):
            build.create_managers(stage)
            build.create_agreements(stage)
            _count_rows(stage, roughly=True)
        with self._step("Clients and mandates"):
            build.create_clients(stage)
            _count_rows(stage, roughly=True)
            drain()
        with self._step("Three years of portfolios"):
            # About as many at each side.
            at_once(partial(_run_largest_book, stage), partial(_run_other_books, stage))
            drain()
            _count_rows(stage)
        with self._step("Today's work"):
            fates = work.submit_new_mandates(stage)
            work.fill_channel_lists(stage)
            instructions = work.ask_for_cash(stage)
            endings.change_manager(stage)
            endings.close_what_ended(stage)
            drain()
            at_once(partial(_trade, stage, fates, instructions), partial(_report, stage))
            drain()
            work.release_reports(stage)
            drain()
            forget_times()
            open_doors(stage.institutions.values())

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        self.stdout.write(f"  {name} … ", ending="")
        self.stdout.flush()
        started = time.monotonic()
        yield
        self.stdout.write(f"{time.monotonic() - started:.1f} s")


_LARGEST = ("aurora", "harbour")


def _run_largest_book(stage: build.Stage) -> None:
    build.create_managed_book(stage, *_LARGEST)
    count_rows(stage.institutions["aurora"], roughly=True)
    drain(stage.agreements[_LARGEST])


def _run_other_books(stage: build.Stage) -> None:
    others = [parties for parties in stage.mandates if parties != _LARGEST]
    for parties in others:
        build.create_managed_book(stage, *parties)
    build.create_meadow(stage)
    _count_rows(stage, roughly=True)
    drain(*(stage.agreements[parties] for parties in others))


def _count_rows(stage: build.Stage, *, roughly: bool = False) -> None:
    for institution in stage.institutions.values():
        count_rows(institution, roughly=roughly)


def _trade(stage: build.Stage, fates: dict[Mandate, str], instructions: list[ClientInstruction]) -> None:
    work.decide(stage, fates)
    work.fill_manager_lists(stage, instructions)


def _report(stage: build.Stage) -> None:
    work.make_reports(stage)
    work.follow_received_models(stage)
    endings.end_agreement(stage)
