"""Why a portfolio needs attention: each reason is a condition on portfolios, for chips and filters.

Conditions may name what stands to the left of this app by reverse accessors, and what ``_LAST`` names;
another app may add reasons of its own with ``register``. They are put to portfolios from
``Portfolio.objects.in_book()``.
"""

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache, reduce
from operator import or_
from typing import Any

from django.db import connection
from django.db.models import Case, Exists, F, OuterRef, Q, Value, When
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from portfolios.models import BankEntry, Holding, Portfolio
from portfolios.services.holdings import open_instructions

# More cash than this beyond the portfolio's minimum waits to be invested.
IDLE_CASH = Decimal("0.06")
# The reason of a portfolio that is closed and holds something since.
LATE = "late"


@dataclass(frozen=True)
class Reason:
    """A reason for attention; ``tone`` is the state whose colour it takes."""

    code: str
    label: Any
    tone: str
    condition: Callable[[], Any]


REASONS: dict[str, Reason] = {}


def register(reason: Reason) -> None:
    """Add a reason; one of the same code is replaced."""
    REASONS[reason.code] = reason
    _statement.cache_clear()
    _condition.cache_clear()


def reasons_of(portfolio_ids: list[Any]) -> dict[Any, list[Reason]]:
    """Return the reasons of a page of portfolios, in one query."""
    return {pk: reasons for pk, reasons, _others in reasons_with(portfolio_ids)}


def reasons_with(portfolio_ids: list[Any], *fields: str) -> list[tuple[Any, list[Reason], list[Any]]]:
    """Return the reasons of a page of portfolios and other fields of each, in one query."""
    if not portfolio_ids:
        return []
    codes = tuple(REASONS)
    statement, parameters = _statement(codes, fields, timezone.now().date())
    with connection.cursor() as cursor:
        cursor.execute(statement, [portfolio_ids if each is _THESE else each for each in parameters])
        rows = cursor.fetchall()
    count = len(codes)
    return [
        (
            pk,
            [REASONS[code] for code, holds in zip(codes, found[:count], strict=True) if holds],
            found[count:],
        )
        for pk, *found in rows
    ]


# Stands for the ids of a page in the parameters of a statement.
_THESE = object()


@lru_cache(maxsize=8)
def _statement(
    codes: tuple[str, ...], fields: tuple[str, ...], _day: datetime.date
) -> tuple[str, tuple[Any, ...]]:
    """Return the statement that asks for reasons: to compose it takes longer than to run it. Conditions may ask which day it is."""
    rows = (
        Portfolio.objects.in_book()
        .alias(**_LAST)
        .extra(where=['"portfolios_portfolio"."id" = ANY(%s)'], params=[_THESE])
        .annotate(
            **{
                f"attention_{code}": Case(
                    When(REASONS[code].condition(), then=Value(True)), default=Value(False)
                )
                for code in codes
            }
        )
        .order_by()
        .values_list("pk", *(f"attention_{code}" for code in codes), *fields)
    )
    statement, parameters = rows.query.sql_with_params()
    return statement, tuple(parameters)


def in_need(portfolios: Any, code: str) -> Any:
    """Return those of the ``portfolios``, from ``in_book()``, with a reason; "any" stands for whatever reason."""
    codes = tuple(REASONS) if code == "any" else (code,)
    condition, parameters = _condition(codes, timezone.now().date())
    return portfolios.alias(**_LAST).extra(where=[condition], params=parameters)  # noqa: S610  (composed by Django)


@lru_cache(maxsize=32)
def _condition(codes: tuple[str, ...], _day: datetime.date) -> tuple[str, tuple[Any, ...]]:
    """Return the condition that one of the reasons holds, for queries with ``_LAST``; kept as ``_statement`` is."""
    holds = reduce(or_, (Q(REASONS[code].condition()) for code in codes))
    query = Portfolio.objects.in_book().alias(**_LAST).filter(holds).query
    condition, parameters = query.get_compiler(connection=connection).compile(query.where)
    return condition, tuple(parameters)


# Of the last valuation and the model: a filter through the relations themselves would join them once more.
_LAST = {
    "last_date": F("latest__date"),
    "last_value": F("latest__market_value"),
    "last_cash": F("latest__cash_value"),
    "last_drift": F("latest__drift"),
    "last_problem": F("latest__problem"),
    "followed": F("assignment__model"),
    "drift_tolerance": F("assignment__model__drift_tolerance"),
}
# Told from the last value alone, since the book asks it of every portfolio.
_IS_INVESTED = Q(last_value__gt=F("last_cash"))


def _is_drifted() -> Q:
    return _IS_INVESTED & Q(last_drift__gt=F("drift_tolerance"))


def _has_idle_cash() -> Q:
    idle = F("last_value") * (F("minimum_cash_weight") + IDLE_CASH)
    return _IS_INVESTED & Q(last_cash__gt=idle)


def _is_overdrawn() -> Q:
    # What a closed one owes is told with what else it holds.
    return Q(closed_on__isnull=True) & Q(last_cash__lt=0)


def _is_new() -> Q:
    is_all_cash = Q(last_date__isnull=True) | Q(last_value=F("last_cash"))
    return Q(closed_on__isnull=True) & is_all_cash


def _has_problem() -> Q:
    return Q(last_problem__gt="")


def _expects_cash() -> Q:
    return Q(pk__in=open_instructions("deposit").order_by().values("mandate__portfolio"))


def _has_unmatched_cash() -> Q:
    unmatched = BankEntry.objects.filter(state=BankEntry.State.UNMATCHED, portfolio__isnull=False)
    return Q(pk__in=unmatched.order_by().values("portfolio"))


def _failed_settlement() -> Q:
    return Q(
        pk__in=Portfolio.objects.filter(settlements__state="failed", settlements__retired_at=None)
        .order_by()
        .values("pk")
    )


def _holds_after_the_end() -> Q:
    return Q(closed_on__isnull=False) & Q(
        Exists(Holding.objects.something().filter(portfolio=OuterRef("pk")))
    )


for _reason in (
    Reason("drift", _("Drift"), "drifted", _is_drifted),
    Reason("cash", _("Idle cash"), "due", _has_idle_cash),
    Reason("overdrawn", _("Cash overdrawn"), "failed", _is_overdrawn),
    Reason("price", _("Price"), "stale", _has_problem),
    Reason("deposit", _("Deposit expected"), "expected", _expects_cash),
    Reason("unmatched", _("Unmatched cash"), "unmatched", _has_unmatched_cash),
    Reason("settlement", _("Failed settlement"), "failed", _failed_settlement),
    Reason("new", _("Not invested"), "new", _is_new),
    Reason(LATE, _("Closed, but holds something"), "warning", _holds_after_the_end),
):
    register(_reason)
