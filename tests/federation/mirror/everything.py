"""One row of every kind of record, around one mandate or around none."""

import datetime
import uuid
from decimal import Decimal

from django.utils import timezone

from clients.models import (
    ClientInstruction,
    InstructionOutcome,
    KycStatus,
    Mandate,
    MandateDecision,
    MandateRestriction,
    Party,
    PayoutAccount,
)
from federation.models import Agreement
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
    Price,
    PriceSource,
    Transaction,
    Valuation,
)
from reporting.models import Report, ReportRelease
from tests.federation.mirror.world import TODAY, World
from trading.models import Allocation, Order, Settlement


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
    security = world.security("aurora", uuid.uuid4().hex[:12].upper(), name="Named")
    unlisted = world.security("aurora", None, name="Unlisted")
    portfolio = world.portfolio(mandate)
    with world.within("aurora"):
        source, _ = PriceSource.objects.get_or_create(
            code="FREE", origin=None, defaults={"name": "Free", "is_redistributable": True}
        )
        for named in (security, unlisted):
            Listing.objects.create(security=named, mic="XETR", currency="EUR")
            Price.objects.create(security=named, source=source, date=TODAY, close=10, currency="EUR")
            Holding.objects.create(
                portfolio=portfolio,
                security=named,
                currency="EUR",
                quantity=1,
                settled_quantity=1,
                as_of=TODAY,
            )
        ExchangeRate.objects.get_or_create(source=source, date=TODAY, currency="EUR", defaults={"rate": 1})
        if mandate is not None:
            MandateDecision.objects.create(
                mandate_id=mandate.pk, submission=1, outcome="accepted", decided_at=timezone.now()
            )
            for instruction in ClientInstruction.objects.filter(mandate_id=mandate.pk):
                InstructionOutcome.objects.create(
                    instruction=instruction, outcome="received", at=timezone.now()
                )
        ModelAssignment.objects.create(portfolio=portfolio, model=model, valid_from=TODAY)
        Valuation.objects.create(
            portfolio=portfolio, date=TODAY, currency="EUR", market_value=100, is_latest=True
        )
        order = Order.objects.create(
            portfolio=portfolio,
            security=security,
            number=portfolio.number,
            side="buy",
            quantity=1,
            currency="EUR",
            reason="manual",
        )
        allocation = Allocation.objects.create(
            order=order,
            portfolio=portfolio,
            quantity=1,
            price=10,
            currency="EUR",
            gross_amount=10,
            net_amount=10,
            trade_date=TODAY,
            settlement_date=TODAY,
        )
        Settlement.objects.create(allocation=allocation, portfolio=portfolio, expected_date=TODAY)
        Account.objects.create(portfolio=portfolio, kind="cash", number=portfolio.number, currency="EUR")
        entry = Transaction.objects.create(
            portfolio=portfolio,
            type="buy",
            trade_date=TODAY,
            settlement_date=TODAY,
            security=security,
            quantity=1,
            currency="EUR",
        )
        Transaction.objects.create(
            portfolio=portfolio,
            type="reversal",
            trade_date=TODAY,
            settlement_date=TODAY + datetime.timedelta(days=2),
            reverses=entry,
            currency="EUR",
        )
        CorporateAction.objects.create(portfolio=portfolio, security=security, kind="dividend", ex_date=TODAY)
        return Report.objects.create(
            portfolio=portfolio,
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
    """Create and mirror one row of every kind under an agreement."""
    mandate = relationship(world, agreement)
    offered = offer(world, agreement)
    world.drain()
    report = management(world, mandate, offered.model)
    world.drain()
    release(world, report)
    world.drain()
    return mandate
