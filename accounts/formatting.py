"""How figures, days, instants and states read, written as the reader chose.

Texts only; ``config.formatting`` makes them template filters. Sources: true minus U+2212, thousands
and decimal separators of the active language (Django's formats), minor units of ISO 4217.
"""

from contextvars import ContextVar
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import cache, lru_cache
from html import escape
from typing import Any

from django.templatetags.static import static
from django.utils import formats, timezone
from django.utils.functional import Promise
from django.utils.safestring import SafeString
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _

from accounts.currencies import minor_units

UNKNOWN = "—"
HIDDEN = "•••"
_SHOWN_AS_ZERO = Decimal("0.00005")
MINUS = "\u2212"
NO_BREAK = "\u00a0"

_hides_amounts: ContextVar[bool] = ContextVar("hides_amounts", default=False)


def hide_amounts(hides: bool) -> None:
    """Show amounts of this request as dots, or plainly."""
    _hides_amounts.set(hides)


def hides_amounts() -> bool:
    """Say whether the reader asked to hide amounts."""
    return _hides_amounts.get()


def escaped(value: Any) -> str:
    """Return a text as HTML, as Django's ``conditional_escape`` does."""
    if isinstance(value, SafeString):
        return value
    if isinstance(value, Promise):
        value = str(value)
    return value.__html__() if hasattr(value, "__html__") else escape(str(value))


def shown(value: Any) -> str:
    """Return a value as HTML as a template shows it: numbers and days as the reader's language writes them."""
    return escaped(value if isinstance(value, str) else formats.localize(value))


def fill_in(template: str, *values: Any) -> SafeString:
    """Return HTML with escaped values in it: ``format_html`` in a third of its time, for cells of long lists."""
    return SafeString(template.format(*[escaped(value) for value in values]))


def _decimal(value: Any) -> Decimal | None:
    if value is None or value == "":
        return None
    try:
        number = value if isinstance(value, Decimal) else Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _show(value: Decimal, places: int, *, sign: bool = False) -> str:
    return _written(value, places, _separators(get_language()), sign=sign)


def _written(value: Decimal, places: int, separators: dict[int, str], *, sign: bool) -> str:
    rounded = value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)
    text = f"{abs(rounded):,f}".translate(separators)
    if rounded < 0:
        return MINUS + text
    return f"+{text}" if sign and rounded > 0 else text


@cache
def _separators(language: str | None) -> dict[int, str]:
    """Return what a language writes for the comma and the point of an English number."""
    point = formats.get_format("DECIMAL_SEPARATOR", language, use_l10n=True)
    group = formats.get_format("THOUSAND_SEPARATOR", language, use_l10n=True)
    return {ord(","): group, ord("."): point}


def _trimmed(value: Decimal, least: int, most: int) -> str:
    """Show between ``least`` and ``most`` places, without trailing zeros beyond the least."""
    rounded = value.quantize(Decimal(1).scaleb(-most), rounding=ROUND_HALF_UP).normalize()
    exponent = rounded.as_tuple().exponent
    places = -exponent if isinstance(exponent, int) and exponent < 0 else 0
    return _show(value, max(least, places))


def _with_currency(text: str, currency: str) -> str:
    return f"{currency}{NO_BREAK}{text}" if currency else text


def money(value: Any, currency: str = "") -> str:
    """Return an amount with the currency's minor units: "EUR 1,234.50"."""
    amount = _decimal(value)
    if amount is None:
        return UNKNOWN
    if hides_amounts():
        return _with_currency(HIDDEN, currency)
    return _with_currency(_show(amount, minor_units(currency)), currency)


def amount(value: Any, currency: str) -> str:
    """Return an amount with the currency's minor units and without its code, which stands elsewhere: "1,234.50"."""
    return money(value, currency).removeprefix(f"{currency}{NO_BREAK}")


def whole(value: Any, currency: str = "") -> str:
    """Return an amount rounded to whole units: "EUR 1,235"."""
    amount = _decimal(value)
    if amount is None:
        return UNKNOWN
    return _with_currency(HIDDEN if hides_amounts() else _show(amount, 0), currency)


def signed_money(value: Any, currency: str = "") -> str:
    """Return an amount with its sign, plus included."""
    amount = _decimal(value)
    if amount is None:
        return UNKNOWN
    places = minor_units(currency)
    return _with_currency(HIDDEN if hides_amounts() else _show(amount, places, sign=True), currency)


def signed_amount(value: Any, currency: str) -> str:
    """Return an amount with its sign, plus included, and without the code of its currency, which stands elsewhere."""
    return signed_money(value, currency).removeprefix(f"{currency}{NO_BREAK}")


def signed_whole(value: Any, currency: str = "") -> str:
    """Return an amount rounded to whole units with its sign, plus included."""
    amount = _decimal(value)
    if amount is None:
        return UNKNOWN
    return _with_currency(HIDDEN if hides_amounts() else _show(amount, 0, sign=True), currency)


def percent(value: Any, places: Any = 2) -> str:
    """Return a fraction as a percentage: 0.125 is "12.50%"."""
    fraction = _decimal(value)
    return UNKNOWN if fraction is None else _percent(fraction, int(places))


def signed_percent(value: Any, places: Any = 2) -> str:
    """Return a fraction as a percentage with its sign, plus included."""
    fraction = _decimal(value)
    return UNKNOWN if fraction is None else _percent(fraction, int(places), sign=True)


def exact_percent(value: Decimal) -> str:
    """Return a fraction as a percentage with as many places as it needs, two at least: 0.999999 is "99.9999%"."""
    exponent = (value * 100).normalize().as_tuple().exponent
    return _percent(value, max(2, -exponent if isinstance(exponent, int) else 2))


def _percent(fraction: Decimal, places: int, *, sign: bool = False) -> str:
    separators = _separators(get_language())
    # English joins the sign to the number; German, as most of Europe, sets a space (DIN 5008).
    gap = "" if separators[ord(".")] == "." else NO_BREAK
    return f"{_written(fraction * 100, places, separators, sign=sign)}{gap}%"


def points(value: Any, places: Any = 2) -> str:
    """Return a difference of fractions in percentage points with its sign: 0.012 is "+1.20 pp"."""
    fraction = _decimal(value)
    if fraction is None:
        return UNKNOWN
    return f"{_show(fraction * 100, int(places), sign=True)}{NO_BREAK}{_('pp')}"


def quantity(value: Any) -> str:
    """Return a number of units with as many places as it needs, up to eight."""
    units = _decimal(value)
    return UNKNOWN if units is None else _trimmed(units, 0, 8)


def price(value: Any, currency: str = "") -> str:
    """Return a price with two to six places."""
    amount = _decimal(value)
    return UNKNOWN if amount is None else _with_currency(_trimmed(amount, 2, 6), currency)


def rate(value: Any) -> str:
    """Return an exchange rate with four to six places."""
    quoted = _decimal(value)
    return UNKNOWN if quoted is None else _trimmed(quoted, 4, 6)


def number(value: Any, places: Any = 0) -> str:
    """Return a plain number with grouped thousands."""
    plain = _decimal(value)
    return UNKNOWN if plain is None else _show(plain, int(places))


def day(value: date | datetime | None) -> str:
    """Return a day as the reader's language writes it."""
    if not value:
        return UNKNOWN
    if isinstance(value, datetime):
        value = (timezone.localtime(value) if timezone.is_aware(value) else value).date()
    return _day(value, get_language())


@lru_cache(maxsize=2048)
def _day(value: date, _language: str | None) -> str:
    return formats.date_format(value, "DATE_FORMAT")


def moment(value: datetime | None) -> str:
    """Return an instant in the reader's time zone, to the minute."""
    if not value:
        return UNKNOWN
    local = timezone.localtime(value)
    return f"{formats.date_format(local, 'DATE_FORMAT')} {local:%H:%M}"


def ago(value: datetime | None) -> str:
    """Return how long ago an instant was, in its largest unit."""
    if not value:
        return UNKNOWN
    seconds = int((timezone.now() - value).total_seconds())
    if seconds < 45:
        return _("just now")
    minutes, hours, days = round(seconds / 60), round(seconds / 3600), round(seconds / 86_400)
    if minutes < 60:
        return ngettext("%(n)d minute ago", "%(n)d minutes ago", minutes) % {"n": minutes}
    if hours < 24:
        return ngettext("%(n)d hour ago", "%(n)d hours ago", hours) % {"n": hours}
    if days < 31:
        return ngettext("%(n)d day ago", "%(n)d days ago", days) % {"n": days}
    return day(value)


def signed_class(value: Any) -> str:
    """Return the class that colours a gain or a loss; the text carries the sign as well.

    What shows as zero has no colour, be it an amount or a fraction shown in percent.
    """
    amount = _decimal(value)
    if amount is None or abs(amount) < _SHOWN_AS_ZERO:
        return ""
    return "is-gain" if amount > 0 else "is-loss"


@cache
def _sprite() -> str:
    return static("vendor/tabler-icons/sprite.svg")


def icon(name: str, label: str = "", css: str = "") -> SafeString:
    """Return an icon of the sprite as SVG."""
    if not label:
        return _decoration(name, css)
    return fill_in(
        '<svg class="icon {}" role="img" aria-label="{}"><use href="{}#{}"></use></svg>',
        css,
        label,
        _sprite(),
        name,
    )


@cache
def _decoration(name: str, css: str) -> SafeString:
    # A list shows hundreds of them; the file's name is settled once the process runs.
    return fill_in(
        '<svg class="icon {}" aria-hidden="true"><use href="{}#{}"></use></svg>', css, _sprite(), name
    )


# What a state says by its colour and its mark; unlisted states are neutral.
_TONES: dict[str, tuple[str, str]] = {
    **dict.fromkeys(
        [
            "active", "accepted", "affirmed", "approved", "done", "filled", "settled", "matched", "verified", "published", "ok",
            "in_step", "equal", "released", "executed", "completed", "confirmed", "current", "valid", "clear", "passed",
        ],
        ("green", "circle-check"),
    ),
    **dict.fromkeys(
        [
            "submitted", "proposed", "queued", "running", "sent", "open", "placed", "in_market", "delivered", "new",
            "partly_filled", "partially_filled", "instructed", "received", "pending", "in_progress", "catching_up",
            "acknowledged", "expected", "filling", "undecided", "repairing",
        ],
        ("blue", "circle-dot"),
    ),
    **dict.fromkeys(
        [
            "returned", "suspended", "winding_down", "closing", "expiring", "stale", "behind", "unmatched", "parked",
            "due", "warning", "attention", "drifted", "paused", "partly", "superseded_soon", "late",
        ],
        ("orange", "alert-triangle"),
    ),
    **dict.fromkeys(
        ["unequal", "rejected", "failed", "declined", "expired", "error", "overdue", "blocked", "revoked", "missing", "broken"],
        ("red", "circle-x"),
    ),
    **dict.fromkeys(
        ["draft", "signed", "closed", "terminated", "cancelled", "withdrawn", "retired", "superseded", "sealed",
         "inactive", "reversed"],
        ("secondary", "circle-dashed"),
    ),
}  # fmt: skip


def state_badge(value: Any, label: Any = "") -> SafeString:
    """Return a badge whose colour and mark follow the state's value."""
    if value is None or value == "":
        return SafeString(UNKNOWN)
    key = str(getattr(value, "value", value))
    tone, mark = _TONES.get(key, ("secondary", "circle"))
    text = label or getattr(value, "label", "") or key.replace("_", " ").capitalize()
    return fill_in('<span class="state state-{}" data-state="{}">{}{}</span>', tone, key, icon(mark), text)
