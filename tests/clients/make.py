"""Clients, mandates, offers and agreements for tests."""

import contextlib
import datetime
import uuid
from decimal import Decimal
from typing import Any

from django.utils import timezone

from accounts.models import User
from clients import services
from clients.models import Client, Mandate, RiskProfile
from federation.models import Agreement, AgreementVersion, Institution
from federation.scope import PRESETS
from models_portfolio.models import ModelPortfolio, ModelVersion, Offer
from models_portfolio.offers import cards, choice_of
from portfolios.services import book
from tests.federation.received import as_mirror as as_mirror
from tests.portfolios import make as portfolios

D = Decimal
# They lead to a profile of 4 of 7, for eight years.
ANSWERS = {
    "knowledge_products": "funds",
    "knowledge_experience": "5_to_10",
    "capacity_share": "25_to_50",
    "capacity_reserve": "1_to_3y",
    "capacity_loss": "25",
    "tolerance_goal": "balance",
    "tolerance_fall": "wait",
    "horizon": "8",
    "sustainability": "none",
}
IBAN = "DE89370400440532013000"


def today(days: int = 0) -> datetime.date:
    """Return the day some days from today."""
    return timezone.localdate() + datetime.timedelta(days=days)


def client(by: User, first_name: str = "Ada", last_name: str = "Example", **fields: Any) -> Client:
    """Enter a person."""
    values = {
        "first_name": first_name,
        "last_name": last_name,
        "birth_date": datetime.date(1960, 2, 3),
        "country": "DE",
        "currency": "EUR",
        **fields,
    }
    return services.create_client(
        kind=Client.Kind.PERSON, fields=values, contacts={"email": "ada@example.test"}, by=by
    )


def checked(of: Client, by: User) -> Client:
    """Record that the client's identity was checked today."""
    services.record_kyc(
        client=of,
        by=by,
        checked_on=today(),
        is_politically_exposed=False,
        evidence_kind="passport",
        evidence_reference="P-secret",
    )
    return of


def profile(of: Client, by: User, **answers: str) -> RiskProfile:
    """Draw a risk profile."""
    return services.record_questionnaire(client=of, answers={**ANSWERS, **answers}, by=by)


def offer(name: str = "Balanced", risk_level: int = 4, **fields: Any) -> Offer:
    """Put a plan on offer to own clients, or with ``agreement`` and ``origin`` as received from a manager."""
    origin = fields.get("origin")
    values = {
        "minimum_amount": D(10_000),
        "management_fee": D("0.01"),
        "custody_fee": D("0.002"),
        "product_cost": D("0.003"),
        "horizon_years": 5,
        **fields,
    }
    with as_mirror() if origin else contextlib.nullcontext():
        model = ModelPortfolio.objects.create(
            code=uuid.uuid4().hex[:12], name=name, currency="EUR", risk_level=risk_level, origin=origin
        )
        ModelVersion.objects.create(
            model=model,
            number=1,
            state="published",
            effective_from=today(-30),
            published_at=timezone.now(),
            origin=origin,
        )
        return Offer.objects.create(model=model, name=name, currency="EUR", risk_level=risk_level, **values)


def agreement(manager: Institution, channel: Institution, preset: str = "closed") -> Agreement:
    """Put an agreement in force."""
    made = Agreement.objects.create(
        manager=manager,
        channel=channel,
        name=f"{manager.short_name} – {channel.short_name}",
        preset=preset,
        state=Agreement.State.ACTIVE,
        drafted_by=manager,
        started_at=timezone.now(),
    )
    wording = PRESETS[preset]
    made.version = AgreementVersion.objects.create(
        agreement=made,
        number=1,
        division={str(key): str(side) for key, side in wording.division.items()},
        private=[str(each) for each in wording.private],
        in_force_from=timezone.now(),
    )
    made.save()
    return made


def received(under: Agreement, origin: Institution) -> Mandate:
    """Return a mandate that a partner has submitted, with its client, as the mirror brings it."""
    with as_mirror():
        return Mandate.objects.create(
            number="M-1",
            client=Client.objects.create(name="Theirs", origin=origin.pk),
            agreement=under.pk,
            status="submitted",
            submission=1,
            submitted_at=timezone.now(),
            signed_on=today(),
            disclosure_authorised_on=today(),
            currency="EUR",
            amount=1,
            origin=origin.pk,
        )


def planned(by: User, of: Client | None = None, amount: int = 100_000) -> Mandate:
    """Start a mandate with a checked identity, a profile and an amount."""
    of = of or client(by)
    checked(of, by)
    mandate = services.start_mandate(client=of, by=by)
    return services.plan_mandate(
        mandate=mandate, amount=D(amount), currency="EUR", risk_profile=profile(of, by), by=by
    )


def chosen(by: User, plan: Offer, of: Client | None = None, override_reason: str = "") -> Mandate:
    """Plan a mandate and choose an offer."""
    mandate = planned(by, of)
    card = next(
        each
        for each in cards(mandate, by, profile=mandate.risk_profile, amount=mandate.amount)
        if each.offer == plan
    )
    return services.choose_plan(
        mandate=mandate, choice=choice_of(card), by=by, override_reason=override_reason
    )


def submitted(by: User, plan: Offer | None = None, of: Client | None = None) -> Mandate:
    """Submit a mandate."""
    return services.submit_mandate(
        mandate=chosen(by, plan or offer(), of),
        by=by,
        signed_on=today(),
        disclosure_authorised_on=today(),
    )


def active(by: User, manager: User, plan: Offer | None = None, of: Client | None = None) -> Mandate:
    """Submit a mandate in house and accept it."""
    mandate = submitted(by, plan, of)
    services.accept_mandate(mandate=mandate, by=manager)
    return Mandate.objects.get(pk=mandate.pk)


def funded(mandate: Mandate, amount: int, dollars: str = "") -> None:
    """Pay into the portfolio of a mandate, or out of it, today; ``dollars`` are as many as a euro is worth."""
    if dollars:
        portfolios.rates("USD", {0: dollars})
    if amount:
        entry = portfolios.deposit if amount > 0 else portfolios.withdrawal
        book(entries=[entry(mandate.portfolio, abs(amount), trade_date=portfolios.today())], by=None)


def verified_account(of: Client, entered_by: User, verified_by: User) -> Any:
    """Enter a payout account and verify it."""
    account = services.enter_payout_account(client=of, iban=IBAN, holder=of.name, by=entered_by)
    return services.verify_payout_account(account=account, by=verified_by)
