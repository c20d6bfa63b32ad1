"""Securities, prices and rates of the demonstration, for the institution whose schema is current."""

import datetime
from collections.abc import Iterable, Mapping
from decimal import Decimal

from federation.demo.bulk import copy_rows
from federation.demo.history import Market
from federation.demo.market import SECURITIES
from portfolios.models import (
    Benchmark,
    BenchmarkValue,
    ExchangeRate,
    Listing,
    Price,
    PriceSource,
    Security,
    listing_id,
    security_id,
)

SIMULATED = "demo-simulated"
ECB = "ECB"


def create_reference_data(market: Market) -> Mapping[str, Security]:
    """Create all securities with prices and rates; returns the securities by ticker."""
    securities = {
        demo.ticker: Security(
            id=security_id(demo.isin),
            isin=demo.isin,
            name=demo.name,
            ticker=demo.ticker,
            kind=demo.kind,
            asset_class=demo.asset_class,
            sector=demo.sector,
            country=demo.country,
            currency=demo.currency,
            price_unit=Security.PriceUnit.PERCENT if demo.coupon else Security.PriceUnit.PER_UNIT,
            lot_size=1000 if demo.coupon else 1,
            coupon_rate=demo.coupon or None,
            maturity_date=demo.maturity,
        )
        for demo in SECURITIES
    }
    Security.objects.bulk_create(securities.values())
    Listing.objects.bulk_create(
        Listing(
            id=listing_id(demo.isin, demo.mic, demo.currency),
            security=securities[demo.ticker],
            mic=demo.mic,
            currency=demo.currency,
            ticker=demo.ticker,
        )
        for demo in SECURITIES
    )
    simulated = PriceSource.objects.create(
        code=SIMULATED,
        name="Simulated (demo)",
        is_redistributable=True,
        is_simulated=True,
        preference=90,
    )
    ecb = PriceSource.objects.create(
        code=ECB, name="European Central Bank", is_redistributable=True, preference=10
    )
    copy_rows(
        Price,
        ["security", "source", "date", "close", "currency"],
        (
            (securities[ticker].pk, simulated.pk, day, close, securities[ticker].currency)
            for ticker, series in market.closes.items()
            for day, close in series.items()
        ),
    )
    copy_rows(
        ExchangeRate,
        ["source", "date", "currency", "rate"],
        (
            (source.pk, day, currency, rate)
            for source, rates in ((ecb, market.rates), (simulated, market.simulated_rates))
            for currency, series in rates.items()
            for day, rate in series.items()
        ),
    )
    return securities


def create_benchmark(code: str, name: str, mix: Mapping[str, float], market: Market) -> Benchmark:
    """Create a benchmark that holds ``mix`` (ticker → weight) since the first day, in euro."""
    benchmark = Benchmark.objects.create(code=code, name=name, currency="EUR")
    days = sorted(next(iter(market.closes.values())))
    add_levels(benchmark, mix, market, days[0], days)
    return benchmark


def add_levels(
    benchmark: Benchmark,
    mix: Mapping[str, float],
    market: Market,
    first: datetime.date,
    days: Iterable[datetime.date],
) -> None:
    """Write the levels of a benchmark on ``days``; on the ``first`` day it is 100."""
    start = {ticker: market.unit_value(ticker, "EUR", first) for ticker in mix}

    def level(day: datetime.date) -> Decimal:
        grown = (
            Decimal(str(weight)) * market.unit_value(ticker, "EUR", day) / start[ticker]
            for ticker, weight in mix.items()
        )
        return round(100 * sum(grown, Decimal(0)), 6)

    copy_rows(
        BenchmarkValue, ["benchmark", "date", "level"], ((benchmark.pk, day, level(day)) for day in days)
    )
