"""Erase what a receiver kept sealed, once it need not be kept any more."""

import datetime
import uuid
from collections.abc import Sequence
from typing import Any

from django.db import connection, transaction
from django.utils import timezone
from psycopg import sql

from federation.mirror.acting import become_the_mirror, stop_being_the_mirror
from federation.mirror.ending import CLIENT, is_sealed
from federation.mirror.keys import Keys, prepare_connection
from federation.mirror.plan import DELETE, Plan
from federation.mirror.proving import look_again
from federation.mirror.write import Writer
from federation.models import RecordsHold, SealedErasure, SealedRecords
from federation.scope import Flow, Kind, in_foreign_key_order, in_scope_order, parent_of

CHUNK = 100


def erase(sealed: SealedRecords, *, today: datetime.date, chunk: int = CHUNK) -> int | None:
    """Erase one chunk of a set that is due, by mandates, in the caller's transaction; None once it has been through.

    When what was kept of each was erased is written down. Rows that own rows still name stay as blanked stubs. What is held stays, and so does whatever another
    agreement brought as well. Where a pass has left something held, the set is not marked as erased.
    """
    prepare_connection()
    with transaction.atomic(), connection.cursor() as cursor:
        locked = (
            SealedRecords.objects.select_for_update(of=("self",), skip_locked=True)
            .due(today)
            .select_related("agreement__manager", "agreement__channel", "agreement__version", "owner")
            .filter(pk=sealed.pk)
            .first()
        )
        if locked is None:
            return None
        flow = Flow.of(locked.agreement, locked.agreement.side_of(locked.owner))
        # A hold that is placed now waits for the set's row, and finds what is gone already.
        held = list(
            RecordsHold.objects.in_force(today).filter(sealed=locked).values_list("mandate", flat=True)
        )
        mandates = _next_mandates(cursor, flow, locked.erase_after, chunk)
        if not mandates:
            locked.erase_after = None
            locked.erased_at = None if held else timezone.now()
            locked.save(update_fields=["erase_after", "erased_at"])
            if not held:
                locked.keys.all().delete()
            return None
        due = [pk for pk in mandates if pk not in held]
        erased = _Erasure(cursor, flow).erase(due)
        # Where stubs stay, the next pass finds them again.
        SealedErasure.objects.bulk_create(
            (SealedErasure(sealed=locked, mandate=pk) for pk in due), ignore_conflicts=True
        )
        locked.erase_after = mandates[-1]
        locked.rows_erased += erased
        locked.save(update_fields=["erase_after", "rows_erased"])
        return erased


def _next_mandates(cursor: Any, flow: Flow, after: uuid.UUID | None, limit: int) -> list[uuid.UUID]:
    cursor.execute(
        sql.SQL(
            "SELECT id FROM {target}.clients_mandate WHERE agreement = {agreement} AND ({after} IS NULL OR id > {after})"
            " ORDER BY id LIMIT {limit}"
        ).format(
            target=flow.target,
            agreement=sql.Literal(flow.agreement.pk),
            after=sql.SQL("{}::uuid").format(sql.Literal(after)),
            limit=sql.Literal(limit),
        )
    )
    return [row[0] for row in cursor.fetchall()]


class _Erasure:
    """Plans and carries out the erasure of what was received of some mandates."""

    def __init__(self, cursor: Any, flow: Flow) -> None:
        self.cursor = cursor
        self.flow = flow

    def erase(self, mandates: Sequence[uuid.UUID]) -> int:
        if not mandates:
            return 0
        become_the_mirror(self.cursor)
        plan = Plan(self.cursor, self.flow, Keys(self.cursor))
        for kind in in_scope_order():
            if kind.label in self.flow.shares and is_sealed(kind):
                self._plan(plan, kind, mandates)
        writer = Writer(self.cursor, plan)
        writer.delete_only([kind.label for kind in reversed(in_foreign_key_order())])
        look_again(self.flow, writer.deleted)
        self.cursor.execute("DELETE FROM pg_temp.mirror_plan")
        stop_being_the_mirror(self.cursor)
        return writer.written.rows

    def _plan(self, plan: Plan, kind: Kind, mandates: Sequence[uuid.UUID]) -> None:
        if kind.label == CLIENT:
            # A client that another mandate brought, under whatever agreement, goes with that one.
            where = sql.SQL(
                "{received} AND NOT EXISTS (SELECT 1 FROM {target}.clients_mandate m WHERE m.client_id = t.id"
                " AND NOT m.id = ANY({mandates}))"
            ).format(
                received=self.flow.received(kind, "t", mandates),
                target=self.flow.target,
                mandates=sql.Literal(list(mandates)),
            )
        elif self._hangs_off_client(kind):
            parent = parent_of(kind)
            assert parent is not None
            where = sql.SQL(
                "t.origin = {owner} AND t.{via} IN"
                " (SELECT id FROM pg_temp.mirror_plan WHERE kind = {parent} AND action = 'delete')"
            ).format(
                owner=sql.Literal(self.flow.owner.pk),
                via=sql.Identifier(kind.column(kind.via)),
                parent=sql.Literal(parent.label),
            )
        else:
            where = self.flow.received(kind, "t", mandates)
        self.cursor.execute(
            sql.SQL(
                "INSERT INTO pg_temp.mirror_plan (kind, id, action, moved)"
                " SELECT {kind}, t.id, 'delete', false FROM {target}.{table} t"
                # Under lock: a batch of another agreement, to which it comes alive meanwhile, waits or is seen.
                " WHERE t.retired_at IS NOT NULL AND {where} FOR UPDATE OF t"
            ).format(
                kind=sql.Literal(kind.label),
                target=self.flow.target,
                table=sql.Identifier(kind.table),
                where=where,
            )
        )
        plan.counts.setdefault(kind.label, type(plan).no_counts())[DELETE] += self.cursor.rowcount

    def _hangs_off_client(self, kind: Kind) -> bool:
        step: Kind | None = kind
        while step is not None and step.label != CLIENT:
            step = parent_of(step)
        return step is not None
