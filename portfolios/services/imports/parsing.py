"""Turn files of prices and rates into rows, and say which of their rows cannot be used."""

import datetime
from bisect import insort
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from operator import attrgetter
from xml.etree import ElementTree

from django.utils.translation import gettext as _

from accounts.currencies import CURRENCIES
from accounts.fields import KindField, PriceField, RateField
from portfolios.services.imports.files import (
    TextTable,
    UnreadableFile,
    overflow,
    read_table,
    read_text,
    refuse_too_many,
)
from portfolios.services.imports.values import RowError, Unreadable, kept, read_date, read_number

_DATE = {"date", "datum", "day", "trade date", "trade_date"}
_ISIN = {"isin"}
_TICKER = {"ticker", "symbol", "security", "code"}
_CLOSE = {"close", "price", "closing price", "kurs", "schlusskurs", "last", "rate"}
_CURRENCY = {"currency", "ccy", "währung", "waehrung"}
# The ECB writes N/A where a currency was not quoted; a gap in a table of closes is no error either.
_GAPS = {"", "n/a", "na", "nan", "-", "—", "null"}
# Prices in pence are kept in pounds.
_PENCE = {"GBX", "GBP PENCE", "GBp"}
_EARLIEST = datetime.date(1900, 1, 1)
MAXIMUM_ERRORS = 500


@dataclass(frozen=True, slots=True)
class Row:
    """A price or rate: ``key`` is an ISIN or ticker, or for a rate the currency.

    ``is_isin`` says that it stood in the column of ISINs.
    """

    number: int
    key: str
    date: datetime.date
    value: Decimal
    currency: str = ""
    is_isin: bool = False


@dataclass(slots=True)
class Parsed:
    """What a file says; ``errors`` are counted in full and listed in the order of rows, up to a limit."""

    rows: list[Row] = field(default_factory=list)
    errors: list[RowError] = field(default_factory=list)
    error_count: int = 0
    repeated: int = 0
    layout: str = ""

    def refuse(self, number: int, problem: str, remedy: str) -> None:
        """Note that a row cannot be used."""
        self.error_count += 1
        # Some are found only when all rows are read.
        insort(self.errors, RowError(number, problem, remedy), key=attrgetter("row"))
        del self.errors[MAXIMUM_ERRORS:]


def parse_prices(content: bytes, file_name: str, *, today: datetime.date) -> Parsed:
    """Return the closes of a CSV: one row per security and day, or one column per security."""
    table = read_table(read_text(content, file_name))
    header = [cell.strip().lower() for cell in table.rows[0]]
    if not header or (header[0] not in _DATE and not _DATE & set(header)):
        raise UnreadableFile(
            "file_columns",
            _("No column is called “date”. Name the columns date, isin or ticker, close, currency."),
        )
    if _CLOSE & set(header) and (_ISIN | _TICKER) & set(header):
        return _parse_long(table, header, _ISIN, _TICKER, _Reader(table, today, PriceField))
    if header[0] not in _DATE:
        raise UnreadableFile(
            "file_columns",
            _(
                "The columns are not clear. Use date, isin or ticker, close, currency, or the date and one column per ticker."
            ),
        )
    return _parse_wide(table, _Reader(table, today, PriceField))


def parse_rates(content: bytes, file_name: str, *, today: datetime.date) -> Parsed:
    """Return units of currencies for one euro: the ECB's CSV (also zipped), its XML, or date, currency, rate."""
    text = read_text(content, file_name)
    if text.lstrip()[:1] == "<":
        parsed = _parse_ecb_xml(text, today)
    else:
        table = read_table(text)
        header = [cell.strip().lower() for cell in table.rows[0]]
        if _CURRENCY & set(header) and _CLOSE & set(header):
            parsed = _parse_long(table, header, _CURRENCY, set(), _Reader(table, today, RateField))
        elif header and header[0] in _DATE:
            parsed = _parse_wide(table, _Reader(table, today, RateField))
        else:
            raise UnreadableFile(
                "file_columns",
                _("This is not the ECB's format. Choose eurofxref-hist.zip or eurofxref-daily.xml."),
            )
    return _only_currencies(parsed)


def _only_currencies(parsed: Parsed) -> Parsed:
    kept = []
    seen: Counter[str] = Counter()
    for row in parsed.rows:
        if len(row.key) == 3 and row.key.isalpha() and row.key.isascii():
            kept.append(row)
        elif not seen[row.key]:
            seen[row.key] += 1
            parsed.refuse(
                row.number,
                _("“%(key)s” is not a currency.") % {"key": row.key[:20]},
                _("Use the three letters of ISO 4217, such as USD."),
            )
    parsed.rows = kept
    return parsed


def _parse_wide(table: TextTable, reader: "_Reader") -> Parsed:
    parsed = reader.parsed
    parsed.layout = "wide"
    header = [cell.strip().upper() for cell in table.rows[0]]
    names = header[1:]
    if not any(names):
        raise UnreadableFile("file_columns", _("There is no column beside the date."))
    for number, cells in enumerate(table.rows[1:], start=2):
        if not any(cell.strip() for cell in cells):
            continue
        day = reader.day(number, cells[0])
        if day is None:
            continue
        if wrong := overflow(header, cells):
            parsed.refuse(number, *wrong)
            continue
        for name, cell in zip(names, cells[1:], strict=False):
            if name:
                reader.add(number, name, day, cell)
    return reader.finish()


def _parse_long(
    table: TextTable, header: list[str], first: set[str], second: set[str], reader: "_Reader"
) -> Parsed:
    parsed = reader.parsed
    parsed.layout = "long"
    date_at, close_at = _position(header, _DATE), _position(header, _CLOSE)
    first_at, second_at, currency_at = (
        _position(header, first),
        _position(header, second),
        _position(header, _CURRENCY),
    )
    if currency_at == first_at:
        currency_at = None
    if date_at is None or close_at is None:
        raise UnreadableFile(
            "file_columns", _("A column is missing. Name them date, isin or ticker, close, currency.")
        )

    def cell(cells: list[str], at: int | None) -> str:
        return cells[at].strip() if at is not None and at < len(cells) else ""

    for number, cells in enumerate(table.rows[1:], start=2):
        if not any(each.strip() for each in cells):
            continue
        if len(cells) < len(header):
            parsed.refuse(number, _("The row ends too early."), _("Fill in all columns of the header."))
            continue
        if wrong := overflow(header, cells):
            parsed.refuse(number, *wrong)
            continue
        key = (cell(cells, first_at) or cell(cells, second_at)).upper()
        if not key:
            parsed.refuse(number, _("It does not say which security."), _("Fill in the ISIN or the ticker."))
            continue
        day = reader.day(number, cell(cells, date_at))
        if day is not None:
            is_isin = first is _ISIN and bool(cell(cells, first_at))
            reader.add(number, key, day, cell(cells, close_at), cell(cells, currency_at), is_isin=is_isin)
    return reader.finish()


def _position(header: list[str], names: set[str]) -> int | None:
    return next((at for at, cell in enumerate(header) if cell in names), None)


def _parse_ecb_xml(text: str, today: datetime.date) -> Parsed:
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise UnreadableFile(
            "file_broken", _("This is not the ECB's file: it declares entities. Download it again.")
        )
    refuse_too_many(text.count("<") + text.count("="))
    try:
        # A text, not bytes: which encoding it names counts no longer.
        root = ElementTree.fromstring(text)  # noqa: S314  (entities are refused above)
    except ElementTree.ParseError as error:
        raise UnreadableFile(
            "file_broken", _("The file ends too early or is damaged. Download eurofxref-daily.xml again.")
        ) from error
    reader = _Reader(None, today, RateField)
    reader.parsed.layout = "xml"
    days = [node for node in root.iter() if node.tag.endswith("Cube") and "time" in node.attrib]
    if not days:
        raise UnreadableFile(
            "file_columns", _("There are no rates in this file. Choose the ECB's eurofxref-daily.xml.")
        )
    number = 0
    for node in days:
        day = reader.day(number + 1, node.attrib["time"])
        for quote in node:
            number += 1
            if day is not None:
                reader.add(
                    number, quote.attrib.get("currency", "").upper(), day, quote.attrib.get("rate", "")
                )
    return reader.finish()


class _Reader:
    """Gather rows; a day and key that comes twice counts once, or is refused where the figures differ."""

    def __init__(self, table: TextTable | None, today: datetime.date, kind: type[KindField]) -> None:  # type: ignore[type-arg]
        self.parsed, self.today, self.kind = Parsed(), today, kind
        self.has_decimal_commas = table is not None and table.has_decimal_commas
        self.seen: dict[tuple[str, datetime.date, str], Row] = {}

    def day(self, number: int, cell: str) -> datetime.date | None:
        """Return the row's day, or None after noting what is wrong with it."""
        try:
            day = read_date(cell)
        except Unreadable as error:
            self.parsed.refuse(number, error.problem, error.remedy)
            return None
        if day > self.today:
            self.parsed.refuse(number, _("%(day)s is in the future.") % {"day": day}, _("Correct the date."))
            return None
        if day < _EARLIEST:
            self.parsed.refuse(number, _("%(day)s is too long ago.") % {"day": day}, _("Correct the date."))
            return None
        return day

    def add(
        self,
        number: int,
        key: str,
        day: datetime.date,
        cell: str,
        currency: str = "",
        *,
        is_isin: bool = False,
    ) -> None:
        """Take one figure; a gap is passed over."""
        if cell.strip().lower() in _GAPS:
            return
        try:
            value = read_number(cell, self.has_decimal_commas, self.kind)
            if currency in _PENCE or currency.upper() == "GBX":
                currency, value = "GBP", kept(value / 100, cell, self.kind)
        except Unreadable as error:
            where = f"{key}: {error.problem}"
            self.parsed.refuse(number, where, error.remedy)
            return
        currency = currency.upper()
        if currency and currency not in CURRENCIES:
            self.parsed.refuse(
                number,
                _("“%(currency)s” is not a currency.") % {"currency": currency[:20]},
                _("Use the three letters of ISO 4217, such as USD."),
            )
            return
        identity = (key, day, currency)
        before = self.seen.get(identity)
        if before is None:
            self.seen[identity] = Row(number, key, day, value, currency, is_isin)
        elif before.value == value:
            self.parsed.repeated += 1
        else:
            self.parsed.refuse(
                number,
                _("%(key)s on %(day)s differs from row %(row)s.")
                % {"key": key, "day": day, "row": before.number},
                _("Keep the right one of the two rows."),
            )

    def finish(self) -> Parsed:
        """Return what was gathered."""
        self.parsed.rows = list(self.seen.values())
        return self.parsed
