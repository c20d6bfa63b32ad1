"""Act as the mirror for a part of a transaction: under its role, and captured by none."""

from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from django.db import connection
from psycopg import sql

from federation.mirror import roles


@dataclass(frozen=True)
class _Means:
    """What this connection has to act as the mirror.

    ``login_may`` and ``role_may`` say who may leave the triggers of foreign keys out: the mirror then
    proves them by itself.
    """

    roles: roles.Names | None
    login_may: bool
    role_may: bool


# By connection: whoever is granted more or less is heard with the next one.
_MEANS: WeakKeyDictionary[Any, _Means] = WeakKeyDictionary()


def _means() -> _Means:
    connection.ensure_connection()
    known = _MEANS.get(connection.connection)
    if known is None:
        known = _MEANS[connection.connection] = _find_means()
    return known


def _find_means() -> _Means:
    usable = roles.usable()
    may = "SELECT has_parameter_privilege({}, 'session_replication_role', 'SET')"
    with connection.cursor() as cursor:
        cursor.execute(may.format("current_user"))
        login_may = bool(cursor.fetchone()[0])
        if usable is None:
            return _Means(None, login_may, role_may=False)
        cursor.execute(may.format("%s"), [usable.advice])
        return _Means(usable, login_may, bool(cursor.fetchone()[0]))


def become_the_mirror(cursor: Any, *, only_advice: bool = False) -> None:
    """Let this transaction write received rows, with no more privileges than that takes."""
    cursor.execute(becoming_the_mirror(only_advice=only_advice))


def becoming_the_mirror(*, only_advice: bool = False) -> sql.Composed:
    """Return the statements for that, to be sent with what they are for."""
    means = _means()
    replica = "SET LOCAL session_replication_role = replica;"
    statements: list[sql.Composable] = [sql.SQL("SET LOCAL roboblock.mirror = 'apply';")]
    if means.login_may:
        statements.append(sql.SQL(replica))
    if means.roles is not None:
        role = means.roles.advice if only_advice else means.roles.mirror
        statements.append(sql.SQL("SET LOCAL ROLE {};").format(sql.Identifier(role)))
        if means.role_may and not means.login_may:
            statements.append(sql.SQL(replica))
    return sql.SQL(" ").join(statements)


def stop_being_the_mirror(cursor: Any) -> None:
    """Give a transaction that goes on with other things its triggers and privileges back."""
    cursor.execute(no_longer_the_mirror())


def no_longer_the_mirror() -> str:
    """Return the statements for that, to be sent with what follows."""
    means = _means()
    statements = ["SET LOCAL roboblock.mirror = '';"]
    if means.role_may and not means.login_may:
        statements.append("SET LOCAL session_replication_role = origin;")
    if means.roles is not None:
        statements.append("SET LOCAL ROLE NONE;")
    if means.login_may:
        statements.append("SET LOCAL session_replication_role = origin;")
    return " ".join(statements)


def as_its_role(statements: str) -> sql.Composed:
    """Return statements such that what they create belongs to the mirror's role, if it has one."""
    usable = _means().roles
    if usable is None:
        return sql.SQL("{}").format(sql.SQL(statements))
    return sql.SQL("SET LOCAL ROLE {}; {} SET LOCAL ROLE NONE;").format(
        sql.Identifier(usable.advice), sql.SQL(statements)
    )
