"""Open the portfolio of an accepted mandate, and close it."""

import re
from decimal import Decimal

from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.errors import DomainError
from accounts.models import Unit, User, audit
from clients.duties import Duty, performs, require
from clients.models import Mandate
from portfolios.models import Account, Portfolio
from portfolios.services.holdings import refuse_open_orders
from portfolios.services.refreshing import refresh
from portfolios.signals import portfolio_opened

_FIRST_NUMBER = 1001
_MINIMUM_CASH_WEIGHT = Decimal("0.01")


@transaction.atomic
def open_portfolio(*, mandate: Mandate, unit: Unit | None, by: User | None) -> Portfolio:
    """Open the portfolio of a mandate with its accounts; return the one there is already.

    Raises DomainError where a partner manages under this mandate.
    """
    mandate = Mandate.objects.select_for_update().get(pk=mandate.pk)
    existing = Portfolio.objects.filter(mandate=mandate).first()
    if existing is not None:
        return existing
    require(Duty.MANAGEMENT, mandate)
    portfolio = Portfolio.objects.create(
        number=next_number(),
        # Not by whom it is: a name stays with the client and the mandate, and goes with them.
        name=f"{mandate.offer_name} {mandate.number}".strip()[:150],
        mandate=mandate,
        currency=mandate.currency,
        minimum_cash_weight=_MINIMUM_CASH_WEIGHT,
        opened_on=timezone.now().date(),
        manager_name=by.full_name if by else "",
        unit=unit,
    )
    if performs(Duty.SETTLEMENT, mandate):
        open_accounts(portfolio)
    audit("portfolio.opened", portfolio, by=by, mandate=str(mandate.pk))
    refresh(portfolio_ids=[portfolio.pk])
    portfolio_opened.send(sender=Portfolio, portfolio=portfolio, by=by)
    return portfolio


def open_accounts(portfolio: Portfolio) -> None:
    """Open a cash and a custody account, where this institution keeps the portfolio's ledger."""
    for kind, suffix in ((Account.Kind.CASH, portfolio.currency), (Account.Kind.CUSTODY, "S")):
        Account.objects.create(
            portfolio=portfolio,
            kind=kind,
            number=account_number(portfolio, suffix),
            currency=portfolio.currency,
        )


def account_number(portfolio: Portfolio, suffix: str) -> str:
    """Return a free number; two partners may have given portfolios the same one."""
    number = f"{portfolio.number}-{suffix}"
    if portfolio.is_received and Account.objects.own().filter(number=number).exists():
        return f"{number}-{portfolio.pk.hex[-6:]}"
    return number


@transaction.atomic
def close_portfolio(*, portfolio: Portfolio, by: User | None) -> Portfolio:
    """Close a portfolio that holds nothing any more and for which nothing is in the market."""
    portfolio = (
        Portfolio.objects.select_for_update(of=("self",)).select_related("mandate").get(pk=portfolio.pk)
    )
    if portfolio.is_received:
        raise DomainError(
            "received_portfolio", _("Your partner manages this portfolio. Send an instruction to close it.")
        )
    require(Duty.MANAGEMENT, portfolio.mandate)
    refuse_open_orders(portfolio)
    refresh(portfolio_ids=[portfolio.pk])
    if portfolio.holdings.something().exists():
        raise DomainError(
            "portfolio_not_empty",
            _("Portfolio %(number)s still holds something. Sell it and pay out the cash first.")
            % {"number": portfolio.number},
        )
    portfolio.closed_on = timezone.now().date()
    portfolio.save(update_fields=["closed_on"])
    audit("portfolio.closed", portfolio, by=by)
    return portfolio


def next_number() -> str:
    """Return the next free portfolio number; two openings at once take turns."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(current_schema() || '.portfolio_number'))")
    numbers = Portfolio.objects.own().filter(number__regex=r"^P-\d+$").values_list("number", flat=True)
    taken = (int(re.sub(r"\D", "", number)) for number in numbers)
    return f"P-{max(taken, default=_FIRST_NUMBER - 1) + 1}"
