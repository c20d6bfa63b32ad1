"""What is there before the journey begins: reference data, models, agreements, and a client of Meadow's own."""

import datetime
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeVar

from django_tenants.utils import tenant_context

from accounts.models import User
from clients import services as clients
from clients.models import Client, Mandate
from federation.agreements import offers
from federation.models import Agreement, Institution
from models_portfolio.models import ModelPortfolio, ModelVersion, Offer
from models_portfolio.offers import cards, choice_of
from models_portfolio.services import accept
from models_portfolio.services.offers import offer_model
from portfolios.models import ExchangeRate, Portfolio, Price, Security
from portfolios.services import book
from portfolios.services.securities import create_security, ecb_source, save_source
from tests import factories
from tests.browser.standing import how_it_stands
from tests.clients import make as client_make
from tests.federation.agreements import make as agreements
from tests.models_portfolio import make as models
from tests.portfolios import make as portfolios
from trading.models import Order
from trading.services import approve, propose, send, submit

D = Decimal
T = TypeVar("T")
HARBOUR_ADDRESS = "Quayside 7\n20457 Hamburg"
# Name, currency, asset class, first price, in percent of nominal?
SECURITIES = {
    "US0378331005": ("Apple", "USD", "equity", "190", False),
    "CH0038863350": ("Nestlé", "CHF", "equity", "92", False),
    "DE0007164600": ("SAP", "EUR", "equity", "180", False),
    "DE0001102580": ("Bund 2032", "EUR", "fixed_income", "94.50", True),
    "IE00B4L5Y983": ("Core MSCI World", "EUR", "equity", "98", False),
}
RATES = {"USD": "1.08", "CHF": "0.95", "GBP": "0.85"}
HISTORY_DAYS = 60


@dataclass
class Somebody:
    """A client of the journey: what is typed, and all that may not be found where it does not belong."""

    first_name: str
    last_name: str
    national_id: str
    email: str
    phone: str
    address: str
    mandate_name: str
    evidence: str
    birth_date: datetime.date = datetime.date(1961, 4, 5)
    # Ids of the records, once they are known.
    ids: list[object] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}"

    @property
    def strings(self) -> list[str]:
        """Return what says who this is."""
        return [
            self.first_name, self.last_name, self.national_id, self.email, self.phone, self.address,
            self.mandate_name, self.evidence,
        ]  # fmt: skip


def somebody(first_name: str, last_name: str, number: int) -> Somebody:
    """Invent a person whose every string occurs nowhere else."""
    return Somebody(
        first_name,
        last_name,
        national_id=f"NID-{number}-{last_name[:4].upper()}",
        email=f"{first_name}.{last_name}@{last_name.lower()}.example".lower(),
        phone=f"+49 40 55501{number}",
        address=f"{last_name}weg {number}, 20095 Hamburg",
        mandate_name=f"{last_name} nest egg",
        evidence=f"PASS-{number}-{last_name[:3].upper()}",
    )


def until(what: str, found: Callable[[], T], *, seconds: float = 30.0) -> T:
    """Return what is found, as soon as it is something; fail naming what was waited for, and how all stands."""
    deadline = time.monotonic() + seconds
    while not (result := found()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:.0f} s in vain for {what}\n{how_it_stands()}")
        time.sleep(0.05)
    return result


def institution(schema: str) -> Institution:
    return Institution.objects.get(schema_name=schema)


@dataclass
class Scenario:
    """The institutions as the journey finds them."""

    models: dict[str, ModelPortfolio] = field(default_factory=dict)
    agreements: dict[tuple[str, str], Agreement] = field(default_factory=dict)
    meadow_client: Somebody = field(default_factory=lambda: somebody("Wilhelmina", "Okonjovic", 4711))
    meadow_portfolio: Portfolio | None = None
    meadow_version: ModelVersion | None = None


def prepare() -> Scenario:
    """Write what needs no other program: data, models, letterhead, the agreements made elsewhere."""
    made = Scenario()
    Institution.objects.filter(schema_name="harbour").update(
        address=HARBOUR_ADDRESS,
        contact="desk@harbour.example",
        footer="Harbour Bank, Hamburg",
        # As text on a tint of itself this is not dark enough.
        colour="#2e7d32",
    )
    for manager in ("aurora", "borealis"):
        with tenant_context(institution(manager)):
            cast = factories.cast()
            _reference_data(cast.manager)
            made.models |= _models(manager, cast.manager)
    for manager, channel, preset, offered in (
        ("borealis", "harbour", "closed", "BOR-INC"),
        ("aurora", "lakeside", "closed", "AUR-BAL"),
        ("aurora", "meadow", "advice", "AUR-GLO"),
    ):
        made.agreements[manager, channel] = _agreement(manager, channel, preset, made.models[offered])
    return made


def _reference_data(by: User) -> None:
    source = save_source(
        code="SIM", name="Simulated closes", by=by, is_redistributable=True, is_simulated=True
    )
    today = portfolios.today()
    days = [day for n in range(HISTORY_DAYS, 0, -1) if (day := today - datetime.timedelta(n)).weekday() < 5]
    for isin, (name, currency, asset_class, first, in_percent) in SECURITIES.items():
        extra: dict[str, Any] = {"price_unit": "percent", "lot_size": D(1000)} if in_percent else {}
        security = create_security(
            isin=isin, name=name, currency=currency, asset_class=asset_class, by=by, **extra
        )
        Price.objects.bulk_create(
            Price(
                security=security,
                source=source,
                date=day,
                currency=currency,
                close=(D(first) * (1 + D(step % 7) / 500)).quantize(D("0.01")),
            )
            for step, day in enumerate(days)
        )
    ecb = ecb_source()
    ExchangeRate.objects.bulk_create(
        ExchangeRate(source=ecb, date=day, currency=currency, rate=D(rate))
        for day in days
        for currency, rate in RATES.items()
    )


def _models(manager: str, by: User) -> dict[str, ModelPortfolio]:
    of = {security.name: security for security in Security.objects.all()}
    apple, nestle, sap = of["Apple"], of["Nestlé"], of["SAP"]
    bund, world = of["Bund 2032"], of["Core MSCI World"]
    if manager == "borealis":
        weights = {bund: "0.60", nestle: "0.30", None: "0.10"}
        return {"BOR-INC": models.published(by, weights, "BOR-INC", name="Borealis Income", risk_level=3)}
    return {
        "AUR-BAL": models.published(
            by,
            {world: "0.35", nestle: "0.15", sap: "0.15", bund: "0.30", None: "0.05"},
            "AUR-BAL",
            name="Aurora Balanced",
        ),
        "AUR-GRO": models.published(
            by,
            {world: "0.55", apple: "0.25", sap: "0.15", None: "0.05"},
            "AUR-GRO",
            name="Aurora Growth",
            risk_level=6,
        ),
        "AUR-GLO": models.published(
            by, {world: "0.50", apple: "0.20", bund: "0.25", None: "0.05"}, "AUR-GLO", name="Aurora Global"
        ),
    }


def _agreement(manager: str, channel: str, preset: str, model: ModelPortfolio) -> Agreement:
    version = agreements.proposed(institution(manager), institution(channel), preset)
    agreements.act(
        offers.offer,
        version.agreement,
        institution(manager),
        model=model,
        name=model.name,
        minimum_amount=D(25_000),
        management_fee=D("0.008"),
        custody_fee=D("0.0015"),
        product_cost=D("0.002"),
    )
    agreements.act(agreements.proposals.accept, version, institution(channel))
    return Agreement.objects.get(pk=version.agreement_id)


def settle_in_meadow(made: Scenario) -> None:
    """Give Meadow a client who follows Aurora's model, invested as its first version says."""
    model = made.models["AUR-GLO"]
    with tenant_context(institution("meadow")):
        cast = factories.cast()
        version = until(
            "Aurora's model at Meadow",
            lambda: ModelVersion.objects.filter(model=model.pk, state="published").first(),
        )
        until("Aurora's prices at Meadow", lambda: Price.objects.count() >= 3 * 30)
        accept(version=version, by=cast.manager)
        offered = offer_model(
            model=ModelPortfolio.objects.get(pk=model.pk), by=cast.manager, minimum_amount=D(10_000)
        )
        who = made.meadow_client
        client = enter(who, cast.advisor)
        clients.write_note(client=client, text=f"Met {who.first_name} at the regatta", by=cast.advisor)
        mandate = submitted(who, client, offered, cast.advisor)
        clients.accept_mandate(mandate=mandate, by=cast.manager, unit=cast.unit)
        portfolio = Portfolio.objects.get(mandate=mandate)
        today = portfolios.today()
        deposit = portfolios.deposit(
            portfolio, 250_000, trade_date=today, settlement_date=today, text=f"From {who.name}"
        )
        book(entries=[deposit], by=cast.manager)
        proposal = submit(proposal=propose(portfolio=portfolio, by=cast.manager), by=cast.manager)
        orders = approve(proposal=proposal, by=cast.second_manager)
        send(order_ids=[order.pk for order in orders], fill_parts=1, by=cast.second_manager)
        who.ids += [client.pk, mandate.pk, portfolio.pk, *(order.pk for order in orders)]
        made.meadow_portfolio, made.meadow_version = portfolio, version


def await_meadow(made: Scenario) -> None:
    """Wait until Meadow's first orders are filled."""
    with tenant_context(institution("meadow")):
        until(
            "the fills of Meadow's first orders",
            lambda: not Order.objects.exclude(state="filled").exists() and Order.objects.exists(),
        )


def enter(who: Somebody, by: User) -> Client:
    """Enter a client with a checked identity."""
    client = clients.create_client(
        kind=Client.Kind.PERSON,
        fields={
            "first_name": who.first_name,
            "last_name": who.last_name,
            "birth_date": who.birth_date,
            "national_id": who.national_id,
            "country": "DE",
            "currency": "EUR",
        },
        contacts={"email": who.email, "phone": who.phone, "address": who.address},
        by=by,
    )
    clients.record_kyc(
        client=client,
        by=by,
        checked_on=client_make.today(),
        is_politically_exposed=False,
        evidence_kind="passport",
        evidence_reference=who.evidence,
    )
    who.ids.append(client.pk)
    return client


def submitted(who: Somebody, client: Client, plan: Offer, by: User, amount: int = 100_000) -> Mandate:
    """Submit a mandate for a plan."""
    mandate = clients.plan_mandate(
        mandate=clients.start_mandate(client=client, by=by),
        amount=D(amount),
        currency="EUR",
        risk_profile=client_make.profile(client, by),
        name=who.mandate_name,
        by=by,
    )
    offered = cards(mandate, by, profile=mandate.risk_profile, amount=mandate.amount)
    card = next(each for each in offered if each.offer.pk == plan.pk)
    mandate = clients.choose_plan(mandate=mandate, choice=choice_of(card), by=by)
    who.ids.append(mandate.pk)
    return clients.submit_mandate(
        mandate=mandate,
        by=by,
        signed_on=client_make.today(),
        disclosure_authorised_on=client_make.today(),
    )
