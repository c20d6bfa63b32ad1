"""After an update of the platform: fill again what was filled under another scope.

What the scope table newly lets through, or no longer does, may have been there long before, and no change of it
comes. So each stream keeps the fingerprint of the scope that it was filled with.
"""

import logging
import random
import time
import uuid
from collections.abc import Collection, Mapping

from django.contrib.postgres.aggregates import ArrayAgg
from django.db import OperationalError, connection, transaction
from django.db.models import BooleanField, ExpressionWrapper, F, Q

from federation.agreements.timeline import EventKind, record_of_mirror
from federation.mirror import capture, control, dispatch
from federation.mirror.lease import LOCK_TIMEOUT
from federation.models import AgreementVersion, Side, Stream
from federation.scope import fingerprint

logger = logging.getLogger(__name__)

# So many streams are filled again at a time: each has all its rows compared, and its edits wait for that.
REFILLED_AT_ONCE = 10
# Institutions are prepared for so long, then others have a turn.
PREPARE_SECONDS = 2.0
# lock not available, deadlock
_HELD = {"55P03", "40P01"}


def outdated() -> dict[uuid.UUID, str]:
    """Return the live streams that were filled under another scope than this code's, with that one's fingerprint.

    It is one query for all of them. One that has yet to begin its fill is none of them: it begins under the
    scope of whoever fills it.
    """
    following = dispatch.live_streams().filter(cursor__isnull=False, agreement__version__isnull=False)
    wordings = following.values_list(
        "agreement__version__division",
        "agreement__version__private",
        "agreement__version__withheld",
        ExpressionWrapper(Q(owner=F("agreement__manager")), BooleanField()),
        "scope",
    ).annotate(pks=ArrayAgg("pk"))
    found: dict[uuid.UUID, str] = {}
    for division, private, withheld, is_managers, scope, pks in wordings.order_by():
        version = AgreementVersion(division=division, private=private, withheld=withheld)
        if fingerprint(version, Side.MANAGER if is_managers else Side.CHANNEL) != scope:
            found |= dict.fromkeys(pks, scope)
    return dict(sorted(found.items()))


def prepare(streams: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Have the institutions of streams note changes of what the scope now has, before anything is read.

    Return the streams of those where it could not be done: their users keep a table locked, or time was short.
    """
    if not streams:
        return set()
    named = Stream.objects.filter(pk__in=streams).values_list(
        "pk", "owner__schema_name", "receiver__schema_name"
    )
    parties = {pk: {str(schema) for schema in pair} for pk, *pair in named}
    drifted = capture.drifted(set().union(*parties.values()))
    # Those that are locked may come first again and again.
    random.shuffle(drifted)
    until = time.monotonic() + PREPARE_SECONDS
    left = {schema for schema in drifted if time.monotonic() > until or not _install(schema)}
    return {pk for pk, schemas in parties.items() if schemas & left}


def _install(schema: str) -> bool:
    """Bring the triggers of a schema in line, unless that means to wait for somebody: others would wait behind it."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
            capture.install(schema)
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) not in _HELD:
            raise
        logger.warning("the triggers of %s are brought in line later: a table is locked", schema)
        return False
    return True


@transaction.atomic
def refill(streams: Mapping[uuid.UUID, str]) -> dict[uuid.UUID, str]:
    """Have some streams begin anew, and say so in the timelines; return those that are left for later.

    These run on as before. Others are left alone that somebody has had filled again since they were found.
    """
    under_way = dispatch.live_streams().filter(
        fill_reason=Stream.FillReason.UPDATED, state__in=[Stream.State.WAITING, Stream.State.FILLING]
    )
    room = max(0, REFILLED_AT_ONCE - under_way.count())
    some = list(streams)[:room]
    if not some:
        return dict(streams)
    with connection.cursor() as cursor:
        # It waits for nobody. The agreement too: a line of its timeline locks it, in whatever order.
        cursor.execute(
            "SELECT s.id, s.scope FROM federation_stream s JOIN federation_agreement a ON a.id = s.agreement_id"
            " WHERE s.id = ANY(%s) ORDER BY s.id"
            " FOR UPDATE OF s SKIP LOCKED FOR KEY SHARE OF a SKIP LOCKED",
            [some],
        )
        free = dict(cursor.fetchall())
    as_found = [pk for pk, scope in free.items() if scope == streams[pk]]
    for stream in dispatch.live_streams().filter(pk__in=as_found, cursor__isnull=False):
        control.refill(stream, Stream.FillReason.UPDATED)
        record_of_mirror(EventKind.UPGRADED, stream)
    # Those that somebody has in hand come last.
    left = [*list(streams)[room:], *(pk for pk in some if pk not in free)]
    return {pk: streams[pk] for pk in left}
