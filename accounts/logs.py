"""Log lines without the values of rows that errors of the database carry, and without secrets of links.

PostgreSQL names the values of the row that it refuses: names, accounts, amounts. They come as a message, as a
representation in which its lines are escaped (Celery's), and in every link of a chain of errors.
"""

import logging
import re
import traceback
from collections.abc import Iterator

import psycopg
from django.db import Error as DatabaseError

LEFT_OUT = " (left out)"
# What follows the first line of an error, up to the end: a value may itself have lines. Escaped once or more often too.
_REST = re.compile(r"(?:\n|\\+n)\s*(?:DETAIL|HINT|CONTEXT|QUERY|LINE \d+):.*", re.DOTALL)
# It says in the first line which value it could not read.
_QUOTED = re.compile(
    r'((?:invalid (?:input|\w+ value)|malformed \w+|out of range|at or near)[^:"\n]*[:"]|\bvalue ").*',
    re.DOTALL,
)
# Whoever reads a log must not come in by the link that somebody opened, used or not.
_SECRETS = re.compile(r"(/(?:invitation|password/reset/key|demo)/)[^/\s\"'?]+")
# The class of errors about values.
_DATA_EXCEPTION = "22"


class WithoutValues(logging.Filter):
    """Leave values of rows and secrets of links out of a record, whoever formats it afterwards."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        try:
            text = record.getMessage()
        except (TypeError, ValueError):
            # The handler says what is wrong with it.
            return True
        for each in _chain(error):
            if isinstance(each, DatabaseError | psycopg.Error) and str(each):
                for said in (str(each), repr(str(each))[1:-1]):
                    text = text.replace(said, _said(each))
        record.msg, record.args = _SECRETS.sub(rf"\1{LEFT_OUT.strip()}", without_values(text)), None
        if error is not None:
            record.exc_text = error_text(error)
        elif record.exc_text:
            record.exc_text = without_values(record.exc_text)
        return True


def without_values(text: str) -> str:
    """Return a text that may hold an error of the database, up to where the values begin."""
    return _QUOTED.sub(rf"\1{LEFT_OUT}", _REST.sub(LEFT_OUT, text))


def error_text(error: BaseException) -> str:
    """Return an error with those that led to it, as Python writes them, without the values of rows."""
    parts: list[str] = []
    for each in _chain(error):
        kind = type(each)
        name = (
            kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        )
        lines = "".join(traceback.format_tb(each.__traceback__))
        parts.append(f"Traceback (most recent call last):\n{lines}{name}: {_said(each)}")
    return "\n\nThe error above led to this one:\n\n".join(reversed(parts))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Give an error and what led to it, the last first."""
    met: set[int] = set()
    while error is not None and id(error) not in met:
        met.add(id(error))
        yield error
        for each in getattr(error, "exceptions", ()):
            yield from _chain(each)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _said(error: BaseException) -> str:
    """Return what an error says, without values; in whatever language the server says it."""
    found = error if isinstance(error, psycopg.Error) else error.__cause__
    if isinstance(error, DatabaseError | psycopg.Error) and isinstance(found, psycopg.Error):
        said, state = found.diag.message_primary, found.sqlstate or ""
        if said and state.startswith(_DATA_EXCEPTION):
            return re.split('[:"]', said, maxsplit=1)[0] + LEFT_OUT
        if said:
            return without_values(said) + LEFT_OUT
    return without_values(str(error))
