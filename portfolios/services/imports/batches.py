"""Preview, import and undo a file of prices or rates, as a batch."""

import datetime
import gzip
import json
import uuid
from dataclasses import asdict
from typing import Any

from django.db import connection, transaction
from django.db.models import Min, ProtectedError
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.currencies import check_currency
from accounts.errors import DomainError
from accounts.models import User, audit
from accounts.records import new_id
from portfolios.models import ExchangeRate, ImportBatch, Price, PriceSource, Security
from portfolios.services.imports.keys import ISIN_LENGTH, PRICES, RATES, Owner, resolve
from portfolios.services.imports.parsing import Parsed, Row, parse_prices, parse_rates
from portfolios.services.securities import create_security

ROWS_AT_ONCE = 25_000
SHOWN_ROWS = 20
State = ImportBatch.State


@transaction.atomic
def preview_import(
    *, kind: str, file_name: str, content: bytes, source: PriceSource, currency: str = "", by: User | None
) -> ImportBatch:
    """Read a file and say what importing it would do; nothing is written but the batch itself.

    ``currency`` is that of new securities whose rows name none. Raises DomainError for a file that
    cannot be read at all, or a source that a partner owns.
    """
    if source.is_received:
        raise DomainError(
            "received_source", _("This source is your partner's. Choose one of your own."), field="source"
        )
    parsed = _parse(kind, content, file_name)
    batch = ImportBatch(
        kind=kind,
        file_name=file_name[:200],
        content=content,
        source=source,
        options={"currency": check_currency(currency) if currency else "", "create": []},
        created_by_name=by.full_name if by else "",
    )
    _summarise(batch, parsed)
    batch.save()
    audit("import.previewed", batch, by=by, kind=kind, source=str(source.pk))
    return batch


@transaction.atomic
def confirm_import(
    *, batch: ImportBatch, by: User | None, create: list[dict[str, str]] | None = None
) -> ImportBatch:
    """Queue a previewed batch for a worker; ``create`` are new securities: key, name, currency, asset_class."""
    batch = ImportBatch.objects.select_for_update().get(pk=batch.pk)
    if batch.state not in (State.PREVIEW, State.FAILED):
        raise DomainError("import_confirmed", _("This import was already confirmed. Wait until it is done."))
    if not batch.rows_total:
        raise DomainError(
            "import_empty", _("No row of this file can be used. Correct the file and upload it again.")
        )
    for wanted in create or []:
        _check_wanted(wanted)
    batch.state = State.QUEUED
    batch.options = {
        **batch.options,
        "create": create if create is not None else batch.options.get("create", []),
        # All rows that the batch adds bear this instant, by which they are found again.
        "written_at": batch.options.get("written_at") or timezone.now().isoformat(),
    }
    batch.save(update_fields=["state", "options"])
    audit("import.confirmed", batch, by=by, kind=batch.kind)
    return batch


def _check_wanted(wanted: dict[str, str]) -> None:
    key, name = wanted.get("key", ""), wanted.get("name", "").strip()
    if not name or not wanted.get("currency", "").strip():
        raise DomainError(
            "security_incomplete",
            _("Enter a name and a currency for %(key)s, or leave it out.") % {"key": key},
        )
    longest = Security._meta.get_field("name").max_length or 0
    if len(name) > longest:
        raise DomainError(
            "security_name",
            _("The name of %(key)s is too long. Enter at most %(longest)s characters.")
            % {"key": key, "longest": longest},
        )
    check_currency(wanted["currency"])


def run_import(*, batch: ImportBatch) -> ImportBatch:
    """Write a confirmed batch in steps, each of them whole; started again it goes on where it was."""
    if batch.state not in (State.QUEUED, State.RUNNING):
        return batch
    batch.state = State.RUNNING
    batch.save(update_fields=["state"])
    parsed = _parse(batch.kind, bytes(batch.content), batch.file_name)
    with transaction.atomic():
        made = _create_securities(batch)
    keyed, unknown = resolve(batch, parsed)
    rows = [(owner, row) for owner, row in keyed if owner is not None]
    batch.rows_total, batch.rows_done = len(rows), 0
    counts = {"new": 0, "changed": 0, "unchanged": 0}
    since: datetime.date | None = None
    for start in range(0, len(rows), ROWS_AT_ONCE):
        step = rows[start : start + ROWS_AT_ONCE]
        with transaction.atomic():
            for name, count in _write(batch, step).items():
                counts[name] += count
            batch.rows_done = start + len(step)
            batch.save(update_fields=["rows_done", "rows_total", "before"])
    if counts["new"] or counts["changed"]:
        since = min(row.date for _owner, row in rows)
    # The file is not needed any more: what it changed is known without it.
    batch.state, batch.finished_at, batch.content = State.DONE, timezone.now(), b""
    batch.summary = {
        **batch.summary,
        **counts,
        "unknown": [],
        "left_out": len(unknown),
        "made": [str(pk) for pk in made],
        "since": since.isoformat() if since else None,
    }
    batch.save()
    return batch


@transaction.atomic
def undo_import(*, batch: ImportBatch, by: User | None) -> ImportBatch:
    """Take back what a batch wrote, except rows that were changed again since."""
    batch = ImportBatch.objects.select_for_update().get(pk=batch.pk)
    if not batch.may_be_undone:
        raise DomainError("import_not_done", _("Only an import that wrote something can be undone."))
    model: Any = Price if batch.kind == PRICES else ExchangeRate
    written_at = datetime.datetime.fromisoformat(batch.options["written_at"])
    added = model.objects.filter(source=batch.source, created_at=written_at, origin__isnull=True)
    added = added.exclude(pk__in=_changed_later(batch))
    since = added.aggregate(Min("date"))["date__min"]
    removed, _by_model = added.delete()
    restored, left = _restore(batch)
    for pk in batch.summary.get("made", []):
        _drop_unused(uuid.UUID(pk))
    batch.state = State.UNDONE
    batch.summary = {**batch.summary, "removed": removed, "restored": restored, "left": left}
    batch.save(update_fields=["state", "summary"])
    audit("import.undone", batch, by=by, removed=removed, restored=restored)
    earliest = [day for day in (since, _day(batch.summary.get("since")) if restored else None) if day]
    batch.summary["revalue_since"] = min(earliest).isoformat() if earliest else None
    return batch


def _day(text: str | None) -> datetime.date | None:
    return datetime.date.fromisoformat(text) if text else None


def _drop_unused(pk: uuid.UUID) -> None:
    try:
        with transaction.atomic():
            Security.objects.filter(pk=pk, origin__isnull=True).delete()
    except ProtectedError:
        # Something names it meanwhile, so it stays.
        return


def _parse(kind: str, content: bytes, file_name: str) -> Parsed:
    parse = parse_prices if kind == PRICES else parse_rates
    return parse(content, file_name, today=timezone.now().date())


def _changed_later(batch: ImportBatch) -> list[str]:
    """Return the rows that a later import into the source has changed."""
    later = ImportBatch.objects.filter(
        source=batch.source,
        kind=batch.kind,
        state=State.DONE,
        created_at__gt=batch.created_at,
        before__isnull=False,
    )
    return [pk for before in later.values_list("before", flat=True) for pk, _old, _new in _unpack(before)]


def _restore(batch: ImportBatch) -> tuple[int, int]:
    """Give changed rows back what they said, unless they were changed again; return how many, and how many not."""
    changed = _unpack(batch.before)
    if not changed:
        return 0, 0
    table, value, _numeric, _same = _TEMPORARY[batch.kind]
    ids, olds, news = (list(column) for column in zip(*changed, strict=True))
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE {table} t SET {value} = c.old
            FROM unnest(%s::uuid[], %s::numeric[], %s::numeric[]) AS c(id, old, new)
            WHERE t.id = c.id AND t.{value} = c.new
            """,  # noqa: S608  (constants of this module)
            [ids, olds, news],
        )
        return cursor.rowcount, len(changed) - cursor.rowcount


def _summarise(batch: ImportBatch, parsed: Parsed) -> None:
    keyed, unknown = resolve(batch, parsed)
    known = [(owner, row) for owner, row in keyed if owner is not None]
    counts = {"new": 0, "changed": 0, "unchanged": 0}
    for start in range(0, len(known), ROWS_AT_ONCE):
        for name, count in _compare(batch, known[start : start + ROWS_AT_ONCE]).items():
            counts[name] += count
    days = [row.date for _owner, row in known] or [row.date for row in parsed.rows]
    batch.rows_total = len(parsed.rows)
    batch.summary = {
        **counts,
        "rows": len(parsed.rows),
        "repeated": parsed.repeated,
        "layout": parsed.layout,
        "error_count": parsed.error_count,
        "errors": [asdict(error) for error in sorted(parsed.errors, key=lambda error: error.row)],
        "unknown": unknown,
        "unknown_rows": sum(entry["rows"] for entry in unknown),
        "from": min(days).isoformat() if days else None,
        "until": max(days).isoformat() if days else None,
        "keys": len({row.key for row in parsed.rows}),
        "sample": [
            {"row": row.number, "key": row.key, "date": row.date.isoformat(), "value": str(row.value)}
            for row in parsed.rows[:SHOWN_ROWS]
        ],
    }


def _create_securities(batch: ImportBatch) -> list[uuid.UUID]:
    made = [uuid.UUID(pk) for pk in batch.summary.get("made", [])]
    for wanted in batch.options["create"]:
        key = wanted["key"].strip().upper()
        is_isin = len(key) == ISIN_LENGTH
        if Security.objects.filter(**{"isin" if is_isin else "ticker": key}).exists():
            continue
        security = create_security(
            isin=key if is_isin else "",
            ticker="" if is_isin else key,
            name=wanted["name"].strip(),
            currency=wanted["currency"].strip().upper(),
            asset_class=wanted.get("asset_class") or Security.AssetClass.EQUITY,
            by=None,
        )
        made.append(security.pk)
    batch.summary = {**batch.summary, "made": [str(pk) for pk in made]}
    batch.save(update_fields=["summary"])
    return made


_TEMPORARY = {
    PRICES: (
        "portfolios_price",
        "close",
        "numeric(24,10)",
        "n.security_id = k.security_id AND n.currency = k.currency",
    ),
    RATES: ("portfolios_exchangerate", "rate", "numeric(20,10)", "n.currency = k.currency"),
}


def _compare(batch: ImportBatch, rows: list[tuple[Owner, Row]]) -> dict[str, int]:
    """Count what is new, changed and unchanged in the source; leaves the rows in a temporary table."""
    table, value, numeric, same = _TEMPORARY[batch.kind]
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS pg_temp.import_rows")
        cursor.execute(
            f"CREATE TEMPORARY TABLE import_rows (id uuid, security_id uuid, currency varchar(3), date date, value {numeric})"
            " ON COMMIT DROP"
        )
        with cursor.copy("COPY pg_temp.import_rows FROM STDIN") as copy:
            copy.write(
                "".join(
                    f"{new_id()}\t{security_id or chr(92) + 'N'}\t{currency}\t{row.date}\t{row.value}\n"
                    for (security_id, currency), row in rows
                )
            )
        cursor.execute("ANALYZE pg_temp.import_rows")
        cursor.execute(
            f"""
            SELECT count(*) FILTER (WHERE k.id IS NULL), count(*) FILTER (WHERE k.{value} <> n.value),
                count(*) FILTER (WHERE k.{value} = n.value)
            FROM pg_temp.import_rows n
            LEFT JOIN {table} k ON {same} AND k.date = n.date AND k.source_id = %s
            """,  # noqa: S608  (constants of this module)
            [batch.source_id],
        )
        return dict(zip(("new", "changed", "unchanged"), cursor.fetchone(), strict=True))


def _write(batch: ImportBatch, rows: list[tuple[Owner, Row]]) -> dict[str, int]:
    """Add and change rows of the source; what was there before is kept in the batch."""
    # Two imports into one source take turns.
    assert batch.source_id is not None
    PriceSource.objects.select_for_update().get(pk=batch.source_id)
    counts = _compare(batch, rows)
    table, value, _numeric, same = _TEMPORARY[batch.kind]
    owner, own_columns = ("security_id, ", "n.security_id, ") if batch.kind == PRICES else ("", "")
    written_at = datetime.datetime.fromisoformat(batch.options["written_at"])
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH changing AS (
                SELECT k.id, k.{value} AS old, n.value AS new
                FROM pg_temp.import_rows n
                JOIN {table} k ON {same} AND k.date = n.date AND k.source_id = %s AND k.{value} <> n.value
            ), changed AS (
                UPDATE {table} t SET {value} = c.new FROM changing c WHERE t.id = c.id RETURNING t.id
            )
            SELECT c.id, c.old, c.new FROM changing c JOIN changed USING (id)
            """,  # noqa: S608  (constants of this module)
            [batch.source_id],
        )
        changed = [(str(pk), str(old), str(new)) for pk, old, new in cursor.fetchall()]
        cursor.execute(
            f"""
            INSERT INTO {table} (id, created_at, source_id, {owner}currency, date, {value})
            SELECT n.id, %s, %s, {own_columns}n.currency, n.date, n.value FROM pg_temp.import_rows n
            ON CONFLICT ({owner}currency, date, source_id) DO NOTHING
            """,  # noqa: S608  (constants of this module)
            [written_at, batch.source_id],
        )
    if changed:
        batch.before = _pack([*_unpack(batch.before), *changed])
    return counts


def _pack(changed: list[tuple[str, str, str]]) -> bytes:
    return gzip.compress(json.dumps(changed).encode())


def _unpack(packed: bytes | memoryview | None) -> list[tuple[str, str, str]]:
    return [tuple(entry) for entry in json.loads(gzip.decompress(bytes(packed)))] if packed else []
