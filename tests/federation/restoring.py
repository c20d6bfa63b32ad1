"""Use a database again as it was made, which takes less than to make another one."""

import uuid
from typing import Any

from django.db import OperationalError, connection, transaction

from tests import databases

# All that can be made, changed and dropped, but rows.
_STRUCTURE = (
    "SELECT nspname, nspacl FROM pg_namespace n WHERE {ours}",
    """
    SELECT c.oid, relname, relkind, relpersistence, relowner, relacl, reloptions, relreplident, attname, attnum,
        format_type(atttypid, atttypmod), attnotnull, attisdropped, attacl, pg_get_expr(adbin, adrelid)
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND attnum > 0
    LEFT JOIN pg_attrdef ON adrelid = c.oid AND adnum = attnum WHERE {ours}
    """,
    """
    SELECT tgrelid, tgname, tgfoid, tgenabled, tgtype, tgqual FROM pg_trigger
    JOIN pg_class c ON c.oid = tgrelid JOIN pg_namespace n ON n.oid = relnamespace WHERE {ours}
    """,
    """
    SELECT conrelid, conname, convalidated, conkey, confkey, conbin FROM pg_constraint
    JOIN pg_namespace n ON n.oid = connamespace WHERE {ours}
    """,
    """
    SELECT p.oid, prosrc, proacl, proconfig, proowner FROM pg_proc p
    JOIN pg_namespace n ON n.oid = pronamespace WHERE {ours}
    """,
    """
    SELECT datdba, datacl, setrole, setconfig FROM pg_database d LEFT JOIN pg_db_role_setting ON setdatabase = d.oid
    WHERE datname = current_database()
    """,
)
_OURS = "nspname !~ '^pg_' AND nspname <> 'information_schema'"


class Reused:
    """A copy of the template for one who uses it after another, each as it was made."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._name = ""

    def take(self) -> str:
        """Return the name of the database."""
        if not self._name:
            name = f"test_{self._label}_{uuid.uuid4().hex[:12]}"
            databases.create(name)
            with databases.working_in(name):
                connection.set_schema_to_public()
                self._original = _Original()
            self._name = name
        return self._name

    def give_back(self) -> None:
        """Have it as it was made, or another one next time."""
        with databases.working_in(self._name):
            connection.set_schema_to_public()
            try:
                is_as_made = self._original.restore()
            except OperationalError:
                # Somebody holds on to it.
                is_as_made = False
        if not is_as_made:
            self.drop()

    def drop(self) -> None:
        if self._name:
            databases.forget(self._name)
            databases.drop(self._name)
            self._name = ""


class _Original:
    """What a database is at its start: structure, rows, what its sequences have come to."""

    def __init__(self) -> None:
        self._structure = _structure()
        self._rows = {table: _rows(table) for table in _written()}
        self._sequences = _sequences()

    def restore(self) -> bool:
        """Put back rows and sequences; return False where the structure is another one."""
        if _structure() != self._structure:
            return False
        emptied = []
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '20s'; SET LOCAL session_replication_role = replica")
            for table in sorted({*_written(), *self._rows}):
                rows, before = _rows(table), self._rows.get(table, [])
                if rows != before:
                    cursor.execute(f"DELETE FROM {table}")
                    with cursor.copy(f"COPY {table} FROM STDIN") as copy:
                        copy.write(b"".join(before))
                if rows != before or not rows:
                    emptied.append(table)
            for name, state in _sequences().items():
                if state != self._sequences[name]:
                    cursor.execute("SELECT setval(%s, %s, %s)", [name, *self._sequences[name]])
        if emptied:
            # What held a row once holds a page no more, and is left alone when the database is emptied again.
            with connection.cursor() as cursor:
                cursor.execute(f"VACUUM (SKIP_LOCKED) {', '.join(emptied)}")
        return True


def _structure() -> list[tuple[Any, ...]]:
    found = []
    with connection.cursor() as cursor:
        for query in _STRUCTURE:
            cursor.execute(
                f"SELECT count(*), sum(hashtextextended(f::text, 0)) FROM ({query.format(ours=_OURS)}) f"
            )
            found.append(cursor.fetchone())
    return found


def _written() -> list[str]:
    """Return the tables that hold a page: those that never held a row have none."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT format('%I.%I', nspname, relname) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
            f" WHERE relkind = 'r' AND {_OURS} AND pg_relation_size(c.oid) > 0"
        )
        return [row[0] for row in cursor.fetchall()]


def _rows(table: str) -> list[bytes]:
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} TO STDOUT") as copy:
        return sorted(b"".join(bytes(block) for block in copy).splitlines(keepends=True))


def _sequences() -> dict[str, tuple[int, bool]]:
    """Return where each sequence stands, as setval() takes it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT format('%I.%I', schemaname, sequencename), coalesce(last_value, start_value),"
            " last_value IS NOT NULL FROM pg_sequences"
        )
        return {name: (value, is_called) for name, value, is_called in cursor.fetchall()}
