"""What channels may do to their clients and mandates, in any order."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from tests.federation.mirror.agreeing import Agreeing
from tests.federation.mirror.plain import POISON
from tests.federation.mirror.records import Change, Records

picks = st.integers(0, 99)
words = st.sampled_from(["one", "two", "three", POISON])


def of(at: str) -> str:
    """Return what stands in every client of an institution, so that it is found wherever it goes."""
    return f"known to {at} alone"


def _detail(word: str, at: str) -> str:
    return word if word == POISON else f"{word} {of(at)}"


class Channels(RuleBasedStateMachine):
    """What channels may do; whoever derives from it says when batches run, and which agreements there are."""

    agreeing: Agreeing

    def __init__(self, records: Records) -> None:
        super().__init__()
        self.records = records
        self.plain = records.plain

    def _some_batches(self) -> None:
        raise NotImplementedError

    @rule(at=st.sampled_from(["harbour", "harbour", "aurora"]), details=st.integers(0, 3))
    def take_on_a_client(self, at: str, details: int) -> None:
        client = self.records.new("client", name=f"Ann {of(at)}", national_id=f"id {of(at)}")
        contacts = [
            self.records.new("contact", client=client.key, value=f"first {of(at)}") for _ in range(details)
        ]
        self.records.write(at, client, *contacts)

    @rule(client=picks, word=words)
    def edit_a_client(self, client: int, word: str) -> None:
        at, key = self.records.pick("client", client)
        if key:
            self.records.write(
                at,
                Change(
                    "set", "client", key, {"name": f"{word} {of(at)}", "national_id": f"id {word} {of(at)}"}
                ),
            )

    @rule(first=picks, second=picks)
    def swap_the_numbers_of_two_clients(self, first: int, second: int) -> None:
        at, key = self.records.pick("client", first)
        _, other = self.records.pick("client", second, at=at)
        if key and other and key != other:
            numbers = [self.plain.rows[at]["client"][each]["number"] for each in (key, other)]
            self.records.write(
                at,
                Change("set", "client", key, {"number": "between"}),
                Change("set", "client", other, {"number": numbers[0]}),
                Change("set", "client", key, {"number": numbers[1]}),
            )

    @rule(client=picks)
    def let_a_client_go(self, client: int) -> None:
        at, key = self.records.pick("client", client)
        if key:
            contacts = self.records.hanging_off(at, "contact", "client", key)
            self.records.write(at, *(Change("drop", "contact", each) for each in contacts))
            self.records.write(at, Change("drop", "client", key))

    @rule(client=picks, word=words, count=st.integers(1, 8))
    def add_contact_details(self, client: int, word: str, count: int) -> None:
        at, key = self.records.pick("client", client)
        if key:
            self.records.write(
                at, *(self.records.new("contact", client=key, value=_detail(word, at)) for _ in range(count))
            )

    @rule(contact=picks, client=picks, word=words)
    def move_and_edit_a_contact_detail(self, contact: int, client: int, word: str) -> None:
        at, key = self.records.pick("contact", contact)
        _, other = self.records.pick("client", client, at=at)
        if key:
            self.records.write(
                at, Change("set", "contact", key, {"client": other, "value": _detail(word, at)})
            )

    @rule(
        contact=picks, how=st.sampled_from(["gone", "back at once", "back later", "new key", "rolled back"])
    )
    def remove_a_contact_detail(self, contact: int, how: str) -> None:
        at, key = self.records.pick("contact", contact)
        if not key:
            return
        values = dict(self.plain.rows[at]["contact"][key])
        drop, back = Change("drop", "contact", key), Change("new", "contact", key, values)
        if how == "gone":
            self.records.write(at, drop)
        elif how == "back at once":
            self.records.write(at, drop, back)
        elif how == "back later":
            self.records.write(at, drop)
            self._some_batches()
            self.records.write(at, back)
        elif how == "new key":
            self.records.change_key(at, key)
        else:
            other = self.records.new("contact", client=values["client"], value=f"kept {of(at)}")
            self.records.write(at, other, rolled_back=[drop])

    @rule(at=st.sampled_from(["harbour", "aurora"]))
    def truncate_contact_details(self, at: str) -> None:
        self.records.truncate(at)

    @rule(client=picks, agreement=picks, submitted=st.sampled_from([True, True, False]))
    def sign_a_mandate(self, client: int, agreement: int, submitted: bool) -> None:
        terms = self.agreeing.pick(agreement)
        _, key = self.records.pick("client", client, at=terms.channel)
        if key:
            self.records.write(terms.channel, self.records.mandate(key, terms.key, submitted=submitted))

    @rule(
        mandate=picks,
        client=picks,
        what=st.sampled_from(["submit", "withdraw", "close", "answer", "move", "delete"]),
    )
    def change_a_mandate(self, mandate: int, client: int, what: str) -> None:
        at, key = self.records.pick("mandate", mandate)
        if not key:
            return
        before = self.plain.rows[at]["mandate"][key]
        changed: dict[str, Any] = {}
        if what == "submit":
            changed = {
                "status": "submitted",
                "submission": before["submission"] + 1,
                "at": self.records.clock(),
            }
        elif what in {"withdraw", "close"}:
            changed = {"status": "withdrawn" if what == "withdraw" else "closing"}
        elif what == "answer":
            changed = {"answer": f"{before['answer']}."}
        elif what == "move":
            changed = {"client": self.records.pick("client", client, at=at)[1]}
        verb = "drop" if what == "delete" else "set"
        self.records.write(at, Change(verb, "mandate", key, changed))
