"""Who may see what, in plain Python, to hold the mirror against: it shares no code with it.

A handful of kinds stand for all: a client with contact details and mandates at a channel, decisions,
portfolios and their accounts at a manager, and its models.
"""

import uuid
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Key = tuple[str, uuid.UUID]
Pair = tuple[str, str]
Values = tuple[Any, ...]

# What is compared of each kind; a field named like a kind holds the key of a row of it.
FIELDS = {
    "client": ("number", "name", "national_id"),
    "contact": ("client", "value"),
    "mandate": ("client", "number", "agreement", "status", "submission", "answer"),
    "decision": ("mandate", "submission", "outcome"),
    "portfolio": ("number", "name", "mandate"),
    "account": ("portfolio", "number", "custodian"),
    "model": ("code", "name"),
    "offer": ("model", "agreement", "name", "is_open"),
    "version": ("model", "number", "state", "comment"),
    "view": ("version", "rationale"),
}
NATIONAL_ID = FIELDS["client"].index("national_id")
POISON = "poison"


@dataclass
class Terms:
    """One agreement: who works with whom, and what is left out or held back."""

    key: uuid.UUID
    manager: str
    channel: str
    # The manager's models are all that is shared.
    is_advice: bool = False
    withheld: frozenset[str] = frozenset()
    # Mandates submitted after this moment stay at home until they have been answered.
    cut: int | None = None
    is_suspended: bool = False
    is_ended: bool = False

    @property
    def is_live(self) -> bool:
        return not self.is_suspended and not self.is_ended


@dataclass
class Plain:
    """The own rows of every institution, and what each partner may see of them."""

    rows: dict[str, dict[str, dict[uuid.UUID, dict[str, Any]]]] = field(default_factory=dict)
    terms: dict[uuid.UUID, Terms] = field(default_factory=dict)
    # Mandates that were answered at some time: the answer may still be on its way, or its removal.
    answered: set[uuid.UUID] = field(default_factory=set)
    # Answers that the channels have got.
    delivered: set[uuid.UUID] = field(default_factory=set)
    # (owner, receiver) → row → what it may look like there: it was in scope like that, and has not been
    # seen to have gone.
    allowed: dict[Pair, dict[Key, set[Values]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(set))
    )
    # Suspended agreement → rows that were in scope at some time since: they stay as they are.
    held: dict[uuid.UUID, set[tuple[Pair, Key]]] = field(default_factory=lambda: defaultdict(set))
    # Institutions whose table refuses a contact detail that says "poison".
    poisoned: set[str] = field(default_factory=set)
    # The keys of all own rows that an institution has ever had.
    keys: dict[str, set[uuid.UUID]] = field(default_factory=lambda: defaultdict(set))

    # Changes

    def put(self, schema: str, kind: str, key: uuid.UUID, values: dict[str, Any]) -> None:
        self.rows[schema][kind].setdefault(key, {}).update(values)
        self.keys[schema].add(key)
        if kind == "decision":
            self.answered.add(self.rows[schema][kind][key]["mandate"])

    def drop(self, schema: str, kind: str, key: uuid.UUID) -> None:
        del self.rows[schema][kind][key]

    def committed(self) -> None:
        """Note what partners may see from now on."""
        for terms in self.terms.values():
            if terms.is_ended:
                continue
            for pair, key, values in self._shared(terms, generous=True):
                if terms.is_suspended:
                    self.held[terms.key].add((pair, key))
                else:
                    self.allowed[pair][key].add(values)

    def between(self, pair: Pair) -> list[Terms]:
        """Return the agreements, not ended, under which one shows rows to the other."""
        return [
            each
            for each in self.terms.values()
            if not each.is_ended and {each.manager, each.channel} == set(pair)
        ]

    def suspended(self, terms: Terms, seen: dict[Pair, dict[Key, Values]]) -> None:
        """What is visible under these terms stays; from now on nothing is added."""
        terms.is_suspended = True
        for pair in ((terms.manager, terms.channel), (terms.channel, terms.manager)):
            for key, values in seen.get(pair, {}).items():
                self.held[terms.key].add((pair, key))
                if len(self.between(pair)) == 1:
                    self.allowed[pair][key] = {values}
            if len(self.between(pair)) == 1:
                for key in self.allowed[pair].keys() - seen.get(pair, {}).keys():
                    del self.allowed[pair][key]

    def all_delivered(self, seen: dict[Pair, dict[Key, Values]]) -> None:
        """What is visible now is what is shared: what was shared before may not come back."""
        for terms in self.terms.values():
            if terms.is_live:
                self.delivered |= {
                    key
                    for key, each in self.rows[terms.manager]["decision"].items()
                    if self.rows[terms.channel]["mandate"].get(each["mandate"], {}).get("agreement")
                    == terms.key
                }
        for pair, rows in seen.items():
            self.allowed[pair] = defaultdict(set, {key: {values} for key, values in rows.items()})
        self.committed()

    def narrowed(self, terms: Terms) -> None:
        """What is not shared any more is gone at once."""
        pair = (terms.channel, terms.manager)
        is_alone = len(self.between(pair)) == 1
        for key, values in list(self.allowed[pair].items()):
            if key[0] == "client" and "clients.Client.national_id" in terms.withheld:
                blanked = {_without_national_id(each) for each in values}
                # Another agreement may share the field; only if it covers the client.
                self.allowed[pair][key] = blanked if is_alone else blanked | values
            elif is_alone and key[0] == "contact" and "clients.ContactDetail" in terms.withheld:
                del self.allowed[pair][key]

    def ended(self, terms: Terms) -> None:
        """What nobody shares any more is gone at once, but for answers to the other's records."""
        terms.is_ended = True
        self.held.pop(terms.key, None)
        for pair in ((terms.manager, terms.channel), (terms.channel, terms.manager)):
            if not self.between(pair):
                for key in [key for key in self.allowed[pair] if key[0] != "decision"]:
                    del self.allowed[pair][key]

    # What is shared

    def own(self) -> dict[str, Any]:
        """Return the own rows of every institution, without the clock."""
        return {
            schema: {
                kind: {
                    key: {name: values[name] for name in FIELDS[kind]} for key, values in rows[kind].items()
                }
                for kind in FIELDS
            }
            for schema, rows in self.rows.items()
        }

    def expected(self) -> dict[Pair, dict[Key, Values]]:
        """Return what each partner sees of each owner once everything has been delivered."""
        found: dict[Pair, dict[Key, Values]] = defaultdict(dict)
        for terms in self.terms.values():
            if not terms.is_live:
                continue
            for pair, key, values in self._shared(terms):
                known = found[pair].get(key)
                # A field that one agreement leaves out and another does not is shared.
                if known is None or known < values or key[0] != "client":
                    found[pair][key] = values
        return found

    def may_differ(self, pair: Pair, key: Key, values: Values | None) -> bool:
        """Say whether a row may be otherwise than expected: held, refused, or kept beside what it answers."""
        kind, row = key
        if any((pair, key) in self.held[each.key] for each in self.between(pair) if each.is_suspended):
            return True
        own = self.rows[pair[0]][kind].get(row, {})
        if pair[1] in self.poisoned and kind == "contact" and own.get("value") == POISON:
            return True
        if kind != "decision" or values is None:
            return False
        mandate = self.rows[pair[1]]["mandate"].get(values[0], {})
        terms = self.terms.get(mandate.get("agreement"))
        return terms is None or terms.is_ended

    def _shared(self, terms: Terms, *, generous: bool = False) -> Iterator[tuple[Pair, Key, Values]]:
        yield from self._models(terms)
        if not terms.is_advice:
            yield from self._from_channel(terms, generous=generous)
            yield from self._from_manager(terms)

    def _models(self, terms: Terms) -> Iterator[tuple[Pair, Key, Values]]:
        pair, rows = (terms.manager, terms.channel), self.rows[terms.manager]
        offers = {key: each for key, each in rows["offer"].items() if each["agreement"] == terms.key}
        models = {each["model"] for each in offers.values()}
        versions = {
            key: each
            for key, each in rows["version"].items()
            if each["model"] in models and each["state"] == "published"
        }
        views = {
            key: each
            for key, each in rows["view"].items()
            if each["version"] in versions and each.get("published")
        }
        shared = {
            "offer": offers,
            "model": {key: rows["model"][key] for key in models},
            "version": versions,
            "view": views,
        }
        for kind, found in shared.items():
            for key, each in found.items():
                yield pair, (kind, key), _values(kind, each)

    def _from_channel(self, terms: Terms, *, generous: bool) -> Iterator[tuple[Pair, Key, Values]]:
        pair, rows = (terms.channel, terms.manager), self.rows[terms.channel]
        clients = set()
        for key, mandate in rows["mandate"].items():
            if mandate["agreement"] == terms.key and self._is_covered(terms, key, mandate, generous=generous):
                clients.add(mandate["client"])
                yield pair, ("mandate", key), _values("mandate", mandate)
        for key in clients:
            values = _values("client", rows["client"][key])
            if "clients.Client.national_id" in terms.withheld:
                values = _without_national_id(values)
            yield pair, ("client", key), values
        if "clients.ContactDetail" not in terms.withheld:
            for key, contact in rows["contact"].items():
                if contact["client"] in clients:
                    yield pair, ("contact", key), _values("contact", contact)

    def _is_covered(self, terms: Terms, key: uuid.UUID, mandate: dict[str, Any], *, generous: bool) -> bool:
        if mandate["status"] not in {"submitted", "closing"} or not mandate["submission"]:
            return False
        decisions = {
            answer: each
            for answer, each in self.rows[terms.manager]["decision"].items()
            # An answer may not have arrived yet.
            if each["mandate"] == key and (not generous or answer in self.delivered)
        }
        if any(
            each["outcome"] == "rejected" and each["submission"] == mandate["submission"]
            for each in decisions.values()
        ):
            return False
        if terms.cut is None or mandate["at"] <= terms.cut:
            return True
        # Nor may the removal of an answer.
        return bool(decisions) or (generous and key in self.answered)

    def _from_manager(self, terms: Terms) -> Iterator[tuple[Pair, Key, Values]]:
        pair, rows = (terms.manager, terms.channel), self.rows[terms.manager]
        mandates = {
            key for key, each in self.rows[terms.channel]["mandate"].items() if each["agreement"] == terms.key
        }
        for key, decision in rows["decision"].items():
            if decision["mandate"] in mandates:
                yield pair, ("decision", key), _values("decision", decision)
        portfolios = {key for key, each in rows["portfolio"].items() if each["mandate"] in mandates}
        for key in portfolios:
            yield pair, ("portfolio", key), _values("portfolio", rows["portfolio"][key])
        for key, account in rows["account"].items():
            if account["portfolio"] in portfolios:
                yield pair, ("account", key), _values("account", account)


def _values(kind: str, row: dict[str, Any]) -> Values:
    return tuple(row[name] for name in FIELDS[kind])


def _without_national_id(values: Values) -> Values:
    return (*values[:NATIONAL_ID], "", *values[NATIONAL_ID + 1 :])
