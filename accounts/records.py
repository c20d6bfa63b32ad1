"""What every domain record carries: an id that is the same in every schema, and its owner."""

import uuid
from typing import Any, Self

from django.db import models
from django.dispatch import Signal
from django.utils import timezone
from uuid_utils import uuid7 as fast_uuid7
from uuid_utils.compat import uuid7

# A row has arrived from a partner: sent with the model as sender and the row's key. At least once.
record_arrived = Signal()
# The same for all rows of one kind that a delivery brings: sent with the model as sender and ``keys``.
records_arrived = Signal()


def new_id() -> uuid.UUID:
    """Return a new time-ordered id (UUIDv7, RFC 9562)."""
    return uuid7()


def new_id_text() -> str:
    """Return a new id as text, in a seventh of the time: for rows that are written by the hundred thousand."""
    return str(fast_uuid7())


class RecordQuerySet(models.QuerySet[Any]):
    """Questions that make sense for every kind of record."""

    def own(self) -> Self:
        """Return the rows that this institution owns."""
        return self.filter(origin__isnull=True)

    def received(self) -> Self:
        """Return the rows mirrored here from a partner."""
        return self.filter(origin__isnull=False)

    def current(self) -> Self:
        """Return the rows that are not merely kept for history."""
        return self.filter(retired_at__isnull=True)


class Record(models.Model):
    """A row with one owner: own where ``origin`` is null, else a read-only mirror of ``origin``'s row.

    ``retired_at`` is set on a received row that has left the partner's share and stays only
    because own records still name it; such rows appear in no list.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    origin = models.UUIDField(null=True, blank=True, editable=False)
    retired_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = RecordQuerySet.as_manager()

    class Meta:
        abstract = True

    @property
    def is_received(self) -> bool:
        """Say whether a partner owns this row."""
        return self.origin is not None
