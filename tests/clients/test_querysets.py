"""States in SQL say what the pure functions say; people see what they may."""

import datetime

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.records import new_id
from clients import services
from clients.models import Client, ClientInstruction, InstructionOutcome, Mandate, MandateDecision
from tests.clients import make
from tests.factories import Cast

NOON = datetime.datetime(2026, 1, 5, 12, tzinfo=datetime.UTC)
DECISIONS = st.lists(
    st.tuples(st.integers(1, 2), st.sampled_from(MandateDecision.Outcome.values)), max_size=5
)
STATUSES = st.sampled_from(Mandate.Status.values)
OUTCOMES = st.lists(st.sampled_from(InstructionOutcome.Outcome.values), max_size=4)
_inside = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@_inside
@given(status=STATUSES, submission=st.integers(1, 2), decisions=DECISIONS)
def test_the_state_of_a_mandate_is_the_same_in_sql(
    in_harbour: Cast, status: str, submission: int, decisions: list[tuple[int, str]]
) -> None:
    origin = new_id()
    with make.as_mirror():
        mandate = Mandate.objects.create(
            number=origin.hex[:30], origin=origin, status=status, submission=submission, currency="EUR"
        )
        for index, (number, outcome) in enumerate(decisions):
            MandateDecision.objects.create(
                mandate=mandate,
                submission=number,
                outcome=outcome,
                reason="Because.",
                decided_at=NOON + datetime.timedelta(minutes=index),
            )
    assert Mandate.objects.with_state().get(pk=mandate.pk).computed_state == mandate.state


@_inside
@given(status=st.sampled_from(ClientInstruction.Status.values), outcomes=OUTCOMES)
def test_where_an_instruction_stands_is_the_same_in_sql(
    in_harbour: Cast, status: str, outcomes: list[str]
) -> None:
    origin = new_id()
    with make.as_mirror():
        mandate = Mandate.objects.create(number=origin.hex[:30], origin=origin, currency="EUR")
        instruction = ClientInstruction.objects.create(mandate=mandate, kind="deposit", status=status)
        for index, outcome in enumerate(outcomes):
            InstructionOutcome.objects.create(
                instruction=instruction, outcome=outcome, at=NOON + datetime.timedelta(minutes=index)
            )
    found = ClientInstruction.objects.with_state().get(pk=instruction.pk)
    assert found.computed_state == instruction.state


def test_an_advisor_sees_own_clients_and_those_of_the_unit(in_harbour: Cast) -> None:
    mine = make.client(in_harbour.advisor)
    elsewhere = make.client(in_harbour.advisor, "Bea", unit=in_harbour.other_unit)
    Client.objects.filter(pk=elsewhere.pk).update(advisor=None)
    assert list(Client.objects.visible_to(in_harbour.advisor)) == [mine]
    assert Client.objects.visible_to(in_harbour.compliance).count() == 2
    for nobody in (in_harbour.stranger, in_harbour.administrator):
        assert not Client.objects.visible_to(nobody).exists()


def test_a_portfolio_manager_sees_a_client_once_the_mandate_is_submitted(in_meadow: Cast) -> None:
    mandate = make.chosen(in_meadow.advisor, make.offer())
    manager = in_meadow.manager
    assert not Client.objects.visible_to(manager).exists()
    assert not Mandate.objects.visible_to(manager).exists()
    services.submit_mandate(mandate=mandate, by=in_meadow.advisor, signed_on=make.today())
    assert Client.objects.visible_to(manager).get() == mandate.client
    assert Mandate.objects.visible_to(manager).get() == mandate


def test_a_retired_row_appears_nowhere(in_harbour: Cast) -> None:
    client = make.client(in_harbour.advisor)
    Client.objects.filter(pk=client.pk).update(retired_at=NOON)
    assert not Client.objects.visible_to(in_harbour.compliance).exists()
