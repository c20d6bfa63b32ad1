"""From a version's division of work to what each side shares: kinds, fields and direction."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.db import models

from federation.models.agreements import Agreement, AgreementVersion, Function, Side
from federation.scope.kinds import ALWAYS, Kind
from federation.scope.table import KINDS

_EVERYTHING_BUT_RELATIONSHIP_AND_MODELS = (
    Function.MANAGEMENT,
    Function.TRADING,
    Function.SETTLEMENT,
    Function.REPORTING,
)


@dataclass(frozen=True)
class Preset:
    """A division of work that has a name."""

    division: Mapping[str, str]
    private: tuple[str, ...] = ()


PRESETS: Mapping[str, Preset] = {
    Agreement.Preset.CLOSED: Preset(
        division={
            Function.RELATIONSHIP: Side.CHANNEL,
            Function.MODELS: Side.MANAGER,
            **dict.fromkeys(_EVERYTHING_BUT_RELATIONSHIP_AND_MODELS, Side.MANAGER),
        }
    ),
    Agreement.Preset.ADVICE: Preset(
        division={
            Function.RELATIONSHIP: Side.CHANNEL,
            Function.MODELS: Side.MANAGER,
            **dict.fromkeys(_EVERYTHING_BUT_RELATIONSHIP_AND_MODELS, Side.CHANNEL),
        },
        private=(Function.RELATIONSHIP, *_EVERYTHING_BUT_RELATIONSHIP_AND_MODELS),
    ),
}


@dataclass(frozen=True)
class Share:
    """What one side shares of one kind: ``fields`` by name, without those that every record carries."""

    kind: Kind
    fields: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns that are copied, the id first."""
        return tuple(self.kind.column(name) for name in (*ALWAYS, *self.fields))

    @property
    def foreign_keys(self) -> tuple[Any, ...]:
        """Return the shared foreign keys."""
        fields = (self.kind.field(name) for name in self.fields)
        return tuple(field for field in fields if isinstance(field, models.ForeignKey))


@cache
def by_label() -> Mapping[str, Kind]:
    """Return the kinds by the label of their model."""
    return {kind.label: kind for kind in KINDS}


def kind_of(model: type[models.Model]) -> Kind | None:
    """Return the kind of a model's rows; None where they are never shared."""
    return by_label().get(model._meta.label)


@cache
def in_foreign_key_order() -> tuple[Kind, ...]:
    """Return the kinds so that what is named comes before what names it."""
    done: dict[str, Kind] = {}

    def visit(kind: Kind) -> None:
        if kind.label in done:
            return
        for name in kind.shared_fields:
            is_key = isinstance(kind.field(name), models.ForeignKey)
            target = kind_of(kind.named_by(name)) if is_key else None
            if target is not None and target is not kind:
                visit(target)
        done[kind.label] = kind

    for kind in KINDS:
        visit(kind)
    return tuple(done.values())


def parent_of(kind: Kind) -> Kind | None:
    """Return the kind that ``kind`` hangs off; None for a root, and for what is in scope through others."""
    return kind_of(kind.named_by(kind.via)) if kind.via else None


def leads_to_root(kind: Kind) -> Kind | None:
    """Return the next kind on the way to the root, down or up; None for roots and reference data."""
    return parent_of(kind) if kind.via else by_label().get(kind.through.rpartition(".")[0])


@cache
def in_scope_order() -> tuple[Kind, ...]:
    """Return the kinds so that what leads to the root comes before what hangs off it."""
    done: dict[str, Kind] = {}

    def visit(kind: Kind) -> None:
        if kind.label in done:
            return
        leads = leads_to_root(kind)
        if leads is not None:
            visit(leads)
        done[kind.label] = kind

    for kind in KINDS:
        visit(kind)
    return tuple(done.values())


@dataclass(frozen=True)
class Branch:
    """A step from a kind to one that depends on it: down a foreign key of the child's, or up one's own."""

    kind: Kind
    field: str
    is_up: bool


@cache
def branches(label: str) -> tuple[Branch, ...]:
    """Return the steps from the kind of this label to the kinds that are in scope because of it."""
    found = []
    for kind in KINDS:
        parent = parent_of(kind)
        if parent is not None and parent.label == label:
            found.append(Branch(kind, kind.via, is_up=False))
        if kind.through.rpartition(".")[0] == label:
            found.append(Branch(kind, kind.through.rpartition(".")[2], is_up=True))
    return tuple(found)


def performer(version: AgreementVersion, function: str) -> Side | None:
    """Return the side that performs ``function``; None where the version does not say."""
    side = version.division.get(function)
    return Side(side) if side else None


def _candidates(version: AgreementVersion, side: Side) -> dict[str, Kind]:
    """Return the kinds that the division alone lets ``side`` share."""
    withheld, private = set(version.withheld), set(version.private)
    return {
        kind.label: kind
        for kind in KINDS
        if kind.label not in withheld
        and (
            kind.function is None
            or (kind.function not in private and performer(version, kind.function) == side)
        )
    }


def shares(version: AgreementVersion, side: Side) -> tuple[Share, ...]:
    """Return what ``side`` shares under ``version``, in foreign-key order; nothing where all is private.

    A kind is left out where what it hangs off, or what it must name, is not shared; a field that
    names something which is not there is left out too.
    """
    found = {name: _candidates(version, name) for name in Side}
    while True:
        there = set(found[Side.MANAGER]) | set(found[Side.CHANNEL])
        dropped = [
            (name, kind.label)
            for name in Side
            for kind in found[name].values()
            if any(not _is_there(field, there) for field in _required(kind))
        ]
        if not dropped:
            break
        for name, label in dropped:
            del found[name][label]
    if not any(kind.function is not None and _names_securities(kind) for kind in found[side].values()):
        found[side] = {label: kind for label, kind in found[side].items() if kind.function is not None}
    withheld = set(version.withheld)
    return tuple(
        Share(
            kind,
            tuple(
                name
                for name in kind.shared_fields
                if f"{kind.label}.{name}" not in withheld and _is_there(kind.field(name), there)
            ),
        )
        for kind in in_foreign_key_order()
        if kind.label in found[side]
    )


def _names_securities(kind: Kind) -> bool:
    return any(getattr(kind.field(name), "attname", "") == "security_id" for name in kind.shared_fields)


def _required(kind: Kind) -> Iterable[Any]:
    """Return the foreign keys without which a row of this kind cannot stand at the receiver."""
    for name in kind.shared_fields:
        field = kind.field(name)
        if isinstance(field, models.ForeignKey) and (not field.null or name == kind.via):
            yield field


def _is_there(field: Any, there: set[str]) -> bool:
    """Say whether what a foreign key names is known at the receiver; True for any other field."""
    if not isinstance(field, models.ForeignKey):
        return True
    label = field.related_model._meta.label
    # Every security is known: added as the receiver's own, or mirrored.
    return label in there or label == "portfolios.Security"


def may_withhold(label: str) -> bool:
    """Say whether a kind ("clients.Party") or a field ("clients.Client.lei") can be left out of a share."""
    if label in by_label():
        return True
    kind = by_label().get(label.rpartition(".")[0])
    name = label.rpartition(".")[2]
    if kind is None or name not in kind.shared_fields or name in {kind.via, kind.root}:
        return False
    field = kind.field(name)
    return bool(field.null or field.has_default() or field.empty_strings_allowed)
