"""Look for traces of somebody: in every column of a schema, in all that goes through Redis, in logs."""

import base64
import binascii
import re
import threading
from collections.abc import Iterable
from types import TracebackType

import redis
from django.conf import settings
from django.db import connection
from psycopg import sql

_SEARCHED = (
    "text", "varchar", "bpchar", "name", "json", "jsonb", "uuid", "bytea",
    "_text", "_varchar", "_uuid", "inet",
)  # fmt: skip
_BASE64 = re.compile(r"[A-Za-z0-9+/]{24,}={0,2}")


def columns_with(schema: str, needles: Iterable[object]) -> list[str]:
    """Return which columns of a schema contain one of the needles, in any case, as `table.column: needle`."""
    wanted = [str(needle).strip() for needle in needles if str(needle).strip()]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.table_name, c.column_name, c.udt_name FROM information_schema.columns c"
            " JOIN information_schema.tables t USING (table_schema, table_name)"
            " WHERE c.table_schema = %s AND t.table_type = 'BASE TABLE' AND c.udt_name = ANY(%s)"
            " ORDER BY 1, 2",
            [schema, list(_SEARCHED)],
        )
        columns = cursor.fetchall()
        assert columns, f"there is no schema {schema}"
        queries = [
            sql.SQL(
                "SELECT {label} || ': ' || n FROM unnest(%(needles)s::text[]) n WHERE EXISTS"
                " (SELECT 1 FROM {table} WHERE position(lower(n) in lower({value})) > 0)"
            ).format(
                label=sql.Literal(f"{table}.{column}"),
                table=sql.Identifier(schema, table),
                value=sql.SQL("encode({}, 'escape')" if kind == "bytea" else "{}::text").format(
                    sql.Identifier(column)
                ),
            )
            for table, column, kind in columns
        ]
        cursor.execute(sql.SQL(" UNION ALL ").join(queries), {"needles": wanted})
        return [row[0] for row in cursor.fetchall()]


def found_in(text: str, needles: Iterable[object]) -> list[str]:
    """Return which needles a text contains, in any case, also as JSON or a log escapes them."""
    text = text.casefold()
    return [
        str(needle)
        for needle in needles
        if any(form.casefold() in text for form in {str(needle), ascii(str(needle))[1:-1]})
    ]


class Traffic:
    """Every command that goes through Redis, from `with` to its end, in all of its databases."""

    def __init__(self) -> None:
        self._commands: list[str] = []
        self._is_over = False
        # redis-py's own monitor stumbles over commands with line breaks.
        server = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=None)
        self._connection = server.connection_pool.get_connection()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> "Traffic":
        self._connection.send_command("MONITOR")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over = True
        # Anything at all wakes the listener.
        redis.Redis.from_url(settings.REDIS_URL).ping()
        self._thread.join(timeout=5)
        self._connection.disconnect()

    def _listen(self) -> None:
        while not self._is_over:
            line = self._connection.read_response()
            self._commands.append(line.decode(errors="replace") if isinstance(line, bytes) else str(line))

    def text(self) -> str:
        """Return all commands so far, and all that Redis holds now, messages of Celery decoded too."""
        assert self._thread.is_alive(), "nobody listens to Redis any more"
        raw = "\n".join([*self._commands, *redis_contents(settings.REDIS_URL)])
        return "\n".join([raw, *_decoded(raw)])


def _decoded(text: str) -> list[str]:
    # Celery sends the arguments of a task as base64.
    found = []
    for body in set(_BASE64.findall(text)):
        try:
            found.append(base64.b64decode(body).decode(errors="replace"))
        except binascii.Error:
            continue
    return found


def redis_contents(url: str) -> list[str]:
    """Return what each key of a Redis holds, as text."""
    server = redis.Redis.from_url(url)
    found = []
    for key in server.scan_iter():
        kind = server.type(key)
        values: object = {
            b"string": lambda key: server.get(key),
            b"list": lambda key: server.lrange(key, 0, -1),
            b"set": lambda key: server.smembers(key),
            b"hash": lambda key: server.hgetall(key),
            b"zset": lambda key: server.zrange(key, 0, -1),
        }.get(kind, lambda key: b"")(key)
        found.append(f"{key!r} {values!r}")
    return found
