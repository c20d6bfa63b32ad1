"""Instructions and what becomes of them."""

import pytest
from django.utils import timezone
from django_tenants.utils import tenant_context

from accounts import formatting
from accounts.errors import DomainError
from accounts.records import new_id
from clients import services
from clients.calculations.states import InstructionState, MandateState
from clients.models import ClientInstruction, InstructionOutcome, Mandate
from clients.signals import instruction_answered
from federation.models import Institution
from portfolios.models import Valuation
from tests.clients import make
from tests.factories import Cast, cast

Kind = ClientInstruction.Kind
Outcome = InstructionOutcome.Outcome


def _sent(mandate: Mandate, people: Cast, kind: str = Kind.DEPOSIT, **fields: object) -> ClientInstruction:
    if kind == Kind.DEPOSIT:
        fields.setdefault("amount", make.D(5_000))
    drafted = services.draft_instruction(mandate=mandate, kind=kind, by=people.advisor, **fields)  # type: ignore[arg-type]
    return services.send_instruction(instruction=drafted, by=people.advisor)


def test_a_deposit_gets_a_reference_and_goes_to_who_manages(in_meadow: Cast) -> None:
    mandate = make.active(in_meadow.advisor, in_meadow.manager)
    instruction = _sent(mandate, in_meadow)
    assert instruction.state == InstructionState.SENT
    assert instruction.currency == "EUR"
    assert instruction.reference.startswith("RF")
    assert list(ClientInstruction.objects.all().to_answer()) == [instruction]


def test_nothing_is_sent_before_the_mandate_is_managed(in_meadow: Cast) -> None:
    mandate = make.submitted(in_meadow.advisor)
    with pytest.raises(DomainError) as refused:
        _sent(mandate, in_meadow)
    assert refused.value.code == "mandate_not_active"


def test_money_is_paid_out_only_to_a_verified_account_of_the_same_client(in_meadow: Cast) -> None:
    mandate = make.active(in_meadow.advisor, in_meadow.manager)
    unverified = services.enter_payout_account(
        client=mandate.client, iban=make.IBAN, holder="Ada", by=in_meadow.advisor
    )
    make.funded(mandate, 100)
    ask = {"amount": make.D(100), "kind": Kind.WITHDRAWAL}
    for account, code in (
        (None, "payout_account_missing"),
        (unverified, "payout_account_unverified"),
        (
            make.verified_account(
                make.client(in_meadow.advisor, "Bea"), in_meadow.advisor, in_meadow.operations
            ),
            "payout_account_missing",
        ),
    ):
        with pytest.raises(DomainError) as refused:
            _sent(mandate, in_meadow, payout_account=account, **ask)
        assert refused.value.code == code
    services.verify_payout_account(account=unverified, by=in_meadow.operations)
    unverified.refresh_from_db()
    assert _sent(mandate, in_meadow, payout_account=unverified, **ask).state == InstructionState.SENT


def test_no_more_is_paid_out_than_the_portfolio_is_worth(in_meadow: Cast) -> None:
    mandate = make.active(in_meadow.advisor, in_meadow.manager)
    account = make.verified_account(mandate.client, in_meadow.advisor, in_meadow.operations)
    ask = {"kind": Kind.WITHDRAWAL, "payout_account": account}
    with pytest.raises(DomainError, match="nothing to be paid out"):
        _sent(mandate, in_meadow, amount=make.D(1), **ask)
    make.funded(mandate, 1_000)
    with pytest.raises(DomainError) as refused:
        _sent(mandate, in_meadow, amount=make.D("1000.01"), **ask)
    assert (refused.value.code, refused.value.field) == ("amount_above_value", "amount")
    worth = formatting.money(make.D(1_000), "EUR")
    assert f"{worth} on {formatting.day(timezone.now().date())}" in str(refused.value)
    make.funded(mandate, 0, dollars="2")
    with pytest.raises(DomainError, match=worth):
        _sent(mandate, in_meadow, amount=make.D(2_001), currency="USD", **ask)
    drafted = services.draft_instruction(
        mandate=mandate, amount=make.D(2_000), currency="USD", by=in_meadow.advisor, **ask
    )
    make.funded(mandate, -1)
    with pytest.raises(DomainError, match=formatting.money(make.D(999), "EUR")):
        services.send_instruction(instruction=drafted, by=in_meadow.advisor)
    # What is asked for already is not asked for again, in whatever currency; what is withdrawn or over is free again.
    make.funded(mandate, 1)
    first = _sent(mandate, in_meadow, amount=make.D(900), **ask)
    already = rf"{formatting.money(make.D(900), 'EUR')} is asked for already.* {formatting.money(make.D(100), 'EUR')};"
    for ask_again in (
        lambda: services.send_instruction(instruction=drafted, by=in_meadow.advisor),
        lambda: _sent(mandate, in_meadow, amount=make.D("100.01"), **ask),
    ):
        with pytest.raises(DomainError, match=already):
            ask_again()
    rest = _sent(mandate, in_meadow, amount=make.D(200), currency="USD", **ask)
    with pytest.raises(DomainError, match="nothing more to be paid out"):
        _sent(mandate, in_meadow, amount=make.D(1), **ask)
    services.withdraw_instruction(instruction=rest, by=in_meadow.advisor)
    services.record_outcome(
        instruction=first, outcome=Outcome.REJECTED, note="Too early.", by=in_meadow.operations
    )
    # What is not known does not bar anybody.
    Valuation.objects.update(market_value=None)
    assert services.send_instruction(instruction=drafted, by=in_meadow.advisor).state == InstructionState.SENT


def test_outcomes_are_added_and_the_furthest_counts(in_meadow: Cast) -> None:
    mandate = make.active(in_meadow.advisor, in_meadow.manager)
    instruction = _sent(mandate, in_meadow)
    for outcome in (Outcome.RECEIVED, Outcome.ACCEPTED, Outcome.DONE):
        services.record_outcome(
            instruction=instruction, outcome=outcome, by=in_meadow.operations, amount=make.D(5_000)
        )
    instruction.forget_outcomes()
    assert instruction.state == InstructionState.DONE
    assert instruction.outcomes.count() == 3
    assert instruction.outcomes.last().currency == "EUR"
    with pytest.raises(DomainError) as refused:
        services.record_outcome(
            instruction=instruction, outcome=Outcome.REJECTED, note="Late.", by=in_meadow.operations
        )
    assert refused.value.code == "instruction_not_open"


def test_a_rejection_says_why(in_meadow: Cast) -> None:
    instruction = _sent(make.active(in_meadow.advisor, in_meadow.manager), in_meadow)
    with pytest.raises(DomainError) as refused:
        services.record_outcome(instruction=instruction, outcome=Outcome.REJECTED, by=in_meadow.operations)
    assert refused.value.code == "reason_missing"


def test_a_withdrawal_of_an_instruction_may_come_too_late(in_meadow: Cast) -> None:
    mandate = make.active(in_meadow.advisor, in_meadow.manager)
    instruction = _sent(mandate, in_meadow)
    services.record_outcome(instruction=instruction, outcome=Outcome.IN_PROGRESS, by=in_meadow.operations)
    with pytest.raises(DomainError) as refused:
        services.withdraw_instruction(instruction=instruction, by=in_meadow.advisor)
    assert refused.value.code == "instruction_too_late"
    other = _sent(mandate, in_meadow)
    assert (
        services.withdraw_instruction(instruction=other, by=in_meadow.advisor).state
        == InstructionState.WITHDRAWN
    )


def test_closing_a_mandate_follows_its_instruction(in_meadow: Cast) -> None:
    mandate = make.active(in_meadow.advisor, in_meadow.manager)
    instruction = _sent(mandate, in_meadow, Kind.CLOSE)
    with pytest.raises(DomainError) as refused:
        _sent(mandate, in_meadow)
    assert refused.value.code == "mandate_being_closed"
    services.record_outcome(instruction=instruction, outcome=Outcome.ACCEPTED, by=in_meadow.manager)
    assert Mandate.objects.get(pk=mandate.pk).state == MandateState.CLOSING
    services.record_outcome(instruction=instruction, outcome=Outcome.DONE, by=in_meadow.manager)
    mandate = Mandate.objects.get(pk=mandate.pk)
    assert mandate.state == MandateState.CLOSED
    assert mandate.portfolio.closed_on is not None


def test_a_change_of_plan_that_is_done_moves_the_portfolio(in_meadow: Cast) -> None:
    mandate = make.active(in_meadow.advisor, in_meadow.manager)
    other = make.offer("Income", risk_level=2)
    new_plan = services.NewPlan(offer=other.pk, name=other.name)
    instruction = _sent(mandate, in_meadow, Kind.MODEL_CHANGE, new_plan=new_plan)
    services.record_outcome(instruction=instruction, outcome=Outcome.DONE, by=in_meadow.manager)
    follows = mandate.portfolio.model_assignments.get(valid_to__isnull=True)
    assert follows.model == other.model
    assert mandate.current_offer == other.pk
    with pytest.raises(DomainError) as refused:
        _sent(mandate, in_meadow, Kind.MODEL_CHANGE, new_plan=new_plan)
    assert refused.value.code == "plan_unchanged"


def test_a_receiver_that_refuses_undoes_the_outcome(in_meadow: Cast) -> None:
    instruction = _sent(make.active(in_meadow.advisor, in_meadow.manager), in_meadow)

    def refuse(**_kwargs: object) -> None:
        raise DomainError("not_booked", "Book it first.")

    instruction_answered.connect(refuse)
    try:
        with pytest.raises(DomainError):
            services.record_outcome(instruction=instruction, outcome=Outcome.DONE, by=in_meadow.operations)
    finally:
        instruction_answered.disconnect(refuse)
    assert not InstructionOutcome.objects.exists()


def test_an_outcome_is_the_managing_sides_own_row(aurora: Institution, harbour: Institution) -> None:
    agreement = make.agreement(aurora, harbour)
    with tenant_context(aurora):
        people = cast()
        mandate = make.received(agreement, harbour)
        with make.as_mirror():
            instruction = ClientInstruction.objects.create(
                mandate=mandate,
                kind=Kind.DEPOSIT,
                status="sent",
                amount=100,
                currency="EUR",
                sent_at=agreement.started_at,
                origin=harbour.pk,
            )
        outcome = services.record_outcome(
            instruction=instruction, outcome=Outcome.ACCEPTED, by=people.operations
        )
        assert outcome.origin is None
        with pytest.raises(DomainError) as refused:
            services.withdraw_instruction(instruction=instruction, by=people.advisor)
        assert refused.value.code == "received_record"


def test_a_channel_cannot_answer_its_own_instruction(harbour: Institution, aurora: Institution) -> None:
    agreement = make.agreement(aurora, harbour)
    with tenant_context(harbour):
        people = cast()
        client = make.client(people.advisor)
        mandate = Mandate.objects.create(
            number="M-77", client=client, agreement=agreement.pk, currency="EUR", offer=new_id()
        )
        instruction = ClientInstruction.objects.create(mandate=mandate, kind=Kind.DEPOSIT, status="sent")
        assert not ClientInstruction.objects.all().to_answer().exists()
        with pytest.raises(DomainError) as refused:
            services.record_outcome(instruction=instruction, outcome=Outcome.DONE, by=people.operations)
        assert refused.value.code == "not_our_duty"
