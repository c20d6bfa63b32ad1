"""The value of one unit of a security or currency, day by day, in each portfolio's currency."""

import datetime
import uuid
from collections.abc import Collection, Sequence
from decimal import Decimal, localcontext

import numpy as np

from portfolios.calculations.daily import UNIT_VALUE_PLACES, UnitValues, scaled
from portfolios.calculations.valuation import EURO
from portfolios.models import Security
from portfolios.services.market import STALE_AFTER_DAYS, ClosingPrice, load_prices, load_rates

# A rate, and whether it is too old, on each day.
_Rates = list[tuple[Decimal | None, bool]]
_ONE = Decimal(1)


class UnitBook:
    """Answer what one unit is worth on each day of a calendar; loads all it needs in three queries."""

    def __init__(
        self,
        calendar: Sequence[datetime.date],
        security_ids: Collection[uuid.UUID],
        currencies: Collection[str],
    ) -> None:
        self._calendar = list(calendar)
        since, until = self._calendar[0], self._calendar[-1]
        self._securities = {
            security.pk: security
            for security in Security.objects.filter(pk__in=list(security_ids)).only("name", "price_unit")
        }
        self._prices = load_prices(list(security_ids), since=since, until=until)
        price_currencies = {price.currency for known in self._prices.values() for price in known}
        self._rates = load_rates({*currencies, *price_currencies}, since=since, until=until)
        self._daily_rates: dict[str, _Rates] = {}
        self._crosses: dict[tuple[str, str], _Rates] = {}
        self._units: dict[tuple[uuid.UUID | str, str], UnitValues] = {}

    def security(self, security_id: uuid.UUID, currency: str) -> UnitValues:
        """Return what one unit of the security is worth in ``currency``."""
        key = (security_id, currency)
        if key not in self._units:
            self._units[key] = self._security_values(security_id, currency)
        return self._units[key]

    def currency(self, code: str, currency: str) -> UnitValues:
        """Return what one unit of the currency ``code`` is worth in ``currency``."""
        key = (code, currency)
        if key not in self._units:
            rates = self._cross(code, currency)
            missing = [rate is None for rate, _old in rates]
            self._units[key] = UnitValues(
                name=code,
                values=np.array(
                    [scaled(rate or Decimal(0), UNIT_VALUE_PLACES) for rate, _old in rates], dtype=object
                ),
                is_missing=np.array(missing, dtype=bool),
                is_stale=np.array([old for _rate, old in rates], dtype=bool),
                is_simulated=np.zeros(len(rates), dtype=bool),
                reason=f"No exchange rate for {code}/{currency}",
            )
        return self._units[key]

    def _security_values(self, security_id: uuid.UUID, currency: str) -> UnitValues:
        security = self._securities[security_id]
        is_percent = security.price_unit == Security.PriceUnit.PERCENT
        values: list[int] = []
        missing: list[bool] = []
        stale: list[bool] = []
        simulated: list[bool] = []
        reason = f"No price for {security.name}"
        with localcontext(prec=60):
            for i, price in enumerate(_carried(self._prices.get(security_id, []), self._calendar)):
                rate, is_old = (None, False) if price is None else self._cross(price.currency, currency)[i]
                if price is not None and rate is None:
                    reason = f"No exchange rate for {price.currency}/{currency}"
                if price is None or rate is None:
                    values.append(0)
                else:
                    worth = price.close * rate / 100 if is_percent else price.close * rate
                    values.append(scaled(worth, UNIT_VALUE_PLACES))
                    is_old = is_old or (self._calendar[i] - price.date).days > STALE_AFTER_DAYS
                missing.append(price is None or rate is None)
                stale.append(is_old)
                simulated.append(price is not None and price.is_simulated)
        return UnitValues(
            name=security.name,
            values=np.array(values, dtype=object),
            is_missing=np.array(missing, dtype=bool),
            is_stale=np.array(stale, dtype=bool),
            is_simulated=np.array(simulated, dtype=bool),
            reason=reason,
        )

    def _cross(self, source: str, target: str) -> _Rates:
        """Return units of ``target`` for one unit of ``source`` on each day."""
        key = (source, target)
        if key not in self._crosses:
            if source == target:
                self._crosses[key] = [(_ONE, False)] * len(self._calendar)
            else:
                with localcontext(prec=60):
                    self._crosses[key] = [
                        (None if a is None or b is None else b / a, a_old or b_old)
                        for (a, a_old), (b, b_old) in zip(
                            self._per_euro(source), self._per_euro(target), strict=True
                        )
                    ]
        return self._crosses[key]

    def _per_euro(self, code: str) -> _Rates:
        if code not in self._daily_rates:
            self._daily_rates[code] = self._load_per_euro(code)
        return self._daily_rates[code]

    def _load_per_euro(self, code: str) -> _Rates:
        if code == EURO:
            return [(_ONE, False)] * len(self._calendar)
        known = self._rates.get(code, [])
        rates: _Rates = []
        next_one = 0
        for day in self._calendar:
            while next_one < len(known) and known[next_one][0] <= day:
                next_one += 1
            if not next_one:
                rates.append((None, False))
            else:
                date, rate = known[next_one - 1]
                rates.append((rate, (day - date).days > STALE_AFTER_DAYS))
        return rates


def _carried(known: Sequence[ClosingPrice], calendar: Sequence[datetime.date]) -> list[ClosingPrice | None]:
    """Return the last price up to each day."""
    prices: list[ClosingPrice | None] = []
    next_one = 0
    for day in calendar:
        while next_one < len(known) and known[next_one].date <= day:
            next_one += 1
        prices.append(known[next_one - 1] if next_one else None)
    return prices
