"""Pages of proposals: reasons and checks, edits, and what is approved."""

import datetime
import re
from decimal import Decimal

import pytest
from django.urls import reverse

from accounts.models import Job
from clients.models import MandateRestriction
from config.api.trading import ProposalSerializer
from models_portfolio.effective import today
from tests.factories import Cast
from tests.models_portfolio import make as models
from tests.trading import make
from tests.trading.pages import text_of
from trading.models import Order, Proposal
from trading.services import approve, edit, propose, submit

D = Decimal
pytestmark = pytest.mark.usefixtures("unsent")


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
    assert "the simulated market fills each order in so many parts" in text_of(other.get(url))
    form = {"send": "1", "fill_parts": "2", "revision": "1"}
    refused = other.post(
        reverse("trading:proposal_approve", args=[proposal.pk]), {**form, "fill_parts": "30"}, follow=True
    )
    assert "Choose between 1 and 10 parts." in text_of(refused)
    assert not Order.objects.exists()
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


def test_targets_without_what_is_excluded_are_those_that_the_drift_is_measured_from(
    in_aurora: Cast, aurora, browse
):
    portfolio = make.portfolio(in_aurora, make.balanced(in_aurora.manager))
    make.buy(portfolio, models.security("Apple"), 100, 180)
    wish = {"mandate": portfolio.mandate, "kind": "exclude_security"}
    MandateRestriction.objects.create(**wish, value=models.security("Apple").isin, note="Works there")
    proposal = propose(portfolio=portfolio, by=in_aurora.manager)
    page, url = browse(aurora, in_aurora.manager), reverse("trading:proposal_detail", args=[proposal.pk])

    response = page.get(url)

    rows = {str(row.line.security or "cash"): row for row in response.context["lines"]}
    gaps = [row.line.current_weight - row.target_weight for row in rows.values()]
    assert sum(map(abs, gaps)) / 2 == pytest.approx(proposal.drift_before)
    assert (rows["Apple"].target_weight, rows["cash"].is_shifted) == (0, False)
    said = {
        line["security"] and line["security"]["name"]: line
        for line in ProposalSerializer(proposal).data["lines"]
    }
    assert (said["Apple"]["measured_target"], said["Nestlé"]["target_weight"]) == (
        "0.0000000000",
        "0.2500000000",
    )
    assert said["Nestlé"]["measured_target"] == f"{rows['Nestlé'].target_weight:.10f}"
    # 95 % shared by 25 to 30, cash apart.
    assert "43.18% model 25.00%" in text_of(response)
    assert "Works there; its 40.00% goes to the other lines" in text_of(response)

    for name in ("Nestlé", "Bund"):
        MandateRestriction.objects.create(**wish, value=models.security(name).isin)
    proposal = propose(portfolio=portfolio, by=in_aurora.manager)
    response = page.get(reverse("trading:proposal_detail", args=[proposal.pk]))
    assert "its 40.00% stays in cash" in text_of(response)
    assert sum(row.target_weight for row in response.context["lines"]) == 1


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
    assert reverse("portfolios:portfolio_detail", args=[without.pk]) in response.content.decode()
    assert Proposal.objects.get().portfolio == good

    # Administrators follow every job, and have no portfolios; who loses one reads no more of it either.
    job = reverse("accounts:job", args=[Job.objects.get().pk])
    in_aurora.manager.role_assignments.update(unit=in_aurora.other_unit)
    for somebody, leads_back in ((in_aurora.administrator, False), (in_aurora.manager, True)):
        response = browse(aurora, somebody).get(job)
        shown = text_of(response)
        assert "2 of 2" in shown
        assert "1 concerns a portfolio that is not within your reach" in shown
        assert "P-2" not in response.content.decode()
        assert ("Show the drafts" in shown) == leads_back


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

    assert "1 proposal approved." in text_of(response)
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
    assert "more than is free for them" in text_of(refused)
    refused = page.post(url, {f"quantity-{apple.pk}": "1e1", "revision": "1"}, follow=True)
    assert "Write the number out in digits" in text_of(refused)
    done = page.post(url, {f"quantity-{apple.pk}": "10", "revision": "1"}, follow=True)

    assert "Worked out again" in text_of(done)
    assert "Changed by hand" in text_of(done)
    # As Back and reload ask for it.
    assert page.get(url).url == reverse("trading:proposal_detail", args=[proposal.pk])


def test_a_price_that_moved_is_shown_and_has_to_be_ticked(in_aurora: Cast, aurora, browse):
    proposal = make.submitted(make.portfolio(in_aurora, make.balanced(in_aurora.manager)), in_aurora.manager)
    models.price_of(models.security("Apple"), 190, days_ago=0)
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
    models.price_of(models.security("Apple"), 195, days_ago=0)
    assert "Prices have moved" in text_of(page.post(url, before))
    assert page.post(url, ticked()).status_code == 302


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


def test_a_quantity_that_is_no_number_of_units_is_refused(in_aurora: Cast, aurora, browse):
    proposal = propose(
        portfolio=make.portfolio(in_aurora, make.balanced(in_aurora.manager)), by=in_aurora.manager
    )
    line = proposal.lines.filter(security__isnull=False)[0]
    page, url = browse(aurora, in_aurora.manager), reverse("trading:proposal_edit", args=[proposal.pk])

    for typed, words in (
        ("NaN", "Enter a number of units."),
        ("sNaN", "Enter a number of units."),
        ("Infinity", "Enter a number of units."),
        ("1e999999", "Write the number out in digits"),
        ("1e3", "Write the number out in digits"),
    ):
        answer = page.post(url, {f"quantity-{line.security_id}": typed, "revision": "1"}, follow=True)
        assert words in text_of(answer), typed
        assert not Proposal.objects.get(pk=proposal.pk).lines.filter(quantity__gt=10**12).exists()
