"""What remains at a receiver after the end: sealed, hidden, alive again under another agreement."""

import pytest
from django.db import ProgrammingError, transaction
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone
from guardian.models import UserObjectPermission
from guardian.shortcuts import assign_perm

from clients.models import Client, ContactDetail, Mandate, MandateDecision, RiskProfile
from federation.mirror import control
from federation.models import AgreementEvent, SealedKeys, SealedRecords, Stream
from portfolios.models import Portfolio
from tests import factories
from tests.federation.mirror.sealing import begun_anew, cut, ended, ended_and_begun_anew, erase, sealed_at
from tests.federation.mirror.test_overlap import personal, received, withhold
from tests.federation.mirror.world import World


def test_the_end_seals_at_both_parties_for_as_long_as_the_agreement_says(world: World) -> None:
    agreement = ended(world)
    today = timezone.now().date()
    for schema in ("aurora", "harbour"):
        kept = sealed_at(agreement, schema)
        assert (kept.retain_until.year, kept.erased_at) == (today.year + 5, None)
    lines = AgreementEvent.objects.filter(agreement=agreement, kind="sealed")
    assert {line.institution.schema_name for line in lines if line.institution} == {"aurora", "harbour"}


def test_an_agreement_under_which_nothing_was_kept_seals_nothing(world: World) -> None:
    agreement = world.agree()
    world.mandate(agreement)
    world.drain()
    cut(world, agreement)
    assert not SealedRecords.objects.exists()
    assert world.count("aurora", Mandate) == world.count("aurora", Client) == 0


def test_sealed_records_are_in_no_list_no_search_no_api_and_no_total(world: World) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    ended(world, mandate, agreement=agreement)
    for schema, paths in (
        (
            "aurora",
            ["clients/", "mandates/", "book/", "instructions/", "api/v1/clients/", "api/v1/mandates/"],
        ),
        ("harbour", ["book/", "api/v1/portfolios/", "api/v1/transactions/", "api/v1/holdings/"]),
    ):
        with world.within(schema):
            person = factories.cast().compliance
            browser = Browser(headers={"host": f"{schema}.localhost"})
            browser.force_login(person)
            for path in [*paths, "search/?q=Ann", "search/?q=Portfolio", "book/?q=Ann"]:
                answer = browser.get(f"/{path}", follow=True)
                assert answer.status_code == 200, path
                own = schema == "harbour" and "search" in path
                assert own or b"Ann Example" not in answer.content, path
                assert schema == "aurora" or b"Portfolio P-" not in answer.content, path
            listed = browser.get("/mandates/").content
            assert b"/portfolios/" not in listed.partition(b"<main")[2]
            for path in ("/mandates/", "/clients/", "/mandates/?_export=csv", "/clients/?_export=csv"):
                shown = browser.get(path).content.replace(b",", b"")
                assert b"777123" not in shown, path
            assert Portfolio.objects.visible_to(person).received().count() == 0
            assert Client.objects.visible_to(person).received().count() == 0
    with world.within("aurora"):
        browser = Browser(headers={"host": "aurora.localhost"})
        browser.force_login(factories.cast().manager)
        decide = reverse("clients:mandate_decide", args=[mandate.pk])
        assert browser.post(decide, {"decision": "accept"}).status_code == 404


def grant(world: World) -> None:
    """Let somebody at Aurora see the client, whom nothing else lets them see."""
    with world.within("aurora"):
        assign_perm("clients.view_client", factories.cast().stranger, Client.objects.get())


def test_f13_a_sealed_client_lives_again_under_a_new_agreement_and_goes_back_after_it(world: World) -> None:
    first = world.agree()
    old = world.mandate(first)
    world.drain()
    grant(world)
    ended(world, old, agreement=first)
    second, new = begun_anew(world, old)
    assert world.count("aurora", UserObjectPermission) == 0, "who was to see it before is granted it anew"
    grant(world)
    with world.within("aurora"):
        assert Client.objects.get().retired_at is None
        assert ContactDetail.objects.get().retired_at is None
        assert Mandate.objects.get(pk=old.pk).retired_at is not None, "its own mandate stays sealed"
        assert Mandate.objects.get(pk=new.pk).retired_at is None
    world.assert_in_step(second)
    world.decide(new, "rejected")
    world.drain()
    with world.within("aurora"):
        client = Client.objects.get()
        assert (client.retired_at is not None, client.name) == (True, "Ann Example"), "sealed, not deleted"
        assert ContactDetail.objects.get().retired_at is not None
    assert world.count("aurora", UserObjectPermission) == 0
    assert world.orphans("aurora") == []


def test_a_sealed_record_cannot_be_changed(world: World) -> None:
    ended(world)
    with world.within("aurora"):
        for change in (
            lambda: Client.objects.update(name="X"),
            lambda: Client.objects.update(retired_at=None),
        ):
            with pytest.raises(ProgrammingError, match="read-only"), transaction.atomic():
                change()


def test_p2_a_sealed_row_that_comes_alive_shows_only_what_its_new_agreement_shares(world: World) -> None:
    first, second = world.agree(), withhold(world, world.agree(), "clients.Client.national_id")
    client = personal(world)
    ended(world, world.mandate(first, client=client), agreement=first)
    assert received(world) == ("CH", "N-1", "Ada"), "sealed with its content"
    world.mandate(second, client=client)
    world.drain()
    assert received(world) == ("CH", "", "Ada")
    world.assert_in_step(second)
    third = world.agree()
    world.mandate(third, client=client)
    world.drain()
    assert received(world) == ("CH", "N-1", "Ada"), "the third shares it anew"
    world.assert_in_step(second)
    world.assert_in_step(third)


def test_p2_a_sealed_set_does_not_grow_by_what_a_later_agreement_brought(world: World) -> None:
    first, second = withhold(world, world.agree(), "clients.Client.national_id"), world.agree()
    client = personal(world)
    ended(world, world.mandate(first, client=client), agreement=first)
    later = world.mandate(second, client=client)
    world.drain()
    with world.within("harbour"):
        ContactDetail.objects.create(client_id=client.pk, kind="phone", value="+41 44 000 00 00")
    world.drain()
    assert received(world) == ("CH", "N-1", "Ada")
    assert world.count("aurora", ContactDetail, value__startswith="+41", retired_at=None) == 1
    with world.within("harbour"):
        Mandate.objects.filter(pk=later.pk).update(status=Mandate.Status.WITHDRAWN)
    world.drain()
    assert received(world) == ("CH", "", "Ada")
    with world.within("aurora"):
        assert Client.objects.get().retired_at is not None
        assert [contact.kind for contact in ContactDetail.objects.all()] == ["email"]
    assert world.orphans("aurora") == []


def test_p2_a_sealed_set_does_not_grow_by_what_had_never_come_under_its_agreement(world: World) -> None:
    first, second = world.agree(), world.agree()
    client = personal(world)
    mandate = world.mandate(first, client=client)
    world.drain()
    world.decide(mandate, "accepted")
    world.drain()
    world.suspend(first)
    with world.within("harbour"):
        ContactDetail.objects.create(client_id=client.pk, kind="phone", value="+41 44 000 00 00")
    cut(world, first)
    later = world.mandate(second, client=client)
    world.drain()
    assert world.count("aurora", ContactDetail, retired_at=None) == 2
    with world.within("harbour"):
        Mandate.objects.filter(pk=later.pk).update(status=Mandate.Status.WITHDRAWN)
    world.drain()
    with world.within("aurora"):
        assert Client.objects.get().retired_at is not None
        assert [contact.kind for contact in ContactDetail.objects.all()] == ["email"]
    assert world.orphans("aurora") == []
    erase()
    assert world.count("aurora", Client) == 0
    assert not SealedKeys.objects.filter(sealed__receiver__schema_name="aurora").exists()


def test_f13_what_another_agreement_held_at_the_end_is_sealed_when_it_lets_go(world: World) -> None:
    first, second = world.agree(), world.agree()
    client = personal(world)
    old, new = world.mandate(first, client=client), world.mandate(second, client=client)
    world.drain()
    world.decide(old, "accepted")
    world.drain()
    cut(world, first)
    assert world.count("aurora", Client, retired_at=None) == 1
    with world.within("harbour"):
        Mandate.objects.filter(pk=new.pk).update(status=Mandate.Status.WITHDRAWN)
    world.drain()
    with world.within("aurora"):
        sealed = Client.objects.get()
        assert (sealed.name, sealed.retired_at is not None) == (client.name, True)


def test_answers_keep_what_their_ended_agreement_shared_where_a_later_one_withholds_it(world: World) -> None:
    first = world.agree()
    ended(world, world.mandate(first), agreement=first)
    second = world.agree()
    later = world.mandate(second)
    world.drain()
    world.decide(later, "accepted")
    world.drain()
    withhold(world, second, "clients.MandateDecision.reason")
    with world.within("harbour"):
        reasons = {each.mandate.agreement: each.reason for each in MandateDecision.objects.all()}
    assert reasons == {first.pk: "As it is.", second.pk: ""}


@pytest.mark.parametrize("touch", ["changed", "deleted", "read again"])
def test_answers_of_an_ended_agreement_stay_whatever_becomes_of_them_at_their_author_under_a_later_one(
    world: World, touch: str
) -> None:
    second, old, _new = ended_and_begun_anew(world)
    with world.within("aurora"):
        theirs = MandateDecision.objects.filter(mandate=old.pk)
        if touch == "changed":
            theirs.update(reason="Otherwise.")
        elif touch == "deleted":
            theirs.delete()
    if touch == "read again":
        Stream.objects.filter(agreement=second).update(cursor="3:3:")
        world.look()
    world.drain()
    with world.within("harbour"):
        assert MandateDecision.objects.get(mandate=old.pk).reason == "As it is."


def test_what_is_sealed_keeps_its_date_when_an_update_of_the_platform_looks_at_it_again(world: World) -> None:
    second, _old, _new = ended_and_begun_anew(world)
    withhold(world, second, "clients.ContactDetail")
    with world.within("aurora"):
        since = ContactDetail.objects.get().retired_at
    assert since is not None
    Stream.objects.filter(agreement=second).update(scope="of before")
    control.refill(world.stream(second, "harbour"))
    world.drain()
    with world.within("aurora"):
        assert ContactDetail.objects.get().retired_at == since


def test_p2_a_sealed_profile_does_not_show_with_a_client_whom_another_agreement_shares(world: World) -> None:
    first, second = world.agree(), withhold(world, world.agree(), "clients.RiskProfile")
    client = world.client("harbour")
    world.mandate(second, client=client)
    ended(world, world.mandate(first, client=client), agreement=first)
    with world.within("aurora"):
        assert RiskProfile.objects.get().retired_at is not None
        browser = Browser(headers={"host": "aurora.localhost"})
        browser.force_login(factories.cast().compliance)
        for path in (f"/clients/{client.pk}/", "/clients/"):
            page = browser.get(path).content.decode()
            assert client.name in page
            assert "3/7" not in page
        assert "No profile yet" in browser.get(f"/clients/{client.pk}/").content.decode()
