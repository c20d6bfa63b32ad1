"""Book what companies do for those who hold them: dividends and splits."""

import datetime
from collections.abc import Collection, Iterable
from decimal import Decimal

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.currencies import rounded
from accounts.errors import DomainError
from accounts.models import User
from clients.duties import Duty
from portfolios.calculations.ledger import derive_positions
from portfolios.models import CorporateAction, Portfolio, Security, Transaction
from portfolios.services.entries import load_entries
from portfolios.services.ledger import book


@transaction.atomic
def book_dividend(
    *,
    security: Security,
    ex_date: datetime.date,
    pay_date: datetime.date,
    per_unit: Decimal,
    by: User | None,
    currency: str = "",
    withholding: Decimal = Decimal(0),
    portfolios: Iterable[Portfolio] | None = None,
) -> list[CorporateAction]:
    """Pay a cash dividend to every own portfolio that held the security before ``ex_date``.

    ``withholding`` is the tax kept back at the source, as a fraction. A portfolio that has this
    dividend already gets it no second time.
    """
    if per_unit <= 0:
        raise DomainError("dividend_amount", _("Enter an amount per unit above zero."), field="per_unit")
    if not 0 <= withholding < 1:
        raise DomainError("dividend_tax", _("Enter a tax rate between 0% and 100%."), field="withholding")
    if pay_date < ex_date:
        raise DomainError("dividend_dates", _("Choose a pay date on or after the ex date."), field="pay_date")
    currency = currency or security.currency
    actions, entries = [], []
    held = _held_before(security, ex_date, portfolios)
    for portfolio, quantity in held:
        gross = rounded(quantity * per_unit, currency)
        if not gross:
            continue
        action = CorporateAction(
            portfolio=portfolio,
            security=security,
            kind=CorporateAction.Kind.DIVIDEND,
            ex_date=ex_date,
            pay_date=pay_date,
            amount_per_unit=per_unit,
            currency=currency,
            is_booked=True,
        )
        taxes = rounded(gross * withholding, currency)
        actions.append(action)
        entries.append(
            Transaction(
                portfolio=portfolio,
                type=Transaction.Type.DIVIDEND,
                trade_date=ex_date,
                settlement_date=pay_date,
                security=security,
                price=per_unit,
                currency=currency,
                gross_amount=gross,
                taxes=taxes,
                net_amount=gross - taxes,
                reference=action.pk,
                text=_("%(units)s units")[:200] % {"units": f"{quantity.normalize():f}"},
            )
        )
    book(entries=entries, by=by)
    return CorporateAction.objects.bulk_create(actions)


@transaction.atomic
def book_split(
    *,
    security: Security,
    ex_date: datetime.date,
    ratio: Decimal,
    by: User | None,
    portfolios: Iterable[Portfolio] | None = None,
) -> list[CorporateAction]:
    """Split what every own portfolio held before ``ex_date``: ``ratio`` new units for one old unit."""
    if ratio <= 0 or ratio == 1:
        raise DomainError(
            "split_ratio", _("Enter the new units for one old unit, for example 2."), field="ratio"
        )
    actions, entries = [], []
    for portfolio, _quantity in _held_before(security, ex_date, portfolios):
        action = CorporateAction(
            portfolio=portfolio,
            security=security,
            kind=CorporateAction.Kind.SPLIT,
            ex_date=ex_date,
            pay_date=ex_date,
            ratio=ratio,
            is_booked=True,
        )
        actions.append(action)
        entries.append(
            Transaction(
                portfolio=portfolio,
                type=Transaction.Type.SPLIT,
                trade_date=ex_date,
                settlement_date=ex_date,
                security=security,
                currency=_currency_held(portfolio, security),
                ratio=ratio,
                reference=action.pk,
            )
        )
    book(entries=entries, by=by)
    return CorporateAction.objects.bulk_create(actions)


def _held_before(
    security: Security, ex_date: datetime.date, portfolios: Iterable[Portfolio] | None
) -> list[tuple[Portfolio, Decimal]]:
    """Return the portfolios kept here that held the security on the evening before, and how much."""
    wanted = (
        Portfolio.objects.current()
        .filter(transactions__security=security)
        .performed_here(Duty.SETTLEMENT)
        .distinct()
    )
    if portfolios is not None:
        wanted = wanted.filter(pk__in=[portfolio.pk for portfolio in portfolios])
    wanted = wanted.exclude(
        pk__in=CorporateAction.objects.filter(security=security, ex_date=ex_date, is_booked=True).values(
            "portfolio"
        )
    )
    day_before = ex_date - datetime.timedelta(days=1)
    found = list(wanted.order_by("number"))
    quantities = _quantities([portfolio.pk for portfolio in found], security, day_before)
    return [(portfolio, quantities[portfolio.pk]) for portfolio in found if quantities.get(portfolio.pk)]


def _quantities(ids: Collection[object], security: Security, day: datetime.date) -> dict[object, Decimal]:
    return {
        portfolio_id: held.holdings[security.pk].quantity
        for portfolio_id, entries in load_entries(ids, until=day).items()  # type: ignore[arg-type]
        if security.pk in (held := derive_positions(entries, as_of=day)).holdings
    }


def _currency_held(portfolio: Portfolio, security: Security) -> str:
    latest = portfolio.transactions.filter(security=security).exclude(type=Transaction.Type.DIVIDEND)
    return latest.order_by("-created_at").values_list("currency", flat=True).first() or security.currency
