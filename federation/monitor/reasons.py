"""Why a row is parked, in a sentence: which record, which rule, and what to do."""

from django.db import models
from django.utils.text import get_text_list
from django.utils.translation import gettext as _

from federation.agreements.sharing import kind_name
from federation.mirror.parking import FOREIGN_ID
from federation.models import ParkedRow
from federation.scope import Kind, by_label


def sentence(row: ParkedRow) -> str:
    """Return which record is parked, what refuses it at its receiver, and what to do about it."""
    parties = {
        "owner": row.stream.owner.short_name,
        "receiver": row.stream.receiver.short_name,
        "record": _("%(kind)s …%(id)s") % {"kind": kind_name(row.kind), "id": str(row.key)[-8:]},
    }
    return _rule(row, parties) % parties


def _rule(row: ParkedRow, parties: dict[str, str]) -> str:
    kind = by_label().get(row.kind)
    if row.reason == FOREIGN_ID:
        return _(
            "%(record)s has the id of a record that is not %(owner)s's at %(receiver)s, and that is never"
            " overwritten. %(owner)s enters it anew; then skip this one."
        )
    if row.reason.endswith(": not there"):
        parties["field"] = _field_name(kind, row.reason.partition(":")[0])
        return _(
            "%(record)s names something in “%(field)s” that %(receiver)s does not have under this agreement."
            " It crosses by itself once that has crossed; if that is parked too, mend it first."
        )
    constraint = _constraint(kind, row.reason)
    if isinstance(constraint, models.UniqueConstraint) and constraint.fields:
        names = [_field_name(kind, name) for name in constraint.fields if name != "origin"]
        parties["field"] = get_text_list(names, _("and"))
        return _(
            "%(record)s has the same %(field)s as another record at %(receiver)s, where each may stand only"
            " once. %(owner)s changes the one or the other; then it is tried again by itself."
        )
    if constraint is not None:
        has_words = constraint.violation_error_message != constraint.default_violation_error_message
        parties["rule"] = str(constraint.violation_error_message) if has_words else row.reason
        return _(
            "%(record)s breaks a rule at %(receiver)s: “%(rule)s” %(owner)s changes the record; then it is"
            " tried again by itself."
        )
    if kind is not None and row.reason in {field.column for field in kind.model._meta.concrete_fields}:
        parties["field"] = _field_name(kind, row.reason)
        return _(
            "%(record)s has no “%(field)s”, which %(receiver)s needs. %(owner)s fills it in, or shares it"
            " under this agreement; then it is tried again by itself."
        )
    return _(
        "%(record)s is refused by %(receiver)s's database. Have the platform's operator look up the name of"
        " the rule, then try again; or skip it."
    )


def _constraint(kind: Kind | None, name: str) -> models.BaseConstraint | None:
    known = kind.model._meta.constraints if kind else []
    return next((each for each in known if each.name == name), None)


def _field_name(kind: Kind | None, name: str) -> str:
    fields = kind.model._meta.concrete_fields if kind else []
    return next((str(each.verbose_name) for each in fields if name in {each.name, each.column}), name)
