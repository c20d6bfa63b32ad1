"""What an institution keeps sealed, by mandate: numbers and days for the list, and the records for who opened them."""

import datetime
import uuid
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import DateField, Exists, OuterRef
from django.utils import timezone
from django.utils.text import capfirst
from psycopg import sql

from clients.models import Mandate, MandateDecision
from federation.mirror.ending import is_sealed
from federation.models import Institution, RecordsHold, SealedRecords
from federation.scope import Flow, by_label
from federation.scope.division import Share, kind_of

# Of each kind at most so many rows are shown; the count says how many there are.
SHOWN = 500


@dataclass(frozen=True)
class SealedMandate:
    """A line of the list: codes and days, nothing of a person."""

    pk: uuid.UUID
    sealed: uuid.UUID
    number: str
    partner: str
    agreement: str
    sealed_at: datetime.datetime
    retain_until: datetime.date
    is_held: bool
    is_due: bool

    @property
    def state(self) -> str:
        """Return held, due or sealed."""
        return "held" if self.is_held else "due" if self.is_due else "sealed"


@dataclass(frozen=True)
class SealedKind:
    """Rows of one kind as they were received, the newest first; ``names`` says what each is called.

    ``is_numbered`` where a row has no number or name of its own and is called by its place.
    """

    label: str
    title: str
    fields: tuple[tuple[str, str], ...]
    count: int
    keys: tuple[uuid.UUID, ...]
    names: tuple[str, ...]
    is_numbered: bool
    rows: tuple[tuple[Any, ...], ...]


def kept_mandates(sealed: SealedRecords) -> Any:
    """Return the mandates, in the receiver's schema, of which something may be kept in this set."""
    kept = MandateDecision.objects.filter(mandate=OuterRef("pk"), outcome__in=MandateDecision.TAKEN_ON)
    return Mandate.objects.filter(Exists(kept), agreement=sealed.agreement_id).exclude(
        pk__in=list(sealed.erasures.values_list("mandate", flat=True))
    )


def sealed_mandates(institution: Institution) -> list[SealedMandate]:
    """Return what ``institution`` keeps, the newest seal first; runs in its schema."""
    today = timezone.localdate()
    found = []
    for sealed in (
        SealedRecords.objects.kept().filter(receiver=institution).select_related("agreement", "owner")
    ):
        held = set(
            RecordsHold.objects.in_force(today).filter(sealed=sealed).values_list("mandate", flat=True)
        )
        found += [
            SealedMandate(
                pk=pk,
                sealed=sealed.pk,
                number=number,
                partner=sealed.owner.name,
                agreement=sealed.agreement.name,
                sealed_at=sealed.sealed_at,
                retain_until=sealed.retain_until,
                is_held=None in held or pk in held,
                is_due=sealed.retain_until < today,
            )
            for pk, number in kept_mandates(sealed).order_by("number").values_list("pk", "number")
        ]
    return found


def sealed_rows(sealed: SealedRecords, mandate: uuid.UUID, *, limit: int | None = SHOWN) -> list[SealedKind]:
    """Return what was received of one mandate and is kept, at most ``limit`` rows of a kind; None for all."""
    agreement = sealed.agreement
    flow = Flow.of(agreement, agreement.side_of(sealed.owner))
    found = []
    with connection.cursor() as cursor:
        for share in flow.shares.values():
            kind = share.kind
            if not is_sealed(kind):
                continue
            where = sql.SQL(" FROM {schema}.{table} t WHERE t.retired_at IS NOT NULL AND {received}").format(
                schema=flow.target,
                table=sql.Identifier(kind.table),
                received=flow.received(kind, "t", [mandate]),
            )
            cursor.execute(sql.SQL("SELECT count(*)") + where)
            count = cursor.fetchone()[0]
            if not count:
                continue
            columns = sql.SQL(", ").join(sql.Identifier("t", kind.column(name)) for name in share.fields)
            cursor.execute(sql.SQL("SELECT t.id, ") + columns + where + _newest(share, limit))
            found.append(_sealed_kind(share, count, cursor.fetchall()))
    return found


def _newest(share: Share, limit: int | None) -> sql.Composed:
    """Order by the first day that a row has, and by when it was made; by no person's day of birth."""
    dated = [name for name in share.fields if name not in share.kind.personal_fields]
    days = [name for name in dated if isinstance(share.kind.field(name), DateField)]
    by = [sql.Identifier("t", share.kind.column(name)) for name in days[:1]] + [sql.Identifier("t", "id")]
    order = sql.SQL(", ").join(sql.SQL("{} DESC NULLS LAST").format(each) for each in by)
    return sql.SQL(" ORDER BY {} LIMIT {}").format(order, sql.Literal(limit))


def _sealed_kind(share: Share, count: int, found: list[tuple[Any, ...]]) -> SealedKind:
    kind, rows = share.kind, tuple(row[1:] for row in found)
    names = tuple(_called(share, row) for row in rows)
    is_numbered = not all(names)
    if is_numbered:
        title = capfirst(kind.model._meta.verbose_name)
        names = tuple(f"{title} {place}" for place in range(1, len(rows) + 1))
    return SealedKind(
        label=kind.label,
        title=str(kind.model._meta.verbose_name_plural),
        fields=tuple((name, str(kind.field(name).verbose_name)) for name in share.fields),
        count=count,
        keys=tuple(row[0] for row in found),
        names=names,
        is_numbered=is_numbered,
        rows=rows,
    )


def _called(share: Share, row: tuple[Any, ...]) -> str:
    """Return a row's own number and name; a bare number with the word for it, such as "version 2"."""
    values = dict(zip(share.fields, row, strict=True))
    number, name = values.get("number"), values.get("name")
    if isinstance(number, int):
        number = f"{share.kind.field('number').verbose_name} {number}"
    return " ".join(str(part) for part in (number, name) if part)


def names_in(sealed: SealedRecords, kinds: list[SealedKind]) -> dict[uuid.UUID, str]:
    """Return what the records of a set are called, with what they name: own records, reference data, the agreement."""
    names = {sealed.agreement_id: sealed.agreement.name}
    named: dict[Any, set[uuid.UUID]] = defaultdict(set)
    for kind in kinds:
        names |= zip(kind.keys, kind.names, strict=True)
        for place, (name, _label) in enumerate(kind.fields):
            model = by_label()[kind.label].field(name).related_model
            known = kind_of(model) if model else None
            if known is not None:
                named[model] |= {row[place] for row in kind.rows if row[place]}
    for model, keys in named.items():
        own = model.objects.filter(pk__in=keys - names.keys(), origin=None)
        names |= {each.pk: str(each) for each in own}
    return names
