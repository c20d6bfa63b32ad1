"""Amounts of money as people write them."""

import re
from decimal import Decimal, InvalidOperation
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import formats
from django.utils.translation import gettext_lazy as _

_SPACES = re.compile(r"[\s'’]")
_GROUPED = re.compile(r"\d{1,3}(,\d{3})+(\.\d+)?")
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


class NumberField(_InDigits, forms.DecimalField):
    """A number written out in digits: "1e9" is refused, since it may be a slip."""


class WholeNumberField(_InDigits, forms.IntegerField):
    """A whole number written out in digits."""


class AmountField(NumberField):
    """An amount above zero; with ``takes_zero``, zero as well.

    It takes the three decimals that the finest currencies have; how many one's own has, what keeps the amount knows.
    """

    def __init__(self, *, takes_zero: bool = False, places: int = 3, **kwargs: Any) -> None:
        self.takes_zero, self.places = takes_zero, places
        # A number input would refuse the spaces and separators that people write.
        super().__init__(max_digits=16, decimal_places=places, widget=forms.TextInput, **kwargs)
        self.widget.attrs.update({"inputmode": "decimal", "autocomplete": "off"})

    def validate(self, value: Any) -> None:
        super().validate(value)
        if not isinstance(value, Decimal):
            return
        if self.takes_zero and value < 0:
            raise ValidationError(_("Enter zero or an amount above zero."))
        if not self.takes_zero and value <= 0:
            raise ValidationError(_("Enter an amount above zero."))

    def to_python(self, value: Any) -> Any:
        """Read "250000", "250 000", "250'000" and the thousands of the reader's language."""
        if isinstance(value, str):
            value = _SPACES.sub("", value)
            if formats.get_format("DECIMAL_SEPARATOR") == ",":
                value = value.translate(_SWAP_POINT_AND_COMMA)
            if _GROUPED.fullmatch(value):
                value = value.replace(",", "")
        return super().to_python(value)

    def prepare_value(self, value: Any) -> Any:
        """Write what is stored as a person does: whole, with two decimals, or with what else it takes."""
        if not isinstance(value, Decimal):
            return value
        value = round(value, self.places)
        for places in (0, 2):
            if value == round(value, places):
                return round(value, places) if places else int(value)
        return value

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        return {}
