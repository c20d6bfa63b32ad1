"""Amounts of money as people write them."""

import re
from decimal import Decimal, InvalidOperation
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import formats
from django.utils.functional import lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts import formatting

_SPACES = re.compile(r"[\s'’]")
# No thousands begin with a zero: "0,125" is a fraction, written otherwise than on pages.
_GROUPED = re.compile(r"[1-9]\d{0,2}(,\d{3})+(\.\d+)?")
_DIGITS = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)", re.ASCII)
_WITH_EXPONENT = re.compile(r"[+-]?[\d.,]+[eE][+-]?\d+")
IN_DIGITS = _("Write the number out in digits, such as 1000000.")
_SWAP_POINT_AND_COMMA = str.maketrans(",.", ".,")


def read_digits(text: str) -> Decimal | None:
    """Return a number that is written out in digits; None for anything else, such as "1e9" or "NaN"."""
    try:
        return Decimal(text) if _DIGITS.fullmatch(text) else None
    except InvalidOperation:
        return None


def has_exponent(text: str) -> bool:
    """Say whether a number is written like "1e9", which may be a slip."""
    return bool(_WITH_EXPONENT.fullmatch(text.strip()))


class _InDigits(forms.Field):
    """A number written out in digits."""

    def to_python(self, value: Any) -> Any:
        """Read the number."""
        if isinstance(value, str) and has_exponent(value):
            raise ValidationError(IN_DIGITS, code="exponent")
        return super().to_python(value)


def _as_on_pages() -> str:
    return gettext("Write the number like %(example)s.") % {
        "example": formatting.number(Decimal("1234.56"), 2)
    }


_how_to_write = lazy(_as_on_pages, str)


class NumberField(_InDigits, forms.DecimalField):
    """A number as its reader writes it, in digits: "1e9" is refused, since it may be a slip.

    It is typed as a text. A browser's own field for numbers drops the comma of "1,5" where its language has none,
    and sends 15.
    """

    default_error_messages = {"invalid": _how_to_write()}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"widget": forms.TextInput, **kwargs})
        self.widget.attrs = {"inputmode": "decimal", "autocomplete": "off", **self.widget.attrs}

    def to_python(self, value: Any) -> Any:
        """Read "250000", "250 000", "250'000" and the separators of the reader's language."""
        return super().to_python(self.read(value) if isinstance(value, str) else value)

    def read(self, text: str) -> str:
        """Return what was typed with a decimal point, and with no other separators."""
        text = _SPACES.sub("", text)
        if formats.get_format("DECIMAL_SEPARATOR") == ",":
            text = text.translate(_SWAP_POINT_AND_COMMA)
        return text.replace(",", "") if _GROUPED.fullmatch(text) else text

    def prepare_value(self, value: Any) -> Any:
        """Write what is stored as the reader does, so that it can be sent again."""
        if not isinstance(value, Decimal):
            return value
        return f"{value:f}".replace(".", str(formats.get_format("DECIMAL_SEPARATOR")))


class WholeNumberField(_InDigits, forms.IntegerField):
    """A whole number written out in digits."""


class AmountField(NumberField):
    """An amount above zero; with ``takes_zero``, zero as well.

    It takes the three decimals that the finest currencies have; how many one's own has, what keeps the amount knows.
    """

    def __init__(self, *, takes_zero: bool = False, places: int = 3, **kwargs: Any) -> None:
        self.takes_zero, self.places = takes_zero, places
        super().__init__(max_digits=16, decimal_places=places, **kwargs)

    def validate(self, value: Any) -> None:
        super().validate(value)
        if not isinstance(value, Decimal):
            return
        if self.takes_zero and value < 0:
            raise ValidationError(_("Enter zero or an amount above zero."))
        if not self.takes_zero and value <= 0:
            raise ValidationError(_("Enter an amount above zero."))

    def prepare_value(self, value: Any) -> Any:
        """Write what is stored as a person does: whole, with two decimals, or with what else it takes."""
        if isinstance(value, Decimal):
            exact = round(value, self.places)
            value = next((each for each in (round(exact, 0), round(exact, 2)) if each == exact), exact)
        return super().prepare_value(value)
