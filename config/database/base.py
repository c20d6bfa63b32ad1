"""A connection that asks the server which schemas are set before it sets them."""

from typing import Any

from django_tenants.postgresql_backend import base

_REPORTED = b"search_path"


class DatabaseWrapper(base.DatabaseWrapper):
    """Set the search path only where it is another one.

    django-tenants sets it before each statement, or with ``TENANT_LIMIT_SET_CALLS`` remembers what it
    has set, which goes wrong: PostgreSQL takes a ``SET`` back with its transaction, also where a
    ``COMMIT`` ends one that had failed. From its version 18 on the server itself reports each change
    of the path with its answers, however it came about, so that the last report is the truth. Older
    servers report nothing, and the path is set each time.
    """

    # What was set last, and how the server reported it.
    _set: tuple[list[str], bytes | None] | None = None

    def _handle_search_path(self, cursor: Any = None) -> None:
        if self._set is not None:
            paths, reported = self._set
            if (
                reported is not None
                and reported == self._report()
                and paths == self._get_cursor_search_paths()
            ):
                return
        # It stays None where the path could not be set, as in a transaction that has failed.
        self.search_path_set_schemas: list[str] | None = None
        super()._handle_search_path(cursor)
        newly_set = self.search_path_set_schemas
        self._set = None if newly_set is None else (newly_set, self._report())

    def _report(self) -> bytes | None:
        report: bytes | None = self.connection.pgconn.parameter_status(_REPORTED)
        return report
