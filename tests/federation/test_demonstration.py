"""The demonstration as `make run` makes it, and as it goes on some days later."""

import datetime
import io
import itertools
import os
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from decimal import Decimal as D

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.models import Count, Max, Min, Model, Q
from django.utils import timezone
from django_tenants.utils import tenant_context
from pytest_django import DjangoDbBlocker

from accounts.models import User
from clients.models import Client, KycStatus, Mandate, RiskProfile, Task
from config.embedded.paths import PROJECT
from federation import tasks
from federation.demo import mirrors
from federation.demo.cast import INSTITUTIONS
from federation.models import Agreement, Institution
from models_portfolio.models import ModelPortfolio, View
from portfolios import attention
from portfolios.models import (
    BankEntry,
    BenchmarkValue,
    ExchangeRate,
    Holding,
    Portfolio,
    Price,
    PriceSource,
    Security,
    Transaction,
    Valuation,
)
from portfolios.services.market import rate_between
from tests import databases
from trading.models import Settlement

# They share a demonstration, which takes half a minute to make.
pytestmark = pytest.mark.xdist_group("demonstration")

MANAGERS, CHANNELS = ("aurora", "borealis"), ("harbour", "lakeside", "meadow")
LATER = datetime.timedelta(8)
# A first fill waits for older transactions in any database of the server: for whole tests beside this one.
MAKE = """
import django
django.setup()
from django.core.management import call_command
from federation.demo import mirrors
mirrors.PATIENCE_SECONDS = 300
call_command("demo")
"""


@pytest.fixture(scope="module")
def made(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[datetime.date]:
    """Make the demonstration in a database of its own; gives the day it is made for."""
    with django_db_blocker.unblock(), databases.fresh("demonstration"), pytest.MonkeyPatch.context() as patch:
        with connection.cursor() as cursor:
            for schema in Institution.objects.values_list("schema_name", flat=True):
                cursor.execute(f"DROP SCHEMA {schema} CASCADE")
            cursor.execute("TRUNCATE federation_institution CASCADE")
        now = timezone.now()
        patch.setattr(timezone, "now", lambda: now)
        # In a process of its own, as `make run` has it: it forks, which reports that were set here before would not stand.
        environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings"}
        subprocess.run(
            [sys.executable, "-c", MAKE], cwd=PROJECT, env=environment, check=True, stdout=subprocess.DEVNULL
        )
        yield now.date()
        connection.set_schema_to_public()


def inside(schema: str) -> AbstractContextManager[None]:
    return tenant_context(Institution.objects.get(schema_name=schema))


def weekday_before(day: datetime.date) -> datetime.date:
    return day - datetime.timedelta({0: 3, 6: 2}.get(day.weekday(), 1))


def test_two_managers_and_three_channels_work_under_four_agreements_of_both_kinds(made):
    agreements = Agreement.objects.filter(state=Agreement.State.ACTIVE)
    found = agreements.values_list("manager__schema_name", "channel__schema_name", "preset")
    assert sorted(found) == [
        ("aurora", "harbour", "closed"),
        ("aurora", "lakeside", "closed"),
        ("aurora", "meadow", "advice"),
        ("borealis", "harbour", "closed"),
    ]
    assert Institution.objects.count() == len(MANAGERS) + len(CHANNELS)


def test_a_few_hundred_people_couples_and_companies_are_clients_one_of_them_of_both_managers(made):
    count = 0
    for schema in CHANNELS:
        with inside(schema):
            clients = Client.objects.own().filter(status=Client.Status.CLIENT)
            count += clients.count()
            if schema == "harbour":
                assert set(clients.values_list("kind", flat=True)) == {"person", "couple", "company"}
                shared = clients.filter(mandates__portfolio__closed_on=None).annotate(
                    managers=Count("mandates__agreement", distinct=True)
                )
                assert shared.filter(managers=2).exists()
    assert 200 < count < 1_000


def test_portfolios_of_40000_to_4_million_euro_hold_shares_funds_and_bonds_in_three_currencies(made):
    kinds, currencies = set(), set()
    for schema in (*MANAGERS, "meadow"):
        with inside(schema):
            held = Security.objects.filter(holdings__in=Holding.objects.own().something())
            kinds |= set(held.values_list("kind", flat=True))
            currencies |= set(held.values_list("currency", flat=True))
            latest = Valuation.objects.own().filter(is_latest=True, portfolio__closed_on=None)
            for value, currency, day in latest.values_list("market_value", "currency", "date"):
                rate = rate_between(currency, "EUR", day)
                assert rate is not None
                assert 40_000 < value * rate < 4_000_000
    assert kinds == {"share", "fund", "bond"}
    assert len(currencies) >= 3


def test_three_years_bring_fees_every_quarter_dividends_and_a_split(made):
    with inside("aurora"):
        entries = Transaction.objects.own()
        assert entries.aggregate(day=Min("trade_date"))["day"] < made - datetime.timedelta(1_000)
        fees = entries.filter(type="fee").values_list("trade_date", flat=True).distinct()
        quarters = sorted({day.year * 4 + (day.month - 1) // 3 for day in fees})
        assert quarters == list(range(quarters[0], quarters[0] + len(quarters)))
        assert len(quarters) >= 11
        assert entries.filter(type="dividend").count() > 500
        assert set(entries.filter(type="split").values_list("security__ticker", flat=True)) == {"NVDA"}
        days = Valuation.objects.own().aggregate(first=Min("date"), last=Max("date"))
        assert days["last"] - days["first"] > datetime.timedelta(1_000)


def test_a_model_has_four_versions(made):
    with inside("aurora"):
        assert ModelPortfolio.objects.own().get(code="AUR-BAL").versions.count() == 4


def check_lists(today: datetime.date) -> None:
    """Check that the work lists are full on a day, and that figures are as of the day before."""
    last = weekday_before(today)
    with inside("aurora"):
        view = View.objects.own().get(asset_class="equity")
        assert view.valid_to == today + datetime.timedelta(5)
        assert view.version.number == 4
        assert Mandate.objects.received().in_state("submitted").count() >= 3
        assert Mandate.objects.in_state("returned").count() == 1
        assert BankEntry.objects.filter(state="unmatched", portfolio=None).count() == 1
        assert Settlement.objects.own().filter(state="failed").count() == 1
        check_reasons("drift", "cash", "price", "deposit", "unmatched", "settlement")
    with inside("meadow"):
        check_reasons("drift", "version")
    for schema in (*MANAGERS, "meadow"):
        with inside(schema):
            check_prices(last)
    for schema in CHANNELS:
        with inside(schema):
            check_values(Portfolio.objects.current(), last)
            for advisor in User.objects.filter(role_assignments__role="advisor"):
                check_day(advisor, today)
    with inside("harbour"):
        assert Mandate.objects.own().in_state("rejected").count() == 1


def check_reasons(*codes: str) -> None:
    for code in codes:
        assert attention.in_need(Portfolio.objects.own().in_book(), code).exists(), code


def check_prices(last: datetime.date) -> None:
    """Check that every price is as of a day but one, which is stale, and so are rates, benchmarks and values."""
    dated = dict(Price.objects.own().values_list("security__ticker").annotate(Max("date")).order_by())
    assert last - dated.pop("MC") > datetime.timedelta(7)
    assert set(dated.values()) == {last}
    rates = dict(ExchangeRate.objects.own().values_list("currency").annotate(Max("date")).order_by())
    assert set(rates.values()) == {last}
    levels = BenchmarkValue.objects.own().values_list("benchmark").annotate(Max("date")).order_by()
    assert set(dict(levels).values()) <= {last}
    check_values(Portfolio.objects.own(), last)


def check_values(portfolios: Collection[Portfolio], last: datetime.date) -> None:
    valued = portfolios.filter(closed_on=None, transactions__isnull=False).distinct()
    dates = Valuation.objects.filter(portfolio__in=valued, is_latest=True).values_list("date", flat=True)
    assert len(dates) == valued.count() > 40
    # One who was paid in today is valued today.
    assert min(dates) == last


def check_day(advisor: User, today: datetime.date) -> None:
    """Check that an advisor has identity checks that run out, reviews and a call to make."""
    mine = Q(client__advisor=advisor)
    left = [
        (each - today).days
        for each in KycStatus.objects.own().filter(mine).values_list("valid_until", flat=True)
        if each is not None
    ]
    assert sum(-14 <= days < 0 for days in left) >= 1
    assert sum(0 <= days <= 41 for days in left) >= 5
    assert min(left) >= -14
    soon = Client.objects.own().filter(
        advisor=advisor, next_review_date__range=(today, today + datetime.timedelta(14))
    )
    assert soon.count() >= 2
    assert Task.objects.filter(assignee=advisor, done_at=None, due_date__gte=today).count() == 1


def test_lists_are_full_on_the_day_it_is_made(made):
    check_lists(made)


KINDS: tuple[type[Model], ...] = (
    BenchmarkValue, Client, ExchangeRate, Holding, KycStatus, Price, RiskProfile, Task, Valuation, View,
)  # fmt: skip


def contents() -> dict[str, object]:
    """Return what stands in the tables that are written on a later day, of every institution."""
    found = {}
    with connection.cursor() as cursor:
        for schema in (*MANAGERS, *CHANNELS):
            for kind in KINDS:
                table = f"{schema}.{kind._meta.db_table}"
                cursor.execute(f"SELECT count(*), sum(hashtextextended(t::text, 0)) FROM {table} t")
                found[table] = cursor.fetchone()
    return found


def test_some_days_later_it_has_gone_on_and_what_people_did_stays(made, monkeypatch, settings):
    now = timezone.now() + LATER
    today = now.date()
    before, last = weekday_before(made), weekday_before(today)
    monkeypatch.setattr(timezone, "now", lambda: now)
    with inside("borealis"):
        imported = Price.objects.create(
            security=Security.objects.get(ticker="ABBN"), date=last, close=D(77), currency="CHF",
            source=PriceSource.objects.create(code="IMPORT", name="Import", preference=95),
        )  # fmt: skip
    with inside("harbour"):
        renewed = KycStatus.objects.own().filter(valid_until__lt=made)[0]
        KycStatus.objects.filter(pk=renewed.pk).update(valid_until=made + datetime.timedelta(730))
    settings.DEMO = False
    standing = contents()
    tasks.go_on()
    assert contents() == standing
    settings.DEMO = True
    tasks.go_on()
    mirrors.drain()
    check_lists(today)
    with inside("borealis"):
        assert Price.objects.get(security=imported.security, date__gt=before) == imported
    with inside("harbour"):
        renewed.refresh_from_db()
        assert renewed.valid_until == made + datetime.timedelta(730)
    for schema in (*MANAGERS, "meadow"):
        with inside(schema):
            closes = dict(Price.objects.own().filter(security__ticker="EUNL").values_list("date", "close"))
            days = sorted(day for day in closes if day >= before)
            assert len(days) >= 6
            assert all(abs(closes[b] / closes[a] - 1) < D("0.06") for a, b in itertools.pairwise(days))
    after, said = contents(), io.StringIO()
    call_command("demo", stdout=said)
    mirrors.drain()
    assert contents() == after
    assert [line.split(" … ")[0].strip() for line in said.getvalue().splitlines()] == [
        f"The demonstration is there; it goes on to {today}.",
        *(cast.name for cast in INSTITUTIONS),
    ]
