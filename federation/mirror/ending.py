"""What remains at a receiver when an agreement ends or shares less."""

from typing import Any

from django.db import connection
from psycopg import sql

from federation.mirror.batch import become_the_mirror, stop_being_the_mirror
from federation.mirror.keys import Keys, prepare_connection
from federation.mirror.plan import DELETE, Plan
from federation.mirror.write import Writer, blank
from federation.models import Agreement, Function
from federation.scope import Flow, Kind, by_label, in_foreign_key_order, in_scope_order, parent_of

# Answers to the receiver's own records: they stay beside what they answer.
_ANSWERS = {"clients.MandateDecision", "clients.InstructionOutcome", "reporting.ReportRelease"}
_CLIENT, _MANDATE = "clients.Client", "clients.Mandate"
_KEPT_ONCE = "('accepted', 'active', 'closing', 'closed')"


def clear(flow: Flow) -> None:
    """Purge models and mandates never accepted at the receiver; seal its other rows of the owner's.

    Rows that another live agreement between the same two covers stay as they are. Runs in the
    caller's transaction, after its lock on the agreement.
    """
    _Ending(flow).clear()


def narrow(flow: Flow) -> None:
    """Remove from the receiver the kinds that are no longer shared, and blank fields that are not."""
    _Ending(flow).narrow()


class _Ending:
    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.others = [
            Flow.of(other, flow.side)
            for other in Agreement.objects.select_related("manager", "channel", "version").filter(
                manager=flow.agreement.manager_id,
                channel=flow.agreement.channel_id,
                state__in=[Agreement.State.ACTIVE, Agreement.State.WINDING_DOWN],
            )
            if other.pk != flow.agreement.pk
        ]

    def clear(self) -> None:
        with self._as_the_mirror() as cursor:
            plan = self._plan(cursor)
            for share in self.flow.shares.values():
                if share.kind.function == Function.MODELS:
                    self._leave(cursor, plan, share.kind, self._ours(share.kind))
            self._leave_with_mandates_never_accepted(cursor, plan)
            self._carry_out(cursor, plan)
            for share in reversed(self.flow.shares.values()):
                self._seal(cursor, share.kind)
            self._forget(cursor)

    def narrow(self) -> None:
        with self._as_the_mirror() as cursor:
            plan = self._plan(cursor)
            for kind in in_scope_order():
                if kind.function is None or not self.flow.is_owners(kind):
                    continue
                share = self.flow.shares.get(kind.label)
                if share is None:
                    self._leave(cursor, plan, kind, self._ours(kind))
                    continue
                gone = [name for name in kind.shared_fields if name not in share.fields]
                if gone:
                    self._execute(
                        cursor,
                        "UPDATE {target}.{table} t SET {blanked} WHERE {ours}",
                        kind,
                        blanked=sql.SQL(", ").join(
                            sql.SQL("{} = {}").format(
                                sql.Identifier(kind.column(name)), blank(kind.field(name))
                            )
                            for name in gone
                        ),
                        ours=self._ours(kind),
                    )
            self._carry_out(cursor, plan)
            self._forget(cursor)

    def _as_the_mirror(self) -> Any:
        prepare_connection()
        return connection.cursor()

    def _plan(self, cursor: Any) -> Plan:
        become_the_mirror(cursor)
        return Plan(cursor, self.flow, Keys(cursor))

    def _forget(self, cursor: Any) -> None:
        """Give the caller's transaction back as it was."""
        cursor.execute("DELETE FROM pg_temp.mirror_plan")
        stop_being_the_mirror(cursor)

    def _ours(self, kind: Kind) -> sql.Composable:
        """Return the condition for: a row at the receiver that this agreement alone has brought."""
        mine = self.flow.received(kind, "t")
        elsewhere = [
            sql.SQL(" AND NOT ({})").format(other.received(kind, "t"))
            for other in self.others
            if kind.label in other.shares
        ]
        return sql.SQL("").join([mine, *elsewhere])

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
        if _MANDATE not in self.flow.shares:
            return
        never = sql.SQL(
            " AND NOT EXISTS (SELECT 1 FROM {target}.clients_mandatedecision x WHERE x.mandate_id = t.id"
            " AND x.outcome IN " + _KEPT_ONCE + ")"
        ).format(target=self.flow.target)
        self._leave(cursor, plan, by_label()[_MANDATE], self._ours(by_label()[_MANDATE]) + never)
        planned = "SELECT id FROM pg_temp.mirror_plan WHERE action = 'delete' AND kind = "
        owner = sql.Literal(self.flow.owner.pk)
        if _CLIENT in self.flow.shares:
            alone = sql.SQL(
                "t.origin = {owner} AND t.id IN (SELECT m.client_id FROM {target}.clients_mandate m"
                " WHERE m.id IN (" + planned + "{mandate}))"
                " AND NOT EXISTS (SELECT 1 FROM {target}.clients_mandate m WHERE m.client_id = t.id"
                " AND m.id NOT IN (" + planned + "{mandate}))"
            ).format(owner=owner, target=self.flow.target, mandate=sql.Literal(_MANDATE))
            self._leave(cursor, plan, by_label()[_CLIENT], alone)
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
        Writer(cursor, plan).delete_only([kind.label for kind in reversed(in_foreign_key_order())])

    def _seal(self, cursor: Any, kind: Kind) -> None:
        if kind.function in {None, Function.MODELS} or kind.label in _ANSWERS:
            return
        self._execute(
            cursor,
            "UPDATE {target}.{table} t SET retired_at = statement_timestamp()"
            " WHERE t.retired_at IS NULL AND {ours}",
            kind,
            ours=self._ours(kind),
        )

    def _execute(self, cursor: Any, statement: str, kind: Kind, **parts: Any) -> None:
        cursor.execute(
            sql.SQL(statement).format(
                target=self.flow.target,
                table=sql.Identifier(kind.table),
                kind=sql.Literal(kind.label),
                **parts,
            )
        )
