"""What may happen to institutions that work together, in any order, and what holds whatever happens."""

import re
import threading
import uuid

import psycopg
import pytest
from django.db import connection
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from federation.mirror import batch, trimming, write
from federation.mirror.batch import Outcome, run_batch
from federation.mirror.failpoints import NAMES
from federation.models import Institution, ParkedRow, Stream
from tests.federation.mirror.advising import Advising
from tests.federation.mirror.agreeing import ADVICE, Agreeing
from tests.federation.mirror.beside import beside
from tests.federation.mirror.channels import of, picks, words
from tests.federation.mirror.emptying import empty
from tests.federation.mirror.processes import eventually
from tests.federation.mirror.records import SCHEMAS, Change, Records
from tests.federation.mirror.searching import held_in
from tests.federation.mirror.world import World

_IDS = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Killed(BaseException):
    """A worker that ends where it is."""


class Mirror(Advising):
    """What may happen to institutions that work together, in any order."""

    def __init__(self, world: World) -> None:
        super().__init__(Records(world))
        self.world = world
        self.agreeing = Agreeing(world, self.records)
        self.open: tuple[psycopg.Connection, str, Change] | None = None
        self._begin_with_what_works()

    def _begin_with_what_works(self) -> None:
        """Agreements, two of them between the same two, clients under each and one under both, portfolios, advice.

        So short histories have something to break.
        """
        self.agreeing.propose("aurora", "harbour")
        self.agreeing.propose("aurora", "harbour")
        self.agreeing.propose("borealis", "harbour")
        closed = list(self.plain.terms.values())
        self.agreeing.propose(*ADVICE)
        for terms in [*closed, *self.plain.terms.values()]:
            self.take_on_a_client(terms.channel, 2)
            client = list(self.plain.rows[terms.channel]["client"])[-1]
            # Even one that names an agreement for advice stays at home.
            self.records.write(terms.channel, self.records.mandate(client, terms.key, submitted=True))
        client = list(self.plain.rows["harbour"]["client"])[-1]
        for terms in closed[:2]:
            self.records.write("harbour", self.records.mandate(client, terms.key, submitted=True))
        for number in range(len(self.plain.terms)):
            self.offer_a_model(number, published=True, views=2)
        self._some_batches()
        for number in range(3):
            self.open_a_portfolio(number, 3)
        self.decide(0, "accepted")
        self._some_batches()

    def teardown(self) -> None:
        if self.open:
            self.open[0].close()
        for schema in list(self.plain.poisoned):
            self._cure(schema)
        empty()

    # Decisions, portfolios, accounts: at managers

    @rule(mandate=picks, outcome=st.sampled_from(["accepted", "rejected", "rejected"]))
    def decide(self, mandate: int, outcome: str) -> None:
        at, key, submission = self.records.pick_received(mandate)
        if key:
            decision = self.records.new("decision", mandate=key, submission=submission, outcome=outcome)
            self.records.write(at, decision)

    @rule(decision=picks)
    def take_a_decision_back(self, decision: int) -> None:
        at, key = self.records.pick("decision", decision)
        if key:
            self.records.write(at, Change("drop", "decision", key))

    @rule(mandate=picks, accounts=st.integers(0, 12))
    def open_a_portfolio(self, mandate: int, accounts: int) -> None:
        at, key, _ = self.records.pick_received(mandate)
        if key:
            portfolio = self.records.new("portfolio", mandate=key)
            self.records.write(
                at,
                portfolio,
                *(self.records.new("account", portfolio=portfolio.key) for _ in range(accounts)),
            )

    @rule(portfolio=picks, mandate=picks, word=words)
    def move_and_rename_a_portfolio(self, portfolio: int, mandate: int, word: str) -> None:
        at, key = self.records.pick("portfolio", portfolio)
        if key:
            _, other, _ = self.records.pick_received(mandate, at=at)
            self.records.write(at, Change("set", "portfolio", key, {"name": word, "mandate": other}))

    @rule(first=picks, second=picks)
    def have_two_portfolios_change_places(self, first: int, second: int) -> None:
        at, key = self.records.pick("portfolio", first)
        _, other = self.records.pick("portfolio", second, at=at)
        if key and other and key != other:
            here, there = (self.plain.rows[at]["portfolio"][each]["mandate"] for each in (key, other))
            self.records.write(
                at,
                Change("set", "portfolio", key, {"mandate": None}),
                Change("set", "portfolio", other, {"mandate": here}),
                Change("set", "portfolio", key, {"mandate": there}),
            )

    @rule(portfolio=picks, accounts=st.integers(0, 30))
    def open_many_accounts(self, portfolio: int, accounts: int) -> None:
        at, key = self.records.pick("portfolio", portfolio)
        if key:
            self.records.write(at, *(self.records.new("account", portfolio=key) for _ in range(accounts)))

    @rule(portfolio=picks, other=picks, what=st.sampled_from(["edit", "move", "delete", "delete all"]))
    def change_accounts(self, portfolio: int, other: int, what: str) -> None:
        at, key = self.records.pick("portfolio", portfolio)
        if not key:
            return
        accounts = self.records.hanging_off(at, "account", "portfolio", key)
        if what == "delete all":
            drops = [Change("drop", "account", each) for each in accounts]
            self.records.write(at, *drops, Change("drop", "portfolio", key))
        elif what == "delete":
            self.records.write(at, *(Change("drop", "account", each) for each in accounts[:5]))
        else:
            _, target = self.records.pick("portfolio", other, at=at)
            values = {"custodian": "Edited"} if what == "edit" else {"portfolio": target}
            self.records.write(at, *(Change("set", "account", each, values) for each in accounts[::2]))

    # Agreements

    @rule(
        between=st.sampled_from(
            [("aurora", "harbour"), ("borealis", "harbour"), ("harbour", "aurora"), ADVICE]
        )
    )
    def agree(self, between: tuple[str, str]) -> None:
        self.agreeing.propose(*between)

    @rule(agreement=picks, what=st.sampled_from(Agreeing.CHANGES))
    def change_an_agreement(self, agreement: int, what: str) -> None:
        self.agreeing.change(self.agreeing.pick(agreement), what)

    # What goes wrong

    @precondition(lambda self: self.open is None)
    @rule(client=picks)
    def begin_a_transaction_that_stays_open(self, client: int) -> None:
        at, key = self.records.pick("client", client)
        if key:
            change = self.records.new("contact", client=key, value=f"late {of(at)}")
            self.open = (self.records.begin(at, change), at, change)

    @precondition(lambda self: self.open is not None)
    @rule(commits=st.booleans())
    def end_the_open_transaction(self, commits: bool) -> None:
        assert self.open is not None
        opened, at, change = self.open
        self.open = None
        if commits:
            opened.commit()
            self.records.committed(at, change)
        opened.close()

    @rule(at=st.sampled_from(["aurora", "borealis"]))
    def poison(self, at: str) -> None:
        self.records.try_to(
            lambda: self.world.execute(
                f"ALTER TABLE {at}.clients_contactdetail DROP CONSTRAINT IF EXISTS poison,"
                " ADD CONSTRAINT poison CHECK (origin IS NULL OR value <> 'poison') NOT VALID"
            ),
            lambda: self.plain.poisoned.add(at),
        )

    @rule(stream=picks, point=st.sampled_from(NAMES))
    def kill_a_batch(self, stream: int, point: str) -> None:
        def die(name: str) -> None:
            if name == point:
                raise Killed

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(batch, "failpoint", die)
            patched.setattr(write, "failpoint", die)
            try:
                run_batch(self._stream(stream))
            except Killed:
                assert not connection.in_atomic_block

    @rule(stream=picks)
    def run_one_batch(self, stream: int) -> None:
        run_batch(self._stream(stream))

    @rule(stream=picks, other=picks, portfolio=picks, mandate=picks, point=st.sampled_from(NAMES[1:5]))
    def run_two_batches_at_once(
        self, stream: int, other: int, portfolio: int, mandate: int, point: str
    ) -> None:
        """One of them begins and ends within the other, after a portfolio has moved."""

        def meanwhile() -> None:
            self.move_and_rename_a_portfolio(portfolio, mandate, "moved")
            run_batch(self._stream(other))

        def begin(name: str) -> None:
            if name == point and not begun and threading.current_thread() is threading.main_thread():
                begun.append(beside(meanwhile))
                begun[0].start()
                begun[0].join(30)

        begun: list[threading.Thread] = []
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(batch, "failpoint", begin)
            patched.setattr(write, "failpoint", begin)
            run_batch(self._stream(stream))

    @rule(stream=picks)
    def trim_and_refill(self, stream: int) -> None:
        trimming.trim()
        Stream.objects.filter(pk=self._stream(stream)).exclude(state=Stream.State.ENDED).update(
            cursor=None, wait_for=0, state=Stream.State.WAITING, fill_kind=""
        )

    @precondition(lambda self: self.records.written > 4)
    @rule()
    def come_to_rest(self) -> None:
        """Everything ends that held the mirror up: it catches up by itself, whole and no further."""
        self.records.written = 0
        if self.open:
            self.end_the_open_transaction(commits=True)
        self._to_rest()
        self._check_that_all_is_in_step()
        for schema in list(self.plain.poisoned):
            self._cure(schema)
        self._to_rest()
        self._check_that_all_is_in_step()
        assert not self.plain.poisoned
        self._check_that_a_replay_changes_nothing()
        self._check_that_logs_are_trimmed()

    # Promises

    @invariant()
    def p2_and_p5_nothing_is_visible_that_was_not_shared(self) -> None:
        for pair, seen in self.records.seen().items():
            for key, values in seen.items():
                assert values in self.plain.allowed[pair][key], (pair, key, values)

    @invariant()
    def p3_who_only_advises_holds_nothing_of_the_others(self) -> None:
        advisor, channel = ADVICE
        text = held_in(advisor, [key for key, each in self.plain.terms.items() if each.is_advice])
        assert of(channel) not in text
        assert {uuid.UUID(each) for each in _IDS.findall(text)} & self.plain.keys[channel] == set()

    def _check_that_all_is_in_step(self) -> None:
        seen, expected = self.records.seen(), self.plain.expected()
        for pair in seen.keys() | expected.keys():
            ours, theirs = expected.get(pair, {}), seen.get(pair, {})
            for key in ours.keys() | theirs.keys():
                assert ours.get(key) == theirs.get(key) or self.plain.may_differ(
                    pair, key, theirs.get(key)
                ), f"P1 {pair} {key}: {theirs.get(key)} instead of {ours.get(key)}"
        assert self.records.own() == self.plain.own(), "P4: rows of another owner were touched"
        assert self.records.orphans() == [], "P4"
        self.plain.all_delivered(seen)

    def _check_that_a_replay_changes_nothing(self) -> None:
        before = {each.pk: each.rows_written for each in Stream.objects.all()}
        Stream.objects.exclude(state=Stream.State.ENDED).filter(cursor__isnull=False).update(cursor="3:3:")
        self._to_rest()
        assert {each.pk: each.rows_written for each in Stream.objects.all()} == before, "P4"

    def _check_that_logs_are_trimmed(self) -> None:
        # A stream that is suspended holds its owner's log back, up to the cap.
        held = {
            party
            for each in self.plain.terms.values()
            if each.is_suspended
            for party in (each.manager, each.channel)
        }
        schemas = [schema for schema in SCHEMAS if schema not in held]
        # Transactions of the server's other databases keep rows back for a while.
        eventually(lambda: self._are_logs_empty(schemas), seconds=60)

    def _are_logs_empty(self, schemas: list[str]) -> bool:
        Stream.objects.update(last_tick_at=None)
        self._to_rest()
        # Each by name: which logs have rows, the server counts only by and by.
        for institution in Institution.objects.filter(schema_name__in=schemas):
            trimming.trim_log(institution)
        with connection.cursor() as cursor:
            for schema in schemas:
                cursor.execute(f"SELECT EXISTS (SELECT FROM {schema}.mirror_log)")
                if cursor.fetchone() != (False,):
                    return False
        return True

    # Helpers

    def _stream(self, pick: int) -> uuid.UUID:
        streams = list(Stream.objects.order_by("pk").values_list("pk", flat=True))
        return streams[pick % len(streams)]

    def _some_batches(self) -> None:
        for pk in Stream.objects.order_by("pk").values_list("pk", flat=True):
            run_batch(pk)

    def _to_rest(self) -> None:
        # What waits for its time to be tried again.
        ParkedRow.objects.update(retry_at="2026-01-01T00:00:00Z")

        def is_at_rest() -> bool:
            outcomes = {run_batch(pk) for pk in Stream.objects.order_by("pk").values_list("pk", flat=True)}
            return outcomes <= {Outcome.IDLE, Outcome.STOPPED}

        eventually(is_at_rest, seconds=60)

    def _cure(self, schema: str) -> None:
        self.world.execute(f"ALTER TABLE {schema}.clients_contactdetail DROP CONSTRAINT poison")
        self.plain.poisoned.discard(schema)
