"""What differs between two wordings of an agreement, in words, and whose acceptance it takes."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from federation.agreements.sharing import (
    SharedField,
    entry_name,
    field_name,
    kind_name,
    shared_fields,
)
from federation.models import Agreement, AgreementVersion, Function
from federation.scope import KINDS, Kind, by_label


class Effect(StrEnum):
    """What a change does to what crosses."""

    WIDENS = "widens"
    NARROWS = "narrows"
    CHANGES = "changes"


@dataclass(frozen=True)
class Change:
    """One difference in words; ``owner`` is the side whose records it is about, "" where it is both's.

    ``follows`` where nobody asked for it: records that cannot cross without what another change takes away.
    """

    effect: Effect
    owner: str
    text: str
    follows: bool = False
    is_of_terms: bool = False


@dataclass(frozen=True)
class Difference:
    """All differences between two versions; false where there is none."""

    changes: tuple[Change, ...]

    def __bool__(self) -> bool:
        return bool(self.changes)

    @property
    def widens(self) -> bool:
        """Say whether anything crosses that did not before."""
        return any(change.effect is Effect.WIDENS for change in self.changes)

    @property
    def narrows(self) -> bool:
        """Say whether anything stops crossing."""
        return any(change.effect is Effect.NARROWS for change in self.changes)

    @property
    def classification(self) -> str:
        """Return the difference in one word."""
        if any(change.effect is Effect.CHANGES for change in self.changes) or (self.widens and self.narrows):
            return "changes"
        if self.widens:
            return "widening"
        return "narrowing" if self.narrows else "nothing"

    def takes_one(self, side: str) -> bool:
        """Say whether ``side`` may bring it into force alone: it only narrows what that side shares."""
        asked = [change for change in self.changes if not change.follows]
        return bool(asked) and all(
            change.effect is Effect.NARROWS and change.owner == side for change in asked
        )

    def without_terms(self) -> "Difference":
        """Return the difference that stays where the terms and the years kept do not change."""
        return Difference(tuple(change for change in self.changes if not change.is_of_terms))


def difference(before: AgreementVersion, after: AgreementVersion) -> Difference:
    """Compare two versions of one agreement: division of work, kinds, fields, terms, years kept."""
    agreement = after.agreement
    changes = [
        Change(
            Effect.CHANGES,
            "",
            _("%(function)s is done by %(new)s, no longer by %(old)s.")
            % {
                "function": function.label,
                "new": agreement.party(after.division[function]).short_name,
                "old": agreement.party(before.division[function]).short_name,
            },
        )
        for function in Function
        if before.division.get(function) != after.division.get(function)
    ]
    changes += _of_functions(before, after, agreement)
    if before.terms.strip() != after.terms.strip():
        changes.append(Change(Effect.CHANGES, "", _("The terms are worded differently."), is_of_terms=True))
    if before.retention_years != after.retention_years:
        changes.append(
            Change(
                Effect.CHANGES,
                "",
                _("Received records are kept %(new)d years after the end instead of %(old)d.")
                % {"new": after.retention_years, "old": before.retention_years},
                is_of_terms=True,
            )
        )
    return Difference(tuple(changes))


def _of_functions(
    before: AgreementVersion, after: AgreementVersion, agreement: Agreement
) -> Iterable[Change]:
    old, new = shared_fields(before), shared_fields(after)
    for function in Function:
        was, is_now = function not in before.private, function not in after.private
        if was and is_now:
            # Where a function moves, what stops crossing was shared by whoever performed it before.
            former, owner = before.division.get(function, ""), after.division.get(function, "")
            for change, entries in _of_kinds(function, agreement, former, owner, old, new):
                narrows = change.effect is Effect.NARROWS
                yield replace(change, follows=narrows and entries.isdisjoint(after.withheld))
        elif was != is_now:
            yield _of_privacy(function, after, agreement, is_now=is_now)


def _of_privacy(function: Function, after: AgreementVersion, agreement: Agreement, *, is_now: bool) -> Change:
    owner = after.division.get(function, "")
    left_out = [entry_name(entry) for entry in after.withheld if _function_of(entry) == function]
    text = _("%(party)s keeps %(function)s private.")
    if is_now and left_out:
        text = _("%(party)s shares %(function)s, which was private, all but: %(entries)s.")
    elif is_now:
        text = _("%(party)s shares %(function)s, which was private.")
    words = {
        "party": agreement.party(owner).short_name,
        "function": str(function.label).lower(),
        "entries": ", ".join(sorted(left_out)),
    }
    return Change(Effect.WIDENS if is_now else Effect.NARROWS, owner, text % words)


def _function_of(entry: str) -> Function | None:
    """Return the function of a withheld kind or field."""
    kinds = by_label()
    return kinds[entry if entry in kinds else entry.rpartition(".")[0]].function


def _of_kinds(
    function: Function,
    agreement: Agreement,
    former: str,
    owner: str,
    old: frozenset[SharedField],
    new: frozenset[SharedField],
) -> Iterable[tuple[Change, set[str]]]:
    """Yield the changes of a function's kinds, each with the kind and fields that it is about."""
    for kind in KINDS:
        if kind.function != function:
            continue
        had = {share.field for share in old if share.kind == kind.label}
        has = {share.field for share in new if share.kind == kind.label}
        if had and not has:
            text = _("%(party)s no longer shares: %(kind)s.")
            yield Change(Effect.NARROWS, former, text % _words(agreement, former, kind)), {kind.label}
        elif has and not had:
            text = _("%(party)s also shares: %(kind)s.")
            yield Change(Effect.WIDENS, owner, text % _words(agreement, owner, kind)), {kind.label}
        else:
            for effect, side, fields in (
                (Effect.NARROWS, former, had - has),
                (Effect.WIDENS, owner, has - had),
            ):
                if fields:
                    names = ", ".join(sorted(field_name(kind, field) for field in fields))
                    words = {**_words(agreement, side, kind), "fields": names}
                    text = _field_text(effect, len(fields)) % words
                    yield Change(effect, side, text), {f"{kind.label}.{field}" for field in fields}


def _words(agreement: Agreement, side: str, kind: Kind) -> dict[str, str]:
    return {"party": agreement.party(side).short_name, "kind": kind_name(kind.label)}


def _field_text(effect: Effect, count: int) -> str:
    if effect is Effect.NARROWS:
        return ngettext(
            "%(party)s no longer shares the field %(fields)s of %(kind)s.",
            "%(party)s no longer shares the fields %(fields)s of %(kind)s.",
            count,
        )
    return ngettext(
        "%(party)s also shares the field %(fields)s of %(kind)s.",
        "%(party)s also shares the fields %(fields)s of %(kind)s.",
        count,
    )
