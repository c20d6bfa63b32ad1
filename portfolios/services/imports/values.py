"""Read dates and figures as people write them."""

import datetime
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache

from django.utils.translation import gettext as _

from accounts.fields import KindField
from portfolios.services.imports.files import DECIMAL_COMMA


class Unreadable(ValueError):
    """A cell that cannot be understood: what is wrong, and what to write instead."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.problem, self.remedy = problem, remedy


@dataclass(frozen=True, slots=True)
class RowError:
    """What is wrong in a row of the file (counted from 1, with the header) and how to mend it."""

    row: int
    problem: str
    remedy: str


_FORMATS = ("%Y-%m-%d", "%d.%m.%Y", "%Y/%m/%d", "%Y%m%d", "%d %B %Y", "%d-%b-%Y")


@lru_cache(maxsize=50_000)
def read_date(cell: str) -> datetime.date:
    """Return a day written as 2026-03-31, 31.03.2026, 20260331 or 31 March 2026."""
    text = cell.strip()[:40]
    for pattern in _FORMATS:
        try:
            return datetime.datetime.strptime(text, pattern).date()  # noqa: DTZ007  (a day, no instant)
        except ValueError:
            continue
    if text[10:11] in {"T", " "}:
        return read_date(text[:10])
    raise Unreadable(_("“%(cell)s” is not a date.") % {"cell": text}, _("Write dates as 2026-03-31."))


def read_number(cell: str, has_decimal_commas: bool, kind: type[KindField]) -> Decimal:  # type: ignore[type-arg]
    """Return a figure above zero that a column of this kind can keep, with a decimal point or comma and grouped thousands."""
    text = cell.strip()
    if has_decimal_commas and DECIMAL_COMMA.fullmatch(text):
        text = text.replace(".", "").replace(",", ".")
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = _read_grouped(text, cell)
    if not number.is_finite() or number <= 0:
        raise Unreadable(
            _("“%(cell)s” is not above zero.") % {"cell": cell.strip()[:40]},
            _("Correct the figure, or leave the row out."),
        )
    if number.adjusted() > 11:
        raise Unreadable(_("“%(cell)s” is too large.") % {"cell": cell.strip()[:40]}, _("Check the figure."))
    return kept(number, cell, kind)


def kept(number: Decimal, cell: str, kind: type[KindField]) -> Decimal:  # type: ignore[type-arg]
    """Return a figure that a column of this kind can keep as it stands; raise Unreadable for any other."""
    if not kind.holds(number):
        raise Unreadable(
            _("“%(cell)s” has more digits than are kept.") % {"cell": cell.strip()[:40]},
            _("Write at most %(whole)s digits before the decimal point and %(places)s after it.")
            % {"whole": kind.digits - kind.places, "places": kind.places},
        )
    return number


def _read_grouped(text: str, cell: str) -> Decimal:
    bare = text.replace("\u00a0", "").replace("\u202f", "").replace(" ", "").replace("'", "").replace("’", "")
    if "," in bare and "." in bare:
        thousands = "," if bare.rfind(".") > bare.rfind(",") else "."
        bare = bare.replace(thousands, "").replace(",", ".")
    elif bare.count(",") == 1:
        whole, _comma, part = bare.partition(",")
        if len(part) == 3 and len(whole) <= 3 and whole != "0":
            raise Unreadable(
                _("“%(cell)s” can be read in two ways.") % {"cell": text[:40]},
                _("Write 1234 or 1.234 with a point."),
            )
        bare = bare.replace(",", ".")
    try:
        return Decimal(bare)
    except InvalidOperation:
        raise Unreadable(
            _("“%(cell)s” is not a number.") % {"cell": cell.strip()[:40]}, _("Write figures as 1234.56.")
        ) from None
