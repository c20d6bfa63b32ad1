"""Value portfolios day by day, for many at once, and write only what changed."""

import bisect
import datetime
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import cast

from django.db import connection, transaction
from django.db.models import Max
from django.utils import timezone

from accounts.records import new_id_text
from clients.duties import Duty
from portfolios.calculations.daily import DailyValues, Opening, scaled, value_days
from portfolios.calculations.entries import Entry, external_flows, standing_entries
from portfolios.calculations.timeline import Timeline, follow
from portfolios.duties import performed
from portfolios.models import Portfolio, Valuation
from portfolios.services.entries import load_entries
from portfolios.services.holdings import lock_portfolios, write_holdings
from portfolios.services.market import last_price_day
from portfolios.services.units import UnitBook
from portfolios.signals import portfolios_valued

PORTFOLIOS_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class ValuationRun:
    """How many portfolios were valued, and how many days of theirs were written."""

    portfolios: int
    days_written: int


@dataclass(slots=True)
class _Plan:
    """What is to be valued of one portfolio."""

    portfolio_id: uuid.UUID
    currency: str
    entries: list[Entry]
    days: list[datetime.date]
    start: datetime.date
    opening: Opening
    timeline: Timeline


def value_portfolios(
    *,
    portfolio_ids: Iterable[uuid.UUID] | None = None,
    from_date: datetime.date | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ValuationRun:
    """Value the portfolios managed here on every weekday up to the last day with prices, and on days with entries.

    Each goes on from its last valued day, or from ``from_date`` where something before it changed
    (``datetime.date.min``: from the opening). A price is carried forward; one older than five
    business days is flagged, a missing one makes the day's value null with its reason. Rows that
    would not change are not written. Holdings are derived with them where the ledger is kept here,
    whoever manages. ``progress`` is told
    how many portfolios are done, of how many.
    """
    wanted = Portfolio.objects.current().select_related("mandate").only("origin", "mandate__agreement")
    if portfolio_ids is not None:
        wanted = wanted.filter(pk__in=list(portfolio_ids))
    found = list(wanted.order_by("pk"))
    managed = {each.pk for each in performed(Duty.MANAGEMENT, found)}
    ids = sorted(managed.union(each.pk for each in performed(Duty.SETTLEMENT, found)))
    today = timezone.now().date()
    last_day = last_price_day(today)
    written = 0
    for start in range(0, len(ids), PORTFOLIOS_AT_ONCE):
        batch = ids[start : start + PORTFOLIOS_AT_ONCE]
        with transaction.atomic():
            portfolios = lock_portfolios(batch)
            ledgers = load_entries(batch, until=today)
            write_holdings(performed(Duty.SETTLEMENT, portfolios), ledgers, today)
            valued = [each for each in portfolios if each.pk in managed]
            written += _value_batch(valued, ledgers, from_date, today, last_day)
            portfolios_valued.send(sender=Valuation, portfolio_ids=[each.pk for each in valued])
        if progress is not None:
            progress(start + len(batch), len(ids))
    return ValuationRun(portfolios=len(ids), days_written=written)


def _value_batch(
    portfolios: Sequence[Portfolio],
    ledgers: Mapping[uuid.UUID, list[Entry]],
    from_date: datetime.date | None,
    today: datetime.date,
    last_day: datetime.date | None,
) -> int:
    plans = _plan(portfolios, ledgers, from_date, today, last_day)
    if not plans:
        return 0
    calendar = sorted({day for plan in plans for day in plan.days})
    position = {day: i for i, day in enumerate(calendar)}
    units = UnitBook(
        calendar,
        {cast("uuid.UUID", key) for plan in plans for key in plan.timeline.securities},
        {plan.currency for plan in plans} | {code for plan in plans for code in plan.timeline.cash},
    )
    results = [
        (
            plan.portfolio_id,
            plan.currency,
            value_days(
                plan.timeline,
                external_flows(plan.entries),
                calendar=calendar,
                days=[position[day] for day in plan.days],
                securities={
                    key: units.security(cast("uuid.UUID", key), plan.currency)
                    for key in plan.timeline.securities
                },
                currencies={code: units.currency(code, plan.currency) for code in plan.timeline.cash},
                opening=plan.opening,
            ),
        )
        for plan in plans
    ]
    return _write(results, {plan.portfolio_id: plan.start for plan in plans})


def _plan(
    portfolios: Sequence[Portfolio],
    booked: Mapping[uuid.UUID, list[Entry]],
    from_date: datetime.date | None,
    today: datetime.date,
    last_day: datetime.date | None,
) -> list[_Plan]:
    ids = [portfolio.pk for portfolio in portfolios]
    ledgers = {key: standing_entries(booked[key]) for key in ids}
    timelines = {key: follow(entries) for key, entries in ledgers.items()}
    wanted_starts = _starts(ids, from_date)
    weekdays = _Weekdays(last_day)
    days: dict[uuid.UUID, list[datetime.date]] = {}
    starts: dict[uuid.UUID, datetime.date] = {}
    for portfolio in portfolios:
        own_days = {portfolio.opened_on, *(entry.trade_date for entry in ledgers[portfolio.pk])}
        first, end = min(own_days), today
        if portfolio.closed_on is not None and not timelines[portfolio.pk].holds_something:
            # Of what came late the last may have been paid out after the closing.
            end = max(portfolio.closed_on, *own_days)
        every_day = sorted({day for day in own_days if day <= end}.union(weekdays.between(first, end)))
        if not every_day:
            continue
        # At least the last day, which has to become the latest one where later ones are gone.
        start = min(max(first, wanted_starts.get(portfolio.pk, first)), every_day[-1])
        days[portfolio.pk] = every_day[bisect.bisect_left(every_day, start) :]
        starts[portfolio.pk] = start
    openings = _openings(starts)
    return [
        _Plan(
            portfolio_id=portfolio.pk,
            currency=portfolio.currency,
            entries=ledgers[portfolio.pk],
            days=days[portfolio.pk],
            start=starts[portfolio.pk],
            opening=openings.get(portfolio.pk, Opening()),
            timeline=timelines[portfolio.pk],
        )
        for portfolio in portfolios
        if portfolio.pk in days
    ]


def _starts(ids: Sequence[uuid.UUID], from_date: datetime.date | None) -> dict[uuid.UUID, datetime.date]:
    """Return the first day to value where that is not the opening."""
    valued = Valuation.objects.filter(portfolio__in=ids).order_by()
    if from_date is None:
        # The last day again: its prices may have come in since.
        return dict(valued.values_list("portfolio").annotate(Max("date")))
    before = valued.filter(date__lt=from_date).values_list("portfolio", flat=True).distinct()
    return dict.fromkeys(before, from_date)


def _openings(starts: dict[uuid.UUID, datetime.date]) -> dict[uuid.UUID, Opening]:
    if not starts:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT v.portfolio_id, v.market_value, v.return_index, v.gross_return_index
            FROM unnest(%s::uuid[], %s::date[]) AS wanted(portfolio_id, start)
            JOIN LATERAL (
                SELECT * FROM portfolios_valuation v
                WHERE v.portfolio_id = wanted.portfolio_id AND v.date < wanted.start
                ORDER BY v.date DESC LIMIT 1
            ) v ON TRUE
            """,
            [list(starts), list(starts.values())],
        )
        return {
            portfolio_id: Opening(
                value=None if value is None else _money(value), index=_index(net), gross_index=_index(gross)
            )
            for portfolio_id, value, net, gross in cursor.fetchall()
        }


def _money(value: Decimal) -> int:
    return scaled(value, 4)


def _index(value: Decimal) -> int:
    return scaled(value, 12)


class _Weekdays:
    """Answer with the weekdays between two days, up to the last day with prices."""

    def __init__(self, last_day: datetime.date | None) -> None:
        self.last_day = last_day
        self.days: list[datetime.date] = []

    def between(self, start: datetime.date, end: datetime.date) -> list[datetime.date]:
        if self.last_day is None or start > self.last_day:
            return []
        if not self.days or self.days[0] > start:
            length = (self.last_day - start).days + 1
            every = (start + datetime.timedelta(days=i) for i in range(length))
            self.days = [day for day in every if day.weekday() < 5]
        return self.days[bisect.bisect_left(self.days, start) : bisect.bisect_right(self.days, end)]


_COLUMNS = (
    "currency, market_value, cash_value, inflow, outflow, fees, return_index, gross_return_index, "
    "problem, has_simulated_prices, is_latest"
)


def _write(
    results: Sequence[tuple[uuid.UUID, str, DailyValues]], starts: Mapping[uuid.UUID, datetime.date]
) -> int:
    """Bring the valuations from each portfolio's start on in line with ``results``."""
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS pg_temp.valuation_computed")
        cursor.execute(
            """
            CREATE TEMPORARY TABLE valuation_computed (
                id uuid, portfolio_id uuid, date date, currency varchar(3), market_value numeric, cash_value numeric,
                inflow numeric, outflow numeric, fees numeric, return_index numeric,
                gross_return_index numeric, problem text, has_simulated_prices boolean, is_latest boolean
            ) ON COMMIT DROP
            """
        )
        with cursor.copy("COPY pg_temp.valuation_computed FROM STDIN") as copy:
            for portfolio_id, currency, daily in results:
                copy.write(_lines(portfolio_id, currency, daily))
        cursor.execute("ANALYZE pg_temp.valuation_computed (portfolio_id, date, is_latest)")
        cursor.execute(
            """
            DELETE FROM portfolios_valuation v
            USING unnest(%s::uuid[], %s::date[]) AS valued(portfolio_id, start)
            WHERE v.portfolio_id = valued.portfolio_id AND v.date >= valued.start AND NOT EXISTS (
                SELECT FROM pg_temp.valuation_computed c
                WHERE c.portfolio_id = v.portfolio_id AND c.date = v.date
            )
            """,
            [list(starts), list(starts.values())],
        )
        written = cursor.rowcount
        # Before another row becomes the latest, since there is only ever one.
        cursor.execute(
            """
            UPDATE portfolios_valuation v SET is_latest = FALSE
            FROM pg_temp.valuation_computed c
            WHERE c.is_latest AND v.portfolio_id = c.portfolio_id AND v.is_latest AND v.date <> c.date
            """
        )
        cursor.execute(
            f"""
            WITH changed AS (
                SELECT c.portfolio_id, c.date, c.currency, c.market_value * 0.0001 AS market_value,
                    c.cash_value * 0.0001 AS cash_value, c.inflow * 0.0001 AS inflow,
                    c.outflow * 0.0001 AS outflow, c.fees * 0.0001 AS fees,
                    c.return_index * 0.000000000001 AS return_index,
                    c.gross_return_index * 0.000000000001 AS gross_return_index,
                    c.problem, c.has_simulated_prices, c.is_latest, v.id, c.id AS new_id
                FROM pg_temp.valuation_computed c
                LEFT JOIN portfolios_valuation v ON v.portfolio_id = c.portfolio_id AND v.date = c.date
            ), updated AS (
                UPDATE portfolios_valuation v SET ({_COLUMNS}) = ({", ".join(f"c.{name.strip()}" for name in _COLUMNS.split(","))})
                FROM changed c
                WHERE v.id = c.id AND ROW({", ".join(f"v.{name.strip()}" for name in _COLUMNS.split(","))})
                    IS DISTINCT FROM ROW({", ".join(f"c.{name.strip()}" for name in _COLUMNS.split(","))})
                RETURNING v.id
            ), inserted AS (
                INSERT INTO portfolios_valuation (id, created_at, portfolio_id, date, {_COLUMNS})
                SELECT new_id, now(), portfolio_id, date, {_COLUMNS} FROM changed WHERE id IS NULL
                RETURNING id
            )
            SELECT (SELECT count(*) FROM updated) + (SELECT count(*) FROM inserted)
            """  # noqa: S608  (constants of this module)
        )
        written += cursor.fetchone()[0]
    return int(written)


def _lines(portfolio_id: uuid.UUID, currency: str, daily: DailyValues) -> str:
    """Return a portfolio's days in PostgreSQL's text format of COPY."""
    last, portfolio = len(daily.days) - 1, str(portfolio_id)
    rows = zip(
        daily.days,
        daily.values,
        daily.cash_values,
        daily.inflows,
        daily.outflows,
        daily.fees,
        daily.indices,
        daily.gross_indices,
        daily.problems,
        daily.is_simulated,
        strict=True,
    )
    lines = []
    for i, (day, value, cash, inflow, outflow, fee, net, gross, problem, simulated) in enumerate(rows):
        lines.append(
            f"{new_id_text()}\t{portfolio}\t{day}\t{currency}\t{_null(value)}\t{_null(cash)}\t{inflow}\t{outflow}\t{fee}\t"
            f"{net}\t{gross}\t{_escaped(problem)}\t{'t' if simulated else 'f'}\t{'t' if i == last else 'f'}\n"
        )
    return "".join(lines)


def _null(value: int | None) -> str:
    return r"\N" if value is None else str(value)


def _escaped(text: str) -> str:
    if not text:
        return ""
    return text.replace("\\", "\\\\").replace("\t", " ").replace("\n", " ").replace("\r", " ")
