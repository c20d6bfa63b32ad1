"""Names of countries by their code (ISO 3166-1), from the time zone database."""

from functools import cache
from importlib.resources import files

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _


@cache
def names() -> dict[str, str]:
    """Return the English name of each country by its two letters."""
    text = (files("tzdata.zoneinfo") / "iso3166.tab").read_text(encoding="utf-8")
    lines = [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")]
    return {line[0]: line[1] for line in lines}


def check_country(code: str) -> None:
    """Raise ValidationError for two letters that name no country, such as ZZ."""
    if code and code not in names():
        raise ValidationError(
            _("There is no such country. Use the two letters of ISO 3166, such as CH."),
            code="country_unknown",
        )


def choices() -> list[tuple[str, str]]:
    """Return the countries for a form, by name, with an empty first line."""
    return [("", "—"), *sorted(names().items(), key=lambda each: each[1])]
