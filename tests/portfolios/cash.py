"""Clients with cash on its way, for tests."""

from decimal import Decimal as D

from django.utils import timezone

from clients.models import Client, ClientInstruction, Mandate, PayoutAccount
from portfolios.models import BankEntry, Portfolio
from portfolios.services.arrived_cash import enter_cash
from tests.factories import Cast
from tests.portfolios import make


def portfolio_of(cast: Cast, number: str, name: str) -> Portfolio:
    """Return the empty portfolio of a client with a mandate."""
    client = Client.objects.create(name=name, unit=cast.unit)
    mandate = Mandate.objects.create(number=f"M-{number}", client=client, currency="EUR", status="submitted",
                                     submission=1, submitted_at=timezone.now(), signed_on=make.day(0),
                                     disclosure_authorised_on=make.day(0))  # fmt: skip
    return make.portfolio(cast.unit, number, mandate=mandate)


def asked(
    portfolio: Portfolio, amount: int, reference: str = "", kind: str = "deposit", **fields
) -> ClientInstruction:
    """Return an open instruction to pay in, or out with ``kind``."""
    return ClientInstruction.objects.create(
        mandate=portfolio.mandate, kind=kind, status="sent", amount=amount, currency="EUR", reference=reference,
        sent_at=timezone.now(), **fields,
    )  # fmt: skip


def arrived(amount: int, reference: str = "", payer: str = "", currency: str = "EUR") -> BankEntry:
    """Return cash that the bank says has arrived."""
    return enter_cash(
        value_date=make.day(1), amount=D(amount), currency=currency, reference=reference, payer=payer, by=None
    )


def payable(portfolio: Portfolio, cast: Cast, amount: int) -> ClientInstruction:
    """Return an open withdrawal to an account that two people have verified."""
    account = PayoutAccount.objects.create(
        client=portfolio.mandate.client, iban="CH9300762011623852957", holder="Ada"
    )
    account.entered_by, account.verified_by = cast.advisor, cast.operations
    account.verified_at = timezone.now()
    account.save()
    return asked(portfolio, amount, kind="withdrawal", payout_account=account)
