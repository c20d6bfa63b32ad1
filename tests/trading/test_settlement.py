"""Trades settle on the trading days of their market, by the cycle in force that day."""

from datetime import date

import pytest

from trading.calculations.settlement import (
    settlement_date,
    settlement_days,
    trading_days,
)


@pytest.mark.parametrize(
    ("mic", "day", "expected"),
    [
        ("XNYS", date(2024, 5, 24), 2),
        ("XNYS", date(2024, 5, 28), 1),
        ("XNAS", date(2025, 1, 2), 1),
        ("XETR", date(2027, 10, 8), 2),
        ("XETR", date(2027, 10, 11), 1),
        ("XLON", date(2027, 10, 11), 1),
        ("XSWX", date(2027, 10, 11), 1),
        ("XTKS", date(2028, 1, 4), 2),
        ("", date(2025, 1, 2), 2),
    ],
)
def test_the_cycle_depends_on_market_and_date(mic: str, day: date, expected: int) -> None:
    assert settlement_days(mic, day) == expected


@pytest.mark.parametrize(
    ("mic", "traded", "settles"),
    [
        # The last day of T+2 and the first of T+1, around Memorial Day (2024-05-27).
        ("XNYS", date(2024, 5, 24), date(2024, 5, 29)),
        ("XNYS", date(2024, 5, 28), date(2024, 5, 29)),
        # Over Easter: Good Friday and Easter Monday are not trading days.
        ("XETR", date(2026, 4, 2), date(2026, 4, 8)),
        # Over the turn of the year.
        ("XNYS", date(2025, 12, 31), date(2026, 1, 2)),
        ("XSWX", date(2025, 12, 30), date(2026, 1, 6)),
        # Traded on a Saturday counts from Monday.
        ("XETR", date(2026, 3, 14), date(2026, 3, 18)),
        ("XETR", date(2027, 10, 8), date(2027, 10, 12)),
        ("XETR", date(2027, 10, 11), date(2027, 10, 12)),
        # An unknown market counts on Frankfurt's days.
        ("XXXX", date(2026, 3, 16), date(2026, 3, 18)),
    ],
)
def test_a_trade_settles_on_the_markets_trading_days(mic: str, traded: date, settles: date) -> None:
    assert settlement_date(traded, mic) == settles


def test_a_fund_may_have_a_cycle_of_its_own() -> None:
    assert settlement_date(date(2026, 3, 16), "XETR", days=4) == date(2026, 3, 20)
    assert settlement_date(date(2026, 3, 16), "XETR", days=0) == date(2026, 3, 16)


def test_a_market_without_published_holidays_counts_on_frankfurts_days() -> None:
    assert trading_days("XSHG", 2040) == trading_days("XFRA", 2040)
    # Their Easter is another one, which pandas does not work out.
    for mic in ("ASEX", "XBSE"):
        assert trading_days(mic, 2026) == trading_days("XFRA", 2026)


def test_a_calendar_is_built_once() -> None:
    assert trading_days("XNYS", 2026) is trading_days("XNYS", 2026)
