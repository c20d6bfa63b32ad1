"""Lists: filter, sort, pages, totals and exports, as every page of the platform has them."""

import csv
import io
from decimal import Decimal

import django_tables2 as tables
import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django_htmx.middleware import HtmxDetails
from openpyxl import load_workbook

from accounts import formatting
from accounts.columns import MoneyColumn, PercentColumn, StateColumn
from accounts.lists import ListView, harmless, table_for
from accounts.models import ApiToken, AuditEntry, User, audit


class MoneyTable(tables.Table):
    name = tables.Column()
    value = MoneyColumn(currency_field="currency", total=True)
    gain = MoneyColumn(currency="EUR", signed=True)
    share = PercentColumn()

    class Meta:
        order_by = "name"


def row(name: str, value: str | None, currency: str = "EUR", gain: str | None = "-5") -> dict[str, object]:
    return {
        "name": name,
        "value": None if value is None else Decimal(value),
        "currency": currency,
        "gain": None if gain is None else Decimal(gain),
        "share": Decimal("0.125"),
    }


class MoneyList(ListView):
    """A list without a database behind it."""

    table_class = MoneyTable
    title = "Book"
    rows: list[dict[str, object]] = []

    def get_queryset(self):
        return self.rows


@pytest.fixture
def show(in_aurora, aurora):
    """Return the answer of a list of these rows."""

    def answer(rows, user=None, **query):
        request = RequestFactory().get("/book/", query)
        request.user = user or in_aurora.manager
        request.tenant = aurora
        request.htmx = HtmxDetails(request)
        response = MoneyList.as_view(rows=rows)(request)
        return response.render() if hasattr(response, "render") else response

    return answer


def text(response) -> str:
    return response.content.decode()


def test_the_currency_stands_once_in_the_header(show):
    page = text(show([row("A", "1000"), row("B", "2000.5")]))
    assert "Value (EUR)" in page
    assert "Gain (EUR)" in page
    assert ">1,000.00<" in page
    assert "EUR\u00a01,000" not in page


def test_amounts_below_their_currency_have_its_minor_units(show):
    page = text(show([row("A", "1000", "JPY"), row("B", "2000", "JPY")]))
    assert "Value (JPY)" in page
    assert ">1,000<" in page
    assert "3,000" in page
    assert "000.00" not in page
    assert ">1,000.000<" in text(show([row("A", "1000", "KWD")]))


def test_rows_of_several_currencies_carry_theirs_and_have_no_total(show):
    page = text(show([row("A", "1000"), row("B", "2000", "USD")]))
    assert "Value (EUR)" not in page
    assert "EUR\u00a01,000.00" in page
    assert "USD\u00a02,000.00" in page
    assert "several currencies" in page
    assert "3,000.00" not in page


def test_a_column_totals_all_rows_and_not_those_of_the_page(show):
    page = text(show([row(f"{number:03}", "10") for number in range(60)], per_page=25))
    assert "1–25 of 60" in page
    assert "600.00" in page


def test_unknown_is_a_dash_and_never_zero(show):
    page = text(show([row("A", None, gain=None)]))
    assert page.count("—") >= 2
    assert ">0.00<" not in page


def test_losses_have_a_true_minus_and_a_colour(show):
    assert '<span class="is-loss">\u22125.00</span>' in text(show([row("A", "1")]))


def test_amounts_are_hidden_where_the_reader_asked_for_it(show):
    formatting.hide_amounts(True)
    try:
        page = text(show([row("A", "1000")]))
    finally:
        formatting.hide_amounts(False)
    assert "1,000" not in page
    assert "•••" in page
    assert "12.50%" in page


def test_the_url_sorts(show):
    page = text(show([row("A", "3"), row("B", "1"), row("C", "2")], sort="-value"))
    assert page.index(">A<") < page.index(">C<") < page.index(">B<")
    assert 'aria-sort="descending"' in page


def test_a_page_size_that_is_not_offered_is_ignored(show):
    assert "1–50 of 60" in text(show([row(str(n), "1") for n in range(60)], per_page="100000"))


def test_a_page_beyond_the_last_shows_the_last(show):
    assert "51–60 of 60" in text(show([row(str(n), "1") for n in range(60)], page="99"))
    assert "1–50 of 60" in text(show([row(str(n), "1") for n in range(60)], page="x"))


def test_an_empty_list_says_so(show):
    assert "Nothing here yet" in text(show([]))


def test_a_list_asks_for_sign_in(aurora):
    request = RequestFactory().get("/book/")
    request.user = AnonymousUser()
    assert MoneyList.as_view()(request).status_code == 302


def test_the_csv_has_all_rows_bare_values_and_the_currency(show):
    answer = show([row(f"{number:03}", "1234.5") for number in range(60)], _export="csv")
    lines = answer.content.decode("utf-8-sig").splitlines()
    assert answer["Content-Disposition"] == 'attachment; filename="book.csv"'
    assert lines[0] == '"Name","Value (EUR)","Gain (EUR)","Share"'
    assert lines[1] == '"000","1234.5","-5","0.125"'
    assert len(lines) == 61


FORMULAS = ["=1+1", "+1", "-1+1", "@SUM(A1)", "\t1", "\r1", "  =1", "\uff1d1"]


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_formula_in_a_cell_stays_text(show, formula):
    assert harmless(formula) == f"'{formula}"
    answer = show([row(formula, "1")], _export="xlsx")
    sheet = load_workbook(io.BytesIO(answer.content)).active
    cell = sheet.cell(row=2, column=1)
    assert cell.data_type == "s"
    assert cell.value.startswith("'")


def test_no_cell_is_a_formula_where_a_spreadsheet_splits_at_another_sign(show):
    names = ["Ann;=HYPERLINK(1)", "Ann; \t@SUM(A1)", 'Ann\t"-1+1"', "Ann\n+1", "\t=1"]
    for name in names:
        answer = show([row("Bob; 2 = two - zero", "1"), row(name, "1")], _export="csv")
        text = answer.content.decode("utf-8-sig")
        assert '"Bob; 2 = two - zero"' in text
        for delimiter in ";\t":
            for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE):
                lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting)
                cells = [cell.strip(' "') for line in lines for cell in line]
                assert [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))] == [], name


def test_what_no_workbook_can_hold_is_left_out_of_it(show):
    answer = show([row("An\x01n\x1b\ufffe", "1"), row("\x0b=1+1", "1")], _export="xlsx")
    sheet = load_workbook(io.BytesIO(answer.content)).active
    assert {sheet.cell(row=number, column=1).value for number in (2, 3)} == {"Ann", "'=1+1"}


def test_negative_figures_stay_figures_in_exports(show):
    answer = show([row("A", "-7.25")], _export="xlsx")
    cell = load_workbook(io.BytesIO(answer.content)).active.cell(row=2, column=2)
    assert (cell.data_type, cell.value) == ("n", -7.25)


def test_an_export_in_an_unknown_format_is_the_page(show):
    assert "<html" in text(show([row("A", "1")], _export="yaml"))


class PeopleTable(tables.Table):
    full_name = tables.Column()
    theme = StateColumn()

    class Meta:
        model = User
        fields = ("full_name", "theme")


def test_a_state_reads_as_its_choice_and_keeps_its_value(in_aurora, aurora):
    request = RequestFactory().get("/")
    table = table_for(request, PeopleTable, User.objects.filter(pk=in_aurora.advisor.pk))
    html = table.rows[0].get_cell("theme")
    assert 'data-state="auto"' in html
    assert "As the device" in html
    assert table.rows[0].get_cell_value("theme") == "As the device"


def entries(user: User, count: int) -> None:
    for number in range(count):
        audit("thing.done" if number % 2 else "thing.undone", user, by=user, number=number)


def test_filters_narrow_down_and_can_be_lifted(aurora, in_aurora, browse):
    entries(in_aurora.administrator, 4)
    page = browse(aurora, in_aurora.compliance)
    answer = page.get("/audit/", {"q": "thing.undone", "sort": "at"})
    assert answer.context["table"].paginator.count == 2
    (chip,) = answer.context["chips"]
    assert (chip.label, chip.value, chip.without) == ("Who or what", "thing.undone", "?sort=at")

    # A person types the words that the list shows.
    audit("token.batch_made", ApiToken(), by=None)
    for words in ("Thing undone", "batch made", "API token", "the platform"):
        expected = 2 if words == "Thing undone" else 1
        assert page.get("/audit/", {"q": words}).context["table"].paginator.count == expected, words


def test_no_match_is_told_apart_from_nothing_there(aurora, in_aurora, browse):
    page = browse(aurora, in_aurora.compliance)
    AuditEntry.objects.all().delete()
    assert "Nothing has been done yet" in page.get("/audit/").content.decode()
    entries(in_aurora.administrator, 1)
    found = page.get("/audit/", {"q": "no such thing"}).content.decode()
    assert "Nothing matches" in found
    assert 'href="/audit/"' in found


def test_what_cannot_be_read_of_a_filter_is_told(aurora, in_aurora, browse):
    entries(in_aurora.administrator, 1)
    page = browse(aurora, in_aurora.compliance).get("/audit/", {"since": "yesterday"})
    assert "Enter a valid date" in page.content.decode()


def test_an_export_has_what_the_filter_left(aurora, in_aurora, browse):
    entries(in_aurora.administrator, 120)
    answer = browse(aurora, in_aurora.compliance).get("/audit/", {"q": "thing.undone", "_export": "csv"})
    lines = answer.content.decode("utf-8-sig").splitlines()
    assert len(lines) == 61
    assert all("thing.undone" in line for line in lines[1:])


def test_a_partial_request_gets_the_part_it_asked_for(aurora, in_aurora, browse):
    entries(in_aurora.administrator, 3)
    page = browse(aurora, in_aurora.compliance)
    rows = page.get("/audit/", headers={"HX-Request": "true", "HX-Target": "list-rows"})
    assert b"<html" not in rows.content
    assert b'id="list-filter"' not in rows.content
    assert b"1\xe2\x80\x933 of 3" in rows.content
    body = page.get("/audit/", headers={"HX-Request": "true", "HX-Target": "list"})
    assert b'id="list-filter"' in body.content
    assert "HX-Request" in rows["Vary"]
    restored = page.get(
        "/audit/",
        headers={"HX-Request": "true", "HX-Target": "list", "HX-History-Restore-Request": "true"},
    )
    assert b"<html" in restored.content


def test_a_list_takes_the_same_queries_for_few_and_many_rows(aurora, in_aurora, browse):
    page = browse(aurora, in_aurora.compliance)
    entries(in_aurora.administrator, 2)
    page.get("/audit/")
    counts = []
    for _round in range(2):
        with CaptureQueriesContext(connection) as queries:
            page.get("/audit/", {"per_page": 100})
        # Every query of a tenant is preceded by one that sets its schema.
        counts.append(sum("search_path" not in query["sql"] for query in queries))
        entries(in_aurora.administrator, 90)
    # The last one names the persons that entries are about.
    assert counts[0] == counts[1] <= 7


def test_rows_that_sort_alike_come_in_one_order_over_pages(aurora, in_aurora, browse):
    entries(in_aurora.administrator, 60)
    page = browse(aurora, in_aurora.compliance)
    seen = []
    for number in (1, 2, 3):
        answer = page.get("/audit/", {"sort": "kind", "per_page": 25, "page": number})
        seen += [entry.record.pk for entry in answer.context["table"].page.object_list]
    assert len(seen) == len(set(seen)) == 60
