"""Log lines without the personal data that errors of the database carry."""

import logging
import re

# PostgreSQL names the values of the row that it refuses: names, accounts, amounts.
_VALUES = re.compile(r"^(DETAIL|CONTEXT):.*?(?=^\S|\Z)", re.MULTILINE | re.DOTALL)
# It says in the first line which value it could not read.
_QUOTED = re.compile(r"(invalid input syntax for type [^:\n]+:).*")


class PlainFormatter(logging.Formatter):
    """Write the type, constraint and place of an error, and leave its values out."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        if "DETAIL:" in text or "CONTEXT:" in text:
            text = _VALUES.sub(r"\1: (left out)\n", text).rstrip("\n")
        return _QUOTED.sub(r"\1 (left out)", text)
