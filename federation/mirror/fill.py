"""First fill, and refill: the roots in chunks, each with all that hangs off it, while the stream runs."""

from typing import Any

from django.utils import timezone
from psycopg import sql

from federation.mirror.keys import BATCH_KEYS, WITH_BRANCHES, Keys
from federation.mirror.overlap import sweep
from federation.models import Stream
from federation.scope import KINDS, Flow, Kind, by_label, fingerprint

# The first chunk; later ones follow from how much hangs off the roots.
FIRST_CHUNK = 50
# Roots in the order they are filled; after them, what a receiver may still hold of the owner's that
# hangs off no root any more.
_SWEPT = ("clients.Client", "models_portfolio.ModelPortfolio", "portfolios.Benchmark")


def _roots(flow: Flow) -> list[Kind]:
    own = [
        kind
        for kind in KINDS
        if (kind.root or kind.label == "portfolios.PriceSource") and kind.label in flow.listens
    ]
    return [*own, *(by_label()[label] for label in _SWEPT if label in flow.shares)]


def _root_ids(flow: Flow, kind: Kind) -> sql.Composed:
    """Return a query for the ids of the roots of a kind: here, and at the receiver."""
    if kind.root:
        whose = sql.SQL("{} = {}").format(
            sql.Identifier(kind.column(kind.root)), sql.Literal(flow.agreement.pk)
        )
        query = "SELECT id FROM {source}.{table} WHERE {whose} UNION SELECT id FROM {target}.{table} WHERE {whose}"
    else:
        whose = sql.SQL("origin = {}").format(sql.Literal(flow.owner.pk))
        query = "SELECT id FROM {target}.{table} WHERE {whose}"
        if not kind.through:
            query = "SELECT id FROM {source}.{table} WHERE origin IS NULL UNION " + query
    return sql.SQL(query).format(
        source=flow.source, target=flow.target, table=sql.Identifier(kind.table), whose=whose
    )


def is_of_another_scope(stream: Stream, flow: Flow) -> bool:
    """Say whether the fill of a stream was last begun by code that lets other things through than this one."""
    return stream.scope != fingerprint(flow.version, flow.side)


def begin(cursor: Any, stream: Stream, flow: Flow) -> None:
    """Start at the first root; nothing to do where nothing is shared."""
    roots = _roots(flow)
    stream.scope = fingerprint(flow.version, flow.side)
    stream.fill_kind, stream.fill_after, stream.fill_done = "", None, 0
    stream.fill_total, stream.fill_chunk = 0, FIRST_CHUNK
    for kind in roots:
        if kind.label in _SWEPT:
            continue
        cursor.execute(sql.SQL("SELECT count(*) FROM ({}) roots").format(_root_ids(flow, kind)))
        stream.fill_total += cursor.fetchone()[0]
    stream.state = Stream.State.FILLING if roots else Stream.State.RUNNING
    stream.fill_kind = roots[0].label if roots else ""


def take_roots(cursor: Any, stream: Stream, flow: Flow, keys: Keys) -> int:
    """Take the next chunk of roots into the batch and move on; return how many.

    What no root leads to is swept up when there are none left, in a batch of its own: it depends on what the
    others have written.
    """
    labels = [kind.label for kind in _roots(flow)]
    if stream.fill_kind not in labels:
        begin(cursor, stream, flow)
        return 0
    taken = 0
    for label in labels[labels.index(stream.fill_kind) :]:
        if label != stream.fill_kind:
            stream.fill_kind, stream.fill_after = label, None
        taken += _take(cursor, stream, flow, keys, most=stream.fill_chunk - taken)
        if taken == stream.fill_chunk:
            return taken
    if not taken:
        sweep(cursor, flow, keys)
        stream.fill_kind, stream.fill_after = "", None
        # Records may have come or gone since they were counted.
        stream.fill_total = stream.fill_done
        stream.state, stream.fill_reason, stream.filled_at = Stream.State.RUNNING, "", timezone.now()
    return taken


def _take(cursor: Any, stream: Stream, flow: Flow, keys: Keys, *, most: int) -> int:
    """Take the next roots of the kind at hand; return how many."""
    kind = by_label()[stream.fill_kind]
    after = (
        sql.SQL("WHERE id > {}").format(sql.Literal(stream.fill_after)) if stream.fill_after else sql.SQL("")
    )
    cursor.execute(
        sql.SQL("SELECT id FROM ({}) roots {} ORDER BY id LIMIT {}").format(
            _root_ids(flow, kind), after, sql.Literal(most)
        )
    )
    ids = [row[0] for row in cursor.fetchall()]
    if ids:
        keys.add(kind.label, sql.SQL("SELECT unnest({}) AS id").format(sql.Literal(ids)), 7 | WITH_BRANCHES)
        stream.fill_after = ids[-1]
        if kind.label not in _SWEPT:
            stream.fill_done += len(ids)
    return len(ids)


def adapt_chunk(stream: Stream, roots: int, keys: int) -> None:
    """Choose the next chunk so that it makes a batch of about the right size."""
    if roots:
        stream.fill_chunk = max(1, min(5_000, int(BATCH_KEYS * roots / max(keys, roots))))
