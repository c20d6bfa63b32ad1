"""What an agreement's wording lets cross: as a set that can be compared, and as a table that can be read."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.apps import apps
from django.db import models
from django.utils.functional import Promise
from django.utils.text import capfirst

from federation import scope
from federation.models import AgreementVersion, Function, Side
from federation.scope import KINDS, PRIVATE, Kind

# Without these neither side could follow where a mandate or an instruction stands, and no order that
# buys would ever leave.
ESSENTIAL = frozenset({"clients.MandateDecision", "clients.InstructionOutcome", "clients.KycStatus"})
# Without these the rest of a record would mislead, or be of no use: the whole kind can be left out.
MEANINGFUL = frozenset(
    {
        "currency",
        "counter_currency",
        "offer_name",
        "manager_name",
        "disclosure_text",
        "price_source_name",
        "problem",
    }
    | {
        "failure_reason",
        "state_note",
        "amount",
        "content",
        "pdf",
        "value",
        "iban",
        "reason",
        "withdrawal_note",
    }
)


@dataclass(frozen=True, order=True)
class SharedField:
    """One field of one kind of record that its owner lets cross to the other side."""

    owner: str
    function: str
    kind: str
    field: str


@dataclass(frozen=True)
class KindShown:
    """A kind of record in the division of work: the fields that cross, and those that are left out, in words."""

    label: str
    name: str
    shared: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def is_partial(self) -> bool:
        """Say whether only some of its fields cross."""
        return bool(self.shared and self.left_out)


@dataclass(frozen=True)
class FunctionShown:
    """A row of the division of work; ``never`` are the kinds that stay private in any agreement."""

    function: str
    name: str | Promise
    performer: str
    is_private: bool
    kinds: tuple[KindShown, ...]
    never: tuple[str, ...]


def kind_name(label: str) -> str:
    """Return what people call a kind of record ("clients.ContactDetail" → "Contact detail")."""
    return capfirst(str(apps.get_model(label)._meta.verbose_name))


def field_name(kind: Kind, name: str) -> str:
    """Return what people call a field."""
    return str(getattr(kind.field(name), "verbose_name", name))


def entry_name(entry: str) -> str:
    """Return a withheld kind or field in words."""
    if entry in scope.by_label():
        return kind_name(entry)
    label, _dot, name = entry.rpartition(".")
    return f"{kind_name(label)}: {field_name(scope.by_label()[label], name)}"


def shared_fields(version: AgreementVersion) -> frozenset[SharedField]:
    """Return everything that crosses under this wording, but for the reference data that follows it."""
    return frozenset(
        SharedField(side.value, share.kind.function.value, share.kind.label, name)
        for side in Side
        for share in scope.shares(version, side)
        if share.kind.function is not None
        for name in share.fields
    )


def _is_needed(kind: Kind) -> bool:
    """Say whether records of other kinds lead to the agreement, or to each other, through this kind."""
    if kind.root or kind.label in ESSENTIAL or scope.branches(kind.label):
        return True
    if kind.through:
        return True
    return any(
        other.field(name).related_model is kind.model and not other.field(name).null
        for other in KINDS
        for name in other.shared_fields
    )


def _may_leave_out(kind: Kind, name: str) -> bool:
    """Say whether a field can be left out: what speaks of a person, and texts, never amounts, days or states."""
    field = kind.field(name)
    if field.is_relation or not scope.may_withhold(f"{kind.label}.{name}"):
        return False
    is_text = isinstance(field, models.CharField | models.TextField) and field.blank and not field.choices
    return name not in MEANINGFUL and (name in kind.personal_fields or is_text)


def withholdable(division: dict[str, str], private: Iterable[str], side: str) -> tuple[str, ...]:
    """Return the kinds and fields of the functions of ``side`` that it may leave out, in the table's order."""
    closed, needed = set(private), scope.needed(division)
    entries: list[str] = []
    for kind in KINDS:
        if kind.function is None or kind.function in closed or division.get(kind.function) != side:
            continue
        if not _is_needed(kind) and kind.label not in needed:
            entries.append(kind.label)
        entries += [f"{kind.label}.{name}" for name in kind.shared_fields if _may_leave_out(kind, name)]
    return tuple(entries)


def division_shown(version: AgreementVersion) -> list[FunctionShown]:
    """Return the division of work as a table: who performs each function and what of it crosses."""
    crossing: dict[str, set[str]] = {}
    for share in shared_fields(version):
        crossing.setdefault(share.kind, set()).add(share.field)
    return [
        FunctionShown(
            function=function.value,
            name=function.label,
            performer=version.division[function],
            is_private=function in version.private,
            kinds=tuple(
                _kind_shown(kind, crossing.get(kind.label, set()))
                for kind in KINDS
                if kind.function == function
            ),
            never=tuple(kind_name(entry.label) for entry in PRIVATE if entry.function == function),
        )
        for function in Function
        if function in version.division
    ]


def _kind_shown(kind: Kind, crossing: set[str]) -> KindShown:
    return KindShown(
        label=kind.label,
        name=kind_name(kind.label),
        shared=tuple(
            dict.fromkeys(field_name(kind, name) for name in kind.shared_fields if name in crossing)
        ),
        left_out=tuple(field_name(kind, name) for name in kind.shared_fields if name not in crossing),
    )
