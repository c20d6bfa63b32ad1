"""Open what people upload: CSV, gzip, zip and XML, with clear words for what cannot be read."""

import csv
import io
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from django.utils.translation import gettext as _

from accounts.errors import DomainError

MEGABYTE = 1024 * 1024
MAXIMUM_UPLOAD = 30 * MEGABYTE
MAXIMUM_TEXT = 150 * MEGABYTE
MAXIMUM_CELLS = 2_500_000
# Nothing that is honestly text compresses further than this.
_MAXIMUM_RATIO = 400
# How zip files are packed everywhere; other ways take any amount of memory before the first byte.
_ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# 1.234,56 and 1234,5, and the other way round 1,234.56.
DECIMAL_COMMA = re.compile(r"[+-]?(?:[1-9]\d{0,2}(?:\.\d{3})+|\d+)(?:,\d+)?")
_DECIMAL_POINT = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+\.\d+")


class UnreadableFile(DomainError):
    """A file that cannot be imported at all."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message, field="file")


@dataclass(frozen=True, slots=True)
class TextTable:
    """The rows of a text file; the first is the header. Numbers may be written with a comma."""

    rows: list[list[str]]
    has_decimal_commas: bool


def read_text(content: bytes, file_name: str) -> str:
    """Return the text of an upload, unpacked and decoded.

    Raises UnreadableFile for what is empty, too big, a bomb, encrypted, a spreadsheet, or no text.
    """
    if not content:
        raise UnreadableFile("file_empty", _("The file is empty. Choose the one with the figures."))
    if len(content) > MAXIMUM_UPLOAD:
        raise UnreadableFile(
            "file_too_big",
            _("The file has %(size)s MB; at most %(limit)s MB can be read at once. Split it by year.")
            % {"size": len(content) // MEGABYTE, "limit": MAXIMUM_UPLOAD // MEGABYTE},
        )
    text = _text_of(_unpack(content))
    if text is None or "\x00" in text:
        raise UnreadableFile(
            "file_not_text",
            _("“%(name)s” is not a text file. Export it as CSV and try again.") % {"name": file_name},
        )
    return text


def _text_of(raw: bytes) -> str | None:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _decode(raw, "utf-16")
    if b"\x00" in raw:
        return None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return _decode(raw, "cp1252")


def _decode(raw: bytes, encoding: str) -> str:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise UnreadableFile(
            "file_encoding", _("The characters of this file cannot be read. Save it as UTF-8 and try again.")
        ) from error


def _unpack(content: bytes) -> bytes:
    if content.startswith(b"\x1f\x8b"):
        return _gunzip(content)
    if content.startswith(b"PK\x03\x04"):
        return _unzip(content)
    if content.startswith(b"\xd0\xcf\x11\xe0"):
        raise UnreadableFile(
            "file_spreadsheet", _("This is an Excel workbook. Save the sheet as CSV and try again.")
        )
    return content


def _gunzip(content: bytes) -> bytes:
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        text = unpacker.decompress(content, min(MAXIMUM_TEXT, _MAXIMUM_RATIO * len(content)) + 1)
        _refuse_bomb(len(text), len(content))
        if not unpacker.eof:
            raise UnreadableFile("file_broken", _("The packed file ends too early. Download it again."))
    except zlib.error as error:
        raise UnreadableFile("file_broken", _("The packed file is damaged. Download it again.")) from error
    return text


def _unzip(content: bytes) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            if any(member.filename == "[Content_Types].xml" for member in members):
                raise UnreadableFile(
                    "file_spreadsheet", _("This is an Excel workbook. Save the sheet as CSV and try again.")
                )
            if len(members) != 1:
                raise UnreadableFile(
                    "zip_members",
                    _("The zip file holds %(count)s files. Pack one file, or choose the file itself.")
                    % {"count": len(members)},
                )
            if members[0].flag_bits & 1:
                raise UnreadableFile(
                    "zip_encrypted", _("The zip file has a password. Choose the file itself.")
                )
            if members[0].compress_type not in _ZIP_METHODS:
                raise UnreadableFile(
                    "zip_method", _("The zip file is packed in an uncommon way. Choose the file itself.")
                )
            _refuse_bomb(members[0].file_size, len(content))
            with archive.open(members[0]) as member:
                # The size in the header may lie, so no more than that is read.
                text = member.read(MAXIMUM_TEXT + 1)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError) as error:
        raise UnreadableFile("file_broken", _("The zip file is damaged. Download it again.")) from error
    _refuse_bomb(len(text), len(content))
    return text


def _refuse_bomb(size: int, packed: int) -> None:
    if size > MAXIMUM_TEXT or (size > MEGABYTE and size > _MAXIMUM_RATIO * packed):
        raise UnreadableFile(
            "file_too_big",
            _("Unpacked, the file is larger than %(limit)s MB. Split it by year.")
            % {"limit": MAXIMUM_TEXT // MEGABYTE},
        )


def refuse_too_many(figures: int) -> None:
    """Refuse a file with more figures than there is memory for: each takes many times what it does in the file."""
    if figures > MAXIMUM_CELLS:
        raise UnreadableFile(
            "file_too_big",
            _("The file has more than %(limit)s figures. Split it by year.")
            % {"limit": f"{MAXIMUM_CELLS:,}"},
        )


def read_table(text: str) -> TextTable:
    """Return the rows of a CSV with commas, semicolons or tabs between its columns; blank rows stay out."""
    header, _newline, _rest = text.lstrip().partition("\n")
    delimiter = max(",;\t", key=header.count)
    if not header.count(delimiter):
        raise UnreadableFile(
            "file_columns", _("There is only one column. Separate columns by commas, semicolons or tabs.")
        )
    rows: list[list[str]] = []
    cells = 0
    try:
        # Strict: a quote that is never closed would swallow the rows after it.
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True):
            # A row takes room even where it is blank.
            cells += len(row) or 1
            refuse_too_many(cells)
            rows.append(row)
    except csv.Error as error:
        raise UnreadableFile(
            "file_broken", _("The rows of this file cannot be told apart. Export it again.")
        ) from error
    _refuse_doubles(rows[0])
    return TextTable(rows=rows, has_decimal_commas=delimiter != "," and _writes_commas(rows))


def _refuse_doubles(header: list[str]) -> None:
    """Refuse two columns of one name: which of them counts, only who made the file can say."""
    for name, count in Counter(cell.strip().upper() for cell in header if cell.strip()).items():
        if count > 1:
            raise UnreadableFile(
                "file_columns", _("There are two columns called %(name)s. Keep one.") % {"name": name}
            )


def overflow(header: list[str], cells: list[str]) -> tuple[str, str] | None:
    """Return what is wrong with a row of more cells than the header, and the remedy; None for any other."""
    if not any(cell.strip() for cell in cells[len(header) :]):
        return None
    return _("The row has more cells than the header."), _("Check the separators and decimal commas.")


def _writes_commas(rows: list[list[str]]) -> bool:
    cells = [cell.strip() for cell in _sample(rows) if "," in cell]
    return any(map(DECIMAL_COMMA.fullmatch, cells)) and not any(map(_DECIMAL_POINT.fullmatch, cells))


def _sample(rows: list[list[str]]) -> Iterator[str]:
    for row in rows[1:200]:
        yield from row
