"""Decimal fields by kind, so that every amount of a kind has the same precision everywhere."""

from decimal import Decimal
from typing import Any, ClassVar

from django.db import models

ZERO = Decimal(0)


class KindField(models.DecimalField):
    """A DecimalField whose precision is fixed by its kind."""

    digits: ClassVar[int]
    places: ClassVar[int]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["max_digits"], kwargs["decimal_places"] = self.digits, self.places
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        del kwargs["max_digits"], kwargs["decimal_places"]
        return name, path, args, kwargs

    @classmethod
    def holds(cls, value: Decimal) -> bool:
        """Say whether a value can be kept as it stands: neither too large nor rounded."""
        if not value or not value.is_finite():
            return value.is_finite()
        if not -cls.places <= value.adjusted() < cls.digits - cls.places:
            return False
        return len(f"{value:f}".partition(".")[2].rstrip("0")) <= cls.places


class MoneyField(KindField):
    """An amount of money in the currency that stands beside it."""

    digits, places = 20, 4


class PriceField(KindField):
    """A price per unit, or in percent of nominal, in the currency that stands beside it."""

    digits, places = 24, 10


class QuantityField(KindField):
    """A number of units or a nominal amount."""

    digits, places = 24, 8


class WeightField(KindField):
    """A weight, return or rate of fees as a fraction: 0.25 is 25 %."""

    digits, places = 14, 10


class RateField(KindField):
    """An exchange rate: units of the quoted currency for one unit of the base currency."""

    digits, places = 20, 10


class CurrencyField(models.CharField):
    """An ISO 4217 code."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["max_length"] = 3
        super().__init__(*args, **kwargs)
