"""Template filters and tags that show numbers, dates, states, icons and charts.

They are builtins: every template has them. Unknown (None or empty) shows as "—", never as 0; amounts
show as "•••" while the person who looks has asked to hide them.
"""

import json
from collections.abc import Mapping, Sequence
from copy import copy
from datetime import date, datetime
from typing import Any

from django import forms, template
from django.forms import BoundField
from django.forms.boundfield import BoundWidget
from django.template.context import RequestContext
from django.template.loader import get_template
from django.templatetags.static import static
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from accounts import formatting, origins
from accounts.demo import DemoPerson
from accounts.demo import demo_people as list_demo_people
from accounts.formatting import UNKNOWN, fill_in
from accounts.lists import header_text
from accounts.rows import rows_of
from accounts.tables import person_state
from clients import countries
from config.navigation import url_of

register = template.Library()

money = register.filter("money", formatting.money)
amount = register.filter("amount", formatting.amount)
whole = register.filter("whole", formatting.whole)
signed_money = register.filter("signed_money", formatting.signed_money)
signed_amount = register.filter("signed_amount", formatting.signed_amount)
signed_whole = register.filter("signed_whole", formatting.signed_whole)
percent = register.filter("percent", formatting.percent)
signed_percent = register.filter("signed_percent", formatting.signed_percent)
points = register.filter("points", formatting.points)
quantity = register.filter("quantity", formatting.quantity)
price = register.filter("price", formatting.price)
rate = register.filter("rate", formatting.rate)
number = register.filter("number", formatting.number)
day_text = register.filter("day_text", formatting.day)
moment_text = register.filter("moment_text", formatting.moment)
signed_class = register.filter("signed_class", formatting.signed_class)


@register.filter
def day(value: date | None) -> str:
    """Return a day in the reader's language, its ISO date on hover."""
    if not value:
        return UNKNOWN
    iso = value.date().isoformat() if isinstance(value, datetime) else value.isoformat()
    return format_html('<time datetime="{0}" title="{0}">{1}</time>', iso, formatting.day(value))


@register.filter
def moment(value: datetime | None) -> str:
    """Return an instant in the reader's language and time zone, its ISO form on hover."""
    if not value:
        return UNKNOWN
    iso = timezone.localtime(value).isoformat(timespec="seconds")
    return format_html('<time datetime="{0}" title="{0}">{1}</time>', iso, formatting.moment(value))


@register.filter
def ago(value: datetime | None) -> str:
    """Return how long ago an instant was, its exact form on hover."""
    if not value:
        return UNKNOWN
    iso = timezone.localtime(value).isoformat(timespec="seconds")
    return format_html('<time datetime="{0}" title="{0}">{1}</time>', iso, formatting.ago(value))


@register.filter
def dash(value: Any) -> Any:
    """Return ``value``, or a dash where it is unknown or empty."""
    return UNKNOWN if value is None or value == "" else value


@register.filter
def country_name(code: str) -> str:
    """Return a country's name by its two letters; "" where they name none."""
    return countries.names().get(code, "")


@register.filter
def origin_name(value: Any) -> str:
    """Return the short name of the institution with this id; empty for an own row (None)."""
    return origins.origin_name(value) if value else ""


@register.filter
def held_back_since(value: Any) -> Any:
    """Return since when nothing of the institution with this id arrives; None where it does."""
    return origins.held_back_since(value) if value else None


@register.filter
def lookup(mapping: Mapping[Any, Any] | None, key: Any) -> Any:
    """Return ``mapping[key]``, or None."""
    return mapping.get(key) if mapping else None


@register.simple_tag
def icon(name: str, label: str = "", css: str = "") -> SafeString:
    """Return an icon of the sprite; without a label it is decoration that readers skip."""
    return formatting.icon(name, label, css)


@register.simple_block_tag
def part(content: str) -> str:
    """Return what stands in the block, to be shown in several places (``{% part as name %}``)."""
    return content


@register.simple_tag
def state_badge(value: Any, label: Any = "") -> SafeString:
    """Return a badge for a state: ``value`` decides on its colour, ``label`` is what it says."""
    return formatting.state_badge(value, label)


@register.simple_tag
def crumb(label: Any, url_name: str = "", *args: Any) -> SafeString:
    """Return one breadcrumb, a link where ``url_name`` (with ``args``) is known."""
    url = _reverse(url_name, *args)
    if url:
        return format_html('<li class="breadcrumb-item"><a href="{}">{}</a></li>', url, label)
    return format_html('<li class="breadcrumb-item active" aria-current="page">{}</li>', label)


@register.simple_tag
def link_or_text(label: Any, url_name: str, *args: Any) -> SafeString:
    """Return a link, or the label alone where the page does not exist."""
    url = _reverse(url_name, *args)
    return format_html('<a href="{}">{}</a>', url, label) if url else format_html("{}", label)


@register.simple_tag
def url_or_empty(name: str, *args: Any) -> str:
    """Return the URL of a page, or "" where there is none."""
    return _reverse(name, *args)


@register.filter
def is_equal(value: Any, other: Any) -> str:
    """Return "true" or "false", for ARIA attributes."""
    return "true" if value == other else "false"


def _reverse(name: str, *args: Any) -> str:
    if not name:
        return ""
    if not args:
        return url_of(name) or (name if name.startswith("/") else "")
    try:
        return reverse(name, args=args)
    except NoReverseMatch:
        return name if name.startswith("/") else ""


@register.simple_tag(takes_context=True)
def query(context: RequestContext, **changes: Any) -> str:
    """Return the query string of this page with some parameters changed; None removes one."""
    # A shallow copy, for a deep one takes several times as long and a list has dozens of these.
    parameters = copy(context["request"].GET)
    for name, value in changes.items():
        if value is None or value == "":
            parameters.pop(name, None)
        else:
            parameters[name] = value
    return f"?{parameters.urlencode()}"


@register.simple_tag
def sort_query(table: Any, column: Any) -> str:
    """Return the query string that sorts by a column, from the first page on."""
    parameters = copy(table.request.GET)
    parameters[table.prefixed_order_by_field] = column.order_by_alias.next
    parameters.pop(table.prefixed_page_field, None)
    return f"?{parameters.urlencode()}"


@register.inclusion_tag("components/chart.html")
def chart(
    id: str,
    option: Mapping[str, Any],
    table: Mapping[str, Any] | None = None,
    title: str = "",
    height: int = 280,
) -> dict[str, Any]:
    """Show an ECharts option that the server built, with its data as a table below.

    ``table`` is ``{"headers": [...], "rows": [[...], ...]}`` of texts already formatted. An option's
    ``"roboblock": {"format": "percent" | "money" | "number", "currency": "EUR"}`` says how axes and
    tooltips show its values (fractions for percent); amounts are hidden where the reader asked for it.
    """
    return {
        "id": id,
        "option_id": f"{id}-option",
        "option": json.loads(json.dumps(option, default=_plain)),
        "table": table or {},
        "title": title,
        "height": height,
        "hides_amounts": formatting.hides_amounts(),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Promise):
        return str(value)
    return float(value)


@register.simple_tag
def column_header(table: Any, column: Any) -> str:
    """Return a column's heading with the currency of its amounts."""
    return header_text(table, column)


@register.simple_tag
def table_rows(table: Any) -> SafeString:
    """Return the rows of a table's page; in Python, for a template takes several times as long."""
    # On a phone each row of these is a block of values with their names.
    is_stacked = "table-stack" in str(table.attrs.get("class", ""))
    headings = {column.name: header_text(table, column) for column in table.columns} if is_stacked else {}
    labels = {name: fill_in(' data-label="{}"', text) for name, text in headings.items() if text}
    return SafeString("\n".join(rows_of(table, labels)))


@register.simple_tag(takes_context=True)
def render_list(context: RequestContext, table: Any, target: str = "") -> SafeString:
    """Show a table; ``target`` is the id of the part that its sort links replace.

    Without a target they load the page. On a page that is no list, the part is taken out of the page.
    """
    values = {"table": table, "table_target": target, "is_part_of_page": target != "list-rows"}
    return SafeString(get_template(table.template_name).render(values, context["request"]))


@register.filter
def widget_kind(field: BoundField) -> str:
    """Return how a form field is laid out: checkbox, choices, select or input."""
    widget = field.field.widget
    if isinstance(widget, forms.CheckboxInput):
        return "checkbox"
    if isinstance(widget, forms.RadioSelect | forms.CheckboxSelectMultiple):
        return "choices"
    return "select" if isinstance(widget, forms.Select) else "input"


@register.filter
def check_input(choice: BoundWidget) -> SafeString:
    """Render one radio button or checkbox of several, styled as the others."""
    choice.data["attrs"]["class"] = "form-check-input"
    return choice.tag()


@register.filter
def with_class(field: BoundField, css: str) -> SafeString:
    """Show a form field's widget with more classes; a field with errors is marked."""
    given = field.field.widget.attrs.get("class", "")
    if isinstance(field.field.widget, forms.Select):
        css = css.replace("form-control", "form-select")
    invalid = "is-invalid" if field.errors else ""
    attrs: dict[str, str | bool] = {"class": " ".join(part for part in (css, given, invalid) if part)}
    if field.errors:
        attrs["aria-invalid"] = "true"
        attrs["aria-describedby"] = f"{field.auto_id}_error"
    return field.as_widget(attrs=attrs)


@register.simple_tag(takes_context=True)
def demo_people(context: RequestContext) -> list[DemoPerson]:
    """Return whom one click signs in; nobody outside a demo institution in demo mode."""
    institution = context.get("institution")
    return list_demo_people() if institution is not None and institution.is_demo else []


@register.simple_tag
def person_state_badge(person: Any) -> SafeString:
    """Return a badge of whether a person is active, invited or shut out."""
    return formatting.state_badge(*person_state(person))


@register.filter
def nth(values: Sequence[Any], place: int) -> Any:
    """Return what stands at a place of a list, counted from zero; None beyond its end."""
    return values[place] if place < len(values) else None


@register.filter
def is_number_like(value: Any) -> bool:
    """Say whether a cell's text is a figure, so that it is aligned to the right."""
    text = str(value)
    return bool(text) and (text == UNKNOWN or text[0].isdigit() or text[0] in "+−-•") and not _is_iso(text)


def _is_iso(text: str) -> bool:
    return len(text) == 10 and text[4:5] == "-" and text[7:8] == "-"


@register.simple_tag
def asset(path: str) -> str:
    """Return the URL of a vendored file."""
    return static(f"vendor/{path}")


@register.simple_tag
def simulated(source: str = "") -> SafeString:
    """Return the mark of a simulated price; empty for a real source."""
    if "simulat" not in str(source).lower() and source:
        return SafeString("")
    return format_html(
        '<abbr class="mark-simulated" title="{}">{}</abbr>',
        _("Simulated price, not a market price"),
        _("sim."),
    )


def columns(headers: Sequence[Any], rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """Return the table of a chart from its headers and rows of formatted texts."""
    return {"headers": list(headers), "rows": [list(row) for row in rows]}
