"""The one kind of error that services raise for what a user can act on."""

from collections.abc import Mapping
from typing import Any


class DomainError(Exception):
    """Refuse a change, with a stable code and a sentence that says what to do next.

    ``field`` names the input that is at fault, where one is; ``data`` carries figures for the API.
    """

    def __init__(
        self, code: str, message: Any, *, field: str | None = None, data: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(str(message))
        self.code = code
        self.message = message
        self.field = field
        self.data = dict(data or {})
