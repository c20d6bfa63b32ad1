"""Entering and changing clients."""

import datetime
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django_tenants.utils import tenant_context
from hypothesis import given
from hypothesis import strategies as st
from stdnum import iso11649

from accounts.errors import DomainError
from accounts.models import AuditEntry
from accounts.records import new_id
from clients import services
from clients.models import Client, KycStatus, Party, PayoutAccount
from clients.numbers import next_client_number, payment_reference, same_reference
from clients.querysets import Person
from federation.models import Institution
from tests.clients import make
from tests.factories import Cast


def test_a_new_client_gets_a_number_an_advisor_and_a_unit(in_harbour: Cast) -> None:
    client = make.client(in_harbour.advisor)
    assert client.number.startswith("C-")
    assert (client.name, client.advisor, client.unit) == ("Ada Example", in_harbour.advisor, in_harbour.unit)
    assert client.status == Client.Status.PROSPECT
    assert client.contact_details.get().value == "ada@example.test"
    assert KycStatus.objects.get(client=client).state == KycStatus.State.PENDING


def test_the_audit_names_the_fields_that_changed_and_no_values(in_harbour: Cast) -> None:
    client = make.client(in_harbour.advisor)
    services.change_client(
        client=client,
        kind="person",
        fields={"first_name": "Ada", "last_name": "Newname"},
        by=in_harbour.advisor,
    )
    entry = AuditEntry.objects.get(action="client.changed")
    assert entry.data == {"fields": ["last_name"]}
    assert entry.actor == in_harbour.advisor


def test_a_couple_goes_by_both_names(in_harbour: Cast) -> None:
    client = services.create_client(
        kind=Client.Kind.COUPLE,
        fields={"first_name": "Otto", "last_name": "Paar", "birth_date": datetime.date(1960, 1, 1)},
        parties=[services.PartyData(role=Party.Role.JOINT_OWNER, name="Paula Paar")],
        by=in_harbour.advisor,
    )
    assert client.name == "Otto Paar & Paula Paar"


def test_a_party_that_stays_the_same_keeps_its_id(in_harbour: Cast) -> None:
    people = [
        services.PartyData(role=Party.Role.REPRESENTATIVE, name="Rita"),
        services.PartyData(role=Party.Role.BENEFICIAL_OWNER, name="Otto"),
    ]
    client = services.create_client(
        kind=Client.Kind.COMPANY, fields={"name": "Fictive Ltd"}, parties=people, by=in_harbour.advisor
    )
    before = dict(client.parties.values_list("name", "pk"))
    changed = [people[0], services.PartyData(role=Party.Role.BENEFICIAL_OWNER, name="Olga")]
    services.change_client(
        client=client, kind="company", fields={"name": "Fictive Ltd"}, parties=changed, by=in_harbour.advisor
    )
    after = dict(client.parties.values_list("name", "pk"))
    assert after["Rita"] == before["Rita"]
    assert set(after) == {"Rita", "Olga"}


def test_numbers_are_unique_under_concurrency(harbour: Institution) -> None:
    def take(_index: int) -> list[str]:
        with tenant_context(harbour):
            try:
                return [next_client_number() for _ in range(20)]
            finally:
                connection.close()

    with ThreadPoolExecutor(4) as pool:
        numbers = [number for taken in pool.map(take, range(4)) for number in taken]
    assert len(set(numbers)) == 80


def test_a_number_that_was_taken_over_from_elsewhere_is_passed_by(in_harbour: Cast) -> None:
    taken = next_client_number()
    following = f"C-{int(taken[2:]) + 1}"
    make.client(in_harbour.advisor, number=following)
    assert next_client_number() != following


@given(st.uuids())
def test_every_payment_reference_is_a_valid_creditor_reference(any_id: object) -> None:
    reference = payment_reference(any_id)  # type: ignore[arg-type]
    assert iso11649.is_valid(reference)
    assert len(reference) == 16
    assert same_reference(iso11649.format(reference).lower(), reference)


def test_references_of_instructions_made_at_once_differ() -> None:
    assert len({payment_reference(new_id()) for _ in range(1000)}) == 1000


def test_duplicates_are_recognised_by_official_numbers_and_by_name_with_birth_date(in_harbour: Cast) -> None:
    client = make.client(in_harbour.advisor, national_id="X-1")
    couple = services.create_client(
        kind=Client.Kind.COUPLE,
        fields={"first_name": "Otto", "last_name": "Paar", "birth_date": datetime.date(1960, 1, 1)},
        parties=[
            services.PartyData(
                role=Party.Role.JOINT_OWNER, name="Paula Paar", birth_date=datetime.date(1962, 2, 2)
            )
        ],
        by=in_harbour.advisor,
    )
    company = services.create_client(
        kind=Client.Kind.COMPANY,
        fields={"name": "Fictive", "registration_number": "HRB 1"},
        by=in_harbour.advisor,
    )
    like = Client.objects.like
    anybody = datetime.date(1999, 9, 9)
    assert list(like([Person("Other", "Name", anybody, "x-1")])) == [client]
    assert list(like([Person("ADA", "example", datetime.date(1960, 2, 3))])) == [client]
    assert list(like([Person("Ada", "Example", anybody)])) == []
    assert list(like([Person("Paula", "Paar", datetime.date(1962, 2, 2))])) == [couple]
    assert list(like([], registration_number="hrb 1")) == [company]
    assert list(like([Person("Ada", "Example", datetime.date(1960, 2, 3))], but_not=client.pk)) == []


def test_a_received_client_refuses_every_change(in_harbour: Cast) -> None:
    with make.as_mirror():
        client = Client.objects.create(name="Theirs", origin=new_id())
    advisor = in_harbour.advisor
    changes = [
        lambda: services.change_client(client=client, kind="person", fields={"name": "Mine"}, by=advisor),
        lambda: services.record_questionnaire(client=client, answers=make.ANSWERS, by=advisor),
        lambda: make.checked(client, advisor),
        lambda: services.enter_payout_account(client=client, iban=make.IBAN, holder="x", by=advisor),
        lambda: services.start_mandate(client=client, by=advisor),
        lambda: services.write_note(client=client, text="x", by=advisor),
    ]
    for change in changes:
        with pytest.raises(DomainError) as refused:
            change()
        assert refused.value.code == "received_record"


def test_a_politically_exposed_client_waits_for_operations(in_harbour: Cast) -> None:
    client = make.client(in_harbour.advisor)
    seen = {
        "client": client,
        "checked_on": make.today(),
        "is_politically_exposed": True,
        "evidence_kind": "passport",
        "evidence_reference": "P1",
    }
    assert services.record_kyc(by=in_harbour.advisor, **seen).state == KycStatus.State.PENDING
    approved = services.record_kyc(by=in_harbour.operations, may_clear_exposed=True, **seen)
    assert approved.state == KycStatus.State.APPROVED


def test_a_payout_account_is_verified_by_somebody_else_than_who_entered_it(in_harbour: Cast) -> None:
    client = make.client(in_harbour.advisor)
    account = services.enter_payout_account(
        client=client, iban=make.IBAN, holder=client.name, by=in_harbour.advisor
    )
    with pytest.raises(DomainError) as refused:
        services.verify_payout_account(account=account, by=in_harbour.advisor)
    assert refused.value.code == "verified_by_same_person"
    assert not PayoutAccount.objects.get().is_verified
    assert services.verify_payout_account(account=account, by=in_harbour.operations).is_verified


def test_the_database_refuses_an_account_verified_by_who_entered_it(in_harbour: Cast) -> None:
    client = make.client(in_harbour.advisor)
    with pytest.raises(IntegrityError, match="verified_by_another"), transaction.atomic():
        PayoutAccount.objects.create(
            client=client, iban=make.IBAN, entered_by=in_harbour.advisor, verified_by=in_harbour.advisor
        )


def test_a_new_questionnaire_ends_the_profile_before_and_keeps_the_answers_private(in_harbour: Cast) -> None:
    client = make.client(in_harbour.advisor)
    first = make.profile(client, in_harbour.advisor)
    second = make.profile(client, in_harbour.advisor, capacity_loss="none")
    first.refresh_from_db()
    assert (first.level, second.level) == (4, 1)
    assert first.valid_until == second.valid_from
    assert second.valid_until.year == second.valid_from.year + 2
    assert client.questionnaires.count() == 2
    assert client.valid_profile() == second


def test_an_incomplete_questionnaire_is_refused(in_harbour: Cast) -> None:
    client = make.client(in_harbour.advisor)
    with pytest.raises(DomainError) as refused:
        services.record_questionnaire(client=client, answers={"horizon": "5"}, by=in_harbour.advisor)
    assert refused.value.code == "questionnaire_incomplete"
    assert "capacity_loss" in refused.value.data["questions"]
    assert not client.questionnaires.exists()


def test_a_client_without_a_name_is_refused(in_harbour: Cast) -> None:
    with pytest.raises(ValidationError):
        services.create_client(kind=Client.Kind.COMPANY, fields={"name": ""}, by=in_harbour.advisor)


def test_an_advisor_cannot_clear_a_client_who_was_found_politically_exposed(in_harbour: Cast) -> None:
    seen = {
        "client": make.client(in_harbour.advisor),
        "checked_on": make.today(),
        "evidence_kind": "passport",
        "evidence_reference": "P-2",
    }
    services.record_kyc(by=in_harbour.operations, is_politically_exposed=True, **seen)
    again = services.record_kyc(by=in_harbour.advisor, is_politically_exposed=False, **seen)
    assert (again.state, again.is_politically_exposed) == (KycStatus.State.PENDING, True)

    cleared = services.record_kyc(
        by=in_harbour.operations, is_politically_exposed=False, may_clear_exposed=True, **seen
    )
    assert (cleared.state, cleared.is_politically_exposed) == (KycStatus.State.APPROVED, False)


def test_an_advisor_cannot_free_a_blocked_client(in_harbour: Cast) -> None:
    client = make.client(in_harbour.advisor)
    services.block_kyc(client=client, by=in_harbour.operations)
    with pytest.raises(DomainError) as refused:
        make.checked(client, in_harbour.advisor)
    assert refused.value.code == "kyc_blocked"
    assert KycStatus.objects.get(client=client).state == KycStatus.State.BLOCKED
