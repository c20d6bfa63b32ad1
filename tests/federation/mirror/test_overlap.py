"""Many agreements at once: over one row, with both roles, in a ring."""

from typing import Any

from django.db import transaction
from django.db.models import Value
from django.db.models.functions import Concat
from django.utils import timezone

from clients.models import Client, ContactDetail, Mandate, Party
from federation.mirror import control
from federation.mirror.batch import run_batch
from federation.mirror.outcome import Outcome
from federation.models import Agreement, AgreementVersion, ParkedRow, Stream
from portfolios.models import Portfolio, Transaction
from tests.federation.mirror import everything
from tests.federation.mirror.world import World
from trading.models import Order


def withhold(world: World, agreement: Agreement, *entries: str) -> Agreement:
    """Bring a version into force that leaves these kinds or fields out."""
    before = Agreement.objects.select_related("version").get(pk=agreement.pk).version
    assert before is not None
    number = before.number or 0
    AgreementVersion.objects.filter(pk=before.pk).update(in_force_to=timezone.now())
    version = AgreementVersion.objects.create(
        agreement=agreement,
        number=number + 1,
        division=before.division,
        private=before.private,
        withheld=list(entries),
        proposed_by=before.proposed_by,
    )
    agreement = world.change(agreement, version=version)
    world.drain()
    return agreement


def personal(world: World, **fields: Any) -> Client:
    client = world.client("harbour")
    with world.within("harbour"):
        Client.objects.filter(pk=client.pk).update(
            **{"nationality": "CH", "national_id": "N-1", "advisor_name": "Ada", **fields}
        )
        Party.objects.create(client=client, role="joint_owner", name="Zoe Example", national_id="P-1")
    return client


def received(world: World, name: str = "aurora") -> tuple[str, str, str]:
    with world.within(name):
        client = Client.objects.get()
        return client.nationality, client.national_id, client.advisor_name


def test_f13_a_row_holds_the_union_of_what_two_agreements_share(world: World) -> None:
    first = withhold(world, world.agree(), "clients.Client.nationality")
    second = withhold(world, world.agree(), "clients.Client.national_id", "clients.Party")
    client = personal(world)
    world.mandate(first, client=client)
    world.drain()
    assert received(world) == ("", "N-1", "Ada")
    world.mandate(second, client=client)
    world.drain()
    assert received(world) == ("CH", "N-1", "Ada")
    with world.within("harbour"):
        Client.objects.filter(pk=client.pk).update(number="C-NEW", nationality="DE", national_id="N-2")
    world.drain()
    assert received(world) == ("DE", "N-2", "Ada")
    for agreement in (first, second):
        control.refill(world.stream(agreement, "harbour"))
        world.drain()
        assert received(world) == ("DE", "N-2", "Ada")
        world.assert_in_step(agreement)


def test_f13_a_field_is_blanked_once_no_agreement_shares_it_any_more(world: World) -> None:
    first, second = world.agree(), withhold(world, world.agree(), "clients.Client.national_id")
    client = personal(world)
    mandate = world.mandate(first, client=client)
    world.mandate(second, client=client)
    world.drain()
    assert received(world) == ("CH", "N-1", "Ada")
    withhold(world, first, "clients.Client.national_id", "clients.Client.nationality")
    assert received(world) == ("CH", "", "Ada"), "the second agreement still shares the nationality"
    with world.within("harbour"):
        Mandate.objects.filter(pk=mandate.pk).update(status=Mandate.Status.WITHDRAWN)
    world.drain()
    assert received(world) == ("CH", "", "Ada")
    world.assert_in_step(second)


def test_f13_a_row_that_leaves_one_agreement_keeps_only_what_the_other_shares(world: World) -> None:
    first = world.agree()
    second = withhold(world, world.agree(), "clients.Client.national_id", "clients.Party.national_id")
    client = personal(world)
    mandate = world.mandate(first, client=client)
    world.mandate(second, client=client)
    world.drain()
    with world.within("harbour"):
        Mandate.objects.filter(pk=mandate.pk).update(status=Mandate.Status.WITHDRAWN)
    # The other one's stream, if it is quicker, takes the mandate away.
    run_batch(world.stream(second, "harbour").pk)
    world.drain()
    assert received(world) == ("CH", "", "Ada")
    with world.within("aurora"):
        assert (Party.objects.get().name, Party.objects.get().national_id) == ("Zoe Example", "")
    world.assert_in_step(second)


def test_f13_a_mandate_that_is_deleted_takes_along_what_only_its_own_agreement_shared(world: World) -> None:
    first = world.agree()
    second = withhold(world, world.agree(), "clients.ContactDetail")
    client = personal(world)
    mandate = world.mandate(first, client=client)
    world.mandate(second, client=client)
    world.drain()
    assert world.count("aurora", ContactDetail) == 1
    with world.within("harbour"):
        Mandate.objects.filter(pk=mandate.pk).delete()
    # The other one's stream, which knows nothing of contact details, is quicker.
    run_batch(world.stream(second, "harbour").pk)
    world.drain()
    assert world.count("aurora", Mandate) == 1
    assert world.count("aurora", ContactDetail) == 0
    world.assert_in_step(second)


def test_f13_the_end_of_one_agreement_leaves_only_what_the_other_shares(world: World) -> None:
    first = world.agree()
    second = withhold(world, world.agree(), "clients.Client.national_id", "clients.ContactDetail")
    client = personal(world)
    mandate = world.mandate(first, client=client)
    world.mandate(second, client=client)
    world.drain()
    world.decide(mandate, "accepted")
    world.drain()
    world.change(first, state="terminated", ended_at=timezone.now())
    assert received(world) == ("CH", "", "Ada")
    with world.within("aurora"):
        assert Client.objects.get().retired_at is None
        assert ContactDetail.objects.get().retired_at is not None, "sealed: the second does not share it"
    world.assert_in_step(second)


def test_f13_a_kind_that_one_agreement_stops_sharing_stays_with_the_fields_of_the_other(world: World) -> None:
    first = world.agree()
    second = withhold(world, world.agree(), "clients.Party.national_id")
    client = personal(world)
    world.mandate(first, client=client)
    world.mandate(second, client=client)
    world.drain()
    withhold(world, first, "clients.Party")
    with world.within("aurora"):
        party = Party.objects.get()
        assert (party.name, party.national_id) == ("Zoe Example", "")
    withhold(world, second, "clients.Party")
    assert world.count("aurora", Party) == 0


def test_f14_two_that_manage_for_each_other_keep_their_records_apart(world: World) -> None:
    there = world.agree("aurora", "harbour")
    back = world.agree("harbour", "aurora")
    theirs, ours = world.mandate(there, "harbour"), world.mandate(back, "aurora")
    world.drain()
    first, second = world.portfolio(theirs, transactions=3), world.portfolio(ours, "harbour", transactions=4)
    world.drain()
    for agreement in (there, back):
        world.assert_in_step(agreement)
    assert world.count("aurora", Transaction, portfolio=second, origin=there.channel_id) == 4
    assert world.count("harbour", Transaction, portfolio=first, origin=there.manager_id) == 3
    written = sum(Stream.objects.values_list("rows_written", flat=True))
    world.drain()
    assert sum(Stream.objects.values_list("rows_written", flat=True)) == written, "no echo"
    world.decide(theirs, "accepted", "aurora")
    world.decide(ours, "accepted", "harbour")
    world.drain()
    world.change(there, state="terminated", ended_at=timezone.now())
    with world.within("aurora"):
        assert Mandate.objects.get(pk=theirs.pk).retired_at is not None
        assert Portfolio.objects.get(pk=second.pk).retired_at is None, "the other agreement goes on"
    world.transactions(second, 1, "harbour")
    world.drain()
    world.assert_in_step(back)
    assert world.count("aurora", Transaction, portfolio=second) == 5


def test_f14_a_ring_of_three_passes_nothing_on(world: World) -> None:
    ring = [
        world.agree("aurora", "harbour"),
        world.agree("harbour", "lakeside"),
        world.agree("lakeside", "aurora"),
    ]
    channels = ["harbour", "lakeside", "aurora"]
    mandates = [world.mandate(agreement, schema) for agreement, schema in zip(ring, channels, strict=True)]
    for agreement in ring:
        everything.offer(world, agreement, agreement.manager.schema_name)
    world.drain()
    for mandate, agreement in zip(mandates, ring, strict=True):
        world.portfolio(mandate, agreement.manager.schema_name, transactions=2)
    world.drain()
    for agreement in ring:
        world.assert_in_step(agreement)
    for schema in channels:
        assert world.count(schema, Client) == 2, "one's own, and the one of who one manages for"
        assert world.count(schema, Portfolio) == 2
        assert world.orphans(schema) == []


def test_p2_a_function_that_moves_to_the_other_party_takes_what_its_former_owner_shared(world: World) -> None:
    agreement = world.agree()
    mandate = everything.relationship(world, agreement)
    world.drain()
    everything.management(world, mandate, everything.offer(world, agreement).model)
    world.drain()
    assert world.count("harbour", Order, origin__isnull=False) > 0
    before = Agreement.objects.select_related("version").get(pk=agreement.pk).version
    assert before is not None
    AgreementVersion.objects.filter(pk=before.pk).update(in_force_to=timezone.now())
    version = AgreementVersion.objects.create(
        agreement=agreement, number=2, division={**before.division, "trading": "channel"}, proposed_by=agreement.channel
    )  # fmt: skip
    world.change(agreement, version=version)
    assert world.count("harbour", Order, origin__isnull=False, retired_at=None) == 0
    world.drain()
    assert world.count("harbour", Portfolio, origin__isnull=False, retired_at=None) == 1
    world.assert_in_step(Agreement.objects.get(pk=agreement.pk))
    assert world.orphans("harbour") == []


def test_p2_a_party_that_shares_nothing_any_more_has_nothing_left_at_the_other(world: World) -> None:
    agreement = world.agree()
    world.mandate(agreement)
    world.drain()
    assert world.count("aurora", Client) == 1
    before = Agreement.objects.select_related("version").get(pk=agreement.pk).version
    assert before is not None
    AgreementVersion.objects.filter(pk=before.pk).update(in_force_to=timezone.now())
    version = AgreementVersion.objects.create(
        agreement=agreement, number=2, division=before.division, private=["relationship"], proposed_by=agreement.channel
    )  # fmt: skip
    world.change(agreement, version=version)
    while run_batch(world.stream(agreement, "harbour").pk) == Outcome.WAITING:
        pass
    # With nothing to fill it takes its place all the same, and is not asked again and again.
    assert world.stream(agreement, "harbour").cursor is not None
    world.drain()
    assert (
        world.count("aurora", Client)
        == world.count("aurora", Mandate)
        == world.count("aurora", ContactDetail)
        == 0
    )
    assert world.orphans("aurora") == []


def test_f13_numbers_that_sealed_and_rejected_records_had_are_free_for_others(world: World) -> None:
    first, second = world.agree(), world.agree()
    sealed, live, rejected, other = (world.mandate(each) for each in (first, second, second, second))
    world.drain()
    world.decide(sealed, "accepted")
    world.decide(rejected, "rejected")
    world.drain()
    world.change(first, state="terminated", ended_at=timezone.now())
    with world.within("harbour"), transaction.atomic():
        for model, one, two in (
            (Client, sealed.client, live.client),
            (Mandate, sealed, live),
            (Mandate, rejected, other),
        ):
            for row, number in ((one, "between"), (two, one.number), (one, two.number)):
                model.objects.filter(pk=row.pk).update(number=number)
    world.drain()
    assert not ParkedRow.objects.exists()
    world.assert_in_step(second)
    with world.within("aurora"):
        kept = Client.objects.get(pk=sealed.client_id)
        assert (kept.number, kept.retired_at is not None) == (sealed.client.number, True)
        assert Client.objects.get(pk=live.client_id).number == kept.number
        assert Mandate.objects.get(pk=other.pk).number == rejected.number


def test_f13_numbers_change_places_under_two_agreements(world: World) -> None:
    first, second = world.agree(), world.agree()
    mandates = [world.mandate(each) for each in (first, second, first)]
    world.drain()
    with world.within("harbour"), transaction.atomic():
        for model, rows in ((Client, [each.client for each in mandates]), (Mandate, mandates)):
            numbers = [row.number for row in rows]
            model.objects.filter(pk__in=[row.pk for row in rows]).update(
                number=Concat("number", Value(" moves"))
            )
            for row, number in zip(rows, [*numbers[1:], numbers[0]], strict=True):
                model.objects.filter(pk=row.pk).update(number=number)
    world.drain()
    assert not ParkedRow.objects.exists()
    for agreement in (first, second):
        world.assert_in_step(agreement)
