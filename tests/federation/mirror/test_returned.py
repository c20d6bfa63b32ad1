"""A returned mandate is put right at home; what crosses changes only when it is submitted again."""

import datetime
import uuid
from decimal import Decimal

from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from clients import services
from clients.models import Mandate, MandateRestriction, RiskProfile
from clients.services.mandates import Choice
from tests import factories
from tests.federation.mirror import everything
from tests.federation.mirror.world import World


def received(world: World) -> tuple[Decimal, str, str, int, list[str]]:
    with world.within("aurora"):
        mandate = Mandate.objects.get()
        assert mandate.amount is not None
        wishes = list(MandateRestriction.objects.order_by("value").values_list("value", flat=True))
        return mandate.amount, mandate.name, mandate.offer_name, mandate.submission, wishes


def test_edits_of_a_returned_mandate_cross_only_when_it_is_submitted_again(world: World) -> None:
    agreement = world.agree()
    first, second = everything.offer(world, agreement), everything.offer(world, agreement)
    mandate = world.mandate(agreement)
    with world.within("harbour"):
        cast = factories.cast()
        RiskProfile.objects.update(valid_until=timezone.localdate() + datetime.timedelta(days=9))
        Mandate.objects.update(amount=1000, name="Before", offer=first.pk, offer_name="First")
        mandate.client.__class__.objects.update(unit=cast.unit)
        mandate = Mandate.objects.get()
        services.add_restriction(mandate=mandate, kind="exclude_sector", value="Coal", by=cast.advisor)
    world.drain()
    with world.within("aurora"):
        cast = factories.cast()
        services.return_mandate(mandate=Mandate.objects.get(), by=cast.manager, reason="Ask for more.")
    world.drain()
    before = received(world)

    with world.within("harbour"):
        cast = factories.cast()
        mandate = Mandate.objects.get()
        assert mandate.risk_profile is not None
        mandate = services.plan_mandate(
            mandate=mandate,
            amount=Decimal(2000),
            currency="EUR",
            risk_profile=mandate.risk_profile,
            name="After",
            by=cast.advisor,
        )
        choice = Choice(
            offer=second.pk,
            offer_name="Second",
            agreement=agreement.pk,
            manager_name="Aurora",
            terms={"a": "b"},
        )
        services.choose_plan(mandate=mandate, choice=choice, by=cast.advisor)
        mandate = Mandate.objects.get()
        services.add_restriction(mandate=mandate, kind="exclude_sector", value="Tobacco", by=cast.advisor)
        mandate = Mandate.objects.get()
        coal = next(each for each in mandate.wishes if each.value == "Coal")
        browser = Browser(headers={"host": "harbour.localhost"})
        browser.force_login(cast.advisor)
        remove = reverse("clients:restriction_remove", args=[mandate.pk, coal.pk])
        assert browser.post(remove).status_code == 302
        gone = reverse("clients:restriction_remove", args=[mandate.pk, uuid.uuid4()])
        assert browser.post(gone).status_code == 404
        assert (Mandate.objects.get().amount, Mandate.objects.get().name) == (1000, "Before")
        shown = browser.get(reverse("clients:profile", args=[mandate.pk])).content
        assert b"After" in shown, "who edits sees the edits"
        page = browser.get(reverse("clients:mandate_detail", args=[mandate.pk])).content
        assert b"You have changed something" in page
        assert b"Tobacco" in page
    world.drain()
    assert received(world) == before
    world.assert_in_step(agreement)

    with world.within("harbour"):
        today = timezone.localdate()
        services.submit_mandate(
            mandate=Mandate.objects.get(),
            by=factories.cast().advisor,
            signed_on=today,
            disclosure_authorised_on=today,
            answer="More it is.",
        )
        assert Mandate.objects.get().revision == {}
    world.drain()
    assert received(world) == (Decimal(2000), "After", "Second", 2, ["Tobacco"])
    world.assert_in_step(agreement)
    with world.within("aurora"):
        assert Mandate.objects.get().revision == {}
        # Names alone: what the parts said before is nowhere kept, what they say now crosses where it is shared.
        assert Mandate.objects.get().history[-1]["changed"] == ["amount", "name", "plan", "restrictions"]
        browser = Browser(headers={"host": "aurora.localhost"})
        browser.force_login(factories.cast().manager)
        page = browser.get(reverse("clients:mandate_decide", args=[mandate.pk])).content.decode()
        assert "Planned amount: now EUR\u00a02,000" in page
        assert "Exclude sector: Tobacco" in page


def test_a_returned_mandate_that_is_withdrawn_forgets_what_was_changed(world: World) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    world.drain()
    with world.within("aurora"):
        services.return_mandate(
            mandate=Mandate.objects.get(), by=factories.cast().manager, reason="Ask for more."
        )
    world.drain()
    with world.within("harbour"):
        by = factories.cast().advisor
        mandate = Mandate.objects.get()
        services.add_restriction(mandate=mandate, kind="exclude_sector", value="Tobacco", by=by)
        services.withdraw_mandate(mandate=Mandate.objects.get(), by=by)
        assert Mandate.objects.get().revision == {}
        assert not MandateRestriction.objects.exists()
