"""Let the demonstration go on: prices and rates up to yesterday, values, and what is dated relative to today.

Nothing is done twice, and nothing that somebody imported is changed: each series goes on after its last close,
whoever knows it. The stale share stays stale.
"""

import datetime
from collections.abc import Iterator

from django.db import transaction
from django.db.models import F
from django_tenants.utils import tenant_context

from accounts.models import Role
from federation.demo import dates
from federation.demo.bulk import copy_rows
from federation.demo.cast import INSTITUTIONS, DemoInstitution
from federation.demo.history import Market
from federation.demo.market import (
    CURRENCIES,
    SECURITIES,
    STALE_TICKER,
    business_days,
    continue_closes,
    continue_rates,
)
from federation.demo.plans import AURORA, BOREALIS
from federation.demo.reference import SIMULATED, add_levels
from federation.models import Institution
from portfolios.models import Benchmark, ExchangeRate, Price, PriceSource, security_id
from portfolios.services import value_portfolios
from portfolios.services.market import load_prices

ONE_DAY = datetime.timedelta(1)


def institutions() -> Iterator[tuple[DemoInstitution, Institution]]:
    """Give the demonstration's institutions: none that merely has the name of one."""
    found = {each.schema_name: each for each in Institution.objects.filter(is_demo=True)}
    return ((cast, found[cast.schema]) for cast in INSTITUTIONS if cast.schema in found)


def go_on(cast: DemoInstitution, institution: Institution, today: datetime.date) -> None:
    """Bring an institution of the demonstration to ``today``, all of it or nothing."""
    with tenant_context(institution), transaction.atomic():
        # One at a time: the next one finds nothing to do.
        Institution.objects.select_for_update(no_key=True).get(pk=institution.pk)
        dates.renew_views(today)
        if any(person.role == Role.ADVISOR for person in cast.people):
            dates.renew_lists(today)
        source = PriceSource.objects.own().filter(code=SIMULATED).first()
        if source is not None:
            first = _continue_market(source, today - ONE_DAY)
            if first is not None:
                value_portfolios(from_date=first)


def _continue_market(source: PriceSource, until: datetime.date) -> datetime.date | None:
    """Simulate what is missing up to ``until``; returns the first day on which there is anything new."""
    demos = {security_id(demo.isin): demo for demo in SECURITIES if demo.ticker != STALE_TICKER}
    closes = (
        Price.objects.own()
        .filter(security__in=demos, currency=F("security__currency"))
        .order_by("security", "-date", "source__preference", "source__code")
        .distinct("security")
        .values_list("security", "date", "close")
    )
    prices = [
        (key, source.pk, day, close, demos[key].currency)
        for key, last, known in closes
        for day, close in continue_closes(demos[key], known, business_days(last + ONE_DAY, until)).items()
    ]
    copy_rows(Price, ["security", "source", "date", "close", "currency"], prices)
    quotes = (
        ExchangeRate.objects.own()
        .filter(currency__in=CURRENCIES)
        .order_by("currency", "-date", "source__preference", "source__code")
        .distinct("currency")
        .values_list("currency", "date", "rate")
    )
    rates = [
        (source.pk, day, currency, rate)
        for currency, last, known in quotes
        for day, rate in continue_rates(currency, known, business_days(last + ONE_DAY, until)).items()
    ]
    copy_rows(ExchangeRate, ["source", "date", "currency", "rate"], rates)
    _continue_benchmarks(until)
    return min([*(row[2] for row in prices), *(row[1] for row in rates)], default=None)


def _continue_benchmarks(until: datetime.date) -> None:
    ids = {demo.ticker: security_id(demo.isin) for demo in SECURITIES}
    mixes = {demo.benchmark[0]: demo.benchmark[2] for demo in (*AURORA, *BOREALIS)}
    for benchmark in Benchmark.objects.own().filter(code__in=mixes):
        mix = mixes[benchmark.code]
        known = list(benchmark.values.order_by("date").values_list("date", flat=True))
        first = known[0]
        days = business_days(known[-1] + ONE_DAY, until)
        if not days:
            continue
        found = load_prices([ids[ticker] for ticker in mix], since=first, until=until)
        closes = {ticker: {price.date: price.close for price in found[ids[ticker]]} for ticker in mix}
        add_levels(benchmark, mix, Market(closes, {}, {}, split_day=first), first, days)
