"""Rows that cannot be written now: set aside by name, tried again on their next change, later, or by hand."""

import datetime
from typing import Any

from federation.mirror.keys import WITH_BRANCHES
from federation.mirror.plan import FOREIGN
from federation.models import Stream

FIRST_RETRY = datetime.timedelta(seconds=10)
LAST_RETRY = datetime.timedelta(hours=1)
FOREIGN_ID = "id belongs to another owner"


def clear_tried(cursor: Any, stream: Stream, refused: dict[tuple[str, Any], str]) -> None:
    """Forget parked rows that this batch has dealt with."""
    cursor.execute(
        """
        DELETE FROM public.federation_parkedrow r USING pg_temp.mirror_keys k
        WHERE r.stream_id = %s AND r.kind = k.kind AND r.key = k.id
        AND NOT (r.key = ANY(%s))
        AND NOT EXISTS (
            SELECT 1 FROM pg_temp.mirror_plan p WHERE p.kind = k.kind AND p.id = k.id AND p.action = %s
        )
        """,
        [stream.pk, [key for _kind, key in refused], FOREIGN],
    )


def park(cursor: Any, stream: Stream, refused: dict[tuple[str, Any], str]) -> None:
    """Set the refused rows aside, with the name of what refused them."""
    if not refused:
        return
    # A change of its own ends a skip; being looked at with everything else, as in a repair, does not.
    cursor.execute(
        """
        UPDATE public.federation_parkedrow r SET skipped_at = NULL FROM pg_temp.mirror_keys k
        WHERE r.stream_id = %s AND r.skipped_at IS NOT NULL
        AND r.kind = k.kind AND r.key = k.id AND k.operations & %s = 0
        """,
        [stream.pk, WITH_BRANCHES],
    )
    cursor.execute(
        """
        INSERT INTO public.federation_parkedrow AS parked
            (stream_id, kind, key, reason, attempts, first_at, last_at, retry_at, skipped_by_name, skip_reason)
        SELECT %(stream)s, kind, key, reason, 1, statement_timestamp(), statement_timestamp(),
            statement_timestamp() + %(first)s, '', ''
        FROM unnest(%(kinds)s::text[], %(keys)s::uuid[], %(reasons)s::text[]) AS refused (kind, key, reason)
        ON CONFLICT (stream_id, kind, key) DO UPDATE SET
            reason = excluded.reason,
            attempts = parked.attempts + 1,
            last_at = excluded.last_at,
            retry_at = CASE WHEN parked.skipped_at IS NULL
                THEN excluded.last_at + least(%(first)s * power(2, least(parked.attempts, 20)), %(last)s::interval)
                ELSE parked.retry_at END
        """,
        {
            "stream": stream.pk,
            "kinds": [kind for kind, _key in refused],
            "keys": [key for _kind, key in refused],
            "reasons": [reason[:120] for reason in refused.values()],
            "first": FIRST_RETRY,
            "last": LAST_RETRY,
        },
    )


def park_foreign(cursor: Any, stream: Stream) -> None:
    """Set rows aside whose id belongs to somebody else at the receiver: it is never overwritten."""
    cursor.execute("SELECT kind, id FROM pg_temp.mirror_plan WHERE action = %s", [FOREIGN])
    park(cursor, stream, dict.fromkeys(cursor.fetchall(), FOREIGN_ID))
