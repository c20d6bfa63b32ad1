"""Why a portfolio needs attention: each reason is a condition on portfolios, for chips and filters.

Conditions may name what stands to the left of this app by reverse accessors; another app may add
reasons of its own with ``register``. They are put to portfolios from ``Portfolio.objects.in_book()``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import Case, F, Q, Value, When
from django.utils.translation import gettext_lazy as _

from portfolios.models import BankEntry, Portfolio
from portfolios.services.holdings import open_instructions

# More cash than this beyond the portfolio's minimum waits to be invested.
IDLE_CASH = Decimal("0.06")


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


def expressions() -> dict[str, Any]:
    """Return each reason's condition under its code with a prefix, to annotate a few portfolios with."""
    return {
        f"attention_{code}": Case(When(reason.condition(), then=Value(True)), default=Value(False))
        for code, reason in REASONS.items()
    }


def reasons_of(portfolio_ids: list[Any]) -> dict[Any, list[Reason]]:
    """Return the reasons of a page of portfolios, in one query."""
    if not portfolio_ids:
        return {}
    codes = list(REASONS)
    rows = (
        Portfolio.objects.in_book()
        .filter(pk__in=portfolio_ids)
        .annotate(**expressions())
        .order_by()
        .values_list("pk", *(f"attention_{code}" for code in codes))
    )
    return {
        pk: [REASONS[code] for code, holds in zip(codes, found, strict=True) if holds] for pk, *found in rows
    }


def any_reason() -> Q:
    """Return the condition that a portfolio needs attention for whatever reason."""
    condition = Q(pk__in=[])
    for reason in REASONS.values():
        condition |= Q(reason.condition())
    return condition


# Told from the last value alone, since the book asks it of every portfolio.
_IS_INVESTED = Q(latest__market_value__gt=F("latest__cash_value"))


def _is_drifted() -> Q:
    return _IS_INVESTED & Q(latest__drift__gt=F("assignment__model__drift_tolerance"))


def _has_idle_cash() -> Q:
    idle = F("latest__market_value") * (F("minimum_cash_weight") + IDLE_CASH)
    return _IS_INVESTED & Q(latest__cash_value__gt=idle)


def _is_new() -> Q:
    is_all_cash = Q(latest__isnull=True) | Q(latest__market_value=F("latest__cash_value"))
    return Q(closed_on__isnull=True) & is_all_cash


def _has_problem() -> Q:
    return Q(latest__problem__gt="")


def _expects_cash() -> Q:
    return Q(pk__in=open_instructions("deposit").order_by().values("mandate__portfolio"))


def _has_unmatched_cash() -> Q:
    unmatched = BankEntry.objects.filter(state=BankEntry.State.UNMATCHED, portfolio__isnull=False)
    return Q(pk__in=unmatched.order_by().values("portfolio"))


def _failed_settlement() -> Q:
    return Q(pk__in=Portfolio.objects.filter(settlements__state="failed").order_by().values("pk"))


for _reason in (
    Reason("drift", _("Drift"), "drifted", _is_drifted),
    Reason("cash", _("Idle cash"), "due", _has_idle_cash),
    Reason("price", _("Price"), "stale", _has_problem),
    Reason("deposit", _("Deposit expected"), "expected", _expects_cash),
    Reason("unmatched", _("Unmatched cash"), "unmatched", _has_unmatched_cash),
    Reason("settlement", _("Failed settlement"), "failed", _failed_settlement),
    Reason("new", _("Not invested"), "new", _is_new),
):
    register(_reason)
