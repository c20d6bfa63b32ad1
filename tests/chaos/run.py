"""The run: writers, faults in a random order, and the comparison at the end."""

import datetime
import itertools
import random
import signal
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

import psutil
import psycopg
import redis
from django.db import DatabaseError, InterfaceError, connection
from django.utils import timezone

from federation.agreements import sealing
from federation.mirror import batch, control, dispatch, failpoints, stubs, trimming
from federation.models import Agreement, ParkedRow, Stream
from tests import factories
from tests.chaos.advice import AdviceWriter
from tests.chaos.promises import Promises
from tests.chaos.writers import Writer
from tests.federation.mirror.everything import offer
from tests.federation.mirror.world import World
from tests.platforms import Platform

# Two between the same two, a mutual one, a ring, and one for advice.
AGREEMENTS = [
    ("aurora", "harbour", "closed"),
    ("aurora", "harbour", "closed"),
    ("harbour", "aurora", "closed"),
    ("borealis", "harbour", "closed"),
    ("harbour", "lakeside", "closed"),
    ("lakeside", "borealis", "closed"),
    ("aurora", "meadow", "advice"),
]
WORKERS = ("worker-1", "worker-2")
PAUSES = (0.2, 2.0)
PROGRESS_SECONDS = 10
# Everything has ended that held the mirrors up: how long they may take to catch up.
CATCH_UP_SECONDS = 300
# A day on which everything that is sealed is due.
_LATER = datetime.date(2100, 1, 1)
_WITHHELD = ["clients.ContactDetail", "clients.Client.national_id", "portfolios.Transaction.text"]


class Run:
    """One run on a platform whose servers have started and whose database has the institutions."""

    def __init__(self, platform: Platform, seed: str, draw: random.Random) -> None:
        self.platform, self.seed, self.draw = platform, seed, draw
        self.world = World("roboblock")
        self.stop = threading.Event()
        self.writers: list[Writer] = []
        self.promises = Promises(platform)
        self.counts: Counter[str] = Counter()
        self.began = self.reported = time.monotonic()

    def go(self, until: float) -> dict[str, Any]:
        """Return the figures of the run."""
        self.platform.start_dispatcher()
        for name in WORKERS:
            self.platform.start_worker(name)
        for number, (manager, channel, preset) in enumerate(AGREEMENTS):
            agreement = self.world.agree(manager, channel, preset, fill=False)
            Agreement.objects.filter(pk=agreement.pk).update(name=f"{number} {manager} {channel}")
            if preset == "advice":
                offer(self.world, agreement, manager)
            self._start_writer(agreement)
        try:
            while time.monotonic() < until:
                self._fault()
                self._pause(self.draw.uniform(*PAUSES), until)
        finally:
            self.stop.set()
            for writer in self.writers:
                writer.join(30)
        for writer in self.writers:
            if writer.unexpected is not None:
                raise writer.unexpected
        return self._settle()

    def _start_writer(self, agreement: Agreement) -> None:
        kind = AdviceWriter if agreement.preset == "advice" else Writer
        writer = kind(
            Agreement.objects.select_related("manager", "channel").get(pk=agreement.pk), self.seed, self.stop
        )
        self.writers.append(writer)
        writer.start()

    # Faults

    def _fault(self) -> None:
        names = list(FAULTS)
        name = self.draw.choices(names, [FAULTS[each][1] for each in names])[0]
        draw = random.Random(self.draw.random())
        try:
            FAULTS[name][0](self, draw)
        except (DatabaseError, InterfaceError, psycopg.Error):
            # A crash that was drawn before has not been recovered from.
            self.counts["not done"] += 1
            connection.close()
        else:
            self.counts[name] += 1
        try:
            self.promises.look_at_advice()
        except (DatabaseError, InterfaceError):
            # This process's own connection went with the fault: the next look has another.
            connection.close()

    def kill_a_process(self, draw: random.Random) -> None:
        """One process of a worker's pool; the worker starts another."""
        children = self.platform.children(draw.choice(WORKERS))
        if children:
            try:
                draw.choice(children).send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                return

    def kill_at_a_failpoint(self, draw: random.Random) -> None:
        self.platform.failpoint.write_text(draw.choice(failpoints.NAMES))

    def kill_a_worker(self, draw: random.Random) -> None:
        name = draw.choice(WORKERS)
        self.platform.kill(name)
        self._pause(draw.random() * 2)
        self.platform.start_worker(name)

    def kill_all_workers(self, draw: random.Random) -> None:
        for name in WORKERS:
            self.platform.kill(name)
        self._pause(2 + draw.random() * 8)
        for name in WORKERS:
            self.platform.start_worker(name)

    def kill_the_dispatcher(self, draw: random.Random) -> None:
        self.platform.kill("dispatcher")
        self._pause(draw.random() * 3)
        self.platform.start_dispatcher()

    def terminate_connections(self, draw: random.Random) -> None:
        with psycopg.connect(self.platform.database_url) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                " AND usename = current_user AND pid <> pg_backend_pid() AND mod(pid, 5) < %s",
                [draw.randrange(1, 5)],
            )

    def crash_postgres(self, draw: random.Random) -> None:
        self.platform.stop_postgres()
        self._pause(draw.random())
        self.platform.postgres.start()

    def empty_redis(self, _draw: random.Random) -> None:
        with redis.Redis.from_url(self.platform.redis.url) as client:
            client.flushall()

    def restart_redis(self, draw: random.Random) -> None:
        self.platform.redis.stop()
        self._pause(draw.random() * 4)
        self.platform.redis.start()

    def suspend(self, draw: random.Random) -> None:
        agreement = self._agreement(draw)
        if draw.random() < 0.5:
            self._change(agreement, suspended_at=timezone.now())
        else:
            self._change(agreement, new_mandates_suspended_at=timezone.now())

    def resume(self, draw: random.Random) -> None:
        for agreement in Agreement.objects.filter(state="active"):
            if draw.random() < 0.7:
                self._change(agreement, suspended_at=None, new_mandates_suspended_at=None)

    def narrow_or_widen(self, draw: random.Random) -> None:
        agreement = self._agreement(draw)
        version = agreement.version
        version.pk, version.number = uuid.UUID(int=draw.getrandbits(128), version=4), version.number + 1
        version.withheld = sorted(draw.sample(_WITHHELD, draw.randrange(len(_WITHHELD) + 1)))
        version._state.adding = True
        version.save()
        self._change(agreement, version=version)

    def end_and_agree_anew(self, draw: random.Random) -> None:
        agreement = self._agreement(draw)
        self._change(agreement, state="terminated", ended_at=timezone.now())
        anew = self.world.agree(
            agreement.manager.schema_name, agreement.channel.schema_name, agreement.preset, fill=False
        )
        Agreement.objects.filter(pk=anew.pk).update(name=f"{agreement.name} anew")
        self._start_writer(anew)

    def trim(self, _draw: random.Random) -> None:
        trimming.trim()

    def erase(self, _draw: random.Random) -> None:
        sealing.erase_due(today=_LATER, seconds=5)
        stubs.clear_away(seconds=5)

    def refill(self, draw: random.Random) -> None:
        streams = list(Stream.objects.order_by("agreement__name", "owner__schema_name"))
        control.refill(draw.choice(streams))

    def _change(self, agreement: Agreement, **values: Any) -> None:
        self.promises.check(agreement)
        self.promises.changed(self.world.change(agreement, **values))

    def _agreement(self, draw: random.Random) -> Agreement:
        active = Agreement.objects.filter(state="active").select_related("manager", "channel", "version")
        return draw.choice(list(active.order_by("name")))

    # Progress

    def _pause(self, seconds: float, until: float = float("inf")) -> None:
        end = min(time.monotonic() + seconds, until)
        while time.monotonic() < end:
            if time.monotonic() - self.reported > PROGRESS_SECONDS:
                self.reported = time.monotonic()
                print(
                    f"{self.reported - self.began:5.0f} s  {self._operations():7} operations"
                    f"  {self._kills():4} kills  {self.counts['crash_postgres']:3} crashes"
                    f"  {self.counts['restart_redis']:3} restarts of Redis",
                    flush=True,
                )
            time.sleep(0.05)

    def _operations(self, kind: type[Writer] = Writer) -> int:
        writers = [each for each in self.writers if isinstance(each, kind)]
        return sum(sum(each.done.values()) - each.done["refused"] for each in writers)

    def _kills(self) -> int:
        return sum(count for name, count in self.counts.items() if name.startswith("kill_"))

    # The end

    def _settle(self) -> dict[str, Any]:
        """Let all faults end, wait for the mirrors to catch up, and compare."""
        self.platform.failpoint.unlink(missing_ok=True)
        # The last fault may have been a crash.
        connection.close()
        self.promises.check_all()
        for agreement in Agreement.objects.filter(state="active"):
            self.world.change(agreement, suspended_at=None, new_mandates_suspended_at=None)
        for parked in ParkedRow.objects.all():
            control.retry_parked(parked)
        began = time.monotonic()
        while self._is_behind() and time.monotonic() - began < CATCH_UP_SECONDS:
            self._pause(0.5)
        caught_up = time.monotonic() - began
        print(f"Caught up after {caught_up:.1f} s; comparing", flush=True)
        parked = ParkedRow.objects.count()
        self.promises.search_for_clients()
        problems = [*self.promises.broken, *self._problems()]
        for problem in problems[:50]:
            print(problem, flush=True)
        refused = sum(each.done["refused"] for each in self.writers)
        return {
            "operations": self._operations(),
            "of_advice": self._operations(AdviceWriter),
            "refused": refused,
            "kills": self._kills(),
            "crashes": self.counts["crash_postgres"],
            "restarts": self.counts["restart_redis"],
            "faults": dict(sorted(self.counts.items())),
            "batches": sum(Stream.objects.values_list("batches", flat=True)),
            "rows_written": sum(Stream.objects.values_list("rows_written", flat=True)),
            "parked": parked,
            "catch_up_s": round(caught_up, 1),
            "divergent": len(problems),
        }

    def _is_behind(self) -> bool:
        return bool(dispatch.behind(dispatch.live_streams()))

    def _problems(self) -> "itertools.chain[str]":
        """Return where a mirror differs, what is left behind or an orphan, what is stuck, and what goes round in circles."""
        stuck = [f"{each.pk} is behind" for each in dispatch.behind(dispatch.live_streams())]
        broken = [
            f"{each.pk} is stopped: {each.problem}"
            for each in Stream.objects.filter(state=Stream.State.BROKEN)
        ]
        differences = [
            f"{agreement.name}: {difference}"
            for agreement in Agreement.objects.filter(state="active")
            for difference in self.world.differences(agreement)
        ]
        differences += self.world.strays()
        orphans = [
            f"{schema}: {name}" for schema in factories.STANDING for name in self.world.orphans(schema)
        ]
        before = sum(Stream.objects.values_list("rows_written", flat=True))
        Stream.objects.filter(cursor__isnull=False).update(cursor="3:3:")
        for stream in Stream.objects.all():
            while batch.run_batch(stream.pk) in {
                batch.Outcome.MORE,
                batch.Outcome.BUSY,
                batch.Outcome.SIBLING,
            }:
                pass
        changed = sum(Stream.objects.values_list("rows_written", flat=True)) - before
        echoes = [f"a replay changed {changed} rows"] if changed else []
        return itertools.chain(stuck, broken, differences, orphans, echoes)


# name → what happens, and how often
FAULTS: dict[str, tuple[Callable[[Run, random.Random], None], int]] = {
    "kill_a_process": (Run.kill_a_process, 10),
    "kill_at_a_failpoint": (Run.kill_at_a_failpoint, 14),
    "kill_a_worker": (Run.kill_a_worker, 3),
    "kill_all_workers": (Run.kill_all_workers, 1),
    "kill_the_dispatcher": (Run.kill_the_dispatcher, 2),
    "terminate_connections": (Run.terminate_connections, 6),
    "crash_postgres": (Run.crash_postgres, 3),
    "empty_redis": (Run.empty_redis, 4),
    "restart_redis": (Run.restart_redis, 2),
    "suspend": (Run.suspend, 24),
    "resume": (Run.resume, 4),
    "narrow_or_widen": (Run.narrow_or_widen, 2),
    "end_and_agree_anew": (Run.end_and_agree_anew, 1),
    "trim": (Run.trim, 4),
    "erase": (Run.erase, 3),
    "refill": (Run.refill, 2),
}
