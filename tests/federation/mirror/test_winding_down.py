"""An agreement that winds down: nothing new, everything to its end, then terminated; or cut off at once."""

import datetime
from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from accounts.errors import DomainError
from clients import services
from clients.models import ContactDetail, Mandate, MandateDecision, RiskProfile
from federation.agreements import life, timeline
from federation.mirror import undelivered
from federation.models import Agreement, AgreementEvent, SealedRecords
from portfolios.models import Portfolio, Transaction
from reporting.models import Report
from tests import factories
from tests.factories import create_token
from tests.federation.mirror import everything
from tests.federation.mirror.world import TODAY, World
from trading.models import Allocation, Order, Settlement


def step(world: World, service: Any, agreement: Agreement, schema: str, **more: Any) -> Agreement:
    institution = world.institution(schema)
    with world.within(schema):
        changed: Agreement = service(
            agreement, by=factories.cast().administrator, institution=institution, **more
        )
    return changed


def ready_to_submit(world: World, agreement: Agreement) -> Mandate:
    plan = everything.offer(world, agreement)
    mandate = world.mandate(agreement, submitted=False)
    with world.within("harbour"):
        RiskProfile.objects.update(valid_until=timezone.localdate() + datetime.timedelta(days=9))
        Mandate.objects.filter(pk=mandate.pk).update(offer=plan.pk, amount=1000, disclosure_text="1")
    world.drain()
    return mandate


def test_no_new_mandate_goes_out_or_is_accepted_while_an_agreement_winds_down(world: World) -> None:
    agreement = world.agree()
    draft, waiting = ready_to_submit(world, agreement), world.mandate(agreement)
    world.drain()
    step(world, life.wind_down, agreement, "aurora")
    today = timezone.localdate()
    with world.within("harbour"):
        cast = factories.cast()
        with pytest.raises(DomainError) as refused:
            services.submit_mandate(
                mandate=draft, by=cast.advisor, signed_on=today, disclosure_authorised_on=today
            )
        assert refused.value.code == "agreement_takes_none"
        assert "ending" in str(refused.value.message)
        Mandate.objects.get(pk=draft.pk).client.__class__.objects.update(unit=cast.unit)
        _token, text = create_token(
            user=cast.advisor, name="T", may_write=True, by=cast.advisor,
            expires_at=timezone.now() + datetime.timedelta(days=1),
        )  # fmt: skip
        caller = Browser(headers={"host": "harbour.localhost", "authorization": f"Bearer {text}"})
        answer = caller.post(
            f"/api/v1/mandates/{draft.pk}/submit/",
            {"signed_on": today.isoformat(), "disclosure_authorised_on": today.isoformat()},
            content_type="application/json",
        )
        assert answer.status_code in {400, 409, 422}, answer.content
        assert b"ending" in answer.content
    with world.within("aurora"):
        cast = factories.cast()
        received = Mandate.objects.get(pk=waiting.pk)
        with pytest.raises(DomainError) as refused:
            services.accept_mandate(mandate=received, by=cast.manager, unit=cast.unit)
        assert refused.value.code == "agreement_takes_none"
        assert not Portfolio.objects.exists()
        services.reject_mandate(mandate=received, by=cast.manager, reason="The agreement ends.")
    world.drain()
    assert world.count("aurora", Mandate, retired_at=None) == 0


def test_trading_to_close_settlement_and_reporting_go_on_and_then_it_is_terminated(world: World) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    world.drain()
    world.decide(mandate, "accepted")
    portfolio = world.portfolio(mandate, transactions=1)
    world.drain()
    step(world, life.wind_down, agreement, "harbour")
    with pytest.raises(DomainError) as refused:
        step(world, life.terminate, agreement, "aurora")
    assert refused.value.data["mandates_running"] == 1
    security = world.security("aurora")
    with world.within("aurora"):
        order = Order.objects.create(
            portfolio=portfolio, security=security, number="O-1", side="sell", quantity=1, currency="EUR", state="filled",
        )  # fmt: skip
        allocation = Allocation.objects.create(
            order=order, portfolio=portfolio, quantity=1, price=10, currency="EUR", gross_amount=10, net_amount=10,
            trade_date=TODAY, settlement_date=TODAY,
        )  # fmt: skip
        settlement = Settlement.objects.create(
            allocation=allocation, portfolio=portfolio, expected_date=TODAY, state="pending"
        )
        Report.objects.create(
            portfolio=portfolio, number="R-1", title="Last", period_from=TODAY, period_to=TODAY, state="ready",
            made_at=timezone.now(), pdf=b"%PDF",
        )  # fmt: skip
    world.decide(mandate, "closing")
    world.decide(mandate, "closed")
    world.transactions(portfolio, 2)
    world.drain()
    for model, count in ((Order, 1), (Allocation, 1), (Settlement, 1), (Report, 1), (Transaction, 3)):
        assert world.count("harbour", model) == count
    world.assert_in_step(agreement)
    for schema in ("aurora", "harbour"):
        with pytest.raises(DomainError) as refused:
            step(world, life.terminate, agreement, schema)
        assert refused.value.data["settlements"] == 1, "what is open is listed"
    with world.within("aurora"):
        Settlement.objects.filter(pk=settlement.pk).update(state="settled", settled_on=TODAY)
    world.drain()
    ended = step(world, life.terminate, agreement, "harbour")
    assert ended.state == Agreement.State.TERMINATED
    assert SealedRecords.objects.filter(agreement=agreement).count() == 2


def test_p2_the_cut_tells_no_number_of_other_clients_changes(world: World) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    world.drain()
    world.mandate(None)
    world.mandate(world.agree("borealis", "harbour"))
    other = world.portfolio(None)
    world.transactions(other, 9)
    with world.within("harbour"):
        ContactDetail.objects.filter(client=mandate.client_id).update(value="new@example.test")
    step(world, life.cut, agreement, "aurora", reason="Broken into.")

    line = AgreementEvent.objects.get(agreement=agreement, kind="cut")
    assert line.data["undelivered"] == 1


def test_p2_more_than_can_be_counted_is_said_and_not_counted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    agreement = world.agree()
    world.mandate(agreement)
    monkeypatch.setattr(undelivered, "MOST_KEYS", 2)
    step(world, life.cut, agreement, "aurora", reason="Broken into.")

    line = AgreementEvent.objects.get(agreement=agreement, kind="cut")
    assert line.data["undelivered"] is None
    assert "too many to count" in timeline.words(line)


def test_the_cut_stays_one_click_and_both_sides_see_what_was_not_delivered(world: World) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    world.drain()
    world.decide(mandate, "accepted")
    portfolio = world.portfolio(mandate)
    world.drain()
    step(world, life.wind_down, agreement, "aurora")
    world.transactions(portfolio, 7)
    with world.within("harbour"):
        browser = Browser(headers={"host": "harbour.localhost"})
        browser.force_login(factories.cast().administrator)
        answer = browser.post(reverse("federation:cut", args=[agreement.pk]), {"reason": "Broken into."})
        assert answer.status_code == 302
    world.drain()
    assert world.count("harbour", Transaction) == 0, "nothing more crossed"
    line = AgreementEvent.objects.get(agreement=agreement, kind="cut")
    assert line.data["undelivered"] >= 7
    for schema in ("aurora", "harbour"):
        with world.within(schema):
            browser = Browser(headers={"host": f"{schema}.localhost"})
            browser.force_login(factories.cast().administrator)
            page = browser.get(reverse("federation:timeline", args=[agreement.pk]))
            assert f"Records not delivered: {line.data['undelivered']}".encode() in page.content
    assert world.count("harbour", MandateDecision) == 1
