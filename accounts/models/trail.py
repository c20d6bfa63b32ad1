"""The audit trail: who did what, and who read what partners own."""

import uuid
from collections.abc import Iterable
from typing import Any

from django.db import models
from django.utils import timezone

from accounts.models.people import User
from accounts.records import Record, new_id


class AuditEntry(models.Model):
    """Who did what to which record, when, written in the transaction of the change; or who read a partner's."""

    READ = "read"
    READ_BY_LIST = "read.by_list"
    EXPORTED = "exported"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    at = models.DateTimeField(default=timezone.now, editable=False, db_index=True)
    actor = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    actor_name = models.CharField(max_length=150)
    action = models.CharField(max_length=60)
    kind = models.CharField(max_length=60)
    record_id = models.UUIDField(null=True)
    data = models.JSONField(default=dict)

    class Meta:
        ordering = ["-at"]
        verbose_name_plural = "audit entries"
        indexes = [models.Index(fields=["kind", "record_id"], name="auditentry_by_record")]

    def __str__(self) -> str:
        return f"{self.action} {self.kind}"


def audit(action: str, record: models.Model, *, by: User | None, **data: Any) -> AuditEntry:
    """Write down that ``by`` did ``action`` to ``record``; ``data`` holds codes and ids, never names."""
    record_id = record.pk if isinstance(record.pk, uuid.UUID) else None
    return AuditEntry.objects.create(
        actor=by,
        actor_name=by.full_name if by else "",
        action=action,
        kind=record._meta.label_lower,
        record_id=record_id,
        data=data,
    )


# The id of a reading follows from who read what on which day: a second one that day is none.
_READINGS = uuid.UUID("5b7c4f0e-0d5e-5f43-9d0c-6d2b8f1a7e34")


def audit_reading(*records: Record | None, by: User) -> None:
    """Write down that ``by`` has read these records, each once a day (UTC), by one statement.

    What the institution owns itself is left out, and nothing is asked or written where nothing else remains.
    """
    received = [record for record in records if record is not None and record.is_received]
    _write_readings(
        AuditEntry.READ,
        [(record._meta.label_lower, record.pk, record.pk, record.origin) for record in received],
        by=by,
    )


def audit_listing(rows: Iterable[object], *, by: User) -> None:
    """Write down whose records of a kind ``by`` reads by a list of the API: one entry for each partner and day (UTC).

    By one statement, and none where all rows are the institution's own. How many there were is not counted: whoever
    asks every minute would have read thousands.
    """
    received = {
        (row._meta.label_lower, row.origin) for row in rows if isinstance(row, Record) and row.is_received
    }
    _write_readings(
        AuditEntry.READ_BY_LIST,
        [(kind, None, f"{kind} {origin}", origin) for kind, origin in sorted(received, key=str)],
        by=by,
    )


def _write_readings(
    action: str, readings: Iterable[tuple[str, uuid.UUID | None, object, object]], *, by: User
) -> None:
    """Write one entry a day (UTC) for each reading: kind, record if it was one, what was read, and whose it is."""
    day = timezone.now().date()
    entries = [
        AuditEntry(
            id=uuid.uuid5(_READINGS, f"{by.pk} {read} {day}"),
            actor=by,
            actor_name=by.full_name,
            action=action,
            kind=kind,
            record_id=record_id,
            data={"origin": str(origin)},
        )
        for kind, record_id, read, origin in readings
    ]
    if entries:
        AuditEntry.objects.bulk_create(entries, ignore_conflicts=True)


def audit_export(rows: Iterable[object], *, by: User) -> None:
    """Write down that ``by`` has taken partners' records out in a file: one entry, with how many and whose.

    Nothing is written where all of them are the institution's own.
    """
    received = [row for row in rows if isinstance(row, Record) and row.is_received]
    if received:
        AuditEntry.objects.create(
            actor=by,
            actor_name=by.full_name,
            action=AuditEntry.EXPORTED,
            kind=received[0]._meta.label_lower,
            data={"count": len(received), "origins": sorted({str(row.origin) for row in received})},
        )
