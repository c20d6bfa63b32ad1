"""A mandate from draft to submission, and what the managing side decides."""

import uuid

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django_tenants.utils import tenant_context

from accounts.errors import DomainError
from clients import services
from clients.calculations.states import MandateState
from clients.models import Client, Mandate, MandateDecision
from clients.signals import mandate_decided, mandate_submitting
from federation.models import Institution
from models_portfolio.offers import cards
from tests.clients import make
from tests.factories import Cast, cast


def test_nothing_is_submitted_without_a_plan_a_signature_and_an_authorisation(
    harbour: Institution, aurora: Institution
) -> None:
    agreement = make.agreement(aurora, harbour)
    with tenant_context(harbour):
        advisor = cast().advisor
        plan = make.offer(agreement=agreement.pk, origin=aurora.pk)
        mandate = make.planned(advisor)
        sign = {"mandate": mandate, "by": advisor, "signed_on": make.today()}
        with pytest.raises(DomainError) as refused:
            services.submit_mandate(**sign)
        assert refused.value.code == "mandate_incomplete"
        mandate = make.chosen(advisor, plan)
        sign["mandate"] = mandate
        with pytest.raises(DomainError) as refused:
            services.submit_mandate(**sign)
        assert refused.value.code == "disclosure_not_authorised"
        with pytest.raises(DomainError) as refused:
            services.submit_mandate(
                **{**sign, "signed_on": make.today(1)}, disclosure_authorised_on=make.today()
            )
        assert refused.value.code == "signed_in_future"
        assert Mandate.objects.get(pk=mandate.pk).state == MandateState.DRAFT
        done = services.submit_mandate(**sign, disclosure_authorised_on=make.today())
        assert (done.state, done.submission, done.agreement) == (MandateState.SUBMITTED, 1, agreement.pk)
        assert done.manager_name == "Aurora Asset Management"
        assert done.terms["total_cost"] == "0.015"
        assert done.client.status == Client.Status.CLIENT


def test_the_database_refuses_a_submission_without_authorisation(in_harbour: Cast) -> None:
    mandate = make.planned(in_harbour.advisor)
    with pytest.raises(IntegrityError, match="submitted_with_authorisation"), transaction.atomic():
        Mandate.objects.filter(pk=mandate.pk).update(status="submitted", agreement=uuid.uuid4())


def test_a_receiver_may_refuse_a_submission(in_meadow: Cast) -> None:
    mandate = make.chosen(in_meadow.advisor, make.offer())

    def refuse(**_kwargs: object) -> None:
        raise DomainError("suspended", "Not now.")

    mandate_submitting.connect(refuse)
    try:
        with pytest.raises(DomainError):
            services.submit_mandate(mandate=mandate, by=in_meadow.advisor, signed_on=make.today())
    finally:
        mandate_submitting.disconnect(refuse)
    assert Mandate.objects.get(pk=mandate.pk).status == Mandate.Status.DRAFT


def test_a_plan_beyond_the_profile_needs_a_recorded_reason(in_meadow: Cast) -> None:
    risky = make.offer("Shares", risk_level=6)
    with pytest.raises(DomainError) as refused:
        make.chosen(in_meadow.advisor, risky)
    assert refused.value.code == "override_needs_reason"
    mandate = make.chosen(in_meadow.advisor, risky, override_reason="Has a pension.")
    assert mandate.override_reason == "Has a pension."


def test_a_profile_that_was_replaced_carries_no_plan_even_on_the_same_day(in_meadow: Cast) -> None:
    advisor, risky = in_meadow.advisor, make.offer("Shares", risk_level=4)
    mandate = make.chosen(advisor, risky)
    bold = mandate.risk_profile
    careful = make.profile(mandate.client, advisor, capacity_loss="none")
    assert (bold.level >= 4 > careful.level, mandate.override_reason) == (True, "")

    plan = {"mandate": mandate, "amount": make.D(20_000), "currency": "EUR", "by": advisor}
    for attempt in (
        lambda: services.submit_mandate(mandate=mandate, by=advisor, signed_on=make.today()),
        lambda: services.plan_mandate(risk_profile=bold, **plan),
    ):
        with pytest.raises(DomainError) as refused:
            attempt()
        assert refused.value.code == "profile_replaced"
    assert services.plan_mandate(risk_profile=careful, **plan).risk_profile == careful


def test_no_reason_lets_an_amount_below_the_minimum_through(in_meadow: Cast) -> None:
    with pytest.raises(DomainError) as refused:
        make.chosen(in_meadow.advisor, make.offer(minimum_amount=make.D(500_000)), override_reason="Please.")
    assert refused.value.code == "offer_amount_below_minimum"


def test_another_amount_or_profile_asks_for_the_plan_again(in_meadow: Cast) -> None:
    mandate = make.chosen(in_meadow.advisor, make.offer())
    again = services.plan_mandate(
        mandate=mandate,
        amount=make.D(20_000),
        currency="EUR",
        risk_profile=mandate.risk_profile,
        by=in_meadow.advisor,
    )
    assert again.offer is None


def test_offers_are_received_ones_of_managers_and_own_ones_for_own_clients(
    harbour: Institution, aurora: Institution, borealis: Institution
) -> None:
    managed, advice = make.agreement(aurora, harbour), make.agreement(borealis, harbour, "advice")
    with tenant_context(harbour):
        advisor = cast().advisor
        own = make.offer("Own")
        received = make.offer("Received", agreement=managed.pk, origin=aurora.pk)
        make.offer("Advice only", agreement=advice.pk, origin=borealis.pk)
        make.offer("Made to another channel", agreement=uuid.uuid4())
        make.offer("Closed", agreement=managed.pk, origin=aurora.pk, is_open=False)
        make.offer("Of nobody we know", agreement=uuid.uuid4(), origin=borealis.pk)
        mandate = make.planned(advisor)
        shown = cards(mandate, advisor, profile=mandate.risk_profile, amount=mandate.amount)
        assert {card.offer for card in shown} == {own, received}
        assert {card.manager for card in shown} == {"", "Aurora Asset Management"}
        assert all(card.yearly_cost == make.D(1500) for card in shown)


def test_offers_of_a_suspended_agreement_are_shown_with_the_reason(
    harbour: Institution, aurora: Institution
) -> None:
    agreement = make.agreement(aurora, harbour)
    agreement.new_mandates_suspended_at = agreement.started_at
    agreement.save()
    with tenant_context(harbour):
        advisor = cast().advisor
        make.offer(agreement=agreement.pk, origin=aurora.pk)
        mandate = make.planned(advisor)
        (card,) = cards(mandate, advisor, profile=mandate.risk_profile, amount=mandate.amount)
        assert not card.suits
        assert not card.can_override
        assert "suspended" in card.reasons[0].message


def test_an_accepted_mandate_opens_its_portfolio_and_becomes_active(in_meadow: Cast) -> None:
    mandate = make.submitted(in_meadow.advisor)
    services.accept_mandate(mandate=mandate, by=in_meadow.manager, unit=in_meadow.unit)
    mandate = Mandate.objects.get(pk=mandate.pk)
    assert mandate.state == MandateState.ACTIVE
    assert mandate.portfolio.unit == in_meadow.unit
    assert [each.outcome for each in mandate.decisions.all()] == ["accepted", "active"]


def test_a_returned_mandate_is_answered_and_submitted_again(in_meadow: Cast) -> None:
    mandate = make.submitted(in_meadow.advisor)
    first_at = mandate.submitted_at
    services.return_mandate(mandate=mandate, by=in_meadow.manager, reason="", missing=["Proof of identity"])
    mandate.forget_decisions()
    assert mandate.state == MandateState.RETURNED
    again = {"mandate": mandate, "by": in_meadow.advisor, "signed_on": make.today()}
    with pytest.raises(DomainError) as refused:
        services.submit_mandate(**again)
    assert refused.value.code == "answer_missing"
    mandate = services.submit_mandate(**again, answer="Here it is.")
    assert (mandate.state, mandate.submission, mandate.answer) == (MandateState.SUBMITTED, 2, "Here it is.")
    assert mandate.submitted_at == first_at
    assert [each["event"] for each in mandate.history] == ["submitted", "resubmitted"]


def test_a_returned_mandate_is_not_submitted_again_with_a_plan_that_suits_no_longer(in_meadow: Cast) -> None:
    advisor = in_meadow.advisor
    mandate = make.submitted(advisor)
    services.return_mandate(mandate=mandate, by=in_meadow.manager, reason="Ask about losses again.")
    careful = make.profile(mandate.client, advisor, capacity_loss="none")
    plan = {"mandate": mandate, "currency": "EUR", "by": advisor}
    services.plan_mandate(amount=make.D(100_000), risk_profile=careful, **plan)
    again = {"mandate": mandate, "by": advisor, "signed_on": make.today(), "answer": "Done."}
    with pytest.raises(DomainError) as refused:
        services.submit_mandate(**again)
    assert refused.value.code == "plan_beyond_profile"
    usual = make.profile(mandate.client, advisor)
    services.plan_mandate(amount=make.D(100), risk_profile=usual, **plan)
    with pytest.raises(DomainError) as refused:
        services.submit_mandate(**again)
    assert refused.value.code == "amount_below_minimum"


def test_a_decision_counts_for_the_submission_that_was_looked_at(in_meadow: Cast) -> None:
    mandate = make.submitted(in_meadow.advisor)
    with pytest.raises(DomainError) as refused:
        services.accept_mandate(mandate=mandate, by=in_meadow.manager, submission=7)
    assert refused.value.code == "mandate_resubmitted"


def test_a_mandate_is_decided_once(in_meadow: Cast) -> None:
    mandate = make.submitted(in_meadow.advisor)
    services.reject_mandate(mandate=mandate, by=in_meadow.manager, reason="Not our market.")
    with pytest.raises(DomainError) as refused:
        services.accept_mandate(mandate=mandate, by=in_meadow.second_manager)
    assert refused.value.code == "mandate_not_waiting"
    assert MandateDecision.objects.count() == 1


def test_a_refusal_needs_a_reason(in_meadow: Cast) -> None:
    mandate = make.submitted(in_meadow.advisor)
    for refuse in (services.reject_mandate, services.return_mandate):
        with pytest.raises(DomainError) as refused:
            refuse(mandate=mandate, by=in_meadow.manager, reason=" ")
        assert refused.value.code == "reason_missing"


def test_a_channel_cannot_decide_on_a_mandate_that_its_partner_manages(
    harbour: Institution, aurora: Institution
) -> None:
    agreement = make.agreement(aurora, harbour)
    with tenant_context(harbour):
        people = cast()
        plan = make.offer(agreement=agreement.pk, origin=aurora.pk)
        mandate = make.submitted(people.advisor, plan)
        with pytest.raises(DomainError) as refused:
            services.accept_mandate(mandate=mandate, by=people.manager)
        assert refused.value.code == "not_our_duty"
        assert not Mandate.objects.all().managed_here().exists()


def test_decisions_on_a_received_mandate_never_touch_it(aurora: Institution, harbour: Institution) -> None:
    agreement = make.agreement(aurora, harbour)
    with tenant_context(aurora):
        people = cast()
        mandate = make.received(agreement, harbour)
        before = Mandate.objects.filter(pk=mandate.pk).values().get()
        services.accept_mandate(mandate=mandate, by=people.manager, unit=people.unit)
        assert Mandate.objects.filter(pk=mandate.pk).values().get() == before
        assert not MandateDecision.objects.received().exists()
        assert Mandate.objects.get(pk=mandate.pk).state == MandateState.ACTIVE
        with pytest.raises(DomainError) as refused:
            services.withdraw_mandate(mandate=mandate, by=people.advisor)
        assert refused.value.code == "received_record"


def test_an_active_mandate_cannot_be_withdrawn(in_meadow: Cast) -> None:
    mandate = make.active(in_meadow.advisor, in_meadow.manager)
    with pytest.raises(DomainError) as refused:
        services.withdraw_mandate(mandate=mandate, by=in_meadow.advisor)
    assert refused.value.code == "mandate_not_withdrawable"


def test_a_submitted_mandate_is_withdrawn_with_its_reason_in_the_history(in_meadow: Cast) -> None:
    mandate = make.submitted(in_meadow.advisor)
    mandate = services.withdraw_mandate(mandate=mandate, by=in_meadow.advisor, reason="Changed her mind.")
    assert mandate.state == MandateState.WITHDRAWN
    assert mandate.history[-1]["text"] == "Changed her mind."


def test_wishes_are_kept_once_and_not_under_an_ended_mandate(in_meadow: Cast) -> None:
    mandate = make.submitted(in_meadow.advisor)
    wish = {"mandate": mandate, "kind": "exclude_sector", "value": "Tobacco", "by": in_meadow.advisor}
    restriction = services.add_restriction(**wish)
    with pytest.raises(ValidationError, match="already"):
        services.add_restriction(**wish)
    services.remove_restriction(restriction=restriction, by=in_meadow.advisor)
    services.reject_mandate(mandate=mandate, by=in_meadow.manager, reason="No.")
    with pytest.raises(DomainError) as refused:
        services.add_restriction(**wish)
    assert refused.value.code == "mandate_ended"


def test_a_receiver_that_refuses_undoes_the_decision(in_meadow: Cast) -> None:
    mandate = make.submitted(in_meadow.advisor)

    def refuse(**_kwargs: object) -> None:
        raise DomainError("no_room", "The desk is full.")

    mandate_decided.connect(refuse)
    try:
        with pytest.raises(DomainError, match="full"):
            services.accept_mandate(mandate=mandate, by=in_meadow.manager)
    finally:
        mandate_decided.disconnect(refuse)
    assert not MandateDecision.objects.exists()


def test_a_mandate_of_somebody_else_cannot_take_this_clients_profile(in_meadow: Cast) -> None:
    mandate = services.start_mandate(client=make.client(in_meadow.advisor), by=in_meadow.advisor)
    other = make.profile(make.client(in_meadow.advisor, "Bea"), in_meadow.advisor)
    with pytest.raises(DomainError) as refused:
        services.plan_mandate(
            mandate=mandate, amount=make.D(1), currency="EUR", risk_profile=other, by=in_meadow.advisor
        )
    assert refused.value.code == "profile_of_another"
