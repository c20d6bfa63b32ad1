"""Prove what foreign keys would: that what was written names what is there, and nothing names what went."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import psycopg
from django.db import connection, models
from psycopg import sql

from federation.mirror.references import named
from federation.mirror.refusals import OwnRowsAppeared, RowsRefused
from federation.scope import Flow, Kind, by_label, kind_of

_SECURITY = "portfolios.Security"


def check_parents(cursor: Any, flow: Flow, naming: Mapping[tuple[str, str], Collection[Any]]) -> None:
    """Raise RowsRefused for written rows that name what is not there, or is not theirs to name.

    ``naming`` has what was named, by kind and field. What the owner shares must have come from it; what
    belongs to the receiver must be its own and stand under this agreement, and stays until this
    transaction ends.
    """
    checks, locks = [], []
    for (label, name), ids in naming.items():
        target, condition, is_receivers = _parent(flow, by_label()[label], name)
        parts = {
            "what": sql.Literal(f"{label}.{name}"),
            "ids": sql.Literal(list(ids)),
            "target": flow.target,
            "table": sql.Identifier(target._meta.db_table),
            "condition": condition,
        }
        checks.append(
            sql.SQL(
                "SELECT {what} AS what, named.id FROM unnest({ids}) AS named (id) WHERE NOT EXISTS"
                " (SELECT 1 FROM {target}.{table} t WHERE t.id = named.id AND {condition})"
            ).format(**parts)
        )
        if is_receivers:
            locks.append(
                sql.SQL("SELECT 1 FROM {target}.{table} WHERE id = ANY({ids}) FOR KEY SHARE").format(**parts)
            )
    for lock in locks:
        cursor.execute(lock)
    if not checks:
        return
    cursor.execute(sql.SQL(" UNION ALL ").join(checks))
    missing: dict[str, list[Any]] = {}
    for what, key in cursor.fetchall():
        missing.setdefault(what, []).append(key)
    if missing:
        raise RowsRefused(dict(_naming(cursor, flow, missing)))


def _parent(flow: Flow, kind: Kind, name: str) -> tuple[type[models.Model], sql.Composable, bool]:
    target = kind.named_by(name)
    if target._meta.label == _SECURITY:
        return target, sql.SQL("true"), False
    named = kind_of(target)
    if named is None:
        raise ValueError(f"{kind.label}.{name} names what is never shared")
    if flow.is_owners(named):
        return target, sql.SQL("t.origin = {}").format(sql.Literal(flow.owner.pk)), False
    return target, flow.belongs(named, "t"), True


def _naming(cursor: Any, flow: Flow, missing: dict[str, list[Any]]) -> Iterable[tuple[tuple[str, Any], str]]:
    for what, keys in missing.items():
        label, _, name = what.rpartition(".")
        kind = by_label()[label]
        cursor.execute(
            sql.SQL(
                "SELECT DISTINCT k.id FROM pg_temp.mirror_keys k JOIN {source}.{table} s ON s.id = k.id"
                " WHERE k.kind = {kind} AND s.{column} = ANY({keys})"
            ).format(
                source=flow.source,
                table=sql.Identifier(kind.table),
                kind=sql.Literal(kind.label),
                column=sql.Identifier(kind.column(name)),
                keys=sql.Literal(keys),
            )
        )
        for (key,) in cursor.fetchall():
            yield (label, key), f"{name}: not there"


def look_again(flow: Flow, deleted: Mapping[str, list[Any]]) -> None:
    """Raise OwnRowsAppeared if a row committed since the snapshot names one that has been deleted.

    Whoever comes after the deletion waits for it. Only a fresh snapshot, on a connection of its
    own, sees who came between the snapshot and the deletion.
    """
    if not deleted:
        return
    parameters = connection.get_connection_params()
    parameters.pop("cursor_factory", None)
    parameters.pop("context", None)
    with psycopg.connect(**parameters, autocommit=True) as fresh:
        for label, ids in deleted.items():
            # Received rows that name it are not new: they leave or stay in this transaction.
            own = named(flow.target, by_label()[label].table, sql.Literal(ids), only_own=True)
            if fresh.execute(sql.SQL("SELECT {} LIMIT 1").format(own)).fetchone():
                raise OwnRowsAppeared(label)
