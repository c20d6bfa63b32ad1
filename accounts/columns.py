"""Columns of lists: figures to the right, the currency once in the header, "—" for unknown.

Exports write the bare values. ``total=True`` sums a column over all filtered rows, in one query for
the whole table; it needs a model field or an annotation of that name.
"""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import django_tables2 as tables
from django.db.models import Count, Max, Min, Q, QuerySet, Sum
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django_tables2.utils import Accessor

from accounts import formatting
from accounts.origins import origin_name

_ANY_ID = uuid.UUID(int=0)


@dataclass
class Summary:
    """Totals and currencies over all rows of a table, not only those of the page."""

    totals: dict[str, Decimal | None] = field(default_factory=dict)
    # Column → its one currency, or None where the rows have several.
    currencies: dict[str, str | None] = field(default_factory=dict)
    # Column → the rows that its total leaves out, and the currencies without a rate that are to blame.
    left_out: dict[str, tuple[int, list[str]]] = field(default_factory=dict)


def summary_of(table: tables.Table) -> Summary:
    """Return the totals of a table, read once."""
    summary: Summary | None = table.__dict__.get("_summary")
    if summary is None:
        summary = table.__dict__["_summary"] = _summarise(table)
    return summary


def _lookup(column: Any) -> str:
    return str(column.accessor).replace(".", "__")


def _summarise(table: tables.Table) -> Summary:
    figures = [
        (name, bound) for name, bound in table.columns.iteritems() if isinstance(bound.column, _Figure)
    ]
    wanted = [(name, bound, bound.column) for name, bound in figures if bound.column.needs_summary]
    data = table.data.data
    if not wanted:
        return Summary()
    if not isinstance(data, QuerySet):
        return _summarise_rows(wanted, list(data))
    asked: dict[str, Any] = {}
    for name, bound, column in wanted:
        if column.total:
            asked[f"sum_{name}"] = Sum(_lookup(bound))
        if column.currency_field:
            lookup = column.currency_field.replace(".", "__")
            asked[f"low_{name}"], asked[f"high_{name}"] = Min(lookup), Max(lookup)
        if column.missing:
            asked[f"left_out_{name}"] = Count("pk", filter=Q(**{f"{column.missing}__isnull": False}))
    found = data.order_by().aggregate(**asked)
    summary = Summary()
    for name, _bound, column in wanted:
        summary.totals[name] = found.get(f"sum_{name}")
        if column.currency_field:
            low, high = found[f"low_{name}"], found[f"high_{name}"]
            summary.currencies[name] = low if low == high else None
        if found.get(f"left_out_{name}"):
            codes = data.order_by().values_list(column.missing, flat=True).distinct()
            summary.left_out[name] = found[f"left_out_{name}"], sorted(code for code in codes if code)
    return summary


def why_missing(codes: Iterable[str]) -> str:
    """Say why an amount is not available: the currencies without an exchange rate, or else a value."""
    named = ", ".join(filter(None, codes))
    return _("no exchange rate for %(currency)s") % {"currency": named} if named else _("a value is missing")


def _summarise_rows(wanted: Iterable[tuple[str, Any, Any]], rows: list[Any]) -> Summary:
    summary = Summary()
    for name, bound, column in wanted:
        values = [
            value for row in rows if (value := Accessor(bound.accessor).resolve(row, quiet=True)) is not None
        ]
        summary.totals[name] = sum(values, Decimal(0)) if values else None
        if column.currency_field:
            found = {Accessor(column.currency_field).resolve(row, quiet=True) for row in rows}
            summary.currencies[name] = found.pop() if len(found) == 1 else None
    return summary


class _Figure(tables.Column):
    """A figure, aligned to the right with tabular digits."""

    currency_field: str | None = None
    missing: str | None = None

    def __init__(self, *args: Any, total: bool = False, **kwargs: Any) -> None:
        attrs = {"th": {"class": "figure"}, "td": {"class": "figure"}, "tf": {"class": "figure"}}
        for part, given in kwargs.pop("attrs", {}).items():
            attrs[part] = {**given, "class": f"figure {given.get('class', '')}".strip()}
        self.total = total
        kwargs.setdefault("default", formatting.UNKNOWN)
        super().__init__(*args, attrs=attrs, **kwargs)
        if total:
            self._footer = self._total

    @property
    def needs_summary(self) -> bool:
        return self.total or self.currency_field is not None

    def show(self, value: Any, record: Any = None) -> str:
        return formatting.number(value)

    def show_total(self, table: tables.Table, name: str, value: Any) -> str:
        return self.show(value)

    def _total(self, column: Any, bound_column: Any, table: tables.Table) -> str:
        return self.show_total(table, bound_column.name, summary_of(table).totals.get(bound_column.name))

    def render(self, value: Any, record: Any, bound_column: Any, table: tables.Table) -> str | SafeString:
        return self.show(value, record)

    def value(self, value: Any) -> Any:
        return None if value == formatting.UNKNOWN else value


def _unknown(why: str) -> SafeString:
    return formatting.fill_in(
        '{}<div class="text-secondary small text-wrap">{}</div>', formatting.UNKNOWN, why
    )


class NumberColumn(_Figure):
    """A count or a plain number."""

    def __init__(self, *args: Any, places: int = 0, **kwargs: Any) -> None:
        self.places = places
        super().__init__(*args, **kwargs)

    def show(self, value: Any, record: Any = None) -> str:
        return formatting.number(value, self.places)


class MoneyColumn(_Figure):
    """An amount. ``currency`` is a code for all rows; ``currency_field`` names where each row has it.

    The currency stands once in the header; where rows have several it stands in each cell and there
    is no total. ``places`` None shows minor units, 0 whole units; ``signed`` shows plus as well and
    colours gains and losses. ``missing`` names what says why an amount that there is is not available: a
    currency without a rate, or "" for a value; null elsewhere. Cells and the total tell it.
    """

    def __init__(
        self,
        *args: Any,
        currency: str = "",
        currency_field: str | None = None,
        places: int | None = None,
        signed: bool = False,
        missing: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.currency, self.currency_field, self.places, self.signed = (
            currency,
            currency_field,
            places,
            signed,
        )
        self.missing = missing
        if missing:
            kwargs.setdefault("empty_values", ())
        super().__init__(*args, **kwargs)

    def _currency_of_all(self, table: tables.Table, name: str) -> str | None:
        if self.currency_field is None:
            return self.currency
        return summary_of(table).currencies.get(name)

    def _text(self, value: Any, common: str, own: str = "") -> str:
        if self.places == 0:
            return (formatting.signed_whole if self.signed else formatting.whole)(value, own)
        if own:
            return (formatting.signed_money if self.signed else formatting.money)(value, own)
        # The header has the currency, whose minor units these are.
        return (formatting.signed_amount if self.signed else formatting.amount)(value, common)

    def render(self, value: Any, record: Any, bound_column: Any, table: tables.Table) -> str | SafeString:
        if value is None:
            why = getattr(record, self.missing, None) if self.missing else None
            return formatting.UNKNOWN if why is None else _unknown(why_missing([why]))
        common = self._currency_of_all(table, bound_column.name)
        own = ""
        if common is None and self.currency_field:
            own = Accessor(self.currency_field).resolve(record, quiet=True) or ""
        text = self._text(value, common or "", own)
        if self.signed and not formatting.hides_amounts():
            # What is shown as nothing is neither a gain nor a loss.
            shown = round(value) if self.places == 0 else value
            return formatting.fill_in('<span class="{}">{}</span>', formatting.signed_class(shown), text)
        return text

    def show_total(self, table: tables.Table, name: str, value: Any) -> str:
        common = self._currency_of_all(table, name)
        if common is None:
            return _("several currencies")
        count, codes = summary_of(table).left_out.get(name, (0, []))
        if not count:
            return self._text(value, common)
        left_out = ngettext("without %(count)s row: %(why)s", "without %(count)s rows: %(why)s", count)
        left_out %= {"count": formatting.number(count), "why": why_missing(codes)}
        return formatting.fill_in(
            '{}<div class="text-secondary small text-wrap">{}</div>', self._text(value, common), left_out
        )

    def unit(self, table: tables.Table, name: str) -> str:
        """Return the currency for the header, or ""."""
        return self._currency_of_all(table, name) or ""


class PercentColumn(_Figure):
    """A fraction, shown in percent; ``signed`` shows plus as well and colours gains and losses."""

    def __init__(
        self, *args: Any, places: int = 2, signed: bool = False, points: bool = False, **kwargs: Any
    ) -> None:
        self.places, self.signed, self.points = places, signed, points
        super().__init__(*args, **kwargs)

    def show(self, value: Any, record: Any = None) -> str:
        if self.points:
            return formatting.points(value, self.places)
        if self.signed:
            text = formatting.signed_percent(value, self.places)
            return formatting.fill_in('<span class="{}">{}</span>', formatting.signed_class(value), text)
        return formatting.percent(value, self.places)


class QuantityColumn(_Figure):
    """A number of units."""

    def show(self, value: Any, record: Any = None) -> str:
        return formatting.quantity(value)


class PriceColumn(_Figure):
    """A price per unit."""

    def show(self, value: Any, record: Any = None) -> str:
        return formatting.price(value)


class DateColumn(tables.Column):
    """A day, its ISO date on hover; ISO in exports."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("default", formatting.UNKNOWN)
        kwargs.setdefault("attrs", {"td": {"class": "text-nowrap"}})
        super().__init__(*args, **kwargs)

    def render(self, value: date) -> str | SafeString:
        return formatting.fill_in(
            '<time datetime="{0}" title="{0}">{1}</time>', value.isoformat(), formatting.day(value)
        )

    def value(self, value: Any) -> Any:
        if isinstance(value, datetime):
            return timezone.localtime(value).date()
        return None if value == formatting.UNKNOWN else value


class MomentColumn(tables.Column):
    """An instant in the reader's time zone, its ISO form on hover and in a CSV; a workbook has it in UTC."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("default", formatting.UNKNOWN)
        kwargs.setdefault("attrs", {"td": {"class": "text-nowrap"}})
        super().__init__(*args, **kwargs)

    def render(self, value: datetime) -> str | SafeString:
        iso = timezone.localtime(value).isoformat(timespec="seconds")
        return formatting.fill_in(
            '<time datetime="{0}" title="{0}">{1}</time>', iso, formatting.moment(value)
        )

    def value(self, value: Any) -> Any:
        return timezone.localtime(value) if isinstance(value, datetime) else None


class StateColumn(tables.Column):
    """A state as a badge; its label comes from the field's choices, or from ``labels``."""

    def __init__(self, *args: Any, labels: dict[str, Any] | None = None, **kwargs: Any) -> None:
        self.labels = labels or {}
        kwargs.setdefault("default", formatting.UNKNOWN)
        super().__init__(*args, **kwargs)

    def _label(self, value: Any, record: Any, bound_column: Any) -> str:
        if value in self.labels:
            return str(self.labels[value])
        owner, _separator, name = str(bound_column.accessor).replace(".", "__").rpartition("__")
        holder = Accessor(owner).resolve(record, quiet=True) if owner else record
        display = getattr(holder, f"get_{name}_display", None)
        return str(display()) if callable(display) else ""

    def render(self, value: Any, record: Any, bound_column: Any) -> SafeString:
        # django-tables2 hands over a field's display text; the badge goes by the stored value.
        raw = Accessor(bound_column.accessor).resolve(record, quiet=True)
        return formatting.state_badge(raw, self._label(raw, record, bound_column))

    def value(self, value: Any, record: Any, bound_column: Any) -> str:
        raw = Accessor(bound_column.accessor).resolve(record, quiet=True)
        return self._label(raw, record, bound_column) or str(raw or "")


class OriginColumn(tables.Column):
    """Whose row it is: empty for an own row, the partner's short name for a received one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("verbose_name", gettext_lazy("From"))
        kwargs.setdefault("accessor", "origin")
        kwargs.setdefault("default", "")
        super().__init__(*args, **kwargs)

    def render(self, value: Any) -> SafeString:
        name = origin_name(value)
        return formatting.fill_in(
            '<span class="origin" title="{}">{}{}</span>',
            _("Received from %(name)s") % {"name": name},
            formatting.icon("transfer-in"),
            name,
        )

    def value(self, value: Any) -> str:
        return origin_name(value) if value else ""


class LinkColumn(tables.Column):
    """A text that leads to a record's page: ``to`` is a URL name, ``key`` where its id stands."""

    def __init__(self, *args: Any, to: str = "", key: str = "pk", **kwargs: Any) -> None:
        self.to, self.key = to, Accessor(key)
        kwargs.setdefault("default", formatting.UNKNOWN)
        super().__init__(*args, **kwargs)

    def render(self, value: Any, record: Any) -> Any:
        try:
            url = self._url(record) if self.to else record.get_absolute_url()
        except NoReverseMatch:
            return value
        # A number stays on one line, a long name may take two.
        length = len(str(value))
        css = "is-short" if length <= 12 else "is-long" if length > 28 else ""
        if css:
            return formatting.fill_in('<a class="{}" href="{}">{}</a>', css, url, value)
        return formatting.fill_in('<a href="{}">{}</a>', url, value)

    def _url(self, record: Any) -> str:
        key = self.key.resolve(record, quiet=True)
        if not isinstance(key, uuid.UUID):
            return reverse(self.to, args=[key])
        # Looking a URL up takes as long as the rest of the cell; those of a page differ by their id alone.
        pattern = self.__dict__.get("_pattern")
        if pattern is None:
            pattern = self._pattern = reverse(self.to, args=[_ANY_ID])
        return pattern.replace(str(_ANY_ID), str(key))

    def value(self, value: Any) -> str:
        return "" if value == formatting.UNKNOWN else str(value)
