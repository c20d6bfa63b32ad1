"""The book of portfolios: its columns, filters, exports and the number of queries it takes."""

import datetime
import re
from decimal import Decimal

import pytest
from django.db import connection
from django.db.models import F
from django.http import HttpResponse
from django.test.utils import CaptureQueriesContext

from portfolios.attention import REASONS, in_need
from portfolios.models import Portfolio, Valuation
from portfolios.services import book
from tests.factories import Cast
from tests.portfolios import make
from tests.portfolios.pages import get


def test_the_book_lists_value_return_and_attention(as_manager, filled):
    page = get(as_manager, "book", period="custom", **{"from": "2026-03-02", "to": "2026-03-06"})
    text = page.content.decode()
    assert page.status_code == 200
    assert "P-1" in text
    assert "Ada Example" in text
    assert "Idle cash" in text
    [row] = [row.record for row in page.context["table"].paginated_rows]
    assert row.value == filled.valuations.get(is_latest=True).market_value
    assert row.period_return is not None


@pytest.mark.parametrize(
    "sort",
    [
        "number",
        "-value",
        "drift",
        "-cash_weight",
        "-period_return",
        "client_name",
        "model_name",
        "manager_name",
    ],
)
def test_the_book_sorts_by_every_column(as_manager, filled, sort):
    assert get(as_manager, "book", sort=sort).status_code == 200


@pytest.mark.parametrize("since", ["2022-12-31", "2023-12-31", "2024-12-31", "2025-01-15"])
def test_the_book_sorts_by_the_return_it_shows(as_manager, in_aurora: Cast, since):
    # Valued on the very day, days and months before it, on none of them, and only after it.
    histories = {
        "P-1": {"2022-12-30": 100, "2023-12-29": 110, "2024-12-31": 120},
        "P-2": {"2022-12-29": 102, "2022-12-31": 101, "2023-12-30": 115, "2023-12-31": 95},
        "P-3": {"2022-11-30": 104, "2024-12-27": 90},
        "P-4": {"2025-01-31": 108},
    }
    for number, indices in histories.items():
        opened_on = datetime.date.fromisoformat(min(indices))
        portfolio = make.portfolio(in_aurora.unit, number, opened_on=opened_on)
        last = {"2025-03-03": 130}
        for day, index in {**indices, **last}.items():
            Valuation.objects.create(
                portfolio=portfolio,
                date=day,
                currency="EUR",
                market_value=1000,
                return_index=Decimal(index) / 100,
                gross_return_index=Decimal(index) / 100,
                is_latest=day in last,
            )
    period = {"period": "custom", "from": since, "to": "2025-03-03"}
    for sort in ("period_return", "-period_return"):
        rows = get(as_manager, "book", sort=sort, **period).context["table"].paginated_rows
        returns = [row.record.period_return for row in rows]
        assert len(set(returns)) > 2
        assert returns == sorted(returns, reverse=sort.startswith("-")), (sort, returns)


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({"q": "ada"}, 1), ({"q": "nobody"}, 0), ({"attention": "any"}, 1), ({"attention": "drift"}, 0),
        ({"attention": "cash"}, 1), ({"attention": "new"}, 0), ({"attention": "price"}, 0), ({"attention": "deposit"}, 0),
        ({"attention": "unmatched"}, 0), ({"attention": "settlement"}, 0), ({"currency": "EUR"}, 1),
        ({"attention": "any", "sort": "model_name"}, 1), ({"attention": "any", "sort": "client_name", "q": "ada"}, 1),
        ({"attention": "late"}, 0), ({"attention": "any", "q": "nobody"}, 0),
    ],
)  # fmt: skip
def test_the_book_is_filtered_by_the_url(as_manager, filled, parameters, found):
    assert get(as_manager, "book", **parameters).context["table"].paginator.count == found


@pytest.mark.parametrize("code", ["any", *REASONS])
def test_a_filter_by_attention_reads_the_valuations_once(in_aurora, code):
    query = str(in_need(Portfolio.objects.in_book().annotate(value=F("latest__market_value")), code).query)
    assert query.count('JOIN "portfolios_valuation"') == 1


def test_the_books_total_says_what_it_lacks(as_manager, in_aurora: Cast, filled):
    value = get(as_manager, "book").context["totals"]["value"]
    assert value == filled.valuations.get(is_latest=True).market_value
    other = make.portfolio(in_aurora.unit, "P-2", "CHF")
    book(entries=[make.deposit(other, 100)], by=None)
    page = get(as_manager, "book")
    assert page.context["totals"]["value"] is None
    assert "There is no exchange rate for CHF." in page.content.decode()
    # Nothing is nothing at whatever rate.
    other.valuations.update(market_value=0, cash_value=0)
    page = get(as_manager, "book")
    assert page.context["totals"]["value"] == value
    other.valuations.update(market_value=None, cash_value=None)
    page = get(as_manager, "book")
    assert page.context["totals"]["value"] == value
    assert "Without 1 portfolio whose value is not available." in page.content.decode()


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_the_book_exports_what_it_shows(as_manager, filled, kind):
    page = get(as_manager, "book", _export=kind)
    assert page.status_code == 200
    if kind == "csv":
        assert "Ada Example" in page.content.decode("utf-8-sig")
        assert "Idle cash" in page.content.decode("utf-8-sig")


def test_an_empty_book_says_why(as_manager):
    assert "No portfolios yet" in get(as_manager, "book").content.decode()


def test_the_book_takes_as_many_queries_for_many_as_for_few(as_manager, in_aurora: Cast, filled):
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert get(as_manager, "book").status_code == 200
        return len([query for query in captured if not query["sql"].startswith("SET search_path")])

    queries()
    few = queries()
    for number in range(30):
        extra = make.portfolio(in_aurora.unit, f"P-X{number}")
        book(entries=[make.deposit(extra, 100)], by=None)
    assert queries() == few
    assert few <= 20


def test_totals_period_and_what_to_choose_follow_where_only_rows_are_asked_for(
    as_manager, in_aurora: Cast, filled
):
    make.portfolio(in_aurora.unit, "P-2", "CHF")
    whole = get(as_manager, "book")
    address = whole.wsgi_request.build_absolute_uri()

    def part(asked: str, *, shown: str = "", target: str = "list-rows") -> tuple[HttpResponse, str]:
        headers = {"HX-Request": "true", "HX-Target": target, "HX-Current-URL": address + shown}
        answer = as_manager.get(f"/book/{asked}", headers=headers)
        return answer, answer.content.decode()

    for target in ("list-rows", "list"):
        answer, text = part("?currency=CHF&period=1y", shown="?period=1y", target=target)
        assert "<html" not in text
        assert text.count('id="list-head" hx-swap-oob="true"') == 1
        assert re.search(r'Portfolios</div>\s*<div class="tile-value[^>]*>\s*1\s', text)
        assert 'id="bulk"' in text
        # The period keeps the filter, the filter keeps the period, and so does to lift all filters.
        assert 'href="?currency=CHF&amp;period=1m"' in text
        assert '<input type="hidden" name="period" value="1y" form="list-filter">' in text
        assert 'hx-get="/book/?period=1y"' in text
        assert "HX-Push-Url" not in answer
    _answer, text = part("?q=nobody")
    assert re.search(r'Portfolios</div>\s*<div class="tile-value[^>]*>\s*0\s', text)
    assert 'id="bulk"' not in text
    # What is shown already is looked at again: nothing above it changes, and Back does not lead to it once more.
    answer, text = part("?q=nobody", shown="?q=nobody#main")
    assert 'id="list-head"' not in text
    assert answer["HX-Push-Url"] == "false"
    with CaptureQueriesContext(connection) as of_all:
        get(as_manager, "book")
    with CaptureQueriesContext(connection) as of_part:
        part("")
    assert len(of_part) <= len(of_all)
