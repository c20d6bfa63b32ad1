"""Two managers each number their portfolios by themselves: a number that both gave names neither at the channel."""

from decimal import Decimal

from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from portfolios.models import Portfolio, Transaction
from portfolios.services.arrived_cash import enter_cash
from reporting.forms import CUSTOM
from reporting.models import Report
from tests import factories
from tests.federation.divisions import divided
from tests.federation.mirror.world import World


def test_neither_cash_nor_a_report_goes_to_another_portfolio_of_the_same_number(world: World) -> None:
    division = divided(settlement="channel", reporting="channel").division
    for manager in ("aurora", "borealis"):
        mandate = world.mandate(
            world.agree(manager, division=division), client=world.client("harbour", f"Client of {manager}")
        )
        world.drain()
        world.decide(mandate, "active", manager)
        portfolio = world.portfolio(mandate, manager)
        with world.within(manager):
            Portfolio.objects.filter(pk=portfolio.pk).update(number="P-1001")
        world.drain()
    with world.within("harbour"):
        wanted = Portfolio.objects.get(mandate__client__name="Client of borealis")
        operations = factories.cast().operations
        browser = Browser(headers={"host": "harbour.localhost"})
        browser.force_login(operations)

        today = timezone.now().date()
        entry = enter_cash(value_date=today, amount=Decimal(500), currency="EUR", by=operations)
        match = reverse("portfolios:bank_entry_match", args=[entry.pk])
        page = browser.post(match, {"number": "P-1001"})
        assert page.status_code == 409
        assert not Transaction.objects.exists()
        assert all(f"Client of {name}" in page.content.decode() for name in ("aurora", "borealis"))
        browser.post(match, {"number": "P-1001", "portfolio": str(wanted.pk)})
        assert Transaction.objects.get().portfolio == wanted

        order = reverse("reporting:report_order")
        day = wanted.opened_on.isoformat()
        asked = {
            "scope": "these",
            "numbers": "P-1001",
            "period": CUSTOM,
            "period_from": day,
            "period_to": day,
        }
        assert "Several of your portfolios" in browser.post(order, asked).content.decode()
        assert not Report.objects.exists()
        page = browser.get(reverse("portfolios:portfolio_detail", args=[wanted.pk])).content.decode()
        create = reverse("reporting:report_create", args=[wanted.pk])
        assert f'href="{create}"' in page
        assert browser.get(create)["Location"] == f"{order}?portfolio={wanted.pk}"
        assert browser.post(f"{order}?portfolio={wanted.pk}", asked).status_code == 302
        assert Report.objects.get().portfolio == wanted
