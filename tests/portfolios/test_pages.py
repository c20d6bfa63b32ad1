"""The pages of portfolios: what they show, to whom, and at what cost."""

import uuid
from decimal import Decimal as D

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django_tenants.utils import tenant_context

from clients.models import Client, Mandate
from portfolios.attention import REASONS, in_need
from portfolios.forms import BankEntryForm
from portfolios.models import Portfolio, Transaction
from portfolios.services import book, refresh_holdings
from reporting.models import Report
from tests.factories import Cast
from tests.portfolios import make
from trading.models import Order

TABS = ["detail", "holdings", "transactions", "orders", "reports"]


@pytest.fixture
def filled(in_aurora: Cast) -> Portfolio:
    """A portfolio with a client, two securities, a sale and a fee."""
    client = Client.objects.create(name="Ada Example", unit=in_aurora.unit)
    mandate = Mandate.objects.create(number="M-1", client=client, currency="EUR", status="submitted",
                                     submission=1, submitted_at="2026-01-01T00:00Z", signed_on=make.day(0),
                                     disclosure_authorised_on=make.day(0))  # fmt: skip
    portfolio = make.portfolio(in_aurora.unit, mandate=mandate)
    euros, dollars = make.security(), make.security("US5949181045", "Microsoft", "USD")
    make.prices(euros, {o: 10 + o for o in range(5)}, make.source("SIM", is_simulated=True))
    make.prices(dollars, dict.fromkeys(range(5), 100))
    make.rates("USD", {0: "1.25", 3: "1.10"})
    book(entries=[make.deposit(portfolio, 10_000), make.buy(portfolio, euros, 100, 10), make.buy(portfolio, dollars, 10, 100),
                  make.sell(portfolio, euros, 40, 12, 2, fees=3), make.fee(portfolio, 25, 3)], by=in_aurora.manager)  # fmt: skip
    return portfolio


@pytest.fixture
def as_manager(aurora, browse, in_aurora: Cast):
    return browse(aurora, in_aurora.manager)


def _get(client, name: str, *args, **parameters):
    return client.get(reverse(f"portfolios:{name}", args=args), parameters)


def test_the_book_lists_value_return_and_attention(as_manager, filled):
    page = _get(as_manager, "book", period="custom", **{"from": "2026-03-02", "to": "2026-03-06"})
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
    assert _get(as_manager, "book", sort=sort).status_code == 200


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({"q": "ada"}, 1), ({"q": "nobody"}, 0), ({"attention": "any"}, 1), ({"attention": "drift"}, 0),
        ({"attention": "cash"}, 1), ({"attention": "new"}, 0), ({"attention": "price"}, 0), ({"attention": "deposit"}, 0),
        ({"attention": "unmatched"}, 0), ({"attention": "settlement"}, 0), ({"currency": "EUR"}, 1),
    ],
)  # fmt: skip
def test_the_book_is_filtered_by_the_url(as_manager, filled, parameters, found):
    assert _get(as_manager, "book", **parameters).context["table"].paginator.count == found


@pytest.mark.parametrize("code", ["any", *REASONS])
def test_a_filter_by_attention_reads_the_valuations_once(in_aurora, code):
    query = str(in_need(Portfolio.objects.in_book().annotate(value=F("latest__market_value")), code).query)
    assert query.count('JOIN "portfolios_valuation"') == 1


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_the_book_exports_what_it_shows(as_manager, filled, kind):
    page = _get(as_manager, "book", _export=kind)
    assert page.status_code == 200
    if kind == "csv":
        assert "Ada Example" in page.content.decode("utf-8-sig")
        assert "Idle cash" in page.content.decode("utf-8-sig")


def test_an_empty_book_says_why(as_manager):
    assert "No portfolios yet" in _get(as_manager, "book").content.decode()


def test_the_book_takes_as_many_queries_for_many_as_for_few(as_manager, in_aurora: Cast, filled):
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert _get(as_manager, "book").status_code == 200
        return len([query for query in captured if not query["sql"].startswith("SET search_path")])

    queries()
    few = queries()
    for number in range(30):
        extra = make.portfolio(in_aurora.unit, f"P-X{number}")
        book(entries=[make.deposit(extra, 100)], by=None)
    assert queries() == few
    assert few <= 20


@pytest.mark.parametrize("tab", TABS)
def test_each_tab_of_a_portfolio_takes_as_many_queries_for_many_rows_as_for_few(
    as_manager, in_aurora: Cast, filled, tab
):
    def queries() -> int:
        _get(as_manager, f"portfolio_{tab}", filled.pk)
        with CaptureQueriesContext(connection) as captured:
            assert _get(as_manager, f"portfolio_{tab}", filled.pk).status_code == 200
        return len(captured)

    def add(number: int, currency: str) -> None:
        share = make.security(f"XX000000000{number}", f"Share {number}", currency)
        make.prices(share, {0: 10, 4: 12})
        book(entries=[make.buy(filled, share, 1, 10), make.fee(filled, 1, 4)], by=in_aurora.manager)
        Order.objects.create(number=f"O-{number}", portfolio=filled, security=share, side="buy", quantity=2,
                             currency=currency, estimated_amount=20, state="sent", reason="drift")  # fmt: skip
        Report.objects.create(portfolio=filled, number=f"R-{number}", period_from=make.day(0),
                              period_to=make.day(number + 1), state="ready")  # fmt: skip
        refresh_holdings(portfolio_ids=[filled.pk])

    make.rates("CHF", {0: "2"})
    make.rates("GBP", {0: "2"})
    make.rates("JPY", {0: "2"})
    add(0, "CHF")
    few = queries()
    for number, currency in enumerate(["GBP", "JPY", "USD", "EUR", "CHF"], start=1):
        add(number, currency)
    assert queries() == few


@pytest.mark.parametrize("tab", TABS)
def test_each_tab_of_a_portfolio_opens(as_manager, filled, tab):
    page = _get(as_manager, f"portfolio_{tab}", filled.pk)
    assert page.status_code == 200
    assert "P-1" in page.content.decode()


@pytest.mark.parametrize("tab", TABS)
def test_each_tab_of_an_empty_portfolio_opens(as_manager, in_aurora: Cast, tab):
    assert _get(as_manager, f"portfolio_{tab}", make.portfolio(in_aurora.unit).pk).status_code == 200


@pytest.mark.parametrize("period", ["1m", "3m", "ytd", "1y", "3y", "all"])
def test_one_period_drives_the_page(as_manager, filled, period):
    assert _get(as_manager, "portfolio_detail", filled.pk, period=period).status_code == 200


def test_the_tiles_show_returns_over_the_period(as_manager, filled):
    page = _get(as_manager, "portfolio_detail", filled.pk, period="all")
    tiles = {tile["label"]: tile["value"] for tile in page.context["tiles"]}
    latest = filled.valuations.get(is_latest=True)
    assert tiles["Value"] == latest.market_value
    assert tiles["Return, net"] == latest.return_index - 1
    assert tiles["Return, gross"] > tiles["Return, net"]
    assert tiles["Money-weighted"] is not None


def test_holdings_are_shown_as_of_an_earlier_day(as_manager, filled):
    now = {
        row.security.name if row.security else "cash": row
        for row in _get(as_manager, "portfolio_holdings", filled.pk).context["rows"]
    }
    then = {
        row.security.name if row.security else "cash": row
        for row in _get(as_manager, "portfolio_holdings", filled.pk, as_of="2026-03-03").context["rows"]
    }
    assert (now["Apple"].quantity, then["Apple"].quantity) == (60, 100)
    assert then["Apple"].price == 11
    dollars = now["Microsoft"]
    assert dollars.price_gain + dollars.currency_gain == dollars.unrealised_gain
    assert dollars.price_gain == 0


def test_a_simulated_price_says_so(as_manager, filled):
    assert "mark-simulated" in _get(as_manager, "portfolio_holdings", filled.pk).content.decode()


def test_holdings_are_exported(as_manager, filled):
    assert "Apple" in _get(as_manager, "portfolio_holdings", filled.pk, _export="csv").content.decode(
        "utf-8-sig"
    )


def test_a_sale_is_explained_by_its_lots(as_manager, filled):
    sale = Transaction.objects.get(type="sell")
    page = _get(as_manager, "transaction_detail", sale.pk)
    assert page.context["gain"].gain == D(77)
    assert page.context["lots"][0]["quantity"] == 40


def test_an_entry_is_reversed_once_and_with_a_reason(as_manager, filled):
    fee = Transaction.objects.get(type="fee")
    url = reverse("portfolios:transaction_reverse", args=[fee.pk])
    as_manager.post(url, {"text": " "})
    assert not Transaction.objects.filter(type="reversal").exists()
    as_manager.post(url, {"text": "Charged twice"})
    assert Transaction.objects.get(type="reversal").reverses == fee
    page = _get(as_manager, "transaction_detail", fee.pk).content.decode()
    assert "Charged twice" in page
    assert url not in page


def test_who_may_not_see_a_portfolio_finds_nothing(aurora, browse, in_aurora: Cast, filled):
    elsewhere = make.portfolio(in_aurora.other_unit, "P-2")
    entry = Transaction.objects.first()
    for user in (in_aurora.stranger, in_aurora.administrator):
        client = browse(aurora, user)
        assert _get(client, "portfolio_detail", filled.pk).status_code == 404
        assert _get(client, "transaction_detail", entry.pk).status_code == 404
        assert _get(client, "book").context["table"].paginator.count == 0
    manager = browse(aurora, in_aurora.manager)
    assert _get(manager, "portfolio_detail", elsewhere.pk).status_code == 404
    assert _get(manager, "portfolio_detail", filled.pk).status_code == 200


def test_an_advisor_sees_the_same_page_without_what_only_managers_do(aurora, browse, in_aurora: Cast, filled):
    page = _get(browse(aurora, in_aurora.advisor), "portfolio_detail", filled.pk)
    assert page.status_code == 200
    assert "Propose" not in page.content.decode()
    # Models are not an advisor's pages.
    assert page.context["leads_to_model"] is False


def test_a_received_portfolio_shows_whose_it_is_and_no_button_that_cannot_work(
    aurora, browse, in_aurora: Cast
):
    with make.as_mirror():
        received = make.portfolio(in_aurora.unit, "P-9", origin=uuid.uuid4())
        entry = make.deposit(received, 100, origin=received.origin)
        entry.save()
    client = browse(aurora, in_aurora.manager)
    text = _get(client, "portfolio_detail", received.pk).content.decode()
    assert "Received from" in text
    assert "Propose" not in text.partition("<main")[2]
    page = _get(client, "transaction_detail", entry.pk).content.decode()
    assert reverse("portfolios:transaction_reverse", args=[entry.pk]) not in page
    refused = client.post(reverse("portfolios:transaction_reverse", args=[entry.pk]), {"text": "x"})
    assert refused.status_code == 404


@pytest.mark.parametrize(
    "name",
    [
        "security_list",
        "price_list",
        "rate_list",
        "source_list",
        "import_list",
        "import_create",
        "security_create",
    ],
)
def test_reference_pages_open_with_and_without_data(as_manager, filled, name):
    assert _get(as_manager, name).status_code == 200


def test_imports_and_sources_are_filtered_sorted_and_exported(as_manager, in_aurora: Cast):
    from portfolios.models import ImportBatch, PriceSource

    ours = PriceSource.objects.create(code="OURS", name="Our desk")
    PriceSource.objects.create(code="OTHER", name="Another desk", is_simulated=True)
    for kind, name in (("prices", "closes.csv"), ("rates", "eurofxref.zip")):
        ImportBatch.objects.create(kind=kind, file_name=name, content=b"", source=ours, state="done")
    for page, query, kept, left_out in (
        ("import_list", "?kind=rates", "eurofxref.zip", "closes.csv"),
        ("import_list", "?q=closes&sort=-rows_total", "closes.csv", "eurofxref.zip"),
        ("source_list", "?q=ours&sort=code", "Our desk", "Another desk"),
        ("source_list", "?whose=own&q=other&sort=-preference", "Another desk", "Our desk"),
    ):
        text = as_manager.get(reverse(f"portfolios:{page}") + query).content.decode()
        exported = as_manager.get(reverse(f"portfolios:{page}") + query + "&_export=csv").content.decode()
        assert kept in text, query
        assert kept in exported, query
        assert left_out not in exported, query
    shown = as_manager.get(reverse("portfolios:source_list") + "?whose=received").content.decode()
    assert "Nothing matches" in shown


@pytest.mark.parametrize(
    "name", ["source_list", "import_list", "import_create", "security_create", "cash", "bank_entry_create"]
)
def test_a_page_without_the_right_does_not_exist(aurora, browse, in_aurora: Cast, name):
    assert _get(browse(aurora, in_aurora.advisor), name).status_code == 404


def test_arrived_cash_is_entered_in_the_institutions_currency(aurora, browse, in_aurora: Cast):
    page = _get(browse(aurora, in_aurora.operations), "bank_entry_create")
    assert page.context["form"]["currency"].value() == aurora.currency


def test_a_security_is_created_and_its_isin_stays(as_manager, in_aurora: Cast):
    form = {"isin": "ch0038863350", "name": "Nestlé", "kind": "share", "asset_class": "equity", "currency": "chf",
            "price_unit": "per_unit", "lot_size": "1", "quantity_decimals": "0", "is_active": "on"}  # fmt: skip
    assert (
        as_manager.post(reverse("portfolios:security_create"), {**form, "isin": "CH0038863351"}).status_code
        == 200
    )
    made = as_manager.post(reverse("portfolios:security_create"), form)
    assert made.status_code == 302
    assert (
        "already a security" in as_manager.post(reverse("portfolios:security_create"), form).content.decode()
    )
    from portfolios.models import Security, security_id

    security = Security.objects.get()
    assert (security.pk, security.currency) == (security_id("CH0038863350"), "CHF")
    as_manager.post(
        reverse("portfolios:security_edit", args=[security.pk]),
        {**form, "isin": "US0378331005", "name": "Nestle"},
    )
    security.refresh_from_db()
    assert (security.isin, security.name) == ("CH0038863350", "Nestle")
    assert _get(as_manager, "security_detail", security.pk).status_code == 200


def test_a_security_page_lists_only_visible_holders(as_manager, in_aurora: Cast, filled):
    other = make.portfolio(in_aurora.other_unit, "P-2")
    apple = Transaction.objects.get(type="sell").security
    book(entries=[make.buy(other, apple, 5, 10)], by=None)
    page = _get(as_manager, "security_detail", apple.pk, period="all")
    assert [holding.portfolio for holding in page.context["holdings"]] == [filled]
    assert page.context["last"].close == 14


def test_a_file_is_previewed_confirmed_and_undone_in_the_browser(
    as_manager, in_aurora: Cast, filled, django_capture_on_commit_callbacks, monkeypatch
):
    from django.core.files.uploadedfile import SimpleUploadedFile

    from portfolios import tasks
    from portfolios.models import ImportBatch, Price

    sent = []
    monkeypatch.setattr(tasks.run_import, "delay_on_commit", lambda pk: sent.append(pk))
    monkeypatch.setattr(tasks.revalue_after_undo, "delay_on_commit", lambda *args: sent.append(args))
    upload = SimpleUploadedFile("closes.csv", b"Date,US0378331005,NEW\n2026-03-09,20,7\n2026-03-10,x,7\n")
    page = as_manager.post(
        reverse("portfolios:import_create"),
        {"kind": "prices", "file": upload, "new_source": "vendor", "currency": "EUR"},
    )
    batch = ImportBatch.objects.get()
    assert page.headers["Location"] == reverse("portfolios:import_detail", args=[batch.pk])
    preview = _get(as_manager, "import_detail", batch.pk).content.decode()
    assert "“x” is not a number." in preview
    assert 'name="name-NEW"' in preview
    before = Price.objects.count()
    as_manager.post(
        reverse("portfolios:import_confirm", args=[batch.pk]),
        {"create": "NEW", "name-NEW": "Newcomer", "currency-NEW": "EUR"},
    )
    assert sent == [str(batch.pk)]
    tasks.run_import(str(batch.pk))
    assert Price.objects.count() == before + 3
    assert filled.valuations.get(is_latest=True).date == make.day(8)
    assert "Undo this import" in _get(as_manager, "import_detail", batch.pk).content.decode()
    as_manager.post(reverse("portfolios:import_undo", args=[batch.pk]))
    tasks.revalue_after_undo(*sent[1])
    assert Price.objects.count() == before
    assert filled.valuations.get(is_latest=True).date == make.day(4)


def test_search_finds_only_what_a_person_may_see(in_aurora: Cast, filled):
    from portfolios.finders import find_portfolios, find_securities

    assert [result.label for result in find_portfolios(in_aurora.manager, "ada")] == ["P-1 · Portfolio P-1"]
    assert not list(find_portfolios(in_aurora.stranger, "ada"))
    assert [result.label for result in find_securities(in_aurora.manager, "US037")] == ["Apple"]


def test_another_institution_does_not_know_the_portfolio(harbour, browse, in_aurora: Cast, filled):
    with tenant_context(harbour):
        assert not Portfolio.objects.filter(pk=filled.pk).exists()


def test_the_orders_of_a_portfolio_are_sorted_in_the_same_queries(as_manager, in_aurora: Cast, filled):
    apple, microsoft = (filled.holdings.get(security__name=name).security for name in ("Apple", "Microsoft"))
    fields = {"portfolio": filled, "side": "buy", "currency": "EUR", "state": "filled", "reason": "manual"}
    for number, security, quantity in (("O-9", apple, 30), ("O-10", microsoft, 5), ("O-11", apple, 20)):
        filled.orders.create(number=number, security=security, quantity=quantity, **fields)

    def shown(sort: str) -> tuple[list[str], int]:
        with CaptureQueriesContext(connection) as queries:
            page = _get(as_manager, "portfolio_orders", filled.pk, sort=sort)
        return [row.record.number for row in page.context["table"].page.object_list], len(queries)

    few = shown("")[1]
    assert shown("") == (["O-11", "O-10", "O-9"], few)
    assert shown("number") == (["O-9", "O-10", "O-11"], few)
    assert shown("quantity") == (["O-10", "O-11", "O-9"], few)
    assert shown("-security")[0][0] == "O-10"


def test_securities_are_sorted_by_their_last_price(as_manager, filled):
    def shown(sort: str) -> tuple[list[object], int]:
        with CaptureQueriesContext(connection) as queries:
            page = _get(as_manager, "security_list", sort=sort)
        return [row.record.last_price for row in page.context["table"].page.object_list], len(queries)

    make.security("XS0000000009", "Without a price")
    plain, few = shown("name")
    known = sorted(price for price in plain if price is not None)
    assert len(known) > 1
    assert None in plain
    assert shown("last_price") == ([*known, None], few)
    assert shown("-last_price") == ([*known[::-1], None], few)
    for sort in ("price_date", "-source"):
        assert shown(sort)[1] == few


def test_arrived_cash_is_typed_as_an_advisor_types_an_amount():
    for typed in ("250,000.50", "250 000.50", "250'000.50", "250000.50"):
        form = BankEntryForm({"value_date": "2026-03-02", "amount": typed, "currency": "EUR"}, currency="EUR")
        assert form.is_valid(), form.errors
        assert form.cleaned_data["amount"] == D("250000.50")
    assert not BankEntryForm(
        {"value_date": "2026-03-02", "amount": "0", "currency": "EUR"}, currency="EUR"
    ).is_valid()


def test_charts_write_their_days_as_the_page_does(as_manager, filled):
    option = _get(as_manager, "portfolio_detail", filled.pk, period="all").context["value_chart"]["option"]
    assert option["xAxis"]["data"][0] == "2 Mar 2026"
