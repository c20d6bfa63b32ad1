"""What managers may do with their models, in any order: under agreements for advice and under others."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.federation.mirror.channels import Channels, picks, words
from tests.federation.mirror.records import Change


class Advising(Channels):
    """Models, their versions, and the views on them."""

    @rule(agreement=picks, published=st.booleans(), views=st.integers(0, 4))
    def offer_a_model(self, agreement: int, published: bool, views: int) -> None:
        terms = self.agreeing.pick(agreement)
        model = self.records.new("model")
        version = self.records.new("version", model=model.key)
        held = [self.records.new("view", version=version.key, **self._published(True)) for _ in range(views)]
        offer = self.records.new("offer", model=model.key, agreement=terms.key)
        self.records.write(terms.manager, model, version, *held, offer)
        if published:
            self._publish(terms.manager, version.key)

    @rule(model=picks, word=words)
    def rename_a_model(self, model: int, word: str) -> None:
        at, key = self.records.pick("model", model)
        if key:
            self.records.write(at, Change("set", "model", key, {"name": word}))

    @rule(model=picks, published=st.booleans())
    def draft_a_version(self, model: int, published: bool) -> None:
        at, key = self.records.pick("model", model)
        if key:
            version = self.records.new("version", model=key)
            self.records.write(at, version)
            if published:
                self._publish(at, version.key)

    @rule(version=picks, word=words, what=st.sampled_from(["publish", "edit", "delete"]))
    def change_a_version(self, version: int, word: str, what: str) -> None:
        """Of one that is published the database refuses it."""
        at, key = self.records.pick("version", version)
        if key and what == "publish":
            self._publish(at, key)
        elif key:
            change = Change("drop", "version", key) if what == "delete" else None
            self.records.write(at, change or Change("set", "version", key, {"comment": word}))

    @rule(version=picks, word=words, published=st.booleans())
    def take_a_view(self, version: int, word: str, published: bool) -> None:
        at, key = self.records.pick("version", version)
        if key:
            values = {"rationale": word} | self._published(published)
            self.records.write(at, self.records.new("view", version=key, **values))

    @rule(view=picks, version=picks, what=st.sampled_from(["publish", "edit", "move", "delete"]))
    def change_a_view(self, view: int, version: int, what: str) -> None:
        """Of one that is published the database refuses it."""
        at, key = self.records.pick("view", view)
        if not key:
            return
        if what == "delete":
            self.records.write(at, Change("drop", "view", key))
            return
        _, other = self.records.pick("version", version, at=at)
        values = {
            "publish": self._published(True),
            "edit": {"rationale": "edited"},
            "move": {"version": other},
        }
        self.records.write(at, Change("set", "view", key, values[what]))

    @rule(offer=picks, agreement=picks, what=st.sampled_from(["close", "move", "withdraw", "delete"]))
    def change_an_offer(self, offer: int, agreement: int, what: str) -> None:
        at, key = self.records.pick("offer", offer)
        if not key:
            return
        if what == "delete":
            self.records.write(at, Change("drop", "offer", key))
            return
        terms = self.agreeing.pick(agreement)
        changed: dict[str, Any] = {"close": {"is_open": False}, "withdraw": {"agreement": None}}
        changed["move"] = {"agreement": terms.key if terms.manager == at else None}
        self.records.write(at, Change("set", "offer", key, changed[what]))

    def _published(self, published: bool) -> dict[str, Any]:
        return {"published": self.records.clock()} if published else {}

    def _publish(self, at: str, version: Any) -> None:
        """Publish a version, if it is there: of a model's second draft the database takes none."""
        if version not in self.records.plain.rows[at]["version"]:
            return
        change = {"state": "published", **self._published(True)}
        self.records.write(at, Change("set", "version", version, change))
