"""What differs between two wordings of an agreement, in words, and whose acceptance it takes."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from federation.agreements.sharing import SharedField, field_name, kind_name, shared_fields
from federation.models import Agreement, AgreementVersion, Function
from federation.scope import KINDS


class Effect(StrEnum):
    """What a change does to what crosses."""

    WIDENS = "widens"
    NARROWS = "narrows"
    CHANGES = "changes"


@dataclass(frozen=True)
class Change:
    """One difference in words; ``owner`` is the side whose records it is about, "" where it is both's."""

    effect: Effect
    owner: str
    text: str


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
        return bool(self.changes) and all(
            change.effect is Effect.NARROWS and change.owner == side for change in self.changes
        )


def difference(before: AgreementVersion, after: AgreementVersion) -> Difference:
    """Compare two versions of one agreement: division of work, kinds, fields, terms, years kept."""
    agreement = after.agreement
    moved = [
        function for function in Function if before.division.get(function) != after.division.get(function)
    ]
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
        for function in moved
    ]
    changes += _of_functions(before, after, agreement, [each for each in Function if each not in moved])
    if before.terms.strip() != after.terms.strip():
        changes.append(Change(Effect.CHANGES, "", _("The terms are worded differently.")))
    if before.retention_years != after.retention_years:
        changes.append(
            Change(
                Effect.CHANGES,
                "",
                _("Received records are kept %(new)d years after the end instead of %(old)d.")
                % {"new": after.retention_years, "old": before.retention_years},
            )
        )
    return Difference(tuple(changes))


def _of_functions(
    before: AgreementVersion, after: AgreementVersion, agreement: Agreement, functions: Iterable[Function]
) -> Iterable[Change]:
    old, new = shared_fields(before), shared_fields(after)
    for function in functions:
        owner = after.division.get(function, "")
        name = agreement.party(owner).short_name
        was, is_now = function not in before.private, function not in after.private
        if was != is_now:
            text = (
                _("%(party)s shares %(function)s, which was private.")
                if is_now
                else _("%(party)s keeps %(function)s private.")
            )
            words = {"party": name, "function": str(function.label).lower()}
            yield Change(Effect.WIDENS if is_now else Effect.NARROWS, owner, text % words)
        elif was:
            yield from _of_kinds(function, owner, name, old, new)


def _of_kinds(
    function: Function, owner: str, party: str, old: frozenset[SharedField], new: frozenset[SharedField]
) -> Iterable[Change]:
    for kind in KINDS:
        if kind.function != function:
            continue
        had = {share.field for share in old if share.kind == kind.label}
        has = {share.field for share in new if share.kind == kind.label}
        words = {"party": party, "kind": kind_name(kind.label)}
        if had and not has:
            yield Change(Effect.NARROWS, owner, _("%(party)s no longer shares: %(kind)s.") % words)
        elif has and not had:
            yield Change(Effect.WIDENS, owner, _("%(party)s also shares: %(kind)s.") % words)
        else:
            for effect, fields in ((Effect.NARROWS, had - has), (Effect.WIDENS, has - had)):
                if fields:
                    names = ", ".join(sorted(field_name(kind, field) for field in fields))
                    yield Change(effect, owner, _field_text(effect, len(fields)) % {**words, "fields": names})


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
