"""What is to be done today: the demonstration's work lists, made through the services themselves."""

import datetime
from decimal import Decimal

from accounts.models import Role, User
from clients.models import ClientInstruction, Mandate
from clients.services import (
    create_client,
    draft_instruction,
    record_outcome,
    reject_mandate,
    return_mandate,
    send_instruction,
    start_mandate,
)
from federation.demo import dates
from federation.demo.books import WAITING_DAYS
from federation.demo.build import BY_CODE, Stage, advisors
from federation.demo.cast import FIRST_NAMES
from federation.demo.relationships import Relationships
from models_portfolio.models import ModelPortfolio, ModelVersion
from models_portfolio.services import accept, refresh_drift
from portfolios.models import BankEntry, Portfolio
from portfolios.services.cash_matching import match_cash
from portfolios.services.market import prices_as_of
from reporting.models import Report
from reporting.services import make_report, order_report, release_report
from trading.models import Block, Settlement
from trading.services import approve, propose, record_execution, record_failure, send, submit
from trading.services.fills import acknowledge

# Channel, manager, model, days since it was submitted; what the manager does follows below.
NEW_MANDATES = (
    ("harbour", "aurora", "AUR-BAL", 0, "waits"),
    ("harbour", "aurora", "AUR-GRO", 1, "waits"),
    ("harbour", "aurora", "AUR-DEF", 2, "waits"),
    ("harbour", "aurora", "AUR-BAL", 4, "returned"),
    ("harbour", "aurora", "AUR-GRO", 6, "rejected"),
    ("harbour", "borealis", "BOR-INC", 1, "waits"),
    ("lakeside", "aurora", "AUR-DEF", 1, "waits"),
)


def submit_new_mandates(stage: Stage) -> dict[Mandate, str]:
    """Submit fresh mandates; returns what is to become of each."""
    fates = {}
    for channel, country, seed in (("harbour", "CH", 91), ("lakeside", "DE", 92)):
        with stage.inside(channel):
            book = Relationships(stage.today, country, advisors(), seed=seed)
            for at, manager, code, days, fate in NEW_MANDATES:
                if at != channel:
                    continue
                demo = BY_CODE[code]
                since = stage.today - datetime.timedelta(days)
                client = book.client(since=since, level=demo.risk_level)
                item = book.mandate(
                    client,
                    stage.offers[manager, channel, code],
                    demo,
                    stage.institutions[manager].name,
                    opened=since + datetime.timedelta(5),
                    amount=max(book.amount(), Decimal(demo.minimum)),
                    agreement=stage.agreements[manager, channel].pk,
                )
                fates[item.mandate] = fate
            book.write()
    return fates


def fill_channel_lists(stage: Stage) -> None:
    """Let KYC run out, reviews fall due, and plan tasks at the channels; leave onboardings half done."""
    for channel in ("harbour", "lakeside", "meadow"):
        with stage.inside(channel):
            for number, advisor in enumerate(advisors()):
                _begin_onboarding(number, advisor)
            dates.renew_lists(stage.today)


def _begin_onboarding(number: int, advisor: User) -> None:
    """Leave an onboarding half done: a prospect, who is known to nobody else."""
    prospect = create_client(
        kind="person",
        fields={
            "first_name": FIRST_NAMES[-1 - number],
            "last_name": "Prospect-Placeholder",
            "birth_date": datetime.date(1980, 1, 1 + number),
            "country": "CH",
        },
        contacts={"email": f"prospect.{number}@clients.{advisor.email.partition('@')[2]}"},
        by=advisor,
    )
    start_mandate(client=prospect, by=advisor)


def ask_for_cash(stage: Stage) -> list[ClientInstruction]:
    """Send instructions for deposits and a withdrawal from Harbour to Aurora; the last is a deposit."""
    instructions = []
    with stage.inside("harbour"):
        agreement = stage.agreements["aurora", "harbour"].pk
        mandates = (
            Mandate.objects.own()
            .filter(agreement=agreement, portfolio__isnull=False)
            .order_by("submitted_at")
        )
        for mandate, kind, amount in zip(
            mandates[5:9],
            ("deposit", "deposit", "deposit", "withdrawal"),
            (25_000, 40_000, 15_000, 5_000),
            strict=True,
        ):
            instruction = draft_instruction(
                mandate=mandate,
                kind=kind,
                by=mandate.client.advisor,
                amount=Decimal(amount),
                currency=mandate.currency,
                payout_account=mandate.client.payout_accounts.first() if kind == "withdrawal" else None,
            )
            instructions.append(send_instruction(instruction=instruction, by=mandate.client.advisor))
        # The last one arrives today, so that the first advisor finds it among what became of instructions.
        mandate = mandates.filter(client__advisor=people(Role.ADVISOR)[0])[9]
        announced = draft_instruction(
            mandate=mandate,
            kind="deposit",
            by=mandate.client.advisor,
            amount=Decimal(30_000),
            currency=mandate.currency,
        )
        instructions.append(send_instruction(instruction=announced, by=mandate.client.advisor))
    return instructions


def decide(stage: Stage, fates: dict[Mandate, str]) -> None:
    """Return one mandate and reject another."""
    with stage.inside("aurora"):
        manager = people(Role.PORTFOLIO_MANAGER)[0]
        for mandate, fate in fates.items():
            if fate == "waits":
                continue
            received = Mandate.objects.get(pk=mandate.pk)
            if fate == "returned":
                return_mandate(
                    mandate=received,
                    by=manager,
                    reason="Please add a proof of where the money comes from.",
                    missing=["Proof of origin of funds"],
                )
            else:
                reject_mandate(
                    mandate=received,
                    by=manager,
                    reason="The amount in this currency is below what this plan can hold in whole units.",
                )


def follow_received_models(stage: Stage) -> None:
    """Let Meadow have accepted all but the versions of the last weeks: those wait for it."""
    with stage.inside("meadow"):
        manager = people(Role.PORTFOLIO_MANAGER)[0]
        for model in ModelPortfolio.objects.received().current():
            followed = ModelVersion.objects.filter(
                model=model, effective_from__lte=stage.today - datetime.timedelta(WAITING_DAYS)
            )
            for version in followed.order_by("-effective_from", "-number")[:1]:
                accept(version=version, by=manager)
        refresh_drift()


def fill_manager_lists(stage: Stage, instructions: list[ClientInstruction]) -> None:
    """Let cash arrive at Aurora, propose, trade, and let a settlement fail."""
    with stage.inside("aurora"):
        operations = people(Role.OPERATIONS)[0]
        first, second = people(Role.PORTFOLIO_MANAGER)[:2]
        received = ClientInstruction.objects.get(pk=instructions[0].pk)
        record_outcome(instruction=received, outcome="received", by=operations)
        portfolio = received.mandate.portfolio
        # One that fits an instruction, and one that nobody can place.
        BankEntry.objects.create(
            account=portfolio.accounts.get(kind="cash"),
            portfolio=portfolio,
            amount=received.amount or Decimal(0),
            currency=received.currency,
            value_date=stage.today - datetime.timedelta(1),
            payer="Fictional payer",
            reference=received.reference,
        )
        BankEntry.objects.create(
            amount=Decimal("12345.67"),
            currency="EUR",
            value_date=stage.today - datetime.timedelta(2),
            payer="Unknown sample payer",
            reference="savings",
        )
        arrived = ClientInstruction.objects.get(pk=instructions[-1].pk)
        entry = BankEntry.objects.create(
            account=arrived.mandate.portfolio.accounts.get(kind="cash"),
            portfolio=arrived.mandate.portfolio,
            amount=arrived.amount or Decimal(0),
            currency=arrived.currency,
            value_date=stage.today,
            payer=str(arrived.mandate.client),
            reference=arrived.reference,
        )
        match_cash(entry=entry, by=operations, instruction=arrived)
        drifted = list(
            Portfolio.objects.own()
            .filter(valuations__is_latest=True)
            .order_by("-valuations__drift", "pk")[:8]
        )
        proposals = [propose(portfolio=portfolio, by=first) for portfolio in drifted[:6]]
        for proposal in proposals[:5]:
            submit(proposal=proposal, by=first)
        orders = [order for proposal in proposals[:3] for order in approve(proposal=proposal, by=second)]
        blocks = send(order_ids=[order.pk for order in orders], by=second)
        for number, block in enumerate(blocks):
            _fill(block, number, whole=number % 4 != 3)
        late = Settlement.objects.own().filter(state=Settlement.State.PENDING).order_by("pk").first()
        if late is not None:
            record_failure(
                settlement=late, reason="The counterparty instructed another quantity.", by=operations
            )


def _fill(block: Block, number: int, *, whole: bool) -> None:
    acknowledge(block_id=block.pk)
    price = prices_as_of([block.security_id], block.sent_at.date())[block.security_id].close
    step = block.security.lot_size or Decimal(1).scaleb(-block.security.quantity_decimals)
    quantity = block.quantity if whole else block.quantity / 2 // step * step
    if quantity:
        record_execution(
            block_id=block.pk, quantity=quantity, price=price, reference=f"DEMO-{block.pk.hex[-12:]}-{number}"
        )


def make_reports(stage: Stage) -> None:
    """Make last quarter's statements for some of Harbour's clients at Aurora."""
    quarter_start = (stage.today.month - 1) // 3 * 3 + 1
    until = stage.today.replace(month=quarter_start, day=1) - datetime.timedelta(1)
    since = until.replace(month=until.month - 2, day=1)
    with stage.inside("aurora"):
        manager = people(Role.PORTFOLIO_MANAGER)[0]
        portfolios = Portfolio.objects.own().filter(
            mandate__agreement=stage.agreements["aurora", "harbour"].pk, opened_on__lt=since
        )
        for portfolio in portfolios.order_by("number")[:8]:
            make_report(
                report=order_report(portfolio=portfolio, period_from=since, period_to=until, by=manager)
            )


def release_reports(stage: Stage) -> None:
    """Release the oldest of the statements that came to Harbour; the others wait for their advisor."""
    with stage.inside("harbour"):
        for report in Report.objects.received().order_by("number")[:3]:
            release_report(report=report, by=report.portfolio.mandate.client.advisor)


def people(role: str) -> list[User]:
    """Return the people of a role, in the order they joined."""
    return list(User.objects.filter(role_assignments__role=role).order_by("joined_at"))
