"""People, their roles and grants."""

import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.translation import gettext
from guardian.shortcuts import get_perms

from accounts import services
from accounts.errors import DomainError
from accounts.formatting import money
from accounts.mailing import write_to
from accounts.models import AuditEntry, Role, RoleAssignment, User
from accounts.rights import can
from accounts.services import grants
from accounts.tasks import tell_of_rights
from clients.models import Client, Mandate
from portfolios.models import Portfolio


def assignment(user: User) -> RoleAssignment:
    return user.role_assignments.get()


def test_the_last_administrator_keeps_the_role(in_aurora):
    with pytest.raises(DomainError) as error:
        services.remove_role(assignment=assignment(in_aurora.administrator), by=in_aurora.administrator)
    assert error.value.code == "last_administrator"
    assert can(User.objects.get(pk=in_aurora.administrator.pk), "people.edit")


def test_the_last_administrator_cannot_be_deactivated(in_aurora):
    with pytest.raises(DomainError, match="last administrator"):
        services.deactivate_person(user=in_aurora.administrator, by=in_aurora.administrator)


def test_an_inactive_administrator_does_not_count(in_aurora):
    other = services.assign_role(
        user=in_aurora.stranger, role=Role.ADMINISTRATOR, unit=None, by=in_aurora.administrator
    )
    services.deactivate_person(user=in_aurora.stranger, by=in_aurora.administrator)
    with pytest.raises(DomainError, match="last administrator"):
        services.remove_role(assignment=assignment(in_aurora.administrator), by=in_aurora.administrator)
    services.remove_role(assignment=other, by=in_aurora.administrator)


def test_one_of_two_administrators_can_leave(in_aurora):
    services.assign_role(
        user=in_aurora.stranger, role=Role.ADMINISTRATOR, unit=None, by=in_aurora.administrator
    )
    services.remove_role(assignment=assignment(in_aurora.administrator), by=in_aurora.stranger)
    assert not can(User.objects.get(pk=in_aurora.administrator.pk), "people.edit")


def test_nobody_widens_their_own_reach(aurora, in_aurora, browse):
    services.assign_role(
        user=in_aurora.stranger, role=Role.ADMINISTRATOR, unit=None, by=in_aurora.administrator
    )
    mine = in_aurora.administrator
    someone = Client.objects.create(name="Nora Beispiel", unit=in_aurora.other_unit)
    for change in (
        lambda: services.assign_role(user=mine, role=Role.OPERATIONS, unit=None, by=mine),
        lambda: services.remove_role(assignment=assignment(mine), by=mine),
        lambda: services.grant(user=mine, kind="client", record_id=someone.pk, by=mine),
    ):
        with pytest.raises(DomainError, match="another administrator"):
            change()
    page = browse(aurora, mine)
    own = page.get(reverse("accounts:person_detail", args=[mine.pk])).content.decode()
    assert "Another administrator changes them" in own
    assert reverse("accounts:role_add", args=[mine.pk]) not in own
    page.post(reverse("accounts:role_add", args=[mine.pk]), {"role": Role.OPERATIONS, "unit": ""})
    assert mine.role_assignments.count() == 1
    # The other one may.
    services.assign_role(user=mine, role=Role.OPERATIONS, unit=None, by=in_aurora.stranger)
    assert can(User.objects.get(pk=mine.pk), "cash.match")


def test_a_role_is_held_once_in_a_place(in_aurora):
    with pytest.raises(DomainError, match="already has this role"):
        services.assign_role(
            user=in_aurora.advisor, role=Role.ADVISOR, unit=in_aurora.unit, by=in_aurora.administrator
        )


def test_each_change_of_rights_is_audited(in_aurora):
    held = services.assign_role(
        user=in_aurora.stranger, role=Role.ADVISOR, unit=in_aurora.unit, by=in_aurora.administrator
    )
    services.remove_role(assignment=held, by=in_aurora.administrator)
    entries = AuditEntry.objects.filter(record_id=in_aurora.stranger.pk).order_by("at")
    assert [(entry.action, entry.actor, entry.data["role"]) for entry in entries] == [
        ("role.assigned", in_aurora.administrator, "advisor"),
        ("role.removed", in_aurora.administrator, "advisor"),
    ]


def test_the_others_are_told_of_new_rights(in_aurora, mailoutbox, django_capture_on_commit_callbacks):
    by = in_aurora.administrator
    with django_capture_on_commit_callbacks() as told:
        services.invite_person(
            email="second@example.test",
            full_name="Nora Beispiel",
            assignments=[(Role.ADMINISTRATOR, None)],
            by=by,
        )
        services.assign_role(user=in_aurora.stranger, role=Role.ADMINISTRATOR, unit=in_aurora.unit, by=by)
    assert [each.func for each in told] == [tell_of_rights.delay] * 2
    for each in told:
        tell_of_rights(*each.args)
    # Neither who gave the right nor who has it; by now the other administrator as well.
    first, *later = mailoutbox
    assert sorted(to for each in mailoutbox for to in each.to) == sorted(
        [in_aurora.compliance.email, in_aurora.stranger.email, in_aurora.compliance.email]
    )
    assert first.subject == "New rights for Nora Beispiel"
    assert f"{by.full_name} has invited Nora Beispiel (second@example.test)" in first.body
    assert "- Administrator\n" in first.body
    assert f"- Administrator, {in_aurora.unit}\n" in later[-1].body
    with django_capture_on_commit_callbacks() as told:
        services.invite_person(email="first@example.test", full_name="Nora", by=None)
    assert told == []


def test_mails_are_in_english_with_numbers_as_the_reader_chose(in_aurora, mailoutbox):
    in_aurora.compliance.language = User.Writing.GERMAN
    # Django has a German word for it.
    assert write_to([in_aurora.compliance], lambda: (gettext("January"), money(1234.5, "EUR"))) == 1
    assert (mailoutbox[0].subject, mailoutbox[0].body) == ("January", "EUR\u00a01.234,50")


def test_a_person_who_is_deactivated_is_out_at_once(aurora, in_aurora, browse):
    page = browse(aurora, in_aurora.advisor)
    assert page.get(reverse("accounts:profile")).status_code == 200
    services.deactivate_person(user=in_aurora.advisor, by=in_aurora.administrator)
    assert page.get(reverse("accounts:profile")).status_code == 302


def test_a_grant_shows_one_client(in_aurora):
    granted = Client.objects.create(name="Nora Beispiel", unit=in_aurora.other_unit)
    other = Client.objects.create(name="Otto Beispiel", unit=in_aurora.other_unit)
    assert not Client.objects.visible_to(in_aurora.advisor).filter(pk=granted.pk).exists()
    services.grant(user=in_aurora.advisor, kind="client", record_id=granted.pk, by=in_aurora.administrator)
    assert set(Client.objects.visible_to(in_aurora.advisor)) & {granted, other} == {granted}
    (grant,) = grants.grants_of(in_aurora.advisor)
    services.revoke_grant(user=in_aurora.advisor, grant_id=grant.pk, by=in_aurora.administrator)
    assert get_perms(in_aurora.advisor, granted) == []
    assert not Client.objects.visible_to(in_aurora.advisor).filter(pk=granted.pk).exists()


def test_a_grant_shows_the_portfolio_of_a_client_to_a_stranger(in_aurora):
    client = Client.objects.create(name="Nora Beispiel", unit=in_aurora.other_unit)
    mandate = Mandate.objects.create(number="M-9", client=client)
    portfolio = Portfolio.objects.create(
        number="P-9", mandate=mandate, currency="EUR", opened_on="2026-01-01"
    )
    assert portfolio not in Portfolio.objects.visible_to(in_aurora.stranger)
    services.grant(user=in_aurora.stranger, kind="client", record_id=client.pk, by=in_aurora.administrator)
    assert list(Portfolio.objects.visible_to(in_aurora.stranger)) == [portfolio]


def test_only_clients_and_portfolios_can_be_granted(in_aurora):
    with pytest.raises(DomainError) as error:
        services.grant(
            user=in_aurora.advisor, kind="user", record_id=uuid.uuid4(), by=in_aurora.administrator
        )
    assert error.value.code == "not_grantable"


PAGES = [
    ("accounts:people", False),
    ("accounts:units", False),
    ("accounts:person_invite", False),
    ("accounts:person_detail", True),
    ("accounts:person_edit", True),
    ("accounts:unit_create", False),
    ("accounts:tokens", False),
    ("accounts:token_create", False),
    ("accounts:audit", False),
]
READ_BY_COMPLIANCE = {"accounts:people", "accounts:units", "accounts:person_detail", "accounts:audit"}


@pytest.mark.parametrize(("name", "is_about_person"), PAGES)
def test_pages_of_people_exist_only_for_those_who_have_the_right(
    aurora, in_aurora, browse, name, is_about_person
):
    url = reverse(name, args=[in_aurora.advisor.pk] if is_about_person else [])
    answers = {
        who: browse(aurora, getattr(in_aurora, who)).get(url).status_code
        for who in ("administrator", "compliance", "manager", "advisor", "operations", "stranger")
    }
    expected = {"administrator": 200, "compliance": 200 if name in READ_BY_COMPLIANCE else 404}
    assert answers == {who: expected.get(who, 404) for who in answers}


CHANGES = [
    "role_add",
    "grant_add",
    "person_deactivate",
    "person_reactivate",
    "person_invite_again",
    "person_second_factor_remove",
]


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("who", ["compliance", "manager", "advisor", "operations", "stranger"])
def test_changes_to_people_do_not_exist_for_others(aurora, in_aurora, browse, name, who):
    url = reverse(f"accounts:{name}", args=[in_aurora.advisor.pk])
    answer = browse(aurora, getattr(in_aurora, who)).post(url, {"role": Role.ADMINISTRATOR})
    assert answer.status_code == 404
    assert RoleAssignment.objects.filter(role=Role.ADMINISTRATOR).count() == 1
    assert User.objects.get(pk=in_aurora.advisor.pk).is_active


def test_a_page_asks_those_who_are_not_signed_in_to_sign_in(aurora, browse):
    answer = browse(aurora).get("/people/")
    assert answer.status_code == 302
    assert answer.url == "/accounts/login/?next=/people/"


def test_compliance_sees_no_button_that_changes_people(aurora, in_aurora, browse):
    page = browse(aurora, in_aurora.compliance).get(
        reverse("accounts:person_detail", args=[in_aurora.advisor.pk])
    )
    assert b"<button" in page.content  # of the shell
    assert b"Deactivate" not in page.content
    assert b"Add role" not in page.content


def test_a_refused_change_is_told_on_the_page(aurora, in_aurora, browse):
    page = browse(aurora, in_aurora.administrator)
    held = assignment(in_aurora.administrator)
    url = reverse("accounts:role_remove", args=[in_aurora.administrator.pk, held.pk])
    answer = page.post(url, follow=True)
    assert "last administrator" in answer.content.decode()
    assert RoleAssignment.objects.filter(pk=held.pk).exists()
    taken = assignment(in_aurora.advisor)
    url = reverse("accounts:role_remove", args=[in_aurora.advisor.pk, taken.pk])
    for words in ("The role is taken away.", "This role is gone already."):
        assert words in page.post(url, follow=True).content.decode()


def test_an_administrator_finds_what_to_grant_by_its_number_and_reads_no_name(aurora, in_aurora, browse):
    client = Client.objects.create(name="Nora Beispiel", number="C-77", unit=in_aurora.unit)
    Client.objects.create(name="Ann Beispiel", unit=in_aurora.unit)
    page = browse(aurora, in_aurora.administrator)
    url = reverse("accounts:person_detail", args=[in_aurora.advisor.pk])
    for words in ("beisp", "Nora Beispiel", "C-7", "C-", ""):
        assert page.get(url, {"kind": "client", "q": words}).context["found"] == []
    shown = page.get(url, {"kind": "client", "q": "C-77"})
    assert shown.context["found"] == [(client.pk, "C-77")]
    assert "Beispiel" not in shown.content.decode()
    assert "A client comes with all of its mandates and portfolios" in shown.content.decode()
    page.post(
        reverse("accounts:grant_add", args=[in_aurora.advisor.pk]), {"kind": "client", "record": client.pk}
    )
    assert grants.grants_of(in_aurora.advisor)[0].label == "C-77"
    assert "Beispiel" not in page.get(url).content.decode()


def test_the_list_of_people_takes_the_same_queries_for_many(aurora, in_aurora, browse):
    page = browse(aurora, in_aurora.administrator)
    page.get("/people/")
    counts = []
    for count in (1, 60):
        for number in range(count):
            email = f"p{count}-{number}@example.test"
            person = User.objects.create(email=email, full_name=f"Person {number}", password="!")
            RoleAssignment.objects.create(user=person, role=Role.ADVISOR, unit=in_aurora.unit)
        with CaptureQueriesContext(connection) as queries:
            answer = page.get("/people/", {"per_page": 100})
        # Every query of a tenant is preceded by one that sets its schema.
        counts.append(sum("search_path" not in query["sql"] for query in queries))
    assert counts[0] == counts[1] <= 10
    assert "1–68 of 68" in answer.content.decode()


def test_a_person_of_one_institution_does_not_exist_in_another(aurora, in_harbour, in_aurora, browse):
    url = reverse("accounts:person_detail", args=[in_harbour.advisor.pk])
    assert browse(aurora, in_aurora.administrator).get(url).status_code == 404
    url = reverse("accounts:person_second_factor_remove", args=[in_harbour.advisor.pk])
    assert browse(aurora, in_aurora.administrator).post(url).status_code == 404
