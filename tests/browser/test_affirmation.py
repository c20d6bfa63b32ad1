"""Dividing the work otherwise, and affirming what another party has traded, as people do it in the browser."""

import os
import re
from decimal import Decimal
from pathlib import Path

import pytest
from django.utils import timezone
from django_tenants.utils import tenant_context
from playwright.sync_api import Page, expect

from clients.services import accept_mandate
from federation.agreements import offers, proposals
from federation.models import Agreement
from models_portfolio.models import Offer
from portfolios.models import Portfolio, Security, Transaction
from portfolios.services import book
from tests import factories
from tests.browser.people import People
from tests.browser.scenario import Scenario, enter, institution, somebody, submitted, until
from tests.browser.screenshots import FRAME, drawn_anew, problems
from tests.federation.agreements import make as agreements
from tests.portfolios import make as portfolios
from trading.models import Block, Order
from trading.services import record_execution

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

D = Decimal


def test_the_channel_affirms_what_the_manager_trades(people: People, scene: Scenario) -> None:
    agreement = _divided_in_the_wizard(people)
    _accepted(agreement, scene)
    portfolio = _portfolio(agreement)
    first, second = _filled(portfolio, "Bund"), _filled(portfolio, "Apple")
    with tenant_context(institution("lakeside")):
        until(
            "the allocations at Lakeside", lambda: Order.objects.filter(pk__in=[first, second]).count() == 2
        )

    settler = people("lakeside", "operations")
    page = settler.go("/desk/")
    expect(page.get_by_role("heading", name="To affirm")).to_be_visible()
    page = settler.go("/affirmations/?state=waiting")
    _pictured(page, "affirmations")
    page.get_by_label(re.compile("^Choose O-first")).check()
    page.get_by_role("button", name="Affirm and book").click()
    expect(page.get_by_text("1 allocation is affirmed and booked.")).to_be_visible()
    page.get_by_role("link", name="O-second").click()
    page.get_by_label("Or reject it, because").fill("Fees are not as agreed")
    _pictured(page, "allocation-waiting")
    page.get_by_role("button", name="Reject", exact=True).click()
    expect(page.get_by_text("Rejected. Your partner reads the reason")).to_be_visible()

    trader = people("borealis", "operations")
    page = trader.go("/affirmations/?state=rejected")
    expect(page.get_by_text("Fees are not as agreed").first).to_be_visible()
    page.get_by_role("link", name="O-second").click()
    _pictured(page, "allocation-rejected")
    page.get_by_label("Fees").fill("0")
    page.get_by_role("button", name="Allocate anew").click()
    expect(page.get_by_text("Allocated anew.")).to_be_visible()

    page = settler.go("/affirmations/?state=waiting")
    expect(page.get_by_role("link", name="O-second")).to_be_visible()
    page.get_by_label(re.compile("^Choose O-second")).check()
    page.get_by_role("button", name="Affirm and book").click()
    expect(page.get_by_text("1 allocation is affirmed and booked.")).to_be_visible()
    with tenant_context(institution("borealis")):
        until(
            "both bookings at Borealis",
            lambda: (
                Transaction.objects.filter(type="buy", portfolio=portfolio.pk, origin__isnull=False).count()
                == 2
            ),
        )
    found = people.problems()
    assert not found, "\n".join(found)


def _divided_in_the_wizard(people: People) -> Agreement:
    administrator = people("borealis", "administrator")
    page = administrator.go("/agreements/new/")
    page.get_by_label("the manager: we manage or advise").check()
    page.get_by_label("Partner", exact=True).select_option(label="Lakeside Advisors")
    page.get_by_role("button", name="Continue").click()
    page.get_by_label("Divided otherwise").check()
    page.get_by_label("Trading: Lakeside").check()
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("alert")).to_contain_text("Portfolio management and trading belong together")
    expect(page.get_by_label("Trading: Lakeside")).to_be_checked()
    page.get_by_label("Trading: Borealis").check()
    page.get_by_label("Settlement: Lakeside").check()
    _pictured(page, "division")
    page.get_by_role("button", name="Continue").click()
    expect(page).to_have_url(re.compile("/draft/sharing/"))
    agreement: Agreement = Agreement.objects.get(
        manager__schema_name="borealis", channel__schema_name="lakeside"
    )
    assert agreement.versions.get().division["settlement"] == "channel"
    return agreement


def _accepted(agreement: Agreement, scene: Scenario) -> None:
    borealis, lakeside = institution("borealis"), institution("lakeside")
    model = scene.models["BOR-INC"]
    agreements.act(offers.offer, agreement, borealis, model=model, name="Income", minimum_amount=D(10_000))
    version = agreements.act(proposals.propose, agreement.versions.get(), borealis)
    agreements.act(proposals.accept, version, lakeside)


def _portfolio(agreement: Agreement) -> Portfolio:
    who = somebody("Balthasar", "Vondrasek", 4712)
    with tenant_context(institution("lakeside")):
        advisor = factories.cast().advisor
        plan = until("the offer at Lakeside", lambda: Offer.objects.filter(agreement=agreement.pk).first())
        mandate = submitted(who, enter(who, advisor), plan, advisor)
    with tenant_context(institution("borealis")):
        cast = factories.cast()
        received = until(
            "the mandate at Borealis", lambda: type(mandate).objects.filter(pk=mandate.pk).first()
        )
        accept_mandate(mandate=received, by=cast.manager, unit=cast.unit)
        portfolio = Portfolio.objects.get(mandate=received)
    with tenant_context(institution("lakeside")):
        kept = until("the accounts at Lakeside", lambda: _with_accounts(portfolio))
        today = timezone.now().date()
        book(
            entries=[portfolios.deposit(kept, 100_000, trade_date=today, settlement_date=today)],
            by=factories.cast().operations,
        )
    return portfolio


def _with_accounts(portfolio: Portfolio) -> Portfolio | None:
    found: Portfolio | None = Portfolio.objects.filter(pk=portfolio.pk, accounts__isnull=False).first()
    return found


def _filled(portfolio: Portfolio, name: str) -> object:
    """Have the manager buy, in one fill; return the order's id."""
    with tenant_context(institution("borealis")):
        number = "O-first" if name == "Bund" else "O-second"
        security = Security.objects.filter(currency="EUR").order_by("name")[0 if name == "Bund" else 1]
        block = Block.objects.create(
            security=security, side="buy", currency="EUR", quantity=1000, sent_at=timezone.now(), state="new"
        )
        order = Order.objects.create(
            portfolio=portfolio, security=security, number=number, side="buy", quantity=1000,
            currency="EUR", reason="manual", block=block, state="new",
        )  # fmt: skip
        record_execution(block_id=block.pk, quantity=D(1000), price=D("9.5"), reference=number)
        return order.pk


def _pictured(page: Page, name: str) -> None:
    """Look at a page wide and light, narrow and dark; keep pictures where SCREENSHOTS names a folder."""
    folder = os.environ.get("SCREENSHOTS")
    for scheme, width, height in (("light", 1440, 900), ("dark", 390, 844)):
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        if folder:
            drawn_anew(page)
            page.screenshot(path=Path(folder) / f"{name}-{width}-{scheme}.png", full_page=True)
        assert problems(page, but=FRAME) == [], f"{name}, {scheme}, {width} px"
    page.set_viewport_size({"width": 1440, "height": 900})
