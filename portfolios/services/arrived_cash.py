"""Cash that arrived, as the bank says: entered by hand, or taken from its statement; each entry once."""

import datetime
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import bulk
from accounts.currencies import check_currency
from accounts.errors import DomainError
from accounts.fields import MoneyField
from accounts.models import AuditEntry, User, audit
from clients.services.guards import require_whole_units
from portfolios.models import BankEntry
from portfolios.services.imports.files import (
    UnreadableFile,
    overflow,
    read_table,
    read_text,
)
from portfolios.services.imports.values import RowError, Unreadable, read_date, read_number

# What the bank says of an entry.
_SAME = ("value_date", "amount", "currency", "payer", "reference")


@transaction.atomic
def enter_cash(
    *,
    value_date: datetime.date,
    amount: Decimal,
    currency: str,
    by: User | None,
    payer: str = "",
    reference: str = "",
) -> BankEntry:
    """Record cash that arrived; raise DomainError where a figure cannot be, or the same entry is here already."""
    entry = _checked(value_date, amount, currency, payer, reference)
    _take_turns()
    if BankEntry.objects.own().filter(**dict(zip(_SAME, _said(entry), strict=True))).exists():
        raise DomainError("entry_known", _("This entry is here already. Nothing was added."))
    entry.save(force_insert=True)
    audit("cash.entered", entry, by=by)
    return entry


def _checked(
    value_date: datetime.date, amount: Decimal, currency: str, payer: str, reference: str
) -> BankEntry:
    """Return an entry, not saved; raise DomainError where a figure cannot be."""
    if amount <= 0:
        raise DomainError("amount_missing", _("Enter an amount above zero."), field="amount")
    code = check_currency(currency)
    require_whole_units(amount, code)
    if value_date > timezone.now().date():
        raise DomainError(
            "date_in_future", _("Choose a value date that is not in the future."), field="value_date"
        )
    entry = BankEntry(
        value_date=value_date,
        amount=amount,
        currency=code,
        payer=payer.strip(),
        reference=reference.strip(),
    )
    try:
        entry.clean_fields(exclude=["account", "portfolio", "instruction", "transaction"])
    except ValidationError as error:
        name, words = next(iter(error.message_dict.items()))
        raise DomainError("entry_refused", " ".join(words), field=name) from error
    return entry


def _said(entry: BankEntry) -> tuple[Any, ...]:
    """Return what the bank says of an entry: of two that are alike in it, one is known."""
    return tuple(getattr(entry, name) for name in _SAME)


def _take_turns() -> None:
    """Wait for whoever enters cash here: of the same form or file sent twice at once, the second is known."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || ' arrived cash', 0))"
        )


@transaction.atomic
def import_cash(*, content: bytes, file_name: str, by: User | None) -> tuple[int, int, list[RowError]]:
    """Record the arrived cash of a CSV; return how many entries are new, how many known, and what is wrong.

    Two payments may be alike: as many as the file has are there afterwards. Nothing is recorded while a row is
    wrong, so that the file can be corrected and sent again.
    """
    table = read_table(read_text(content, file_name))
    header = [cell.strip().lower().replace(" ", "_") for cell in table.rows[0]]
    missing = [name for name in ("value_date", "amount", "currency") if name not in header]
    if missing:
        raise UnreadableFile(
            "file_columns", _("These columns are missing: %(names)s.") % {"names": ", ".join(missing)}
        )
    errors: list[RowError] = []
    entries: list[BankEntry] = []
    for number, cells in enumerate(table.rows[1:], start=2):
        if not any(cell.strip() for cell in cells):
            continue
        if excess := overflow(header, cells):
            errors.append(RowError(number, *excess))
            continue
        row = dict(zip(header, cells, strict=False))
        try:
            entries.append(
                _checked(
                    value_date=read_date(row.get("value_date", "")),
                    amount=read_number(row.get("amount", ""), table.has_decimal_commas, MoneyField),
                    currency=row.get("currency", "").strip(),
                    payer=row.get("payer", ""),
                    reference=row.get("reference", ""),
                )
            )
        except Unreadable as error:
            errors.append(RowError(number, error.problem, error.remedy))
        except DomainError as error:
            wrong = _("This %(column)s cannot be used.") % {"column": error.field or _("row")}
            errors.append(RowError(number, wrong, str(error.message)))
    if not errors and not entries:
        raise UnreadableFile("file_empty", _("No row follows the header. Choose the file with the entries."))
    if errors:
        return 0, 0, errors
    _take_turns()
    new = _unknown(entries)
    bulk.insert(new)
    bulk.insert(
        [
            AuditEntry(
                actor=by,
                actor_name=by.full_name if by else "",
                action="cash.entered",
                kind=BankEntry._meta.label_lower,
                record_id=entry.pk,
            )
            for entry in new
        ]
    )
    return len(new), len(entries) - len(new), []


def _unknown(entries: Sequence[BankEntry]) -> list[BankEntry]:
    """Return those of the entries that are not here yet, in one query."""
    days = [entry.value_date for entry in entries]
    known = BankEntry.objects.own().filter(value_date__range=(min(days), max(days)))
    here = Counter(known.values_list(*_SAME))
    new = []
    for entry in entries:
        said = _said(entry)
        if here[said]:
            here[said] -= 1
        else:
            new.append(entry)
    return new
