"""Parked rows in the hands of an administrator of either party: try again, or leave it with a reason."""

import datetime

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.errors import DomainError
from accounts.models import User, audit
from federation.agreements.sharing import kind_name
from federation.agreements.timeline import EventKind, record_of_mirror
from federation.mirror import control, dispatch
from federation.models import Alert, Institution, ParkedRow, Stream

# A skipped row has no time to be tried again; its next change tries it.
_NEVER = datetime.datetime(9000, 1, 1, tzinfo=datetime.UTC)


@transaction.atomic
def retry(parked: ParkedRow, *, by: User) -> None:
    """Try a parked row again at once, also a skipped one."""
    row = _locked(parked)
    audit("mirror.retried", row.stream, by=by, kind=row.kind, key=str(row.key))
    control.retry_parked(row)


def _locked(parked: ParkedRow) -> ParkedRow:
    """Return a row as it is now, until the transaction ends."""
    row = (
        ParkedRow.objects.select_for_update(of=("self",))
        .select_related("stream")
        .filter(pk=parked.pk)
        .first()
    )
    if row is None:
        raise DomainError(
            "not_parked", _("This row is no longer parked: it has crossed. Nothing is to be done.")
        )
    return row


@transaction.atomic
def retry_all(stream: Stream, *, by: User) -> int:
    """Try all parked rows of a stream again but the skipped ones; return how many."""
    rows = ParkedRow.objects.filter(stream=stream, skipped_at=None)
    count = rows.update(retry_at=timezone.now())
    if count:
        audit("mirror.retried", stream, by=by, count=count)
        transaction.on_commit(lambda: dispatch.hint(stream.pk))
    return count


def _count_again(stream: Stream) -> None:
    """Have alerts count what is parked without what was skipped; where nothing else is, they are over."""
    count = ParkedRow.objects.filter(stream=stream, skipped_at=None).count()
    raised = Alert.objects.filter(stream=stream, kind=Alert.Kind.PARKED, cleared_at=None)
    if count:
        raised.update(count=count)
    else:
        raised.update(cleared_at=timezone.now())


@transaction.atomic
def skip(parked: ParkedRow, *, by: User, institution: Institution, reason: str) -> ParkedRow:
    """Leave a parked row alone until its owner changes it; both parties read who said so, and why."""
    reason = reason.strip()
    if not reason:
        raise DomainError("reason_missing", _("Say why this row is not to be tried again."), field="reason")
    row = _locked(parked)
    if row.skipped_at is not None:
        raise DomainError(
            "skipped_already", _("Somebody has skipped this row already. Reload the page to read why.")
        )
    row.retry_at, row.skipped_at = _NEVER, timezone.now()
    row.skipped_by, row.skipped_by_name, row.skip_reason = institution, by.full_name, reason[:300]
    row.save()
    _count_again(row.stream)
    record_of_mirror(
        EventKind.SKIPPED,
        row.stream,
        by=by,
        institution=institution,
        note=f"{kind_name(row.kind)}: {row.reason} · {row.skip_reason}",
        label=row.kind,
        key=str(row.key),
    )
    return row
