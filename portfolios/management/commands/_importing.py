"""What the import commands have in common."""

import time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.errors import DomainError
from portfolios.models import ImportBatch, PriceSource
from portfolios.services.imports import confirm_import, preview_import, run_import
from portfolios.services.imports.values import read_date
from portfolios.tasks import revalue_after

SHOWN_ERRORS = 20


def run(
    command: BaseCommand,
    *,
    kind: str,
    path: str,
    source: PriceSource,
    currency: str = "",
    creates_missing: bool = False,
    is_preview: bool = False,
    values: bool = True,
) -> None:
    """Preview a file, print what it would do, and import it unless only a preview is wanted."""
    started = time.monotonic()
    file = Path(path)
    if not file.is_file():
        raise CommandError(f"There is no file {path}. Give the path of the file to import.")
    try:
        batch = preview_import(
            kind=kind,
            file_name=file.name,
            content=file.read_bytes(),
            source=source,
            currency=currency,
            by=None,
        )
        _print_preview(command, batch)
        if is_preview:
            batch.delete()
            return
        create = (
            [_new_security(entry, currency) for entry in batch.summary["unknown"]] if creates_missing else []
        )
        batch = run_import(batch=confirm_import(batch=batch, by=None, create=create))
    except DomainError as error:
        raise CommandError(str(error.message)) from error
    summary = batch.summary
    command.stdout.write(
        command.style.SUCCESS(
            f"{summary['new']:,} new, {summary['changed']:,} changed, {summary['unchanged']:,} unchanged "
            f"in {time.monotonic() - started:.1f} s"
        )
    )
    if values and summary.get("since"):
        revalue_after(batch, read_date(summary["since"]))
        command.stdout.write(f"Portfolios valued after {time.monotonic() - started:.1f} s")


def _new_security(entry: dict[str, Any], currency: str) -> dict[str, str]:
    if not (entry["currency"] or currency):
        raise CommandError(f"Say in which currency {entry['key']} is: --currency USD.")
    return {"key": entry["key"], "name": entry["key"], "currency": entry["currency"] or currency}


def _print_preview(command: BaseCommand, batch: ImportBatch) -> None:
    summary = batch.summary
    command.stdout.write(
        f"{batch.file_name}: {summary['rows']:,} figures of {summary['keys']:,}, {summary['from']} to {summary['until']}; "
        f"{summary['new']:,} new, {summary['changed']:,} changed, {summary['unchanged']:,} unchanged"
    )
    for error in summary["errors"][:SHOWN_ERRORS]:
        command.stderr.write(f"Row {error['row']}: {error['problem']} {error['remedy']}")
    if summary["error_count"] > SHOWN_ERRORS:
        command.stderr.write(f"… and {summary['error_count'] - SHOWN_ERRORS:,} more rows that cannot be used")
    if summary["unknown"]:
        keys = ", ".join(entry["key"] for entry in summary["unknown"][:20])
        command.stderr.write(f"No security for: {keys}. Create them with --create-missing --currency USD.")
