"""How figures, days and states read."""

import datetime
from decimal import Decimal

import pytest
from django.template import engines
from django.utils import formats, timezone, translation
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts import formatting
from accounts.models import User
from config.formatting import chart

MINUS = "\u2212"
SPACE = "\u00a0"


def show(template: str, **context: object) -> str:
    return engines["django"].from_string(template).render(context)


@pytest.mark.parametrize(
    ("template", "value", "shown"),
    [
        ("{{ x|money:'EUR' }}", Decimal("1234567.891"), f"EUR{SPACE}1,234,567.89"),
        ("{{ x|money:'JPY' }}", Decimal("1234.5"), f"JPY{SPACE}1,235"),
        ("{{ x|money:'UGX' }}", Decimal("1234.5"), f"UGX{SPACE}1,235"),
        ("{{ x|money:'OMR' }}", Decimal("1234.5"), f"OMR{SPACE}1,234.500"),
        ("{{ x|amount:'JPY' }}", Decimal("-1234.5"), f"{MINUS}1,235"),
        ("{{ x|amount:'EUR' }}", None, "—"),
        ("{{ x|money }}", Decimal("-0.005"), f"{MINUS}0.01"),
        ("{{ x|money }}", Decimal("-0.004"), "0.00"),
        ("{{ x|money }}", 12, "12.00"),
        ("{{ x|whole:'CHF' }}", Decimal("1234.5"), f"CHF{SPACE}1,235"),
        ("{{ x|signed_money }}", Decimal("5"), "+5.00"),
        ("{{ x|signed_amount:'KWD' }}", Decimal("5"), "+5.000"),
        ("{{ x|percent }}", Decimal("0.12345"), "12.35%"),
        ("{{ x|percent:1 }}", Decimal("-0.5"), f"{MINUS}50.0%"),
        ("{{ x|signed_percent }}", Decimal("0"), "0.00%"),
        ("{{ x|points }}", Decimal("0.012"), f"+1.20{SPACE}pp"),
        ("{{ x|quantity }}", Decimal("1234.50000000"), "1,234.5"),
        ("{{ x|quantity }}", Decimal("1200"), "1,200"),
        ("{{ x|quantity }}", Decimal("0.00000001"), "0.00000001"),
        ("{{ x|price }}", Decimal("101.1"), "101.10"),
        ("{{ x|price:'USD' }}", Decimal("0.123456789"), f"USD{SPACE}0.123457"),
        ("{{ x|rate }}", Decimal("1.08125"), "1.08125"),
        ("{{ x|number }}", 1284, "1,284"),
        ("{{ x|country_name|dash }}", "ZZ", "—"),
        ("{{ x|country_name|dash }}", "CH", "Switzerland"),
    ],
)
def test_a_figure_reads_as_in_english(template, value, shown):
    assert show(template, x=value) == shown


@pytest.mark.parametrize(
    ("template", "value", "shown"),
    [
        ("{{ x|money:'EUR' }}", Decimal("-1234567.891"), f"EUR{SPACE}{MINUS}1.234.567,89"),
        ("{{ x|percent }}", Decimal("0.125"), f"12,50{SPACE}%"),
        ("{{ x|quantity }}", Decimal("1234.5"), "1.234,5"),
        ("{{ x|day_text }}", datetime.date(2026, 3, 7), "07.03.2026"),
    ],
)
@pytest.mark.parametrize("language", ["de", "en-de"])
def test_a_figure_reads_as_in_german(language, template, value, shown):
    with translation.override(language):
        assert show(template, x=value) == shown
        assert translation.gettext("Yes") == ("Ja" if language == "de" else "Yes")


FILTERS = [
    "money",
    "whole",
    "percent",
    "points",
    "quantity",
    "price",
    "rate",
    "number",
    "day",
    "moment",
    "ago",
]


@pytest.mark.parametrize("name", [*FILTERS, "signed_money", "signed_percent", "dash"])
@pytest.mark.parametrize("unknown", [None, ""])
def test_unknown_is_a_dash_and_never_zero(name, unknown):
    assert show("{{ x|%s }}" % name, x=unknown) == "—"  # noqa: UP031


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("Infinity"), "abc"])
def test_what_is_no_number_is_unknown(value):
    assert show("{{ x|money }}", x=value) == "—"


@settings(deadline=None)
@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**12), max_value=10**12))
def test_an_amount_reads_back_to_the_cent(amount):
    text = formatting.money(amount).replace(",", "").replace(MINUS, "-")
    assert abs(Decimal(text) - amount) <= Decimal("0.005")


def test_a_day_has_its_iso_form_on_hover():
    assert show("{{ x|day }}", x=datetime.date(2026, 3, 7)) == (
        '<time datetime="2026-03-07" title="2026-03-07">7 Mar 2026</time>'
    )


def test_an_instant_is_shown_where_the_reader_is():
    at = datetime.datetime(2026, 1, 1, 23, 30, tzinfo=datetime.UTC)
    with timezone.override("Europe/Zurich"):
        shown = show("{{ x|moment }}", x=at)
    assert "2 Jan 2026 00:30" in shown
    assert 'datetime="2026-01-02T00:30:00+01:00"' in shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(5, "just now"), (61, "1 minute ago"), (7200, "2 hours ago"), (90_000, "1 day ago")],
)
def test_what_is_recent_says_how_long_ago(seconds, shown):
    assert formatting.ago(timezone.now() - datetime.timedelta(seconds=seconds)) == shown


def test_amounts_hide_and_percentages_stay():
    formatting.hide_amounts(True)
    try:
        assert show("{{ x|money:'EUR' }} {{ x|whole }} {{ x|percent }}", x=Decimal("0.5")) == (
            f"EUR{SPACE}••• ••• 50.00%"
        )
        assert show("{{ x|money }}", x=None) == "—"
    finally:
        formatting.hide_amounts(False)


def test_hiding_amounts_ends_with_the_request(aurora, in_aurora, browse):
    User.objects.filter(pk=in_aurora.advisor.pk).update(hides_amounts=True)
    browse(aurora, in_aurora.advisor).get("/profile/")
    browse(aurora, in_aurora.administrator).get("/profile/")
    assert not formatting.hides_amounts()


@pytest.mark.parametrize(("value", "css"), [(1, "is-gain"), (-1, "is-loss"), (0, ""), (None, "")])
def test_a_sign_has_a_colour(value, css):
    assert formatting.signed_class(value) == css


def test_a_state_says_its_label_and_is_marked_beside_its_colour():
    badge = show("{% state_badge 'returned' 'Returned' %}")
    assert 'class="state state-orange"' in badge
    assert "alert-triangle" in badge
    assert badge.endswith("Returned</span>")
    assert "Partly filled" in show("{% state_badge 'partly_filled' %}")
    assert show("{% state_badge None %}") == "—"


def test_labels_are_escaped():
    assert "<b>" not in show("{% state_badge 'x' label %}", label="<b>")


def test_the_mark_of_a_simulated_price_is_for_simulated_sources_only():
    assert "Simulated price" in show("{% simulated 'Simulated closes' %}")
    assert show("{% simulated 'ECB' %}") == ""


def test_a_chart_carries_its_option_and_its_table():
    option = {
        "series": [{"data": [[datetime.date(2026, 1, 2), Decimal("0.5")]]}],
        "roboblock": {"format": "percent"},
    }
    table = {"headers": ["Day", "Return"], "rows": [["2026-01-02", "</script>50.00%"]]}
    html = show("{% chart 'performance' option table 'Performance' %}", option=option, table=table)
    assert '<script id="performance-option" type="application/json">' in html
    assert '["2026-01-02", 0.5]' in html
    assert "&lt;/script&gt;50.00%" in html
    assert "Show as a table" in html


def test_a_chart_hides_its_amounts_with_all_others():
    formatting.hide_amounts(True)
    try:
        assert chart("c", {})["hides_amounts"]
    finally:
        formatting.hide_amounts(False)


@pytest.mark.parametrize("language", ["en", "de", "en-de"])
@given(amount=st.decimals(-(10**12), 10**12, places=6), places=st.integers(0, 6))
@settings(max_examples=50)
def test_figures_read_as_django_writes_them(language, amount, places):
    with translation.override(language):
        shown = formatting.number(abs(amount), places)
        rounded = abs(amount).quantize(Decimal(1).scaleb(-places), rounding="ROUND_HALF_UP")
        assert shown == formats.number_format(rounded, decimal_pos=places, use_l10n=True, force_grouping=True)


@pytest.mark.parametrize(
    "value", ["<b>&'\"", SafeString("<b>"), gettext_lazy("<b>"), None, 1, Decimal("1.5"), ["<b>"]], ids=repr
)
def test_what_is_filled_in_is_escaped_as_django_does(value):
    template = '<td title="{0}">{0}</td>'
    assert formatting.fill_in(template, value) == format_html(template, value)
