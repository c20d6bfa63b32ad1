"""The monitor looks at mirrors that really commit."""

from tests.federation.mirror.conftest import mirror_database, running, world

__all__ = ["mirror_database", "running", "world"]
