"""The pages of portfolios: what they show, to whom, and at what cost."""

import uuid
from decimal import Decimal as D

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import translation
from django_tenants.utils import tenant_context

from accounts.amounts import AmountField
from portfolios.finders import find_portfolios, find_securities
from portfolios.forms import BankEntryForm, SecurityForm
from portfolios.models import Portfolio, Transaction, Valuation
from portfolios.services import book, refresh_holdings
from reporting.models import Report
from tests.factories import Cast
from tests.portfolios import make
from tests.portfolios.pages import get
from trading.models import Order

TABS = ["detail", "holdings", "transactions", "orders", "reports"]


@pytest.mark.parametrize("tab", TABS)
def test_each_tab_of_a_portfolio_takes_as_many_queries_for_many_rows_as_for_few(
    as_manager, in_aurora: Cast, filled, tab
):
    def queries() -> int:
        get(as_manager, f"portfolio_{tab}", filled.pk)
        with CaptureQueriesContext(connection) as captured:
            assert get(as_manager, f"portfolio_{tab}", filled.pk).status_code == 200
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
    page = get(as_manager, f"portfolio_{tab}", filled.pk)
    assert page.status_code == 200
    assert "P-1" in page.content.decode()


@pytest.mark.parametrize("tab", TABS)
def test_each_tab_of_an_empty_portfolio_opens(as_manager, in_aurora: Cast, tab):
    assert get(as_manager, f"portfolio_{tab}", make.portfolio(in_aurora.unit).pk).status_code == 200


def test_an_exchange_shows_what_was_sold_and_what_was_bought(as_manager, in_aurora: Cast, filled):
    exchange = Transaction(
        portfolio=filled, type="currency_exchange", trade_date=make.day(4), settlement_date=make.day(4),
        currency="EUR", gross_amount=100, net_amount=-100, counter_currency="USD", counter_amount=108,
    )  # fmt: skip
    book(entries=[exchange], by=in_aurora.manager)
    page = get(as_manager, "portfolio_transactions", filled.pk).content.decode()
    assert "−100.00" in page
    assert "USD\u00a0+108.00" in page
    # On a phone each entry is a block of named values, and can be sorted.
    assert 'data-label="Net"' in page
    assert '?sort=-net_amount"' in page or '?sort=net_amount"' in page
    exported = get(as_manager, "portfolio_transactions", filled.pk, _export="csv").content.decode()
    assert '"108.0000","USD"' in exported
    assert '"Currency exchange","","0.00000000",' in exported


@pytest.mark.parametrize("period", ["1m", "3m", "ytd", "1y", "3y", "all"])
def test_one_period_drives_the_page(as_manager, filled, period):
    assert get(as_manager, "portfolio_detail", filled.pk, period=period).status_code == 200


def test_the_tiles_show_returns_over_the_period(as_manager, filled):
    page = get(as_manager, "portfolio_detail", filled.pk, period="all")
    tiles = {tile["label"]: tile["value"] for tile in page.context["tiles"]}
    latest = filled.valuations.get(is_latest=True)
    assert tiles["Value"] == latest.market_value
    assert tiles["Return, net"] == latest.return_index - 1
    assert tiles["Return, gross"] > tiles["Return, net"]
    assert tiles["Money-weighted"] is not None


def test_holdings_are_shown_as_of_an_earlier_day(as_manager, filled):
    now = {
        row.security.name if row.security else "cash": row
        for row in get(as_manager, "portfolio_holdings", filled.pk).context["rows"]
    }
    then = {
        row.security.name if row.security else "cash": row
        for row in get(as_manager, "portfolio_holdings", filled.pk, as_of="2026-03-03").context["rows"]
    }
    assert (now["Apple"].quantity, then["Apple"].quantity) == (60, 100)
    assert then["Apple"].price == 11
    dollars = now["Microsoft"]
    assert dollars.price_gain + dollars.currency_gain == dollars.unrealised_gain
    assert dollars.price_gain == 0


def test_a_simulated_price_says_so(as_manager, filled):
    assert "mark-simulated" in get(as_manager, "portfolio_holdings", filled.pk).content.decode()


def test_holdings_are_exported(as_manager, filled):
    assert "Apple" in get(as_manager, "portfolio_holdings", filled.pk, _export="csv").content.decode(
        "utf-8-sig"
    )


def test_a_sale_is_explained_by_its_lots(as_manager, filled):
    sale = Transaction.objects.get(type="sell")
    page = get(as_manager, "transaction_detail", sale.pk)
    assert page.context["gain"].gain == D(77)
    assert page.context["lots"][0]["quantity"] == 40


def test_an_entry_is_reversed_once_and_with_a_reason(as_manager, filled):
    fee = Transaction.objects.get(type="fee")
    url = reverse("portfolios:transaction_reverse", args=[fee.pk])
    as_manager.post(url, {"text": " "})
    assert not Transaction.objects.filter(type="reversal").exists()
    as_manager.post(url, {"text": "Charged twice"})
    assert Transaction.objects.get(type="reversal").reverses == fee
    page = get(as_manager, "transaction_detail", fee.pk).content.decode()
    assert "Charged twice" in page
    assert url not in page
    assert "overdrawn" not in page


def test_who_reverses_what_cash_was_spent_from_is_told_and_so_is_the_book(as_manager, filled):
    book(entries=[make.fee(filled, 1_000, 3)], by=None)
    spent = Transaction.objects.get(type="deposit")
    url = reverse("portfolios:transaction_reverse", args=[spent.pk])
    page = as_manager.post(url, {"text": "Returned by the bank"}, follow=True).content.decode()
    assert "The cash of P-1 is overdrawn: EUR\u00a0−" in page
    page = get(as_manager, "book", attention="overdrawn")
    assert page.context["table"].paginator.count == 1
    assert "Cash overdrawn" in page.content.decode()
    # Something is held, though it is worth less than what is owed.
    page = get(as_manager, "portfolio_detail", filled.pk).content.decode()
    assert "Nothing is held yet." not in page


def test_who_may_not_see_a_portfolio_finds_nothing(aurora, browse, in_aurora: Cast, filled):
    elsewhere = make.portfolio(in_aurora.other_unit, "P-2")
    entry = Transaction.objects.first()
    for user in (in_aurora.stranger, in_aurora.administrator):
        client = browse(aurora, user)
        assert get(client, "portfolio_detail", filled.pk).status_code == 404
        assert get(client, "transaction_detail", entry.pk).status_code == 404
        assert get(client, "book").context["table"].paginator.count == 0
    manager = browse(aurora, in_aurora.manager)
    assert get(manager, "portfolio_detail", elsewhere.pk).status_code == 404
    assert get(manager, "portfolio_detail", filled.pk).status_code == 200


def test_an_advisor_sees_the_same_page_without_what_only_managers_do(aurora, browse, in_aurora: Cast, filled):
    page = get(browse(aurora, in_aurora.advisor), "portfolio_detail", filled.pk)
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
    text = get(client, "portfolio_detail", received.pk).content.decode()
    assert "Received from" in text
    assert "Propose" not in text.partition("<main")[2]
    page = get(client, "transaction_detail", entry.pk).content.decode()
    assert reverse("portfolios:transaction_reverse", args=[entry.pk]) not in page
    refused = client.post(reverse("portfolios:transaction_reverse", args=[entry.pk]), {"text": "x"})
    assert refused.status_code == 404


def test_arrived_cash_is_entered_in_the_institutions_currency(aurora, browse, in_aurora: Cast):
    page = get(browse(aurora, in_aurora.operations), "bank_entry_create")
    assert page.context["form"]["currency"].value() == aurora.currency


def test_search_finds_only_what_a_person_may_see(in_aurora: Cast, filled):
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
            page = get(as_manager, "portfolio_orders", filled.pk, sort=sort)
        return [row.record.number for row in page.context["table"].page.object_list], len(queries)

    few = shown("")[1]
    assert shown("") == (["O-11", "O-10", "O-9"], few)
    assert shown("number") == (["O-9", "O-10", "O-11"], few)
    assert shown("quantity") == (["O-10", "O-11", "O-9"], few)
    assert shown("-security")[0][0] == "O-10"


def test_arrived_cash_is_typed_as_an_advisor_types_an_amount():
    for typed in ("250,000.50", "250 000.50", "250'000.50", "250000.50"):
        form = BankEntryForm({"value_date": "2026-03-02", "amount": typed, "currency": "EUR"}, currency="EUR")
        assert form.is_valid(), form.errors
        assert form.cleaned_data["amount"] == D("250000.50")
    amount = AmountField()
    assert [amount.clean(typed) for typed in ("250,000", "100.125")] == [250_000, D("100.125")]
    shown = [amount.prepare_value(D(stored)) for stored in ("250000.0000", "99.5000", "100.1250")]
    assert [str(each) for each in shown] == ["250000", "99.50", "100.125"]
    slip = BankEntryForm({"value_date": "2026-03-02", "amount": "1e9", "currency": "EUR"}, currency="EUR")
    assert slip.errors["amount"] == ["Write the number out in digits, such as 1000000."]
    other = BankEntryForm(
        {"value_date": "2026-03-02", "amount": "1.234,56", "currency": "EUR"}, currency="EUR"
    )
    assert other.errors["amount"] == ["Write the number like 1,234.56."]
    with pytest.raises(ValidationError, match=r"like 1,234\.56"):
        amount.clean("0,125")
    assert not BankEntryForm(
        {"value_date": "2026-03-02", "amount": "0", "currency": "EUR"}, currency="EUR"
    ).is_valid()


@pytest.mark.parametrize("language", ["en", "en-de"])
def test_a_stored_figure_is_shown_as_its_reader_types_it(language):
    bond = {"coupon_rate": D("2.6"), "lot_size": D("1000")}
    with translation.override(language):
        shown = [SecurityForm(initial=bond)[name] for name in bond]
        again = [field.field.clean(field.value()) for field in shown]
        assert (
            BankEntryForm(currency="EUR")
            .fields["amount"]
            .clean("1.234,5" if language == "en-de" else "1,234.5")
        )
    assert again == list(bond.values())
    # A browser's own field for numbers may drop a comma: "2,6" would be 26.
    assert all('type="text"' in str(field) for field in shown)


def test_one_or_two_days_are_named_and_three_are_drawn(as_manager, in_aurora: Cast):
    portfolio = make.portfolio(in_aurora.unit, "P-2")
    for offset, is_drawn in ((0, False), (1, False), (2, True)):
        Valuation.objects.filter(portfolio=portfolio).update(is_latest=False)
        Valuation.objects.create(portfolio=portfolio, date=make.day(offset), currency="EUR", market_value=1000 + offset,
                                 return_index=1, gross_return_index=1, is_latest=True)  # fmt: skip
        page = get(as_manager, "portfolio_detail", portfolio.pk, period="all").content.decode()
        assert ('data-chart="value-option"' in page, "they show as lines" in page) == (is_drawn, not is_drawn)
        assert is_drawn or f"EUR\u00a01,00{offset}.00" in page


def test_charts_write_their_days_as_the_page_does(as_manager, filled):
    option = get(as_manager, "portfolio_detail", filled.pk, period="all").context["value_chart"]["option"]
    assert option["xAxis"]["data"][0] == "2 Mar 2026"
