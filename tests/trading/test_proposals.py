"""What a proposal works out: which lines trade, how much, and why."""

import datetime
from decimal import Decimal

import pytest

from accounts.errors import DomainError
from clients.models import MandateRestriction
from models_portfolio.effective import today
from models_portfolio.services import publish_view
from portfolios.attention import reasons_of
from portfolios.models import Portfolio
from tests.factories import Cast
from tests.models_portfolio import make as models
from tests.models_portfolio.make import as_mirror
from tests.trading import make
from trading.calculations.rebalance import rebalance
from trading.models import Order, Proposal, RestrictedSecurity
from trading.services import approve, discard, propose, propose_each, submit
from trading.services.inputs import read

D = Decimal


def test_a_first_investment_buys_to_target_and_keeps_the_cash_of_the_model(in_aurora: Cast):
    portfolio = make.portfolio(in_aurora, make.balanced(in_aurora.manager))

    proposal = propose(portfolio=portfolio, by=in_aurora.manager)

    lines = make.lines_of(proposal)
    assert proposal.reason == Proposal.Reason.FIRST_INVESTMENT
    assert (lines["Apple"].side, lines["Apple"].reason) == ("buy", "new_position")
    assert abs(lines["Apple"].proposed_weight - D("0.40")) < D("0.005")
    assert lines["Bund"].quantity % 1000 == 0
    assert proposal.cash_after >= D("4900")
    assert proposal.drift_after < D("0.01") < proposal.drift_before


def test_every_line_says_why_it_trades_or_does_not(in_aurora: Cast):
    portfolio = make.portfolio(in_aurora, make.balanced(in_aurora.manager))
    RestrictedSecurity.objects.create(
        security=models.security("Nestlé"), rule="do_not_buy", reason="Insider list", valid_from=today()
    )

    lines = make.lines_of(propose(portfolio=portfolio, by=in_aurora.manager))

    assert all(line.reason for line in lines.values())
    assert (lines["Nestlé"].side, lines["Nestlé"].reason) == ("", "do_not_buy")
    assert lines["Nestlé"].reason_data["barriers"][0]["note"] == "Insider list"


def test_a_restriction_that_has_ended_restricts_nothing(in_aurora: Cast):
    portfolio = make.portfolio(in_aurora, make.balanced(in_aurora.manager))
    yesterday = today() - datetime.timedelta(days=1)
    RestrictedSecurity.objects.create(
        security=models.security("Nestlé"),
        rule="do_not_trade",
        reason="Over",
        valid_from=yesterday,
        valid_to=today(),
    )

    assert make.lines_of(propose(portfolio=portfolio, by=in_aurora.manager))["Nestlé"].side == "buy"


def attention(portfolio: Portfolio) -> list[str]:
    return [reason.code for reason in reasons_of([portfolio.pk])[portfolio.pk]]


def test_a_client_who_excludes_a_security_never_gets_it(in_aurora: Cast):
    portfolio = make.portfolio(in_aurora, make.balanced(in_aurora.manager))
    apple = models.security("Apple")
    make.buy(portfolio, apple, 10, 100)
    assert "excluded" not in attention(portfolio)
    MandateRestriction.objects.create(
        mandate=portfolio.mandate, kind=MandateRestriction.Kind.EXCLUDE_SECURITY, value=apple.isin
    )
    assert "excluded" in attention(portfolio)

    line = make.lines_of(propose(portfolio=portfolio, by=in_aurora.manager))["Apple"]

    assert (line.side, line.quantity, line.reason) == ("sell", D(10), "excluded")


def test_an_expired_risk_profile_blocks_purchases_but_not_sales(in_aurora: Cast):
    portfolio = make.portfolio(in_aurora, make.balanced(in_aurora.manager))
    make.buy(portfolio, models.security("Microsoft", 300), 100, 300)
    portfolio.mandate.client.risk_profiles.update(valid_until=today() - datetime.timedelta(days=1))

    lines = make.lines_of(propose(portfolio=portfolio, by=in_aurora.manager))

    assert lines["Microsoft"].side == "sell"
    assert {lines[name].side for name in ("Apple", "Nestlé", "Bund")} == {""}


def test_a_portfolio_without_a_model_is_not_liquidated(in_aurora: Cast):
    portfolio = make.portfolio(in_aurora, None)
    make.buy(portfolio, models.security("Apple"), 10, 100)

    with pytest.raises(DomainError, match="follows no model"):
        propose(portfolio=portfolio, by=in_aurora.manager)
    liquidation = propose(portfolio=portfolio, by=in_aurora.manager, mode=Proposal.Mode.LIQUIDATE)
    assert make.lines_of(liquidation)["Apple"].reason == "liquidation"


def test_raising_cash_sells_just_enough(in_aurora: Cast):
    portfolio = make.portfolio(in_aurora, make.balanced(in_aurora.manager), cash=10_000)
    make.buy(portfolio, models.security("Apple"), 50, 180)

    proposal = propose(
        portfolio=portfolio, by=in_aurora.manager, mode=Proposal.Mode.RAISE_CASH, cash_wanted=D(3000)
    )

    assert make.lines_of(proposal)["Apple"].side == "sell"
    assert D(3000) <= proposal.cash_after < D(3400)
    assert proposal.reason == Proposal.Reason.CASH_OUT


def test_a_proposal_is_reproduced_from_its_stored_inputs_alone(in_aurora: Cast):
    model = make.balanced(in_aurora.manager)
    portfolio = make.portfolio(in_aurora, model)
    proposal = propose(portfolio=portfolio, by=in_aurora.manager)
    wanted = [(line.security_id, line.side, line.quantity, line.reason) for line in proposal.lines.all()]

    for security in (models.security("Apple"), models.security("Nestlé")):
        models.price_of(security, 999)
    publish_view(
        version=model.versions.get(),
        security=models.security("Apple"),
        tilt=D("0.1"),
        rationale="New",
        by=in_aurora.manager,
    )
    again = rebalance(read(Proposal.objects.get(pk=proposal.pk).inputs))

    found = [
        (line.security, line.side.value if line.side else "", line.quantity, line.reason.value)
        for line in again.lines
    ]
    assert sorted(found, key=str) == sorted((row for row in wanted if row[0]), key=str)


def test_a_security_with_an_open_order_is_skipped(in_aurora: Cast):
    portfolio = make.portfolio(in_aurora, make.balanced(in_aurora.manager))
    proposal = make.submitted(portfolio, in_aurora.manager)
    Order.objects.create(
        portfolio=portfolio,
        security=models.security("Apple"),
        number="O-1",
        side="buy",
        quantity=1,
        currency="EUR",
        reason="manual",
    )

    orders = approve(proposal=proposal, by=in_aurora.second_manager)

    assert "Apple" not in {order.security.name for order in orders}
    assert make.lines_of(proposal)["Apple"].reason_data["skipped"] == "open_order"


def test_one_proposal_is_on_its_way_at_a_time_and_a_draft_is_replaced(in_aurora: Cast):
    portfolio = make.portfolio(in_aurora, make.balanced(in_aurora.manager))
    first = propose(portfolio=portfolio, by=in_aurora.manager)
    second = propose(portfolio=portfolio, by=in_aurora.manager)
    first.refresh_from_db()
    assert first.state == Proposal.State.VOID

    submit(proposal=second, by=in_aurora.manager)
    with pytest.raises(DomainError, match="Finish or discard"):
        propose(portfolio=portfolio, by=in_aurora.manager)
    discard(proposal=second, by=in_aurora.manager)
    propose(portfolio=portfolio, by=in_aurora.manager)


def test_many_portfolios_are_worked_out_together_and_one_failure_stops_no_other(in_aurora: Cast):
    model = make.balanced(in_aurora.manager)
    good = make.portfolio(in_aurora, model, "P-1")
    without = make.portfolio(in_aurora, None, "P-2")
    empty = make.portfolio(in_aurora, model, "P-3", cash=0)

    outcomes = propose_each(portfolios=[good, without, empty], by=in_aurora.manager)

    assert outcomes[0].proposal is not None
    assert "no model" in outcomes[1].refusal
    assert outcomes[2].proposal is None


def test_a_received_portfolio_is_not_ours_to_trade(in_harbour: Cast):
    with as_mirror():
        portfolio = Portfolio.objects.create(
            number="P-9", name="Theirs", currency="EUR", opened_on=today(), origin=models.uuid.uuid4()
        )
    with pytest.raises(DomainError, match="partner"):
        propose(portfolio=portfolio, by=in_harbour.manager)
