"""What is sealed is erased when it is due, and holds keep it."""

import datetime

import pytest
from django.db import connection
from django.utils import timezone
from guardian.models import UserObjectPermission
from guardian.shortcuts import assign_perm

from accounts.errors import DomainError
from accounts.models import AuditEntry
from clients.models import Client, ContactDetail, Mandate, MandateDecision, Note
from federation.agreements import sealing
from federation.mirror import erasing
from federation.models import (
    AgreementEvent,
    RecordsHold,
)
from portfolios.models import BankEntry, Portfolio, Transaction
from tests import factories
from tests.federation.mirror.sealing import LATER, cut, ended, ended_and_begun_anew, erase, sealed_at
from tests.federation.mirror.world import TODAY, World


def test_what_is_due_is_erased_and_what_is_not_due_stays(world: World) -> None:
    agreement = ended(world)
    erase(timezone.now().date())
    assert world.count("aurora", Client) == 1
    assert world.count("harbour", Transaction) == 3
    erase()
    assert world.count("aurora", Client) == world.count("aurora", ContactDetail) == 0
    assert world.count("harbour", Portfolio) == world.count("harbour", Transaction) == 0
    assert world.count("harbour", Client) == world.count("harbour", Mandate) == 1
    assert world.count("aurora", Portfolio) == 1, "own rows are never erased"
    with world.within("aurora"):
        stub = Mandate.objects.get()
        assert (stub.client_id, stub.amount) == (None, None), "the portfolio and the decision still name it"
        assert MandateDecision.objects.get().mandate_id == stub.pk
    assert world.orphans("harbour") == world.orphans("aurora") == []
    assert sealed_at(agreement, "harbour").erased_at is not None
    lines = AgreementEvent.objects.filter(agreement=agreement, kind="erased")
    assert {line.data["rows"] > 0 for line in lines} == {True}
    assert len(lines) == 2
    with world.within("harbour"):
        assert AuditEntry.objects.filter(action="agreement.erased").exists()
    erase()
    assert AgreementEvent.objects.filter(agreement=agreement, kind="erased").count() == 2


def test_the_last_day_of_keeping_is_over_before_anything_is_erased(world: World) -> None:
    agreement = ended(world)
    last = sealed_at(agreement, "aurora").retain_until
    erase(last)
    assert world.count("aurora", Client) == 1
    erase(last + datetime.timedelta(days=1))
    assert world.count("aurora", Client) == 0


def test_two_workers_that_erase_at_once_say_so_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    agreement = ended(world)
    real, nested = erasing.erase, []

    def other_was_faster(sealed, **kwargs):
        if not nested:
            nested.append(sealed)
            erase()
        return real(sealed, **kwargs)

    monkeypatch.setattr(erasing, "erase", other_was_faster)
    erase()
    assert AgreementEvent.objects.filter(agreement=agreement, kind="erased").count() == 2


def test_a_row_that_an_own_row_names_stays_as_a_blanked_stub(world: World) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    world.drain()
    with world.within("aurora"):
        Note.objects.create(client_id=mandate.client_id, text="Our own words.")
    ended(world, mandate, agreement=agreement)
    with world.within("harbour"):
        own = BankEntry.objects.create(
            portfolio=Portfolio.objects.get(), value_date=TODAY, amount=5, currency="EUR"
        )
    erase()
    with world.within("harbour"):
        stub = BankEntry.objects.get(pk=own.pk).portfolio
        assert stub is not None
        assert (stub.name, stub.retired_at is not None) == ("", True)
        assert Transaction.objects.count() == 0
    with world.within("aurora"):
        stub_client = Client.objects.get()
        assert (stub_client.name, stub_client.number) == ("", "")
        assert Note.objects.get().text == "Our own words."
    assert world.orphans("harbour") == world.orphans("aurora") == []


def test_erasing_goes_on_where_it_was_interrupted(world: World) -> None:
    agreement = world.agree()
    mandates = [world.mandate(agreement) for _ in range(5)]
    ended(world, *mandates, agreement=agreement)
    kept = sealed_at(agreement, "aurora")
    assert erasing.erase(kept, today=LATER, chunk=2)
    assert world.count("aurora", Client) == 3
    kept.refresh_from_db()
    assert kept.erase_after == sorted(mandate.pk for mandate in mandates)[1]
    erase()
    assert world.count("aurora", Client) == 0
    kept.refresh_from_db()
    assert kept.erased_at is not None


def test_a_hold_keeps_one_mandate_or_everything_until_it_is_lifted_or_runs_out(world: World) -> None:
    agreement = world.agree()
    held, other = world.mandate(agreement), world.mandate(agreement)
    ended(world, held, other, agreement=agreement)
    kept, aurora = sealed_at(agreement, "aurora"), world.institution("aurora")
    with world.within("aurora"):
        by = factories.cast().compliance
        with pytest.raises(DomainError):
            sealing.place_hold(kept, by=by, institution=aurora, reason=" ")
        with pytest.raises(DomainError):
            sealing.place_hold(kept, by=by, institution=world.institution("harbour"), reason="Not theirs.")
        one = sealing.place_hold(
            kept, by=by, institution=aurora, reason="A lawsuit.", mandate=Mandate.objects.get(pk=held.pk)
        )
        everything = sealing.place_hold(kept, by=by, institution=aurora, reason="An audit.")
        with pytest.raises(DomainError) as refused:
            sealing.place_hold(kept, by=by, institution=aurora, reason="Again.")
        assert refused.value.code == "held_already"
    erase()
    assert world.count("aurora", Client) == 2
    with world.within("aurora"):
        sealing.lift_hold(everything, by=by, institution=aurora, reason="The audit is over.")
    erase()
    with world.within("aurora"):
        assert [client.pk for client in Client.objects.all()] == [held.client_id]
    kept.refresh_from_db()
    assert kept.erased_at is None
    RecordsHold.objects.filter(pk=one.pk).update(until=LATER - datetime.timedelta(days=1))
    erase()
    assert world.count("aurora", Client) == 0
    kinds = AgreementEvent.objects.filter(agreement=agreement, institution=aurora).values_list(
        "kind", flat=True
    )
    assert {"held", "hold_lifted", "erased"} <= set(kinds)


def test_f13_erasing_one_agreements_records_leaves_what_another_brought(world: World) -> None:
    second, _old, new = ended_and_begun_anew(world)
    world.decide(new, "accepted")
    world.portfolio(new, transactions=2)
    world.drain()
    erase()
    with world.within("aurora"):
        assert Client.objects.get().name == "Ann Example"
        assert Mandate.objects.get(pk=new.pk).retired_at is None
    assert world.count("harbour", Transaction) == 2
    world.assert_in_step(second)
    cut(world, second)
    with world.within("aurora"):
        assert Client.objects.get().retired_at is not None
    erase()
    assert world.count("aurora", Client) == 0
    assert world.orphans("harbour") == world.orphans("aurora") == []


def test_grants_on_what_is_erased_go_with_it(world: World) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    world.drain()
    with world.within("aurora"):
        assign_perm("clients.view_client", factories.cast().stranger, Client.objects.get())
    ended(world, mandate, agreement=agreement)
    erase()
    assert world.count("aurora", UserObjectPermission) == 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM public.federation_sealedrecords WHERE erased_at IS NULL")
        assert cursor.fetchone() == (0,)
