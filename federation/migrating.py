"""Migrate many schemas: what is common to them is worked out once, and each gets its statements only.

Django loads all migrations and rebuilds the models of every step for each schema. Schemas at the same
point share all of that here: one graph, one plan, one chain of states.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import Any

from django.apps import apps
from django.contrib.auth.management import _get_all_permissions  # type: ignore[attr-defined]
from django.core.management.sql import emit_post_migrate_signal, emit_pre_migrate_signal
from django.db import connection, router, transaction
from django.db.migrations import Migration
from django.db.migrations.exceptions import IrreversibleError
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.operations import (
    AddConstraint,
    AddField,
    AddIndex,
    AlterField,
    AlterModelOptions,
    AlterUniqueTogether,
    CreateModel,
    RemoveConstraint,
    RemoveField,
    RemoveIndex,
    RunPython,
    RunSQL,
)
from django.db.migrations.operations.base import Operation
from django.db.migrations.operations.fields import FieldOperation
from django.db.migrations.operations.models import IndexOperation
from django.db.migrations.state import ProjectState
from django_tenants.signals import schema_migrated, schema_pre_migration
from psycopg import sql

# Above this many operations the states of all of them take too much memory: Django makes them as it goes.
_KEPT_OPERATIONS = 150
# So many schemas are asked about in one query: each takes locks on its tables.
_AT_ONCE = 100

# In either direction these ask for their own model and for the tables and keys of what it refers to: nothing but
# that model is built anew for them, and a run of one kind of the first takes one state. Whatever asks for more
# begins with all models anew.
_TOGETHER = (CreateModel, AddField, AddConstraint, AddIndex)
_ONE_MODEL = (RemoveConstraint, RemoveIndex, RemoveField, AlterModelOptions, AlterUniqueTogether)
_WITHIN_MODELS = (FieldOperation, IndexOperation, RunSQL, RunPython)

# django-tenants' connection, which knows of schemas.
_tenants: Any = connection

Applied = frozenset[tuple[str, str]]
Target = tuple[str | None, str | None]


@dataclass(frozen=True)
class Found:
    """Where a schema stands: the migrations it has, and whether it has all permissions of its models."""

    schema: str
    applied: Applied
    has_permissions: bool


@dataclass
class Step:
    """A migration with the states before, between and after its operations."""

    migration: Migration
    backwards: bool
    # None where the schema has none of the app's tables.
    states: list[ProjectState] | None

    def run(self, editor: Any) -> None:
        """Do in the database what the operations say."""
        if self.states is None:
            return
        label = self.migration.app_label
        states = pairwise(self.states)
        moves = [(operation, *next(states)) for operation in self.migration.operations]
        if self.backwards:
            for operation, before, after in reversed(moves):
                self._one(editor, operation, operation.database_backwards, label, after, before)
        else:
            for operation, before, after in moves:
                self._one(editor, operation, operation.database_forwards, label, before, after)

    def _one(self, editor: Any, operation: Operation, run: Any, label: str, *states: ProjectState) -> None:
        is_atomic = operation.atomic or (self.migration.atomic and operation.atomic is not False)
        if not editor.atomic_migration and is_atomic:
            with transaction.atomic():
                run(label, editor, *states)
        else:
            run(label, editor, *states)


@dataclass
class Plan:
    """What schemas at one point have to do to get to the target."""

    executor: MigrationExecutor
    targets: list[tuple[str, str | None]]
    moves: list[tuple[Migration, bool]]
    steps: list[Step] = field(default_factory=list)

    @property
    def is_backwards(self) -> bool:
        """Say whether any migration is to be taken back."""
        return any(backwards for _, backwards in self.moves)

    @property
    def changes_models(self) -> bool:
        """Say whether models come or change their names or permissions, not only columns and rows."""
        return not self.is_backwards and any(
            not isinstance(operation, _WITHIN_MODELS)
            for migration, _ in self.moves
            for operation in migration.operations
        )

    @property
    def operations(self) -> int:
        """Return how many operations it comes to in one schema."""
        return sum(len(migration.operations) for migration, _ in self.moves)

    def prepare(self) -> None:
        """Work out the states, once for all schemas that have this to do."""
        emit_pre_migrate_signal(0, False, connection.alias, apps=apps, plan=self.moves)
        wanted = dict(self.moves)
        applied = self.executor.loader.applied_migrations
        everything = self.executor.migration_plan(self.executor.loader.graph.leaf_nodes(), clean_start=True)
        state = ProjectState(real_apps=self.executor.loader.unmigrated_apps)
        if not self.is_backwards:
            for migration, _ in everything:
                if (migration.app_label, migration.name) in applied:
                    migration.mutate_state(state, preserve=False)
        steps: dict[Migration, Step] = {}
        for migration, _ in everything:
            if len(steps) == len(wanted):
                break
            if migration in wanted:
                state.apps  # noqa: B018 (rendered once, carried on by each copy)
                states = self._chain(migration, state)
                steps[migration] = Step(migration, wanted[migration], states)
                state = states[-1].clone()
            elif self.is_backwards and (migration.app_label, migration.name) in applied:
                # The next that is wanted builds all models once.
                state.__dict__.pop("apps", None)
                migration.mutate_state(state, preserve=False)
        # Forwards in the order of the whole graph, backwards in that of the plan.
        ordered = [migration for migration, _ in self.moves] if self.is_backwards else list(steps)
        self.steps = [steps[migration] for migration in ordered]

    def from_nothing(self) -> Iterator[Step]:
        """Yield what the current schema, a new one, has to do, step by step: the states of all of it would not fit.

        They hold only the apps that have tables in it, and those refer to no others.
        """
        emit_pre_migrate_signal(0, False, connection.alias, apps=apps, plan=self.moves)
        state = ProjectState(real_apps=self.executor.loader.unmigrated_apps)
        for migration, _ in self.moves:
            if not router.allow_migrate(connection.alias, migration.app_label):
                yield Step(migration, False, None)
                continue
            state.apps  # noqa: B018 (rendered once, carried on by each copy)
            states = self._chain(migration, state)
            yield Step(migration, False, states)
            state = states[-1].clone()

    def _chain(self, migration: Migration, state: ProjectState) -> list[ProjectState]:
        states = [state.clone()]
        for kind, run in groupby(migration.operations, key=type):
            operations = list(run)
            if kind in _TOGETHER:
                states += [_after(states[-1], migration.app_label, operations)] * len(operations)
                continue
            for operation in operations:
                if self.is_backwards and not operation.reversible:
                    raise IrreversibleError(f"Operation {operation} in {migration} is not reversible")
                if _asks_for_one_model(operation, states[-1], migration.app_label):
                    states.append(_after(states[-1], migration.app_label, [operation]))
                    continue
                if kind is not RunSQL:
                    _build_anew(states[-1])
                following = states[-1].clone()
                operation.state_forwards(migration.app_label, following)
                states.append(following)
        return states


def _asks_for_one_model(operation: Operation, state: ProjectState, label: str) -> bool:
    """Say whether nothing that refers to the operation's model has to know of it, as of another key."""
    if not isinstance(operation, AlterField):
        return isinstance(operation, _ONE_MODEL)
    before = state.models[label, operation.model_name_lower].fields[operation.name]
    return not before.unique and not operation.field.unique


def _build_anew(state: ProjectState) -> None:
    """Build all models, where only some are as the state says."""
    state.clear_delayed_apps_cache()
    state.apps  # noqa: B018 (rendered once, carried on by each copy)
    state.is_delayed = False


def _after(state: ProjectState, label: str, operations: Sequence[Any]) -> ProjectState:
    """Return the state after several operations, of which the models that they name are built anew, once each."""
    following = state.clone()
    rendered = following.__dict__.pop("apps")
    for operation in operations:
        operation.state_forwards(label, following)
    following.__dict__["apps"] = rendered
    following.is_delayed = True
    names = {getattr(each, "model_name_lower", None) or each.name_lower for each in operations}
    with rendered.bulk_update():
        for name in names:
            rendered.unregister_model(label, name)
    rendered.render_multiple([following.models[label, name] for name in names])
    return following


class Migrator:
    """Brings schemas to a target; keeps a plan for each point at which it met one."""

    def __init__(self, target: Target = (None, None), *, fake: bool = False) -> None:
        self._target = target
        self._fake = fake
        self._plans: dict[Applied, Plan] = {}

    def plan_for(self, found: Found) -> Plan:
        """Return what a schema has to do."""
        if found.applied not in self._plans:
            _tenants.set_schema(found.schema, include_public=False)
            executor = MigrationExecutor(connection)
            executor.loader.check_consistent_history(connection)
            _tenants.set_schema(found.schema)
            targets = self._targets(executor)
            self._plans[found.applied] = Plan(executor, targets, executor.migration_plan(targets))
        return self._plans[found.applied]

    def needs_work(self, found: Found) -> bool:
        """Say whether anything is left to do in a schema."""
        is_whole = self._target == (None, None)
        return bool(self.plan_for(found).moves) or (is_whole and not found.has_permissions)

    def prepare(self, schemas: Iterable[Found]) -> None:
        """Work out what several schemas have in common, where it is worth it."""
        counts: dict[Applied, int] = {}
        for found in schemas:
            counts[found.applied] = counts.get(found.applied, 0) + 1
        for applied, count in counts.items():
            plan = self._plans[applied]
            if count > 1 and plan.moves and not plan.steps and plan.operations <= _KEPT_OPERATIONS:
                plan.prepare()

    def migrate(self, found: Found) -> int:
        """Migrate one schema and tell those who wait for it; return how many migrations it took."""
        plan = self.plan_for(found)
        schema_pre_migration.send(sender=type(self), schema_name=found.schema)
        # Whether its table is there is known; Django would look through the tables of all schemas.
        plan.executor.recorder._has_table = bool(found.applied)  # type: ignore[attr-defined]
        _tenants.set_schema(found.schema, include_public=False)
        plan.executor.recorder.ensure_schema()
        _tenants.set_schema(found.schema)
        if plan.steps or not found.applied:
            for step in plan.steps or plan.from_nothing():
                self._take(plan, step)
        elif plan.moves:
            emit_pre_migrate_signal(0, False, connection.alias, apps=apps, plan=plan.moves)
            plan.executor.migrate(plan.targets, plan=list(plan.moves), fake=self._fake)
        if plan.changes_models or not found.has_permissions:
            # Content types and permissions, by three queries for each app.
            emit_post_migrate_signal(0, False, connection.alias, apps=apps, plan=plan.moves)
        _tenants.set_schema_to_public()
        schema_migrated.send(sender=type(self), schema_name=found.schema)
        return len(plan.moves)

    def _take(self, plan: Plan, step: Step) -> None:
        recorder, migration = plan.executor, step.migration
        if self._fake:
            with transaction.atomic():
                self._record(recorder, step)
            return
        with connection.schema_editor(atomic=migration.atomic) as editor:
            step.run(editor)
            is_recorded = not editor.deferred_sql
            if is_recorded:
                self._record(recorder, step)
        if not is_recorded:
            self._record(recorder, step)

    def _record(self, executor: MigrationExecutor, step: Step) -> None:
        if not step.backwards:
            executor.record_migration(step.migration)  # type: ignore[arg-type, call-arg]
            return
        for label, name in step.migration.replaces:
            executor.recorder.record_unapplied(label, name)
        executor.recorder.record_unapplied(step.migration.app_label, step.migration.name)

    def _targets(self, executor: MigrationExecutor) -> list[tuple[str, str | None]]:
        label, name = self._target
        graph = executor.loader.graph
        if label is None:
            return list(graph.leaf_nodes())
        if name is None:
            return [node for node in graph.leaf_nodes() if node[0] == label]
        if name == "zero":
            return [(label, None)]
        return [(label, executor.loader.get_migration_by_prefix(label, name).name)]


def find(schemas: Sequence[str]) -> list[Found]:
    """Return where schemas stand, asking about many of them at once; leave out those that are not there."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT nspname FROM pg_namespace WHERE nspname = ANY(%s)", [list(schemas)])
        there = {row[0] for row in cursor.fetchall()}
        # What is not complete is asked about no further: its migrations will have to run.
        cursor.execute(
            "SELECT relnamespace::regnamespace::text FROM pg_class WHERE relname = ANY(%s) AND relkind = 'r'"
            " GROUP BY relnamespace HAVING count(*) = 3",
            [["django_migrations", "django_content_type", "auth_permission"]],
        )
        complete = {row[0].strip('"') for row in cursor.fetchall()}
        names = [name for name in schemas if name in there]
        found = {name: Found(name, _applied_alone(name), False) for name in names if name not in complete}
        _note_expected(cursor)
        known = [name for name in names if name in complete]
        for start in range(0, len(known), _AT_ONCE):
            cursor.execute(
                sql.SQL(" UNION ALL ").join(_standing(name) for name in known[start : start + _AT_ONCE])
            )
            for name, applied, has_permissions in cursor.fetchall():
                found[name] = Found(name, frozenset(tuple(each) for each in applied or []), has_permissions)
    return [found[name] for name in names]


def _standing(schema: str) -> sql.Composed:
    return sql.SQL(
        "SELECT {name}, (SELECT array_agg(ARRAY[app::text, name::text]) FROM {schema}.django_migrations),"
        " NOT EXISTS (SELECT FROM pg_temp.expected_permission e WHERE NOT EXISTS"
        " (SELECT FROM {schema}.auth_permission p JOIN {schema}.django_content_type t ON t.id = p.content_type_id"
        " WHERE t.app_label = e.app_label AND t.model = e.model AND p.codename = e.codename))"
    ).format(name=sql.Literal(schema), schema=sql.Identifier(schema))


def _applied_alone(schema: str) -> Applied:
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [f'"{schema}".django_migrations'])
        if not cursor.fetchone()[0]:
            return frozenset()
        cursor.execute(sql.SQL("SELECT app, name FROM {}.django_migrations").format(sql.Identifier(schema)))
        return frozenset(cursor.fetchall())


def _note_expected(cursor: Any) -> None:
    """Note in a temporary table the permissions that every schema has once its migrations are over."""
    rows = [
        (model._meta.app_label, str(model._meta.model_name), codename)
        for config in apps.get_app_configs()
        if config.models_module
        for model in config.get_models()
        for codename, _ in _get_all_permissions(model._meta)
    ]
    cursor.execute(
        "CREATE TEMP TABLE IF NOT EXISTS expected_permission (app_label text, model text, codename text);"
        "DELETE FROM pg_temp.expected_permission"
    )
    cursor.executemany("INSERT INTO pg_temp.expected_permission VALUES (%s, %s, %s)", rows)
    cursor.execute("ANALYZE pg_temp.expected_permission")
