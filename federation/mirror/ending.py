"""What remains at a receiver when an agreement ends or shares less."""

import datetime
import uuid
from collections.abc import Callable, Container, Sequence
from typing import Any

from django.db import connection, transaction
from django.utils import timezone
from psycopg import sql

from accounts.records import new_id
from federation.mirror import roles
from federation.mirror.acting import become_the_mirror, stop_being_the_mirror
from federation.mirror.keys import Keys, prepare_connection
from federation.mirror.overlap import (
    ANSWERS,
    blank_what_is_left_out,
    drop_grants_on_sealed,
    held_by,
    left_behind,
    left_out_by_some,
    other_flows,
    seal_again,
)
from federation.mirror.plan import DELETE, Plan
from federation.mirror.proving import look_again
from federation.mirror.refusals import OwnRowsAppeared
from federation.mirror.write import Writer
from federation.models import Function, SealedKeys, SealedRecords
from federation.scope import Flow, Kind, by_label, in_foreign_key_order, in_scope_order, parent_of

_TRIES = 5
CLIENT, MANDATE = "clients.Client", "clients.Mandate"
KEPT_ONCE = "('accepted', 'active', 'closing', 'closed')"


def is_sealed(kind: Kind) -> bool:
    """Say whether rows of this kind are kept sealed when an agreement ends."""
    return kind.function not in {None, Function.MODELS} and kind.label not in ANSWERS


def years_later(day: datetime.date, years: int) -> datetime.date:
    """Return the same day so many years later; the 28th for the 29th of February."""
    leaps = day.month == 2 and day.day == 29
    return day.replace(year=day.year + years, day=28 if leaps else day.day)


def clear(flow: Flow) -> None:
    """Purge models and mandates never accepted at the receiver; seal its other rows of the owner's.

    Rows that another live agreement between the same two covers stay as they are. Runs in the
    caller's transaction, after its lock on the agreement.
    """
    _try(lambda: _Ending(flow).clear())


def narrow(flow: Flow, former: Flow) -> None:
    """Remove from the receiver the kinds that ``former`` shared and ``flow`` does not, and blank such fields.

    Also where the function has moved to the other party: what its former owner shared goes.
    """
    _try(lambda: _Ending(flow, former).narrow(former.shares))


def narrow_to_scope(flow: Flow) -> None:
    """Remove from the receiver what the scope table let through before and ``flow`` does not share now.

    Nobody knows any more what that was: all other kinds are looked for. For a batch, in its transaction.
    """
    _Ending(flow).narrow(by_label())


def _try(change: Callable[[], None]) -> None:
    """Make a change; again where somebody's own row came to name what it had just removed."""
    for attempt in range(_TRIES):
        try:
            with transaction.atomic():
                change()
        except OwnRowsAppeared:
            if attempt == _TRIES - 1:
                raise
        else:
            return


class _Ending:
    def __init__(self, flow: Flow, former: Flow | None = None) -> None:
        self.flow = flow
        # Under which wording the rows came: it knows the way from them to their roots.
        self.former = former or flow
        self.others = other_flows(flow)

    def clear(self) -> None:
        with self._as_the_mirror() as cursor:
            plan = self._plan(cursor, only_advice=roles.shares_only_models(self.flow.version.private))
            for share in self.flow.shares.values():
                if share.kind.function == Function.MODELS:
                    self._leave(cursor, plan, share.kind, self._ours(share.kind))
            self._leave_with_mandates_never_accepted(cursor, plan)
            for share in self.flow.shares.values():
                self._leave(cursor, plan, share.kind, left_behind(self.flow, share.kind, self.others))
            seal_again(cursor, self.flow, plan)
            self._carry_out(cursor, plan)
            pk, sealed = new_id(), 0
            for share in self.flow.shares.values():
                self._note(cursor, share.kind, pk)
            for share in reversed(self.flow.shares.values()):
                sealed += self._seal(cursor, share.kind)
                # What another agreement covers stays as that one shows it.
                left_out = left_out_by_some(share.kind, share.fields, self.others)
                self._blank(cursor, share.kind, left_out, held_by(share.kind, self.others))
            drop_grants_on_sealed(cursor, self.flow)
            self._forget(cursor)
        if sealed:
            self._keep_until(pk)
        else:
            SealedKeys.objects.filter(sealed=pk).delete()

    def _keep_until(self, pk: uuid.UUID) -> None:
        agreement = self.flow.agreement
        sealed_at = agreement.ended_at or timezone.now()
        SealedRecords.objects.create(
            pk=pk,
            agreement=agreement,
            owner=self.flow.owner,
            receiver=self.flow.receiver,
            sealed_at=sealed_at,
            retain_until=years_later(sealed_at.date(), self.flow.version.retention_years),
        )

    def narrow(self, before: Container[str]) -> None:
        with self._as_the_mirror() as cursor:
            plan = self._plan(cursor)
            for kind in in_scope_order():
                if kind.function is None or kind.label not in before:
                    continue
                share = self.flow.shares.get(kind.label)
                if share is None:
                    if self.former.is_owners(kind):
                        self._leave(cursor, plan, kind, self._ours(kind))
                    self._leave(cursor, plan, kind, left_behind(self.former, kind, self.others))
                    left_out = left_out_by_some(kind, kind.shared_fields, self.others)
                    self._blank(cursor, kind, left_out, held_by(kind, self.others))
                    continue
                gone = [name for name in kind.shared_fields if name not in share.fields]
                # Answers stay when their agreement ends, with what it shared.
                alive = (
                    held_by(kind, self.others) if kind.label in ANSWERS else sql.SQL("t.retired_at IS NULL")
                )
                here = sql.SQL("t.origin = {} AND ({} OR {})").format(
                    sql.Literal(self.flow.owner.pk), alive, self.former.received(kind, "t")
                )
                self._blank(cursor, kind, gone, here)
            seal_again(cursor, self.flow, plan)
            self._carry_out(cursor, plan)
            self._forget(cursor)

    def _blank(self, cursor: Any, kind: Kind, fields: Sequence[str], rows: sql.Composable) -> None:
        if fields:
            blank_what_is_left_out(cursor, self.flow, kind, rows, fields, self.others)

    def _as_the_mirror(self) -> Any:
        prepare_connection()
        return connection.cursor()

    def _plan(self, cursor: Any, *, only_advice: bool = False) -> Plan:
        become_the_mirror(cursor, only_advice=only_advice)
        return Plan(cursor, self.flow, Keys(cursor))

    def _forget(self, cursor: Any) -> None:
        """Give the caller's transaction back as it was."""
        cursor.execute("DELETE FROM pg_temp.mirror_plan")
        stop_being_the_mirror(cursor)

    def _ours(self, kind: Kind) -> sql.Composable:
        """Return the condition for: a row at the receiver that this agreement alone has brought."""
        return sql.SQL("{} AND NOT {}").format(self.former.received(kind, "t"), held_by(kind, self.others))

    def _leave(self, cursor: Any, plan: Plan, kind: Kind, where: sql.Composable) -> None:
        self._execute(
            cursor,
            "INSERT INTO pg_temp.mirror_plan (kind, id, action, moved)"
            " SELECT {kind}, t.id, 'delete', false FROM {target}.{table} t WHERE {where}",
            kind,
            where=where,
        )
        plan.counts.setdefault(kind.label, type(plan).no_counts())[DELETE] += cursor.rowcount

    def _leave_with_mandates_never_accepted(self, cursor: Any, plan: Plan) -> None:
        if MANDATE not in self.flow.shares:
            return
        never = sql.SQL(
            " AND NOT EXISTS (SELECT 1 FROM {target}.clients_mandatedecision x WHERE x.mandate_id = t.id"
            " AND x.outcome IN " + KEPT_ONCE + ")"
        ).format(target=self.flow.target)
        self._leave(cursor, plan, by_label()[MANDATE], self._ours(by_label()[MANDATE]) + never)
        planned = "SELECT id FROM pg_temp.mirror_plan WHERE action = 'delete' AND kind = "
        owner = sql.Literal(self.flow.owner.pk)
        if CLIENT in self.flow.shares:
            alone = sql.SQL(
                "t.origin = {owner} AND t.id IN (SELECT m.client_id FROM {target}.clients_mandate m"
                " WHERE m.id IN (" + planned + "{mandate}))"
                " AND NOT EXISTS (SELECT 1 FROM {target}.clients_mandate m WHERE m.client_id = t.id"
                " AND m.id NOT IN (" + planned + "{mandate}))"
            ).format(owner=owner, target=self.flow.target, mandate=sql.Literal(MANDATE))
            self._leave(cursor, plan, by_label()[CLIENT], alone)
        for kind in in_scope_order():
            parent = parent_of(kind)
            if kind.label in self.flow.shares and parent is not None and plan.actions(parent.label, DELETE):
                if kind.function == Function.MODELS:
                    continue
                hanging = sql.SQL("t.origin = {} AND t.{} IN (" + planned + "{})").format(
                    owner, sql.Identifier(kind.column(kind.via)), sql.Literal(parent.label)
                )
                self._leave(cursor, plan, kind, hanging)

    def _carry_out(self, cursor: Any, plan: Plan) -> None:
        writer = Writer(cursor, plan)
        writer.delete_only([kind.label for kind in reversed(in_foreign_key_order())])
        look_again(self.flow, writer.deleted)

    def _note(self, cursor: Any, kind: Kind, pk: uuid.UUID) -> None:
        """Write down which rows of a kind are there now, also those that another agreement holds too."""
        if not is_sealed(kind):
            return
        self._execute(
            cursor,
            "INSERT INTO public.federation_sealedkeys (sealed_id, kind, keys)"
            " SELECT {sealed}, {kind}, array_agg(t.id) FROM {target}.{table} t WHERE {stands} HAVING count(*) > 0",
            kind,
            sealed=sql.Literal(pk),
            stands=self.flow.stands(kind, "t"),
        )

    def _seal(self, cursor: Any, kind: Kind) -> int:
        if not is_sealed(kind):
            return 0
        self._execute(
            cursor,
            "UPDATE {target}.{table} t SET retired_at = statement_timestamp()"
            " WHERE t.retired_at IS NULL AND {ours}",
            kind,
            ours=self._ours(kind),
        )
        return int(cursor.rowcount)

    def _execute(self, cursor: Any, statement: str, kind: Kind, **parts: Any) -> None:
        cursor.execute(
            sql.SQL(statement).format(
                target=self.flow.target,
                table=sql.Identifier(kind.table),
                kind=sql.Literal(kind.label),
                **parts,
            )
        )
