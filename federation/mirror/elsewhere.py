"""Rows that are none of a stream's business: another agreement of the same two looks after them alone."""

from collections.abc import Sequence

from psycopg import sql

from federation.scope import Flow, Kind, branches, parent_of


def is_anothers(flow: Flow, others: Sequence[Flow], kind: Kind) -> sql.Composable | None:
    """Return the condition for: another agreement's stream looks after the receiver's row ``d``, and all that hangs off it.

    None where no condition says so. A row with one way to a root stands under one agreement; another one's stream
    brings all that this one would, so that nothing is left of what this one brought before.
    """
    if not _has_one_root(kind):
        return None
    below = _with_all_below(kind)
    stands = [other.stands(kind, "d") for other in others if _shares_as_much(other, flow, below)]
    return sql.SQL("({})").format(sql.SQL(" OR ").join(stands)) if stands else None


def _has_one_root(kind: Kind) -> bool:
    step: Kind | None = parent_of(kind)
    while step is not None and not step.root:
        step = parent_of(step)
    return step is not None


def _with_all_below(kind: Kind) -> list[str]:
    found = [kind.label]
    for step in branches(kind.label):
        if not step.is_up:
            found += _with_all_below(step.kind)
    return found


def _shares_as_much(other: Flow, flow: Flow, labels: Sequence[str]) -> bool:
    return all(
        label in other.shares and set(other.shares[label].fields) >= set(flow.shares[label].fields)
        for label in labels
        if label in flow.shares
    )
