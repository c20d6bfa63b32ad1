"""Work out settlement dates: T+N by market and date, counted on the market's trading days."""

from __future__ import annotations

from bisect import bisect_right
from datetime import date
from functools import lru_cache
from threading import Lock

# Over-the-counter fund orders and unknown markets count on Frankfurt's days.
DEFAULT_MARKET = "XFRA"

_T1_UNITED_STATES = date(2024, 5, 28)
_T1_EUROPE = date(2027, 10, 11)
_ALWAYS = date.min

# N trading days from each day on. Canada and Mexico changed one day before the United States;
# India since 2023 and mainland China for long settle at T+1; the rest is T+2.
_NORTH_AMERICA = ((_ALWAYS, 2), (_T1_UNITED_STATES, 1))
_CANADA_MEXICO = ((_ALWAYS, 2), (date(2024, 5, 27), 1))
_EUROPE = ((_ALWAYS, 2), (_T1_EUROPE, 1))
_ELSEWHERE = ((_ALWAYS, 2),)

_CYCLES: dict[str, tuple[tuple[date, int], ...]] = {
    **dict.fromkeys(("XNYS", "XNAS", "ARCX", "BATS", "XASE"), _NORTH_AMERICA),
    **dict.fromkeys(("XTSE", "XMEX"), _CANADA_MEXICO),
    **dict.fromkeys(
        (
            *("XETR", "XFRA", "XSTU", "XMUN", "XWBO", "XPAR", "XAMS", "XBRU", "XLIS", "XDUB"),
            *("XMIL", "XMAD", "XLUX", "XHEL", "XCSE", "XSTO", "XTAL", "XRIS", "XLIT", "XWAR"),
            *("XPRA", "XBUD", "XBSE", "ASEX", "XLON", "XSWX", "XOSL", "XICE"),
        ),
        _EUROPE,
    ),
}

# Markets that trade on another's days.
_SAME_DAYS = {
    "XNAS": "XNYS",
    "ARCX": "XNYS",
    "BATS": "XNYS",
    "XASE": "XNYS",
    "XSTU": "XETR",
    "XMUN": "XETR",
}
_YEARS_AHEAD = 1
_BUILDING = Lock()


def settlement_days(mic: str, trade_date: date) -> int:
    """Return N of T+N for a trade on `mic` on a day; T+2 for an unknown market.

    United States T+1 from 2024-05-28 (SEC rule 15c6-1); EU, UK and Switzerland plan T+1 for
    2027-10-11.
    """
    days = 2
    for since, count in _CYCLES.get(mic, _ELSEWHERE):
        if trade_date >= since:
            days = count
    return days


def settlement_date(trade_date: date, mic: str = "", *, days: int | None = None) -> date:
    """Return the day on which a trade settles: N trading days of the market after the trade.

    `days` overrides the market's N, as a fund's prospectus may. A trade on a day without trading
    counts from the next one. Banks' holidays that are not the market's are not known here.
    """
    count = settlement_days(mic, trade_date) if days is None else days
    sessions = trading_days(mic, trade_date.year)
    # From the trade's session, or the first one after it.
    start = bisect_right(sessions, trade_date) - 1
    if start < 0 or sessions[start] != trade_date:
        start += 1
    return sessions[start + count]


@lru_cache(maxsize=256)
def trading_days(mic: str, year: int) -> tuple[date, ...]:
    """Return the market's trading days from a year's first day to the end of the next year.

    An unknown market gets Frankfurt's, and so does one whose holidays are not published that far
    ahead, or cannot be worked out. Cached, since building a calendar takes some hundredths of a second, and a
    second unbounded.
    """
    # It brings pandas along, which takes a second to load: only whoever asks for a day pays for it.
    import exchange_calendars
    from pandas.tseries.holiday import AbstractHolidayCalendar

    name = _SAME_DAYS.get(mic, mic)
    if name not in exchange_calendars.get_calendar_names():
        name = DEFAULT_MARKET
    start, end = f"{year}-01-01", f"{year + _YEARS_AHEAD}-12-31"
    with _BUILDING:
        # Of themselves calendars work out the holidays of 230 years.
        AbstractHolidayCalendar.start_date = date(year - 1, 1, 1)
        AbstractHolidayCalendar.end_date = date(year + _YEARS_AHEAD + 1, 12, 31)
        try:
            calendar = exchange_calendars.get_calendar(name, start=start, end=end)
        except (ValueError, NotImplementedError):
            # The latter says pandas of the Orthodox Easter of Athens and Bucharest.
            calendar = exchange_calendars.get_calendar(DEFAULT_MARKET, start=start, end=end)
    return tuple(session.date() for session in calendar.sessions)
