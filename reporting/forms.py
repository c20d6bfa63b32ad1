"""Forms to order reports and to release them."""

import datetime
import re
from collections.abc import Collection
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import formatting
from accounts.errors import DomainError
from portfolios.models import Portfolio
from portfolios.querysets import PortfolioQuerySet

LAST_QUARTER, YEAR_TO_DATE, LAST_YEAR, CUSTOM = "last_quarter", "year_to_date", "last_year", "custom"
PERIODS = [
    (LAST_QUARTER, gettext_lazy("Last quarter")),
    (YEAR_TO_DATE, gettext_lazy("Year to date")),
    (LAST_YEAR, gettext_lazy("Last year")),
    (CUSTOM, gettext_lazy("Other days")),
]
THESE, ALL = "these", "all"
_RADIO = {"class": "form-check-input"}


def period_of(preset: str, today: datetime.date) -> tuple[datetime.date, datetime.date]:
    """Return the first and the last day of a preset; the year to date ends yesterday, with the last close."""
    if preset == YEAR_TO_DATE:
        yesterday = today - datetime.timedelta(days=1)
        return yesterday.replace(month=1, day=1), yesterday
    if preset == LAST_YEAR:
        return datetime.date(today.year - 1, 1, 1), datetime.date(today.year - 1, 12, 31)
    this_quarter = today.replace(month=3 * ((today.month - 1) // 3) + 1, day=1)
    last = this_quarter - datetime.timedelta(days=1)
    return last.replace(month=last.month - 2, day=1), last


class OrderForm(forms.Form):
    """Which portfolios, and over which period."""

    scope = forms.ChoiceField(
        label=gettext_lazy("Portfolios"),
        choices=[(THESE, ""), (ALL, "")],
        widget=forms.RadioSelect(attrs=_RADIO),
        initial=THESE,
    )
    numbers = forms.CharField(
        label=gettext_lazy("Portfolio numbers"),
        help_text=gettext_lazy("Separated by spaces or commas, such as P-1001 P-1002."),
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    period = forms.ChoiceField(
        label=gettext_lazy("Period"),
        choices=PERIODS,
        widget=forms.RadioSelect(attrs=_RADIO),
        initial=LAST_QUARTER,
    )
    period_from = forms.DateField(
        label=gettext_lazy("From"), required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    period_to = forms.DateField(
        label=gettext_lazy("To"), required=False, widget=forms.DateInput(attrs={"type": "date"})
    )

    def __init__(
        self, *args: Any, portfolios: PortfolioQuerySet, chosen: Collection[Portfolio] = (), **kwargs: Any
    ) -> None:
        """Offer ``portfolios``; of several with one number those ``chosen`` before are meant."""
        super().__init__(*args, **kwargs)
        self.portfolios = portfolios
        self.chosen = {portfolio.pk for portfolio in chosen}
        today = timezone.localdate()
        count = portfolios.count()
        scope, period = self.fields["scope"], self.fields["period"]
        assert isinstance(scope, forms.ChoiceField)
        assert isinstance(period, forms.ChoiceField)
        scope.choices = [
            (THESE, _("Some, by number")),
            (ALL, _("All that I may report on (%(n)s)") % {"n": count}),
        ]
        period.choices = [
            (key, label if key == CUSTOM else f"{label}: {_span(*period_of(key, today))}")
            for key, label in PERIODS
        ]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("scope") == ALL:
            cleaned["portfolios"] = list(self.portfolios)
        else:
            cleaned["portfolios"] = self._by_number(cleaned.get("numbers", ""))
        if cleaned.get("period") == CUSTOM:
            for name in ("period_from", "period_to"):
                if not cleaned.get(name) and name not in self.errors:
                    self.add_error(name, _("Choose a day."))
        elif cleaned.get("period"):
            cleaned["period_from"], cleaned["period_to"] = period_of(cleaned["period"], timezone.localdate())
        return cleaned

    def refuse(self, error: DomainError) -> None:
        """Say why nothing was ordered, where it can be read: the days of a preset have no field on the page."""
        is_of_days = error.field in ("period_from", "period_to")
        field = "period" if is_of_days and self.cleaned_data["period"] != CUSTOM else error.field
        self.add_error(field if field in self.fields else None, str(error))

    def _by_number(self, text: str) -> list[Portfolio]:
        numbers = list(dict.fromkeys(number for number in re.split(r"[\s,;]+", text) if number))
        if not numbers:
            self.add_error("numbers", _("Enter at least one portfolio number."))
        found: dict[str, list[Portfolio]] = {number: [] for number in numbers}
        for portfolio in self.portfolios.filter(number__in=numbers):
            found[portfolio.number].append(portfolio)
        # Each partner numbers its portfolios by itself.
        several = {number: same for number, same in found.items() if len(same) > 1}
        meant = {
            number: [each for each in same if each.pk in self.chosen] for number, same in several.items()
        }
        found |= meant
        self._say_of(
            [number for number in numbers if not found[number] and number not in several],
            _("You report on no portfolio with this number: %(numbers)s. Correct or remove it."),
        )
        self._say_of(
            [number for number in several if not meant[number]],
            _(
                "Several of your portfolios have this number: %(numbers)s. Open the one that you mean, and order"
                " its report from there."
            ),
        )
        return [portfolio for number in numbers for portfolio in found[number]]

    def _say_of(self, numbers: list[str], problem: str) -> None:
        if numbers:
            self.add_error("numbers", problem % {"numbers": ", ".join(numbers)})


def _span(first: datetime.date, last: datetime.date) -> str:
    return " – ".join(dict.fromkeys([formatting.day(first), formatting.day(last)]))


class ReleaseForm(forms.Form):
    """What goes with a release."""

    note = forms.CharField(
        label=gettext_lazy("Note"),
        help_text=gettext_lazy("For your partner and your colleagues, not for the client."),
        required=False,
        max_length=1000,
        widget=forms.Textarea(attrs={"rows": 2}),
    )
