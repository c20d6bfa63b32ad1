"""Who decides on a proposal, what stops it, and what an edit does to it."""

import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction

from accounts.errors import DomainError
from clients.models import KycStatus, MandateRestriction
from models_portfolio.effective import today
from portfolios.services import book
from tests.factories import Cast
from tests.models_portfolio import make as models
from tests.portfolios import make as portfolios
from tests.portfolios.cash import payable
from tests.trading import make
from trading.models import Order, Proposal, RestrictedSecurity
from trading.services import approve, discard, edit, propose, reject, send, submit
from trading.services.fills import record_execution
from trading.services.proposals import moved_prices

D = Decimal


def test_a_profile_that_expires_before_approval_stops_it(in_aurora: Cast):
    portfolio = make.portfolio(in_aurora, make.balanced(in_aurora.manager))
    proposal = make.submitted(portfolio, in_aurora.manager)
    portfolio.mandate.client.risk_profiles.update(valid_until=today() - datetime.timedelta(days=1))

    with pytest.raises(DomainError, match="blocks purchases"):
        approve(proposal=proposal, by=in_aurora.second_manager)


def test_the_proposer_cannot_approve(in_aurora: Cast):
    proposal = make.submitted(make.portfolio(in_aurora, make.balanced(in_aurora.manager)), in_aurora.manager)

    with pytest.raises(DomainError, match="Somebody else"):
        approve(proposal=proposal, by=in_aurora.manager)
    for field in ("proposed_by", "made_by"):
        other = {"proposed_by": in_aurora.second_manager, "made_by": in_aurora.second_manager}
        with pytest.raises(IntegrityError, match="approver_is_not_proposer"), transaction.atomic():
            Proposal.objects.filter(pk=proposal.pk).update(
                **{**other, field: in_aurora.manager}, state="approved", decided_by=in_aurora.manager
            )
    with pytest.raises(IntegrityError), transaction.atomic():
        Proposal.objects.filter(pk=proposal.pk).update(state="approved")
    assert not Order.objects.exists()


def test_who_edited_the_trades_cannot_approve_what_another_submitted(in_aurora: Cast):
    proposal = propose(
        portfolio=make.portfolio(in_aurora, make.balanced(in_aurora.manager)), by=in_aurora.manager
    )
    proposal = edit(
        proposal=proposal, quantities={models.security("Apple").pk: D(10)}, by=in_aurora.second_manager
    )
    submit(proposal=proposal, by=in_aurora.manager)

    with pytest.raises(DomainError, match="Somebody else"):
        approve(proposal=proposal, by=in_aurora.second_manager)


def test_nobody_decides_on_trades_that_changed_since_they_were_looked_at(in_aurora: Cast):
    portfolio = make.portfolio(in_aurora, make.balanced(in_aurora.manager))
    seen = make.submitted(portfolio, in_aurora.manager)
    sale = {models.security("Apple").pk: D(1)}
    changed = edit(proposal=seen, quantities=sale, by=in_aurora.manager)
    changed_since = "has changed since you opened it. Look at it again."

    with pytest.raises(DomainError, match=changed_since):
        submit(proposal=seen, by=in_aurora.manager)
    submitted = submit(proposal=changed, by=in_aurora.manager)
    with pytest.raises(DomainError, match=changed_since):
        approve(proposal=seen, by=in_aurora.second_manager)
    with pytest.raises(DomainError, match=changed_since):
        reject(proposal=seen, reason="Too much", by=in_aurora.second_manager)
    with pytest.raises(DomainError, match=changed_since):
        edit(proposal=seen, quantities=sale, by=in_aurora.manager)
    assert not Order.objects.exists()

    orders = approve(proposal=submitted, by=in_aurora.second_manager)
    assert {order.quantity for order in orders if order.security.name == "Apple"} == {D(1)}


def test_what_is_restricted_after_the_proposal_is_neither_approved_nor_sent(in_aurora: Cast):
    portfolio = make.portfolio(in_aurora, make.balanced(in_aurora.manager))
    apple = models.security("Apple")
    draft = propose(portfolio=portfolio, by=in_aurora.manager)
    exclude = {"mandate": portfolio.mandate, "kind": "exclude_security", "value": apple.isin}

    with excluded(exclude), pytest.raises(DomainError, match="Apple may not be bought any more"):
        submit(proposal=draft, by=in_aurora.manager)
    proposal = submit(proposal=draft, by=in_aurora.manager)
    with excluded(exclude), pytest.raises(DomainError, match=r"the client's wish.* Propose again"):
        approve(proposal=proposal, by=in_aurora.second_manager)
    listed = RestrictedSecurity.objects.create(
        security=apple, rule="do_not_buy", reason="Insider list", valid_from=today()
    )
    with pytest.raises(DomainError, match=r"the restricted list.* Propose again"):
        approve(proposal=proposal, by=in_aurora.second_manager)
    listed.delete()
    orders = approve(proposal=proposal, by=in_aurora.second_manager)
    with excluded(exclude), pytest.raises(DomainError, match=r"Apple may not be bought .* Cancel order O-"):
        send(order_ids=[order.pk for order in orders], by=in_aurora.second_manager)

    assert set(portfolio.orders.values_list("state", flat=True)) == {"approved"}


@contextmanager
def excluded(wish: dict[str, object]) -> Iterator[None]:
    """Let a client's wish hold for a while."""
    restriction = MandateRestriction.objects.create(**wish)
    yield
    restriction.delete()


def test_an_edit_voids_the_approval_and_cancels_its_orders(in_aurora: Cast):
    portfolio = make.portfolio(in_aurora, make.balanced(in_aurora.manager))
    orders = make.approved(portfolio, in_aurora)
    proposal = orders[0].proposal

    edit(proposal=proposal, quantities={models.security("Apple").pk: D(10)}, by=in_aurora.manager)

    proposal.refresh_from_db()
    line = make.lines_of(proposal)["Apple"]
    assert (proposal.state, proposal.decided_by) == (Proposal.State.DRAFT, None)
    assert (line.quantity, line.reason) == (D(10), "edited")
    assert line.computed_quantity > 10
    assert set(portfolio.orders.values_list("state", flat=True)) == {"cancelled"}


def test_a_proposal_of_which_an_order_was_sent_is_not_traded_a_second_time(in_aurora: Cast):
    portfolio = make.portfolio(in_aurora, make.balanced(in_aurora.manager))
    orders = {order.security.name: order for order in make.approved(portfolio, in_aurora)}
    apple, proposal = orders["Apple"], orders["Apple"].proposal
    [block] = send(order_ids=[apple.pk], by=in_aurora.second_manager)
    record_execution(block_id=block.pk, quantity=apple.quantity, price=D(180), reference="one")

    # Another line is edited, and the order for Apple is filled: approved again, it would be made anew.
    fewer = {orders["Nestlé"].security_id: D(1)}
    with pytest.raises(DomainError, match=r"have been sent\. Discard what is left of it, and propose again"):
        edit(proposal=proposal, quantities=fewer, by=in_aurora.manager)
    Proposal.objects.filter(pk=proposal.pk).update(state="proposed")
    with pytest.raises(DomainError, match="have been sent"):
        approve(proposal=proposal, by=in_aurora.second_manager)

    discard(proposal=proposal, by=in_aurora.manager)
    assert not make.lines_of(propose(portfolio=portfolio, by=in_aurora.manager))["Apple"].side
    assert portfolio.orders.filter(security=apple.security).count() == 1


def test_an_edit_is_refused_where_it_cannot_be_traded(in_aurora: Cast):
    portfolio = make.portfolio(in_aurora, make.balanced(in_aurora.manager))
    proposal = propose(portfolio=portfolio, by=in_aurora.manager)
    apple, bund = models.security("Apple"), models.security("Bund")

    for security, quantity, words in [
        (apple, "-1", "only 0 are held"),
        (bund, "1500", "multiples of 1000"),
        (apple, "9000", "more than is free for them"),
    ]:
        with pytest.raises(DomainError, match=words):
            edit(proposal=proposal, quantities={security.pk: D(quantity)}, by=in_aurora.manager)


def test_an_edit_leaves_the_cash_that_is_promised_and_the_minimum(in_aurora: Cast):
    portfolio = make.portfolio(in_aurora, make.balanced(in_aurora.manager))
    portfolio.minimum_cash_weight = D("0.05")
    portfolio.save()
    payable(portfolio, in_aurora, 20_000)
    proposal = propose(portfolio=portfolio, by=in_aurora.manager)
    apple = make.lines_of(proposal)["Apple"]
    assert proposal.cash_after > 24_000
    # As it was worked out it fits, and a share less; twenty more take what is kept.
    for fewer in (0, 1):
        proposal = edit(
            proposal=proposal, quantities={apple.security_id: apple.quantity - fewer}, by=in_aurora.manager
        )
    with pytest.raises(
        DomainError, match=r"EUR\s2[34],\d{3}\.\d\d stays in cash, for withdrawals"
    ) as refused:
        edit(proposal=proposal, quantities={apple.security_id: apple.quantity + 20}, by=in_aurora.manager)
    assert refused.value.code == "not_covered"
    # Nothing is bought: a sale or a purchase less is never refused for want of cash.
    book(entries=[portfolios.withdrawal(portfolio, 90_000)], by=None)
    poor = propose(portfolio=portfolio, by=in_aurora.manager)
    assert (
        edit(proposal=poor, quantities={apple.security_id: D(0)}, by=in_aurora.manager).cash_after == 10_000
    )


def test_a_price_that_moved_has_to_be_confirmed_at_approval(in_aurora: Cast):
    portfolio = make.portfolio(in_aurora, make.balanced(in_aurora.manager))
    proposal = make.submitted(portfolio, in_aurora.manager)
    models.price_of(models.security("Apple"), 190, days_ago=0)

    with pytest.raises(DomainError, match="Apple"):
        approve(proposal=proposal, by=in_aurora.second_manager)
    seen = [each.seen for each in moved_prices(proposal)]
    assert approve(proposal=proposal, by=in_aurora.second_manager, accepted_moves=seen)


def test_purchases_wait_while_kyc_is_not_in_order_and_sales_do_not(in_aurora: Cast):
    portfolio = make.portfolio(in_aurora, make.balanced(in_aurora.manager))
    make.buy(portfolio, models.security("Microsoft", 300), 100, 300)
    KycStatus.objects.update(valid_until=today() - datetime.timedelta(days=1))

    orders = make.approved(portfolio, in_aurora)

    assert {(order.side, order.state) for order in orders} == {("sell", "approved"), ("buy", "waiting")}


def test_a_rejection_says_why(in_aurora: Cast):
    proposal = make.submitted(make.portfolio(in_aurora, make.balanced(in_aurora.manager)), in_aurora.manager)
    with pytest.raises(DomainError, match="Say why"):
        reject(proposal=proposal, reason="", by=in_aurora.second_manager)
    assert (
        reject(proposal=proposal, reason="Too much", by=in_aurora.second_manager).decision_note == "Too much"
    )
