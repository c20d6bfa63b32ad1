"""The period of a page, from its URL."""

import datetime

import pytest

from accounts.period import months_before, parse_period

TODAY = datetime.date(2026, 11, 23)


def day(text: str) -> datetime.date:
    return datetime.date.fromisoformat(text)


@pytest.mark.parametrize(
    ("key", "start"),
    [
        ("1m", "2026-10-23"),
        ("3m", "2026-08-23"),
        ("ytd", "2025-12-31"),
        ("1y", "2025-11-23"),
        ("3y", "2023-11-23"),
        ("all", "2020-05-03"),
    ],
)
def test_a_choice_runs_up_to_today(key, start):
    period = parse_period({"period": key}, today=TODAY, first=day("2020-05-04"))
    assert (period.from_date, period.to_date) == (day(start), TODAY)
    assert [choice.key for choice in period.choices if choice.is_chosen] == [key]


def test_no_choice_begins_before_the_close_that_the_first_day_counts_from():
    assert parse_period({"period": "3y"}, today=TODAY, first=day("2026-01-05")).from_date == day("2026-01-04")


def test_a_custom_period_takes_its_days_and_keeps_other_parameters():
    given = {"from": "2026-01-31", "to": "2026-03-31", "currency": "USD", "period": "1y"}
    period = parse_period(given, today=TODAY)
    assert period.is_custom
    assert (period.from_date, period.to_date) == (day("2026-01-31"), day("2026-03-31"))
    assert period.kept == (("currency", "USD"),)


def test_days_in_the_wrong_order_are_swapped_and_the_future_is_cut_off():
    period = parse_period({"from": "2026-03-31", "to": "2026-01-31"}, today=TODAY)
    assert period.from_date < period.to_date
    assert parse_period({"from": "2026-01-31", "to": "2030-01-01"}, today=TODAY).to_date == TODAY


@pytest.mark.parametrize("given", [{"period": "forever"}, {"from": "soon"}, {}])
def test_what_cannot_be_read_falls_back(given):
    assert parse_period(given, today=TODAY).key == "1y"


@pytest.mark.parametrize(
    ("end", "months", "start"),
    [
        ("2026-03-31", 1, "2026-02-28"),
        ("2024-03-31", 1, "2024-02-29"),
        ("2026-01-15", 1, "2025-12-15"),
        ("2026-12-31", 12, "2025-12-31"),
        ("2026-12-31", 1, "2026-11-30"),
    ],
)
def test_months_before_a_day_end_with_a_shorter_month(end, months, start):
    assert months_before(day(end), months) == day(start)
