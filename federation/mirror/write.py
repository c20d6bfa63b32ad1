"""Carry a plan out in the receiver's schema: delete, update, insert."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from django.db import DataError, IntegrityError, connection, models, transaction
from django.utils import timezone
from psycopg import sql
from psycopg.types.json import Jsonb

from federation.mirror.columns import named_columns
from federation.mirror.failpoints import failpoint
from federation.mirror.plan import DELETE, INSERT, RELINK, REPLACE, RETIRE, UPDATE, Plan
from federation.mirror.references import named
from federation.mirror.refusals import RowsRefused, reason_of
from federation.models import RecordsHold
from federation.scope import Flow, Kind, Share, by_label, in_foreign_key_order, kind_of

_SECURITY = "portfolios.Security"


_UPDATE = (
    "UPDATE {target}.{table} d SET {set}, retired_at = NULL"
    " FROM pg_temp.mirror_plan p JOIN {source}.{table} s ON s.id = p.id"
    " WHERE p.kind = {kind} AND p.action = {action}{only} AND d.id = p.id AND d.origin = {owner}"
)


@dataclass
class Written:
    """What was written: rows by kind, and what they name."""

    rows: int = 0
    named: dict[tuple[str, str], set[Any]] = field(default_factory=dict)
    securities: set[Any] = field(default_factory=set)
    currencies: set[str] = field(default_factory=set)


def blank(of: Any) -> sql.Composable:
    """Return what stands in a column that is not shared, or no longer: null, nothing, or the default."""
    if of.null:
        return sql.SQL("NULL")
    if of.has_default():
        value = of.get_default()
    elif isinstance(of, models.BooleanField):
        value = False
    elif of.empty_strings_allowed:
        value = ""
    else:
        raise ValueError(f"{of.model._meta.label}.{of.name} can not be left out")
    prepared = of.get_db_prep_save(value, connection)
    return sql.Literal(Jsonb(value) if isinstance(of, models.JSONField) else prepared)


@cache
def _unshared(share: Share) -> tuple[tuple[str, sql.Composable], ...]:
    """Return the columns that have to be filled although they are not shared."""
    columns = set(share.columns) | {"origin", "retired_at"}
    return tuple(
        (str(of.column), blank(of))
        for of in share.kind.model._meta.concrete_fields
        if of.column not in columns and not of.null
    )


class Writer:
    """Writes the rows of a plan. ``careful`` isolates the rows that the database refuses, one by one."""

    def __init__(self, cursor: Any, plan: Plan, *, careful: bool = False) -> None:
        self._cursor = cursor
        self.plan = plan
        self.flow: Flow = plan.flow
        self.careful = careful
        self.written = Written()
        self.refused: dict[tuple[str, Any], str] = {}
        self.deleted: dict[str, list[Any]] = {}

    def write(self) -> None:
        """Delete what left, then update, then insert."""
        shares = list(self.flow.shares.values())
        self.delete_only(kind.label for kind in reversed(in_foreign_key_order()))
        failpoint("mid_write")
        for share in shares:
            self._update_rows(share)
        for share in shares:
            self._insert_rows(share)

    def write_only(self, share: Share) -> None:
        """Update and insert the rows of one kind."""
        self._update_rows(share)
        self._insert_rows(share)

    def _update_rows(self, share: Share) -> None:
        if self.plan.actions(share.kind.label, UPDATE):
            self._careful(share, [UPDATE], self._update)
        if self.plan.actions(share.kind.label, RELINK):
            self._careful(share, [RELINK], self._relink)

    def _insert_rows(self, share: Share) -> None:
        label = share.kind.label
        if label in self.plan.beneath:
            before = self.written.rows
            self._insert_unplanned(share, self.plan.beneath[label])
            self.plan.keys.count += self.written.rows - before
        if label in self.plan.direct:
            keys = sql.SQL("s.id IN (SELECT id FROM pg_temp.mirror_keys WHERE kind = {})")
            self._insert_unplanned(share, keys.format(sql.Literal(label)))
        elif self.plan.actions(label, INSERT, REPLACE):
            self._careful(share, [INSERT, REPLACE], self._insert)

    def delete_only(self, labels: Iterable[str]) -> None:
        """Delete or retire the rows of these kinds, also of kinds that are not shared any more."""
        for label in labels:
            kind = by_label()[label]
            self._delete(self.flow.shares.get(label) or Share(kind, kind.shared_fields))

    # Leaving

    def _delete(self, share: Share) -> None:
        label = share.kind.label
        if not self.plan.actions(label, DELETE, REPLACE):
            return
        if self.plan.actions(label, DELETE):
            self._keep_what_is_named(share.kind)
            leaving = self.plan.ids(label, DELETE)
            if leaving:
                self.deleted[label] = leaving
            self._drop_grants(share.kind)
        self._execute(
            "DELETE FROM {target}.{table} d USING pg_temp.mirror_plan p"
            " WHERE p.kind = {kind} AND p.action IN ('delete', 'replace') AND d.id = p.id AND d.origin = {owner}",
            share.kind,
        )
        self.written.rows += self._cursor.rowcount

    def _keep_what_is_named(self, kind: Kind) -> None:
        """Retire the leaving rows that rows which stay still name, and blank what is personal in them.

        Also what another agreement alone shared: with the row it has left that one too.
        """
        leaving = sql.SQL(
            "ARRAY(SELECT id FROM pg_temp.mirror_plan WHERE kind = {} AND action = 'delete')"
        ).format(sql.Literal(kind.label))
        self._execute(
            "UPDATE pg_temp.mirror_plan p SET action = 'retire' WHERE p.kind = {kind} AND p.action = 'delete'"
            " AND p.id IN (SELECT {named})",
            kind,
            named=named(self.flow.target, kind.table, leaving),
        )
        retired = self._cursor.rowcount
        if not retired:
            return
        self.plan.counts[kind.label][DELETE] -= retired
        self.plan.counts[kind.label][RETIRE] += retired
        blanked: list[sql.Composable] = [
            sql.SQL("{} = {}").format(sql.Identifier(kind.column(name)), blank(kind.field(name)))
            for name in kind.personal_fields
        ]
        for key in Share(kind, kind.shared_fields).foreign_keys:
            target = kind_of(key.related_model)
            if not key.null or target is None or key.name in kind.personal_fields:
                continue
            if key.unique:
                # What it named may be named by another row now.
                blanked.append(sql.SQL("{} = NULL").format(sql.Identifier(key.column)))
            else:
                blanked.append(
                    sql.SQL(
                        "{column} = CASE WHEN EXISTS (SELECT 1 FROM pg_temp.mirror_plan o WHERE o.kind = {target}"
                        " AND o.action = 'delete' AND o.id = d.{column}) THEN NULL ELSE d.{column} END"
                    ).format(column=sql.Identifier(key.column), target=sql.Literal(target.label))
                )
        blanked.append(sql.SQL("retired_at = statement_timestamp()"))
        self._execute(
            "UPDATE {target}.{table} d SET {blanked} FROM pg_temp.mirror_plan p"
            " WHERE p.kind = {kind} AND p.action = 'retire' AND d.id = p.id AND d.origin = {owner}",
            kind,
            blanked=sql.SQL(", ").join(blanked),
        )
        self.written.rows += self._cursor.rowcount

    def _drop_grants(self, kind: Kind) -> None:
        """Take back single grants on rows that leave."""
        for table in ("guardian_userobjectpermission", "guardian_groupobjectpermission"):
            self._execute(
                "DELETE FROM {target}.{grants} g USING {target}.django_content_type c, pg_temp.mirror_plan p"
                " WHERE c.id = g.content_type_id AND c.app_label = {app} AND c.model = {model}"
                " AND p.kind = {kind} AND p.action IN ('delete', 'retire') AND g.object_pk = p.id::text",
                kind,
                grants=sql.Identifier(table),
                app=sql.Literal(kind.model._meta.app_label),
                model=sql.Literal(kind.model._meta.model_name),
            )

    # Coming and changing

    def _update(self, share: Share, only: sql.Composable) -> None:
        """Update rows that name what they named before: there is nothing to note or prove."""
        self._execute(_UPDATE, share.kind, **self._setting(share, UPDATE, only))
        self.written.rows += self._cursor.rowcount

    def _relink(self, share: Share, only: sql.Composable) -> None:
        self._returning(share, _UPDATE, **self._setting(share, RELINK, only))

    def _setting(self, share: Share, action: str, only: sql.Composable) -> dict[str, Any]:
        kind = share.kind
        names = [name for name in share.columns if name != "id"]
        settings = [sql.SQL("{0} = s.{0}").format(sql.Identifier(name)) for name in names]
        # What comes alive again shows nothing that only an agreement which has ended shared: whoever else
        # shares it brings it anew.
        settings += [
            sql.SQL("{0} = CASE WHEN d.retired_at IS NULL THEN d.{0} ELSE {1} END").format(
                sql.Identifier(kind.column(name)), blank(kind.field(name))
            )
            for name in kind.shared_fields
            if name not in share.fields
        ]
        return {
            "set": sql.SQL(", ").join(settings),
            "action": sql.Literal(action),
            "only": only,
        }

    def _insert(self, share: Share, only: sql.Composable) -> None:
        rows = (
            "pg_temp.mirror_plan p JOIN {source}.{table} s ON s.id = p.id"
            " WHERE p.kind = {kind} AND p.action IN ('insert', 'replace'){only}"
        )
        self._insert_from(share, rows, only=only)

    def _insert_unplanned(self, share: Share, which: sql.Composable) -> None:
        """Insert those of the owner's rows ``s`` that are in scope and not there, but for those that were refused."""
        refused = [key for label, key in self.plan.excluded if label == share.kind.label]
        rows = (
            "{source}.{table} s WHERE {which} AND {in_scope}{but}"
            " AND NOT EXISTS (SELECT 1 FROM {target}.{table} x WHERE x.id = s.id)"
        )
        self._insert_from(
            share,
            rows,
            which=which,
            in_scope=self.flow.in_scope(share.kind, "s"),
            but=sql.SQL(" AND s.id <> ALL({})").format(sql.Literal(refused)) if refused else sql.SQL(""),
        )

    def _insert_from(self, share: Share, rows: str, **parts: Any) -> None:
        unshared = _unshared(share)
        self._returning(
            share,
            "INSERT INTO {target}.{table} AS d ({columns}, origin{more}) SELECT {values}, {owner}{defaults} FROM "
            + rows
            # Ids are ordered by time, and indexes take ordered keys much faster.
            + " ORDER BY s.id",
            columns=sql.SQL(", ").join(map(sql.Identifier, share.columns)),
            values=sql.SQL(", ").join(sql.Identifier("s", name) for name in share.columns),
            more=sql.SQL("").join(sql.SQL(", ") + sql.Identifier(name) for name, _value in unshared),
            defaults=sql.SQL("").join(sql.SQL(", ") + value for _name, value in unshared),
            **parts,
        )

    def _returning(self, share: Share, statement: str, **parts: Any) -> None:
        """Run a statement and note what the rows it wrote name."""
        kind = share.kind
        noted = {key.column: key for key in share.foreign_keys}
        columns = named_columns(share)
        # Each by a hash of its own: DISTINCT inside an aggregate would sort all the rows for each.
        aggregates = sql.SQL("").join(
            sql.SQL(
                ", (SELECT array_agg({0}) FROM (SELECT DISTINCT {0} FROM written WHERE {0} IS NOT NULL) n)"
            ).format(sql.Identifier(name))
            for name in columns
        )
        returning = sql.SQL(", ").join(sql.Identifier("d", name) for name in dict.fromkeys(["id", *columns]))
        self._execute(
            "WITH written AS ("
            + statement
            + " RETURNING {returning}) SELECT count(*){aggregates} FROM written",
            kind,
            returning=returning,
            aggregates=aggregates,
            **parts,
        )
        count, *values = self._cursor.fetchone()
        self.written.rows += count
        for name, found in zip(columns, values, strict=True):
            if not found:
                continue
            if name == "currency":
                self.written.currencies |= set(found)
                continue
            self.written.named.setdefault((kind.label, noted[name].name), set()).update(found)
            if noted[name].related_model._meta.label == _SECURITY:
                self.written.securities |= set(found)

    # Trouble

    def _careful(
        self, share: Share, actions: list[str], write: Callable[[Share, sql.Composable], None]
    ) -> None:
        if not self.careful:
            write(share, sql.SQL(""))
            return
        replaced = set(self.plan.ids(share.kind.label, REPLACE)) if REPLACE in actions else set()
        for ids in self._halves(self.plan.ids(share.kind.label, *actions), share, write):
            self.plan.drop(share.kind.label, ids, actions)
            self.plan.counts[share.kind.label][actions[0]] -= len(ids)
        if any((share.kind.label, key) in self.refused for key in replaced):
            # They have been deleted so as to be inserted anew, and what hangs off them would hang off
            # nothing: once more, and leave them as they were.
            raise RowsRefused(self.refused)

    def _halves(
        self, ids: list[Any], share: Share, write: Callable[[Share, sql.Composable], None]
    ) -> Iterator[list[Any]]:
        """Write as many of the rows as the database takes; give those that it refuses."""
        if not ids:
            return
        try:
            with transaction.atomic():
                write(share, sql.SQL(" AND p.id = ANY({})").format(sql.Literal(ids)))
        except (DataError, IntegrityError) as error:
            if len(ids) == 1:
                if not self._replaces_what_is_sealed(share, ids[0], error, write):
                    self.refused[share.kind.label, ids[0]] = reason_of(error)
                    yield ids
                return
            middle = len(ids) // 2
            yield from self._halves(ids[:middle], share, write)
            yield from self._halves(ids[middle:], share, write)

    def _replaces_what_is_sealed(
        self,
        share: Share,
        key: Any,
        error: DataError | IntegrityError,
        write: Callable[[Share, sql.Composable], None],
    ) -> bool:
        """Write a row in the place of a retired one, which its owner has made anew since; say whether it could."""
        name = getattr(getattr(error.__cause__, "diag", None), "constraint_name", None)
        if name is None or self._is_held():
            return False
        self._execute(
            "SELECT array_agg(a.attname::text), max(pg_get_expr(i.indpred, i.indrelid)) FROM pg_index i"
            " JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)"
            " WHERE i.indexrelid = to_regclass(format('%I.%I', {schema}, {name}::text)) AND i.indisunique",
            share.kind,
            schema=sql.Literal(self.flow.receiver.schema_name),
            name=sql.Literal(name),
        )
        columns, predicate = self._cursor.fetchone()
        if not columns or not set(columns) <= set(share.columns):
            return False
        try:
            with transaction.atomic():
                self._execute(
                    "DELETE FROM {target}.{table} d USING {source}.{table} s WHERE s.id = {key} AND d.id <> s.id"
                    " AND d.origin = {owner} AND d.retired_at IS NOT NULL AND ({theirs}) IS NOT DISTINCT FROM ({ours})"
                    " AND d.id IN (SELECT id FROM {target}.{table} WHERE {predicate})"
                    " AND NOT EXISTS (SELECT {named}) RETURNING d.id",
                    share.kind,
                    key=sql.Literal(key),
                    theirs=sql.SQL(", ").join(sql.Identifier("d", column) for column in columns),
                    ours=sql.SQL(", ").join(sql.Identifier("s", column) for column in columns),
                    predicate=sql.SQL(predicate or "true"),
                    named=named(self.flow.target, share.kind.table, sql.SQL("ARRAY[d.id]")),
                )
                gone = [row[0] for row in self._cursor.fetchall()]
                if gone:
                    write(share, sql.SQL(" AND p.id = {}").format(sql.Literal(key)))
        except (DataError, IntegrityError):
            return False
        if gone:
            self.deleted.setdefault(share.kind.label, []).extend(gone)
            self.written.rows += len(gone)
        return bool(gone)

    def _is_held(self) -> bool:
        """Say whether the receiver has ordered to keep anything that is sealed of this owner's."""
        holds = RecordsHold.objects.in_force(timezone.now().date())
        return holds.filter(sealed__owner=self.flow.owner, sealed__receiver=self.flow.receiver).exists()

    def _execute(self, statement: str, kind: Kind, **parts: Any) -> None:
        self._cursor.execute(
            sql.SQL(statement).format(
                source=self.flow.source,
                target=self.flow.target,
                table=sql.Identifier(kind.table),
                kind=sql.Literal(kind.label),
                owner=sql.Literal(self.flow.owner.pk),
                **parts,
            )
        )
