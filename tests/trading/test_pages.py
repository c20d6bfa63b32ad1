"""Pages of orders, and what each person sees of trading."""

from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django_tenants.utils import tenant_context

from clients.models import MandateRestriction
from models_portfolio.effective import today
from portfolios.models import Portfolio
from tests.factories import Cast, cast
from tests.models_portfolio import make as models
from tests.models_portfolio.make import as_mirror
from tests.trading import make
from tests.trading.pages import text_of
from trading.models import Block, Order
from trading.services import cancel, record_execution

D = Decimal
PAGES = ["trading:proposal_list", "trading:order_list", "trading:settlement_list", "trading:desk"]
pytestmark = pytest.mark.usefixtures("unsent")


def test_orders_are_chosen_in_the_list_and_sent_as_blocks(in_aurora: Cast, aurora, browse):
    model = make.balanced(in_aurora.manager)
    orders = [
        order
        for number in ("P-1", "P-2")
        for order in make.approved(make.portfolio(in_aurora, model, number), in_aurora)
    ]
    page = browse(aurora, in_aurora.manager)
    assert "6 approved orders to send" in text_of(page.get(reverse("trading:order_list")))

    response = page.post(
        reverse("trading:orders_send"),
        {"choose": [str(order.pk) for order in orders], "fill_parts": "3"},
        follow=True,
    )

    assert "6 orders sent in 3 blocks." in text_of(response)


def test_orders_that_cannot_be_sent_say_why_and_stop_no_other(in_aurora: Cast, aurora, browse):
    model = make.balanced(in_aurora.manager)
    orders = [
        order
        for number in ("P-1", "P-2")
        for order in make.approved(make.portfolio(in_aurora, model, number), in_aurora)
    ]
    barred, late = [order for order in orders if order.portfolio.number == "P-2"][:2]
    MandateRestriction.objects.create(
        mandate=barred.portfolio.mandate, kind="exclude_security", value=barred.security.isin
    )
    cancel(order=late, by=in_aurora.manager)
    form = {"choose": [str(order.pk) for order in orders], "fill_parts": "1"}
    page = browse(aurora, in_aurora.manager)

    shown = text_of(page.post(reverse("trading:orders_send"), form, follow=True))

    assert "4 orders sent in 3 blocks." in shown
    assert f"Cancel order {barred.number}, and propose again." in shown
    assert f"Order {late.number} is cancelled by now." in shown
    states = dict(Order.objects.values_list("pk", "state"))
    assert (states.pop(barred.pk), states.pop(late.pk)) == ("approved", "cancelled")
    assert set(states.values()) == {"sent"}


def test_purchases_that_wait_for_kyc_when_they_are_sent_say_so(in_aurora: Cast, aurora, browse):
    model = models.published(in_aurora.manager, {models.security("Apple"): "0.9", None: "0.1"})
    orders = [make.approved(make.portfolio(in_aurora, model, n), in_aurora)[0] for n in ("P-1", "P-2")]
    orders[0].portfolio.mandate.client.kyc.delete()
    page = browse(aurora, in_aurora.manager)
    form = {"choose": [str(order.pk) for order in orders], "fill_parts": "1"}

    shown = text_of(page.post(reverse("trading:orders_send"), form, follow=True))

    assert "1 order sent in 1 block." in shown
    assert f"{orders[0].number} waits until KYC is in order" in shown
    live = text_of(page.get(reverse("trading:order_detail", args=[orders[0].pk])))
    assert "Waiting for KYC KYC of the client is not recorded." in live
    assert list(Order.objects.order_by("number").values_list("state", flat=True)) == ["waiting", "sent"]


def test_an_order_page_follows_its_fills_and_settlement(in_aurora: Cast, aurora, browse):
    portfolio = make.portfolio(in_aurora, make.balanced(in_aurora.manager))
    make.sent(portfolio, in_aurora)
    order = Order.objects.get(security__name="Apple")
    record_execution(block_id=order.block_id, quantity=D(100), price=D(180), reference="R-1")
    page = browse(aurora, in_aurora.operations)
    url = reverse("trading:order_detail", args=[order.pk])

    live = page.get(url + "?part=live")

    assert "Filled 100 at EUR 180.00" in text_of(live)
    assert "Settle now" in text_of(live)
    assert b"hx-trigger" in live.content
    assert b"<html" not in live.content


@pytest.mark.parametrize("name", PAGES)
def test_a_page_without_rows_says_why(in_aurora: Cast, aurora, browse, name: str):
    response = browse(aurora, in_aurora.compliance).get(reverse(name))
    assert response.status_code == 200
    assert "No " in text_of(response) or "Nothing" in text_of(response)


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("person", ["stranger", "administrator"])
def test_a_page_does_not_exist_for_whom_it_is_not(in_aurora: Cast, aurora, browse, name: str, person: str):
    assert browse(aurora, getattr(in_aurora, person)).get(reverse(name)).status_code == 404


def test_what_a_person_may_not_see_or_do_does_not_exist(in_aurora: Cast, aurora, browse):
    portfolio = make.portfolio(in_aurora, make.balanced(in_aurora.manager))
    proposal = make.submitted(portfolio, in_aurora.manager)
    Portfolio.objects.filter(pk=portfolio.pk).update(unit=in_aurora.other_unit)
    elsewhere = browse(aurora, in_aurora.second_manager)
    watching = browse(aurora, in_aurora.compliance)
    url = reverse("trading:proposal_detail", args=[proposal.pk])

    assert elsewhere.get(url).status_code == 404
    assert elsewhere.post(reverse("trading:proposal_approve", args=[proposal.pk])).status_code == 404
    assert watching.get(url).status_code == 200
    for name in ("proposal_approve", "proposal_submit", "proposal_discard", "proposal_edit"):
        assert watching.post(reverse(f"trading:{name}", args=[proposal.pk])).status_code == 404
    # Back in the book as it was filtered and sorted.
    book = f"http://aurora.localhost{reverse('portfolios:book')}?q=P&sort=-value"
    asked = {"portfolio": str(portfolio.pk)}
    response = elsewhere.post(reverse("trading:propose"), asked, follow=True, headers={"referer": book})
    assert "Choose at least one own portfolio." in text_of(response)
    assert response.redirect_chain == [(book, 302)]


def test_a_received_order_shows_whose_it_is_and_no_button(in_harbour: Cast, harbour, browse):
    apple = models.security("Apple")
    origin = models.uuid.uuid4()
    client = make.client("C-1", advisor=in_harbour.advisor)
    with as_mirror():
        portfolio = Portfolio.objects.create(
            number="P-9",
            name="Theirs",
            currency="EUR",
            opened_on=today(),
            origin=origin,
            mandate=make.Mandate.objects.create(number="M-1", client=client),
        )
        order = Order.objects.create(
            portfolio=portfolio,
            security=apple,
            number="O-7",
            side="buy",
            quantity=10,
            currency="EUR",
            reason="manual",
            state="new",
            origin=origin,
        )
    page = browse(harbour, in_harbour.advisor)

    shown = text_of(page.get(reverse("trading:order_detail", args=[order.pk])))
    assert "Received from" in shown
    assert "Cancel what is left" not in shown
    assert page.post(reverse("trading:order_cancel", args=[order.pk])).status_code == 404
    assert (
        browse(harbour, in_harbour.manager).post(reverse("trading:order_cancel", args=[order.pk])).status_code
        == 404
    )


def test_lists_take_as_many_queries_for_many_rows_as_for_few(in_aurora: Cast, aurora, browse):
    model = make.balanced(in_aurora.manager)
    page = browse(aurora, in_aurora.operations)
    names = ["trading:proposal_list", "trading:order_list", "trading:settlement_list"]
    counts = []
    for numbers in (["P-1"], ["P-2", "P-3"]):
        for number in numbers:
            make.sent(make.portfolio(in_aurora, model, number), in_aurora)
        for block in Block.objects.filter(state="sent"):
            record_execution(block_id=block.pk, quantity=block.quantity, price=D(10), reference=block.pk.hex)
        taken = {}
        for name in names:
            page.get(reverse(name))
            with CaptureQueriesContext(connection) as queries:
                page.get(reverse(name))
            taken[name] = len(queries)
        counts.append(taken)
    assert counts[0] == counts[1]


def test_the_orders_list_filters_and_exports(in_aurora: Cast, aurora, browse):
    make.sent(make.portfolio(in_aurora, make.balanced(in_aurora.manager)), in_aurora)
    page = browse(aurora, in_aurora.operations)

    found = text_of(page.get(reverse("trading:order_list") + "?q=apple&state=open"))
    assert "1–1 of 1" in found
    exported = page.get(reverse("trading:order_list") + "?_export=csv").content.decode()
    assert exported.count("O-") == 3
    assert "form-check-input" not in exported


def test_an_institution_sees_nothing_of_anothers_orders(in_aurora: Cast, aurora, borealis, browse):
    order = make.approved(make.portfolio(in_aurora, make.balanced(in_aurora.manager)), in_aurora)[0]
    with tenant_context(borealis):
        stranger = cast().manager
    assert browse(borealis, stranger).get(reverse("trading:order_detail", args=[order.pk])).status_code == 404


def test_sending_the_orders_of_no_proposal_does_not_exist(in_aurora: Cast, aurora, browse):
    page = browse(aurora, in_aurora.manager)
    answer = page.post(reverse("trading:orders_send"), {"proposal": "'; --", "fill_parts": "1"})
    assert answer.status_code == 404


def test_a_refused_request_leads_back_to_no_other_site(in_aurora: Cast, aurora, browse):
    page = browse(aurora, in_aurora.manager)
    answer = page.post(
        reverse("trading:propose"), {"mode": "x"}, headers={"referer": "https://evil.example/"}
    )
    assert answer["Location"] == reverse("portfolios:book")
