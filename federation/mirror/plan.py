"""What a batch has to do to each row, found by comparing both schemas under one snapshot."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from psycopg import sql

from federation.mirror.capture import ANYTHING
from federation.mirror.columns import alternate_key, named_columns, path_fields
from federation.mirror.elsewhere import is_anothers
from federation.mirror.keys import ANALYSE_FROM, WITH_BRANCHES, Keys
from federation.scope import Flow, Kind, Share, branches, by_label, in_scope_order, kind_of

INSERT, UPDATE, REPLACE, DELETE, FOREIGN = "insert", "update", "replace", "delete", "foreign"
# An update after which the row names something else than before.
RELINK = "relink"
# Nothing to write, but what hangs off the row is looked at.
SAME = "same"
# Neither shared nor there, perhaps since another agreement's stream took it away: what it names is looked at.
GONE = "gone"

# So many keys tell whether most of a kind are new to the receiver.
_SAMPLE = 100
# Stays for history, since rows of the receiver's own name it.
RETIRE = "retire"


class Plan:
    """The actions of one batch, in a temporary table; ``counts`` has them by kind.

    Rows of a kind in ``direct`` that are not at the receiver are inserted without being planned: they
    are those of the keys that are in scope and not there yet. That is so for many rows of which
    nobody needs to know one by one; ``is_exact`` plans them all. ``beneath`` has for kinds with many
    rows below rows that came or moved the condition under which a row ``s`` of the owner's is one of
    these: those that are not at the receiver are not even among the keys, but with ``by_keys``.
    ``others`` is what the same two share under their other agreements in force.
    """

    def __init__(
        self,
        cursor: Any,
        flow: Flow,
        keys: Keys,
        *,
        excluded: Iterable[tuple[str, Any]] = (),
        is_exact: bool = False,
        by_keys: bool = False,
        others: Sequence[Flow] = (),
    ) -> None:
        self._cursor = cursor
        self.flow = flow
        self.others = others
        self.keys = keys
        self.counts: dict[str, Counter[str]] = {}
        # The kinds with rows that something depends on and that came, went or moved.
        self.moved: set[str] = set()
        self.direct: set[str] = set()
        self.beneath: dict[str, sql.Composable] = {}
        self.excluded = tuple(excluded)
        self._is_exact = is_exact
        self._analysed = 0
        # What is tried again is known by its key.
        self._by_keys = is_exact or by_keys or keys.has_parked

    def build(self) -> None:
        """Decide on every key, and on what is in or out of scope because of it."""
        self._wake()
        for kind in in_scope_order():
            if kind.label not in self.keys.kinds:
                continue
            self.keys.analyse()
            share = self.flow.shares.get(kind.label)
            expands = share is None
            if share is not None:
                expands = self._classify(share)
            if expands:
                self._analyse()
                self._expand(kind)
        self._analyse()

    def _analyse(self) -> None:
        """Let the planner know how much there is to do, where that has changed much."""
        planned = sum(counts.total() for counts in self.counts.values())
        if planned >= ANALYSE_FROM and planned >= 2 * self._analysed:
            self._cursor.execute("ANALYZE pg_temp.mirror_plan")
            self._analysed = planned

    def classify(self, share: Share) -> None:
        """Decide on the keys of one kind alone."""
        self.keys.analyse()
        self._classify(share)

    def actions(self, label: str, *actions: str) -> int:
        """Return how many rows of a kind have one of these actions."""
        counts = self.counts.get(label)
        return sum(counts[action] for action in actions) if counts else 0

    def ids(self, label: str, *actions: str) -> list[Any]:
        """Return the ids of the rows of a kind that have one of these actions."""
        if not self.actions(label, *actions):
            return []
        self._cursor.execute(
            "SELECT id FROM pg_temp.mirror_plan WHERE kind = %s AND action = ANY(%s)", [label, list(actions)]
        )
        return [row[0] for row in self._cursor.fetchall()]

    @staticmethod
    def no_counts() -> Counter[str]:
        """Return the counts of a kind without rows."""
        return Counter()

    def drop(self, label: str, ids: list[Any], actions: Iterable[str]) -> None:
        """Take rows out of the plan."""
        self._cursor.execute(
            "DELETE FROM pg_temp.mirror_plan WHERE kind = %s AND id = ANY(%s) AND action = ANY(%s)",
            [label, ids, list(actions)],
        )

    def forget(self, labels: list[str]) -> None:
        """Take kinds that have been written out of the plan."""
        self._cursor.execute("DELETE FROM pg_temp.mirror_plan WHERE kind = ANY(%s)", [labels])
        for label in labels:
            self.counts.pop(label, None)

    def _wake(self) -> None:
        """Look again at rows whose condition asks for what has changed."""
        for label in [label for label in self.keys.kinds if by_label()[label].wakes]:
            kind = by_label()[label]
            woken = kind_of(kind.named_by(kind.wakes))
            if woken is None or woken.label not in self.flow.listens:
                continue
            self.keys.add(
                woken.label,
                sql.SQL(
                    "SELECT t.{column} AS id FROM {schema}.{table} t JOIN pg_temp.mirror_keys k ON k.id = t.id"
                    " WHERE k.kind = {kind} AND t.{column} IS NOT NULL"
                ).format(
                    column=sql.Identifier(kind.column(kind.wakes)),
                    schema=self.flow.source,
                    table=sql.Identifier(kind.table),
                    kind=sql.Literal(label),
                ),
            )

    def _classify(self, share: Share) -> bool:
        """Plan the rows of one kind; say whether others are in or out of scope because of them."""
        kind = share.kind
        is_direct = kind.label in self.beneath or self._is_direct(kind)
        if is_direct:
            self.direct.add(kind.label)
        come_once = self.keys.come_once(kind.label)
        # Composing it takes longer than planning it: once for each flow will do.
        key = (kind.label, is_direct, come_once, *(other.version.pk for other in self.others))
        known = self.flow.statements.get(key)
        if known is None:
            composed = self._classification(share, is_direct=is_direct, come_once=come_once)
            known = self.flow.statements[key] = composed.as_string(self._cursor)
        self._cursor.execute(known)
        counts: Counter[str] = Counter()
        expands = False
        for action, count, moved in self._cursor.fetchall():
            counts[action] += count
            expands = expands or moved or action == GONE
        self.counts[kind.label] = counts
        if expands and counts.total() > counts[GONE]:
            self.moved.add(kind.label)
        for label, key in self.excluded:
            if label == kind.label:
                self.drop(label, [key], [INSERT, UPDATE, RELINK, REPLACE])
        return expands

    def _classification(self, share: Share, *, is_direct: bool, come_once: bool) -> sql.Composed:
        """Return the statement that plans the rows of one kind, and counts them by action."""
        kind, flow = share.kind, self.flow
        alternate = [kind.column(name) for name in alternate_key(kind.label) if name in share.fields]
        steps = [kind.column(name) for name in path_fields(kind.label) if name in share.fields]
        # Names and days come first, and hardly ever change: the first difference ends the comparison.
        differs = _differs([name for name in share.columns if name != "id"][::-1])
        moved = self._moved(kind, steps)
        return sql.SQL(
            """
            WITH k AS (
                SELECT id, {operations} AS operations FROM pg_temp.mirror_keys WHERE kind = {kind}{each}
            ), planned AS (
                INSERT INTO pg_temp.mirror_plan (kind, id, action, moved)
                SELECT {kind}, k.id,
                    CASE
                        WHEN w.id IS NULL THEN CASE WHEN {elsewhere} THEN 'gone' ELSE 'delete' END
                        WHEN d.id IS NULL THEN 'insert'
                        WHEN d.origin IS DISTINCT FROM {owner} THEN 'foreign'
                        WHEN {replaced} THEN 'replace'
                        WHEN {relinked} THEN 'relink'
                        WHEN {same} THEN 'same'
                        ELSE 'update'
                    END,
                    {moved}
                FROM k
                {join} {target}.{table} d ON d.id = k.id
                LEFT JOIN (SELECT {columns} FROM {source}.{table} t WHERE {in_scope}) w ON w.id = k.id
                WHERE CASE
                    WHEN w.id IS NULL AND {elsewhere} THEN {names_what_it_shares}
                    WHEN w.id IS NULL THEN d.origin = {owner} AND d.retired_at IS NULL
                    ELSE d.id IS NULL OR d.origin IS DISTINCT FROM {owner} OR d.retired_at IS NOT NULL
                        OR {differs} OR {moved}
                END
                RETURNING action, moved
            )
            SELECT action, count(*), bool_or(moved) FROM planned GROUP BY action
            """
        ).format(
            kind=sql.Literal(kind.label),
            operations=sql.SQL("operations" if come_once else "bit_or(operations)"),
            each=sql.SQL("" if come_once else " GROUP BY id"),
            columns=sql.SQL(", ").join(sql.Identifier("t", name) for name in share.columns),
            source=flow.source,
            target=flow.target,
            table=sql.Identifier(kind.table),
            in_scope=flow.in_scope(kind, "t"),
            owner=sql.Literal(flow.owner.pk),
            join=sql.SQL("JOIN" if is_direct else "LEFT JOIN"),
            replaced=_differs(alternate),
            relinked=_differs(named_columns(share)),
            elsewhere=self._is_elsewhere(kind),
            names_what_it_shares=sql.Literal(any(step.is_up for step in branches(kind.label))),
            differs=differs,
            # Rows that nothing hangs off are here only because they differ.
            same=sql.SQL("d.retired_at IS NULL AND NOT ({})").format(differs)
            if branches(kind.label)
            else sql.SQL("false"),
            moved=moved,
        )

    def _is_direct(self, kind: Kind) -> bool:
        """Say whether inserts of a kind can go unplanned and most of the keys look as if they were inserts."""
        if self._is_exact or self.keys.count < ANALYSE_FROM or not self._may_go_unplanned(kind):
            return False
        keys = sql.SQL("SELECT id FROM pg_temp.mirror_keys WHERE kind = {}").format(sql.Literal(kind.label))
        return self._look_new(kind, keys)

    def _look_new(self, kind: Kind, rows: sql.Composable) -> bool:
        """Say whether the first of the ids that a query gives are many, and most of them not at the receiver."""
        self._cursor.execute(
            sql.SQL(
                "SELECT count(*), count(d.id) FROM (SELECT id FROM ({}) rows LIMIT {}) k LEFT JOIN {}.{} d ON d.id = k.id"
            ).format(rows, sql.Literal(_SAMPLE), self.flow.target, sql.Identifier(kind.table))
        )
        looked_at, there = self._cursor.fetchone()
        return bool(looked_at == _SAMPLE and there * 2 < looked_at)

    def _may_go_unplanned(self, kind: Kind) -> bool:
        return not (branches(kind.label) or kind.wakes or self.flow.announces(kind))

    def _moved(self, kind: Kind, steps: list[str]) -> sql.Composable:
        """Return the expression for: what hangs off this row enters, leaves, or hangs elsewhere now."""
        if not branches(kind.label):
            return sql.SQL("false")
        return sql.SQL(
            "(w.id IS NOT NULL OR NOT {elsewhere}) AND (w.id IS NULL OR d.id IS NULL OR d.retired_at IS NOT NULL"
            " OR k.operations & {forced} > 0 OR {differs})"
        ).format(
            elsewhere=self._is_elsewhere(kind), forced=sql.Literal(WITH_BRANCHES), differs=_differs(steps)
        )

    def _is_elsewhere(self, kind: Kind) -> sql.Composable:
        """Return the condition under which a row is not at the receiver, or is there under another agreement.

        That one's stream takes it away: it alone knows all that hangs off it.
        """
        there: sql.Composable | None = is_anothers(self.flow, self.others, kind)
        if kind.root:
            there = sql.SQL("d.{} IS DISTINCT FROM {}").format(
                sql.Identifier(kind.column(kind.root)), sql.Literal(self.flow.agreement.pk)
            )
        return sql.SQL("(d.id IS NULL OR {})").format(there) if there else sql.SQL("d.id IS NULL")

    def _expand(self, kind: Kind) -> None:
        """Add the keys of what is in scope because of the rows of this kind."""
        for step in branches(kind.label):
            if step.kind.label not in self.flow.listens:
                continue
            if kind.label not in self.flow.shares:
                those = sql.SQL("SELECT id FROM pg_temp.mirror_keys WHERE kind = {}")
            elif step.is_up:
                those = sql.SQL(
                    "SELECT id FROM pg_temp.mirror_plan WHERE kind = {} AND (moved OR action = 'gone')"
                )
            else:
                those = sql.SQL("SELECT id FROM pg_temp.mirror_plan WHERE kind = {} AND moved")
            rows = those.format(sql.Literal(kind.label))
            if step.is_up:
                found = self._up(kind, step.field, rows)
            elif self._may_go_by_parent(step.kind):
                found = self._down(step.kind, step.field, rows)
                if self.keys.add_few(step.kind.label, found):
                    continue
                if self._look_new(step.kind, found):
                    self.beneath[step.kind.label] = sql.SQL("s.{} IN ({})").format(
                        sql.Identifier(step.kind.column(step.field)), rows
                    )
                    found = self._down(step.kind, step.field, rows, only_there=True)
            else:
                found = self._down(step.kind, step.field, rows)
            self.keys.add(step.kind.label, found, ANYTHING | WITH_BRANCHES)

    def _may_go_by_parent(self, child: Kind) -> bool:
        return not self._by_keys and child.label in self.flow.shares and self._may_go_unplanned(child)

    def _down(
        self, child: Kind, field: str, rows: sql.Composable, *, only_there: bool = False
    ) -> sql.Composable:
        """Return the children in the owner's schema and those that the receiver has of them.

        With ``only_there`` those alone that the receiver has, there or under another row.
        """
        is_owners = self.flow.is_owners(child)
        parts = {
            "source": self.flow.source,
            "target": self.flow.target,
            "table": sql.Identifier(child.table),
            "column": sql.Identifier(child.column(field)),
            "rows": rows,
            "owner": sql.Literal(self.flow.owner.pk),
            "whose": self._whose(child, is_owners=is_owners),
            "there": sql.SQL(" JOIN {}.{} d ON d.id = c.id").format(
                self.flow.target, sql.Identifier(child.table)
            )
            if only_there
            else sql.SQL(""),
        }
        query = "SELECT c.id FROM {source}.{table} c{there} WHERE c.{column} IN ({rows}) AND {whose}"
        if is_owners:
            query += " UNION ALL SELECT c.id FROM {target}.{table} c WHERE c.{column} IN ({rows}) AND c.origin = {owner}"
        return sql.SQL(query).format(**parts)

    def _whose(self, child: Kind, *, is_owners: bool) -> sql.Composable:
        """Return the condition on children in the owner's schema: whose they are."""
        if not is_owners:
            return sql.SQL("c.origin = {}").format(sql.Literal(self.flow.receiver.pk))
        if child.function is None:
            # A source knows far more prices than those of the securities that are shared.
            return self.flow.in_scope(child, "c")
        return sql.SQL("c.origin IS NULL")

    def _up(self, kind: Kind, field: str, rows: sql.Composable) -> sql.Composable:
        """Return what the rows name, in the owner's schema now and at the receiver before."""
        return sql.SQL(
            "SELECT c.{column} AS id FROM {source}.{table} c WHERE c.id IN ({rows}) AND c.{column} IS NOT NULL"
            " UNION SELECT c.{column} FROM {target}.{table} c WHERE c.id IN ({rows}) AND c.{column} IS NOT NULL"
        ).format(
            source=self.flow.source,
            target=self.flow.target,
            table=sql.Identifier(kind.table),
            column=sql.Identifier(kind.column(field)),
            rows=rows,
        )


def _differs(columns: Sequence[str]) -> sql.Composable:
    """Return the condition under which the receiver's row differs in one of these columns."""
    if not columns:
        return sql.SQL("false")
    return sql.SQL("({theirs}) IS DISTINCT FROM ({ours})").format(
        theirs=sql.SQL(", ").join(sql.Identifier("d", name) for name in columns),
        ours=sql.SQL(", ").join(sql.Identifier("w", name) for name in columns),
    )
