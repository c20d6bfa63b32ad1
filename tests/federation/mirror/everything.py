"""One row of every kind of record, around one mandate or around none."""

import datetime
import uuid
from decimal import Decimal

from django.utils import timezone

from clients.models import (
    ClientInstruction,
    InstructionBooking,
    InstructionOutcome,
    KycStatus,
    Mandate,
    MandateDecision,
    MandateRestriction,
    Party,
    PayoutAccount,
)
from federation.models import Agreement, Function
from models_portfolio.models import ModelAssignment, ModelPortfolio, ModelVersion, Offer, Target, View
from portfolios.models import (
    Account,
    Benchmark,
    BenchmarkValue,
    CorporateAction,
    ExchangeRate,
    Handover,
    HandoverPosition,
    Holding,
    Listing,
    Portfolio,
    Price,
    PriceSource,
    Security,
    Transaction,
    Valuation,
)
from reporting.models import Report, ReportRelease
from tests.federation.mirror.world import TODAY, World
from trading.models import Affirmation, Allocation, Order, Settlement


def relationship(world: World, agreement: Agreement | None, *, submitted: bool = True) -> Mandate:
    """Create a client with all that a channel knows of it, and a mandate."""
    client = world.client("harbour", "Zacharias Unmistakable")
    with world.within("harbour"):
        Party.objects.create(client=client, role="joint_owner", name="Zoe Unmistakable")
        payout = PayoutAccount.objects.create(client=client, iban="XX00ZZZ", holder="Zacharias Unmistakable")
        KycStatus.objects.create(client=client, state="approved")
    mandate = world.mandate(agreement, client=client, submitted=submitted)
    with world.within("harbour"):
        handover = Handover.objects.create(mandate=mandate, as_of=TODAY, currency="EUR")
        HandoverPosition.objects.create(
            handover=handover, isin="US0378331005", security_name="Apple", currency="EUR", quantity=1
        )
        MandateRestriction.objects.create(mandate=mandate, kind="exclude_sector", value="Tobacco")
        ClientInstruction.objects.create(
            mandate=mandate,
            kind="deposit",
            status="sent" if submitted else "draft",
            sent_at=timezone.now() if submitted else None,
            amount=1000,
            currency="EUR",
            payout_account=payout,
        )
    return mandate


def offer(world: World, agreement: Agreement | None, schema: str = "aurora") -> Offer:
    """Create an offered model with a published version, targets, a view and a benchmark."""
    security = world.security(schema)
    with world.within(schema):
        code = uuid.uuid4().hex[:10]
        benchmark = Benchmark.objects.create(code=code, name="Mix", currency="EUR")
        BenchmarkValue.objects.create(benchmark=benchmark, date=TODAY, level=100)
        model = ModelPortfolio.objects.create(
            code=code, name="Balanced", currency="EUR", risk_level=3, benchmark=benchmark
        )
        version = ModelVersion.objects.create(model=model, number=1, effective_from=TODAY)
        Target.objects.create(version=version, security=security, weight=Decimal("0.9"))
        Target.objects.create(version=version, weight=Decimal("0.1"))
        version.state, version.published_at = "published", timezone.now()
        version.save()
        View.objects.create(
            version=version,
            security=security,
            tilt=Decimal("0.01"),
            rationale="Up",
            valid_from=TODAY,
            published_at=timezone.now(),
        )
        return Offer.objects.create(
            model=model,
            agreement=agreement.pk if agreement else None,
            name="Balanced",
            risk_level=3,
            currency="EUR",
        )


def management(world: World, mandate: Mandate | None, model: ModelPortfolio) -> Report:
    """Create all that a manager keeps of a portfolio, under a mandate or under none."""
    portfolio = managed(world, mandate, model)
    securities = named(world)
    allocation = traded(world, portfolio, securities[0])
    settled(world, portfolio, securities, allocation)
    return reported(world, portfolio)


def managed(
    world: World, mandate: Mandate | None, model: ModelPortfolio, schema: str = "aurora"
) -> Portfolio:
    """Create what whoever manages keeps of a mandate."""
    portfolio = world.portfolio(mandate, schema)
    with world.within(schema):
        if mandate is not None:
            MandateDecision.objects.create(
                mandate_id=mandate.pk, submission=1, outcome="accepted", decided_at=timezone.now()
            )
            for instruction in ClientInstruction.objects.filter(mandate_id=mandate.pk):
                InstructionOutcome.objects.create(
                    instruction=instruction, outcome="received", at=timezone.now()
                )
        ModelAssignment.objects.create(portfolio=portfolio, model_id=model.pk, valid_from=TODAY)
        Valuation.objects.create(
            portfolio=portfolio, date=TODAY, currency="EUR", market_value=100, is_latest=True
        )
    return portfolio


def named(world: World, schema: str = "aurora") -> list[Security]:
    """Create a security with an ISIN and one without, with listings and redistributable prices."""
    security = world.security(schema, uuid.uuid4().hex[:12].upper(), name="Named")
    unlisted = world.security(schema, None, name="Unlisted")
    with world.within(schema):
        source, _ = PriceSource.objects.get_or_create(
            code="FREE", origin=None, defaults={"name": "Free", "is_redistributable": True}
        )
        for each in (security, unlisted):
            Listing.objects.create(security=each, mic="XETR", currency="EUR")
            Price.objects.create(security=each, source=source, date=TODAY, close=10, currency="EUR")
        ExchangeRate.objects.get_or_create(source=source, date=TODAY, currency="EUR", defaults={"rate": 1})
    return [security, unlisted]


def traded(world: World, portfolio: Portfolio, security: Security, schema: str = "aurora") -> Allocation:
    """Create what whoever trades keeps of a portfolio: an allocation that was rejected, and one anew."""
    with world.within(schema):
        order = Order.objects.create(
            portfolio_id=portfolio.pk,
            security_id=security.pk,
            number=portfolio.number,
            side="buy",
            quantity=1,
            currency="EUR",
            reason="manual",
        )
        values = {
            "order": order,
            "portfolio_id": portfolio.pk,
            "quantity": 1,
            "price": 10,
            "currency": "EUR",
            "gross_amount": 10,
            "net_amount": 10,
            "trade_date": TODAY,
            "settlement_date": TODAY,
        }
        wrong = Allocation.objects.create(**values, withdrawn_at=timezone.now(), withdrawal_note="Corrected")
        return Allocation.objects.create(**values, replaces=wrong)


def settled(
    world: World,
    portfolio: Portfolio,
    securities: list[Security],
    allocation: Allocation,
    schema: str = "aurora",
) -> None:
    """Create what whoever settles keeps of a portfolio."""
    with world.within(schema):
        for each in securities:
            Holding.objects.create(
                portfolio_id=portfolio.pk,
                security_id=each.pk,
                currency="EUR",
                quantity=1,
                settled_quantity=1,
                as_of=TODAY,
            )
        for instruction in ClientInstruction.objects.filter(mandate_id=portfolio.mandate_id):
            InstructionBooking.objects.create(instruction=instruction, outcome="done", at=timezone.now())
        Affirmation.objects.create(
            allocation_id=allocation.pk, portfolio_id=portfolio.pk, state="affirmed", at=timezone.now()
        )
        Settlement.objects.create(allocation_id=allocation.pk, portfolio_id=portfolio.pk, expected_date=TODAY)
        Account.objects.create(
            portfolio_id=portfolio.pk, kind="cash", number=portfolio.number, currency="EUR"
        )
        entry = Transaction.objects.create(
            portfolio_id=portfolio.pk,
            type="buy",
            trade_date=TODAY,
            settlement_date=TODAY,
            security_id=securities[0].pk,
            quantity=1,
            currency="EUR",
        )
        Transaction.objects.create(
            portfolio_id=portfolio.pk,
            type="reversal",
            trade_date=TODAY,
            settlement_date=TODAY + datetime.timedelta(days=2),
            reverses=entry,
            currency="EUR",
        )
        CorporateAction.objects.create(
            portfolio_id=portfolio.pk, security_id=securities[0].pk, kind="dividend", ex_date=TODAY
        )


def reported(world: World, portfolio: Portfolio, schema: str = "aurora") -> Report:
    """Create a report as whoever reports makes it."""
    with world.within(schema):
        return Report.objects.create(
            portfolio_id=portfolio.pk,
            number=portfolio.number,
            title="Statement",
            period_from=TODAY,
            period_to=TODAY,
            state="ready",
            pdf=b"%PDF",
        )


def release(world: World, report: Report) -> None:
    """Have the channel release a report that has arrived."""
    with world.within("harbour"):
        ReportRelease.objects.create(report_id=report.pk, released_at=timezone.now())


def everything(world: World, agreement: Agreement) -> Mandate:
    """Create and mirror one row of every kind under an agreement, each at whoever performs its function."""
    agreement = Agreement.objects.select_related("manager", "channel", "version").get(pk=agreement.pk)
    division = agreement.version.division if agreement.version else {}
    who = {function: agreement.party(side).schema_name or "" for function, side in division.items()}
    mandate = relationship(world, agreement)
    offered = offer(world, agreement)
    world.drain()
    portfolio = managed(world, mandate, offered.model, who[Function.MANAGEMENT])
    securities = named(world, who[Function.TRADING])
    world.drain()
    allocation = traded(world, portfolio, securities[0], who[Function.TRADING])
    world.drain()
    if who[Function.SETTLEMENT] != who[Function.TRADING]:
        # Only what the partner has named is known here.
        securities = securities[:1]
    settled(world, portfolio, securities, allocation, who[Function.SETTLEMENT])
    world.drain()
    report = reported(world, portfolio, who[Function.REPORTING])
    world.drain()
    release(world, report)
    world.drain()
    return mandate
