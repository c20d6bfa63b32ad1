"""Pages of proposals and orders: from the proposal to the order, and what each person sees."""

import datetime
import re
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django_tenants.utils import tenant_context

from clients.models import MandateRestriction
from models_portfolio.effective import today
from portfolios.models import Portfolio
from tests.factories import Cast
from tests.models_portfolio import make as models
from tests.models_portfolio.make import as_mirror
from tests.trading import make
from trading.models import Block, Order, Proposal
from trading.services import approve, cancel, edit, propose, record_execution, submit
from trading.tasks import submit_block

D = Decimal
PAGES = ["trading:proposal_list", "trading:order_list", "trading:settlement_list", "trading:desk"]


@pytest.fixture(autouse=True)
def unsent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submit_block, "delay", lambda *args: None)


def text_of(response) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))


def test_a_manager_proposes_from_the_book_and_sees_reasons_and_checks(in_aurora: Cast, aurora, browse):
    portfolio = make.portfolio(in_aurora, make.balanced(in_aurora.manager))
    page = browse(aurora, in_aurora.manager)

    response = page.post(reverse("trading:propose"), {"portfolio": str(portfolio.pk)}, follow=True)

    shown = text_of(response)
    assert response.status_code == 200
    assert "In the model, not held yet" in shown
    assert "KYC is in order" in shown
    assert "Submit for approval" in shown
    assert Proposal.objects.get().made_by == in_aurora.manager


def test_the_proposer_sees_no_approve_button_and_cannot_post_it(in_aurora: Cast, aurora, browse):
    proposal = make.submitted(make.portfolio(in_aurora, make.balanced(in_aurora.manager)), in_aurora.manager)
    url = reverse("trading:proposal_detail", args=[proposal.pk])
    own, other = browse(aurora, in_aurora.manager), browse(aurora, in_aurora.second_manager)

    assert "Approve and send" not in text_of(own.get(url))
    assert "somebody else has to approve" in text_of(own.get(url))
    refused = own.post(reverse("trading:proposal_approve", args=[proposal.pk]), {"revision": "1"})
    assert refused.status_code == 409
    assert "Somebody else has to approve" in text_of(refused)
    assert "Approve and send" in text_of(other.get(url))
    form = {"send": "1", "fill_parts": "2", "revision": "1"}
    other.post(reverse("trading:proposal_approve", args=[proposal.pk]), form)

    proposal.refresh_from_db()
    assert proposal.state == Proposal.State.SENT
    assert set(Order.objects.values_list("state", "block__fill_parts")) == {("sent", 2)}


def changed_by_hand(proposal: Proposal, cast: Cast, units: int) -> Proposal:
    """Buy so many Apple instead, and submit that."""
    edited = edit(proposal=proposal, quantities={models.security("Apple").pk: D(units)}, by=cast.manager)
    return submit(proposal=edited, by=cast.manager)


def test_a_page_opened_before_a_change_decides_nothing(in_aurora: Cast, aurora, browse):
    portfolio = make.portfolio(in_aurora, make.balanced(in_aurora.manager))
    proposal = make.submitted(portfolio, in_aurora.manager)
    url = reverse("trading:proposal_detail", args=[proposal.pk])
    page = browse(aurora, in_aurora.second_manager)
    shown = page.get(url)
    opened, here = fields(shown, "revision"), {"referer": shown.wsgi_request.build_absolute_uri()}
    listed = fields(page.get(reverse("trading:proposal_list")), "choose")
    changed = changed_by_hand(proposal, in_aurora, 7)

    for to, form in [
        (reverse("trading:proposal_approve", args=[proposal.pk]), {"revision": opened[0], "send": "1"}),
        (reverse("trading:proposal_approve", args=[proposal.pk]), {}),
        (reverse("trading:proposal_reject", args=[proposal.pk]), {"revision": opened[0], "reason": "No"}),
        (reverse("trading:proposals_decide"), {"action": "approve", "choose": listed}),
        (reverse("trading:proposals_decide"), {"action": "approve", "choose": str(proposal.pk)}),
    ]:
        answer = page.post(to, form, headers=here, follow=True)
        assert "has changed since you opened it. Look at it again." in text_of(answer), (to, form)
    assert not Order.objects.exists()

    form = {"revision": fields(page.get(url), "revision")[0]}
    page.post(reverse("trading:proposal_approve", args=[proposal.pk]), form)
    approved = fields(page.get(url), "choose")
    assert Order.objects.get(security__name="Apple").quantity == 7
    changed.refresh_from_db()
    approve(proposal=changed_by_hand(changed, in_aurora, 8), by=in_aurora.second_manager)

    # The page showed the orders of the first approval.
    sent = {"proposal": str(proposal.pk), "choose": approved, "fill_parts": "1"}
    answer = page.post(reverse("trading:orders_send"), sent, headers=here, follow=True)
    assert "is cancelled by now. Reload the page." in text_of(answer)
    sent["choose"] = fields(answer, "choose")
    assert "3 orders sent in 3 blocks." in text_of(
        page.post(reverse("trading:orders_send"), sent, follow=True)
    )


def fields(response, name: str) -> list[str]:
    return re.findall(rf'name="{name}" value="([^"]+)"', response.content.decode())


def test_a_restriction_that_came_since_is_shown_before_approval(in_aurora: Cast, aurora, browse):
    portfolio = make.portfolio(in_aurora, make.balanced(in_aurora.manager))
    proposal = make.submitted(portfolio, in_aurora.manager)
    MandateRestriction.objects.create(
        mandate=portfolio.mandate, kind="exclude_security", value=models.security("Apple").isin
    )
    page = browse(aurora, in_aurora.second_manager)

    shown = text_of(page.get(reverse("trading:proposal_detail", args=[proposal.pk])))

    assert "Apple may not be bought any more (the client&#x27;s wish). Propose again" in shown


def test_many_portfolios_are_proposed_for_at_once_and_failures_are_listed(in_aurora: Cast, aurora, browse):
    model = make.balanced(in_aurora.manager)
    good = make.portfolio(in_aurora, model, "P-1")
    without = make.portfolio(in_aurora, None, "P-2")
    page = browse(aurora, in_aurora.manager)

    response = page.post(
        reverse("trading:propose"), {"portfolio": [str(good.pk), str(without.pk)]}, follow=True
    )

    shown = text_of(response)
    assert "2 of 2" in shown
    assert "P-2 follows no model" in shown
    assert Proposal.objects.get().portfolio == good


def test_many_proposals_are_approved_together_but_never_ones_own(in_aurora: Cast, aurora, browse):
    model = make.balanced(in_aurora.manager)
    first = make.submitted(make.portfolio(in_aurora, model, "P-1"), in_aurora.manager)
    second = make.submitted(make.portfolio(in_aurora, model, "P-2"), in_aurora.second_manager)
    page = browse(aurora, in_aurora.second_manager)

    response = page.post(
        reverse("trading:proposals_decide"),
        {"action": "approve", "choose": [f"{first.pk}.1", f"{second.pk}.1"]},
        follow=True,
    )

    assert "1 proposal done." in text_of(response)
    assert "P-2: Somebody else has to approve" in text_of(response)
    assert set(Proposal.objects.values_list("portfolio__number", "state")) == {
        ("P-1", "approved"),
        ("P-2", "proposed"),
    }


def test_an_edit_that_cannot_be_traded_says_so_and_changes_nothing(in_aurora: Cast, aurora, browse):
    proposal = propose(
        portfolio=make.portfolio(in_aurora, make.balanced(in_aurora.manager)), by=in_aurora.manager
    )
    apple = models.security("Apple")
    page = browse(aurora, in_aurora.manager)
    url = reverse("trading:proposal_edit", args=[proposal.pk])

    refused = page.post(url, {f"quantity-{apple.pk}": "99999", "revision": "1"}, follow=True)
    assert "more than there is" in text_of(refused)
    refused = page.post(url, {f"quantity-{apple.pk}": "1e1", "revision": "1"}, follow=True)
    assert "enter a number of units" in text_of(refused)
    done = page.post(url, {f"quantity-{apple.pk}": "10", "revision": "1"}, follow=True)

    assert "Worked out again" in text_of(done)
    assert "Changed by hand" in text_of(done)


def test_a_price_that_moved_is_shown_and_has_to_be_ticked(in_aurora: Cast, aurora, browse):
    proposal = make.submitted(make.portfolio(in_aurora, make.balanced(in_aurora.manager)), in_aurora.manager)
    models.price_of(models.security("Apple"), 200, days_ago=0)
    page = browse(aurora, in_aurora.second_manager)

    def ticked() -> dict[str, str]:
        shown = page.get(reverse("trading:proposal_detail", args=[proposal.pk])).content.decode()
        assert "Apple has moved by" in shown
        return {
            "revision": "1",
            "accept_moved": re.search('name="accept_moved" value="([^"]+)"', shown).group(1),
        }

    url = reverse("trading:proposal_approve", args=[proposal.pk])
    assert "Prices have moved" in text_of(page.post(url, {"revision": "1"}))
    assert "Prices have moved" in text_of(page.post(url, {"revision": "1", "accept_moved": "on"}))
    # It goes on moving while somebody looks: what was ticked is not what would be approved.
    before = ticked()
    models.price_of(models.security("Apple"), 300, days_ago=0)
    assert "Prices have moved" in text_of(page.post(url, before))
    assert page.post(url, ticked()).status_code == 302


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
    response = elsewhere.post(reverse("trading:propose"), {"portfolio": str(portfolio.pk)}, follow=True)
    assert "Choose at least one own portfolio." in text_of(response)


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


@pytest.mark.parametrize("name", ["trading:proposal_list", "trading:order_list", "trading:settlement_list"])
def test_a_list_takes_as_many_queries_for_many_rows_as_for_few(in_aurora: Cast, aurora, browse, name: str):
    model = make.balanced(in_aurora.manager)
    page = browse(aurora, in_aurora.operations)
    counts = []
    for numbers in (["P-1"], ["P-2", "P-3", "P-4"]):
        for number in numbers:
            make.sent(make.portfolio(in_aurora, model, number), in_aurora)
        for block in Block.objects.filter(state="sent"):
            record_execution(block_id=block.pk, quantity=block.quantity, price=D(10), reference=block.pk.hex)
        page.get(reverse(name))
        with CaptureQueriesContext(connection) as queries:
            page.get(reverse(name))
        counts.append(len(queries))
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
        from tests.factories import cast

        stranger = cast().manager
    assert browse(borealis, stranger).get(reverse("trading:order_detail", args=[order.pk])).status_code == 404


def test_a_day_later_prices_are_named_old(in_aurora: Cast, aurora, browse):
    portfolio = make.portfolio(in_aurora, make.balanced(in_aurora.manager))
    for security in ("Apple", "Nestlé", "Bund"):
        price = models.security(security).prices.get()
        price.date = today() - datetime.timedelta(days=20)
        price.save()
    proposal = propose(portfolio=portfolio, by=in_aurora.manager)
    shown = text_of(
        browse(aurora, in_aurora.manager).get(reverse("trading:proposal_detail", args=[proposal.pk]))
    )
    assert "Old prices: " in shown


def test_a_draft_is_worked_out_otherwise(in_aurora: Cast, aurora, browse):
    portfolio = make.portfolio(in_aurora, make.balanced(in_aurora.manager), cash=10_000)
    make.buy(portfolio, models.security("Apple"), 50, 180)
    draft = propose(portfolio=portfolio, by=in_aurora.manager)
    page = browse(aurora, in_aurora.manager)
    assert "Work out otherwise" in text_of(page.get(reverse("trading:proposal_detail", args=[draft.pk])))

    response = page.post(
        reverse("trading:propose"),
        {"portfolio": str(portfolio.pk), "mode": "raise_cash", "cash_wanted": "2000"},
        follow=True,
    )

    assert "Sold for the cash that is needed" in text_of(response)
    draft.refresh_from_db()
    assert draft.state == Proposal.State.VOID


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("NaN", "Enter a number of units."),
        ("sNaN", "Enter a number of units."),
        ("Infinity", "Enter a number of units."),
        ("1e999999", "Write the number out in digits"),
        ("1e3", "Write the number out in digits"),
    ],
)
def test_a_quantity_that_is_no_number_of_units_is_refused(
    typed: str, words: str, in_aurora: Cast, aurora, browse
):
    proposal = propose(
        portfolio=make.portfolio(in_aurora, make.balanced(in_aurora.manager)), by=in_aurora.manager
    )
    line = proposal.lines.filter(security__isnull=False)[0]

    answer = browse(aurora, in_aurora.manager).post(
        reverse("trading:proposal_edit", args=[proposal.pk]),
        {f"quantity-{line.security_id}": typed, "revision": "1"},
        follow=True,
    )

    assert words in text_of(answer)
    assert not Proposal.objects.get(pk=proposal.pk).lines.filter(quantity__gt=10**12).exists()


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
