"""The desk and the settlements: what waits, what failed and why."""

import html
import re
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from clients.models import ClientInstruction
from models_portfolio.effective import today
from portfolios.models import BankEntry
from tests.factories import Cast
from tests.trading import make
from tests.trading.pages import text_of
from trading.models import Order, Settlement
from trading.services import record_execution, record_failure

D = Decimal
pytestmark = pytest.mark.usefixtures("unsent")


def test_operations_records_a_failure_and_tries_again(in_aurora: Cast, aurora, browse):
    portfolio = make.portfolio(in_aurora, make.balanced(in_aurora.manager))
    make.sent(portfolio, in_aurora)
    order = Order.objects.get(security__name="Apple")
    record_execution(block_id=order.block_id, quantity=order.quantity, price=D(180), reference="R-1")
    settlement = Settlement.objects.get()
    page = browse(aurora, in_aurora.operations)
    url = reverse("trading:settlement_change", args=[settlement.pk])

    # Not a state's name, beside the state.
    listed = page.get(reverse("trading:settlement_list")).content.decode()
    assert 'btn-sm">Mark failed<' in listed
    # The browser asks for the reason before the panel closes.
    assert 'name="reason" required' in listed
    page.post(url, {"action": "fail", "reason": "Short of units"})
    assert "Short of units" in text_of(page.get(reverse("trading:desk")))
    page.post(url, {"action": "retry"})
    for where in ("trading:desk", "trading:settlement_list"):
        assert "Failed before: Short of units" in text_of(page.get(reverse(where)))
    order_page = reverse("trading:order_detail", args=[order.pk])
    assert "Failed before: Short of units" in text_of(page.get(order_page))
    page.post(url, {"action": "settle"})

    order.refresh_from_db()
    assert order.state == Order.State.SETTLED


def test_the_desk_counts_what_waits(in_aurora: Cast, aurora, browse):
    page = browse(aurora, in_aurora.operations)
    empty = text_of(page.get(reverse("trading:desk")))
    assert "Nothing has failed." in empty
    assert "All arrived cash is matched." in empty

    BankEntry.objects.create(amount=500, currency="EUR", value_date=today(), payer="Ada Example")
    make.sent(make.portfolio(in_aurora, make.balanced(in_aurora.manager)), in_aurora)
    shown = text_of(page.get(reverse("trading:desk") + "?part=live"))

    assert "Ada Example" in shown
    entry = reverse("portfolios:bank_entry_detail", args=[BankEntry.objects.get().pk])
    assert f'<a href="{entry}">' in page.get(reverse("trading:desk")).content.decode()
    # Who has no page of arrived cash gets no link to it.
    seen = browse(aurora, in_aurora.manager).get(reverse("trading:desk")).content.decode()
    assert "Ada Example" in seen
    assert 'href="/cash/' not in seen
    assert "Orders in the market 3" in shown


def test_the_desk_takes_as_many_queries_for_many_rows_as_for_few_and_says_what_it_leaves_out(
    in_aurora: Cast, aurora, browse, monkeypatch
):
    model = make.balanced(in_aurora.manager)
    page = browse(aurora, in_aurora.operations)
    counts = []
    for numbers in (["P-1"], ["P-2", "P-3"]):
        for number in numbers:
            portfolio = make.portfolio(in_aurora, model, number)
            make.sent(portfolio, in_aurora)
            for order in Order.objects.filter(portfolio=portfolio).order_by("security__name")[:2]:
                record_execution(
                    block_id=order.block_id, quantity=order.quantity, price=D(10), reference=order.number
                )
            failed = Settlement.objects.filter(portfolio=portfolio).first()
            record_failure(settlement=failed, reason="No units", by=in_aurora.operations)
            BankEntry.objects.create(portfolio=portfolio, amount=1, currency="EUR", value_date=today())
            for kind in ("deposit", "withdrawal"):
                ClientInstruction.objects.create(
                    mandate=portfolio.mandate, kind=kind, amount=1, currency="EUR", status="sent"
                )
        page.get(reverse("trading:desk"))
        with CaptureQueriesContext(connection) as queries:
            shown = page.get(reverse("trading:desk")).context
        counts.append(len(queries))
        assert all(shown[each] for each in ("failed", "arrived", "expected", "instructions", "in_market"))
        assert shown["pending"]
    assert counts[0] == counts[1]

    assert "The oldest" not in text_of(page.get(reverse("trading:desk")))
    monkeypatch.setattr("trading.views.desk.ROWS", 2)
    response = page.get(reverse("trading:desk"))
    assert text_of(response).count("The oldest 2 of 3. Show all") == 6
    for link in re.findall(r'href="([^"]+)">Show all', response.content.decode()):
        assert page.get(html.unescape(link)).status_code == 200


def test_why_a_settlement_failed_stands_below_its_state_and_in_the_export(in_aurora: Cast, aurora, browse):
    portfolio = make.portfolio(in_aurora, make.balanced(in_aurora.manager))
    make.sent(portfolio, in_aurora)
    order = Order.objects.filter(portfolio=portfolio).first()
    record_execution(block_id=order.block_id, quantity=order.quantity, price=D(10), reference="X-1")
    settlement = Settlement.objects.get(portfolio=portfolio)
    record_failure(settlement=settlement, reason="Short of units", by=in_aurora.operations)
    page = browse(aurora, in_aurora.operations)
    table = page.get(reverse("trading:settlement_list")).context["table"]
    assert "failure_reason" not in [column.name for column in table.columns]
    assert "Short of units" in table.rows[0].get_cell("state")
    assert (
        "Short of units" in page.get(reverse("trading:settlement_list"), {"_export": "csv"}).content.decode()
    )
