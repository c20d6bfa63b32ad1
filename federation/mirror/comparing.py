"""How a batch compares the rows of a kind in both schemas: to plan what has to be done, or to write it at once."""

from collections.abc import Sequence

from psycopg import sql

# ``looked`` gives the id, the action and whether it moved of each row that something has to be done to.
PLANNING = """
WITH k AS (
    SELECT id, {operations} AS operations FROM pg_temp.mirror_keys WHERE kind = {kind}{each}
), planned AS (
    INSERT INTO pg_temp.mirror_plan (kind, id, action, moved)
    SELECT {kind}, id, action, moved FROM ({looked}) looked RETURNING action, moved
)
SELECT action, count(*), bool_or(moved) FROM planned GROUP BY action
"""
# A row is found anew by its id, not by its place: of some kinds the mirror may read certain columns alone.
UPDATING = """
WITH k AS (
    SELECT id, {operations} AS operations FROM pg_temp.mirror_keys WHERE kind = {kind}{each}
), looked AS MATERIALIZED ({looked}), updated AS (
    UPDATE {target}.{table} d SET {set} FROM looked l
    WHERE l.action = 'updated' AND d.id = l.id RETURNING 1
), planned AS (
    INSERT INTO pg_temp.mirror_plan (kind, id, action, moved)
    SELECT {kind}, id, action, moved FROM looked WHERE action <> 'updated' RETURNING action, moved
)
SELECT action, count(*), bool_or(moved) FROM planned GROUP BY action
UNION ALL SELECT 'updated', count(*), false FROM updated HAVING count(*) > 0
"""


def differs(columns: Sequence[str]) -> sql.Composable:
    """Return the condition under which the receiver's row differs in one of these columns."""
    if not columns:
        return sql.SQL("false")
    return sql.SQL("({theirs}) IS DISTINCT FROM ({ours})").format(
        theirs=sql.SQL(", ").join(sql.Identifier("d", name) for name in columns),
        ours=sql.SQL(", ").join(sql.Identifier("w", name) for name in columns),
    )
