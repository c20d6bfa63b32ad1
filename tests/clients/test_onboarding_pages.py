"""A new client in four steps, in pages."""

import re
from collections.abc import Callable

import pytest
from django.test import Client as Browser
from django.utils import timezone
from django_tenants.utils import tenant_context

from accounts.models import AuditEntry
from accounts.records import new_id
from clients.calculations.states import MandateState
from clients.models import Client, KycEvidence, Mandate, Party, Questionnaire
from federation.models import Agreement, Institution
from tests.clients import make
from tests.clients.pages import url_of
from tests.factories import Cast, cast

Browse = Callable[..., Browser]
PERSON = {
    "kind": "person",
    "first_name": "Ada",
    "last_name": "Example",
    "birth_date": "1960-02-03",
    "national_id": "X-1",
    "country": "DE",
    "language": "en",
    "currency": "EUR",
    "email": "ada@example.test",
}
KYC = {"checked_on": "", "evidence_kind": "passport", "evidence_reference": "P-secret"}


def test_the_way_from_a_name_to_a_submitted_mandate(advisor: Browser, meadow: Institution) -> None:
    answer = advisor.post(url_of("clients:client_create"), PERSON)
    with tenant_context(meadow):
        plan = make.offer()
        mandate = Mandate.objects.get()
    assert answer.status_code == 302
    assert answer["Location"] == url_of("clients:profile", mandate.pk)
    step_two = {
        **make.ANSWERS,
        **KYC,
        "checked_on": make.today().isoformat(),
        "plan-amount": "100,000",
        "plan-currency": "EUR",
    }
    answer = advisor.post(answer["Location"], step_two)
    assert answer["Location"] == url_of("models_portfolio:offer_step", mandate.pk)
    page = advisor.get(answer["Location"])
    assert b"1.50%" in page.content
    assert b"EUR&nbsp;1,500" in page.content or "EUR\u00a01,500" in page.content.decode()
    answer = advisor.post(answer["Location"], {"offer": plan.pk})
    assert answer["Location"] == url_of("clients:review", mandate.pk)
    page = advisor.get(answer["Location"])
    assert b"Balanced" in page.content
    answer = advisor.post(answer["Location"], {"signed_on": make.today().isoformat()})
    assert answer["Location"] == url_of("clients:mandate_detail", mandate.pk)
    with tenant_context(meadow):
        mandate = Mandate.objects.get()
        assert mandate.state == MandateState.SUBMITTED
        assert mandate.amount == 100_000
        assert Questionnaire.objects.count() == KycEvidence.objects.count() == 1


def test_each_step_can_be_left_and_resumed(advisor: Browser, meadow: Institution, people: Cast) -> None:
    with tenant_context(meadow):
        mandate = make.planned(people.advisor)
        make.offer()
    resume = url_of("clients:mandate_resume", mandate.pk)
    assert advisor.get(resume)["Location"] == url_of("models_portfolio:offer_step", mandate.pk)
    assert b"Unfinished onboardings" in advisor.get(url_of("clients:my_day")).content
    assert advisor.get(url_of("clients:review", mandate.pk))["Location"] == url_of(
        "models_portfolio:offer_step", mandate.pk
    )
    changed = {**PERSON, "last_name": "Renamed", "marker": ""}
    answer = advisor.post(url_of("clients:who", mandate.pk), changed)
    assert answer["Location"] == url_of("models_portfolio:offer_step", mandate.pk)
    with tenant_context(meadow):
        assert Client.objects.get().name == "Ada Renamed"


def test_a_step_opened_again_after_submitting_leads_to_the_mandate(
    browse: Browse, advisor: Browser, meadow: Institution, people: Cast
) -> None:
    with tenant_context(meadow):
        mandate = make.submitted(people.advisor)
    detail, stranger = url_of("clients:mandate_detail", mandate.pk), browse(meadow, people.stranger)
    steps = ("clients:who", "clients:profile", "models_portfolio:offer_step", "clients:review")
    for step in (*steps, "clients:mandate_resume"):
        answer = advisor.get(url_of(step, mandate.pk))
        assert (answer.status_code, answer.get("Location")) == (302, detail), step
        assert "This mandate was submitted already." in advisor.get(detail).content.decode()
        assert stranger.get(url_of(step, mandate.pk)).status_code == 404
    second_tab = {"signed_on": make.today().isoformat()}
    page = advisor.post(url_of("clients:review", mandate.pk), second_tab, follow=True).content.decode()
    assert "submitted already. What you sent now was not recorded." in page
    with tenant_context(meadow):
        other = make.submitted(people.advisor, of=make.client(people.advisor, "Bea", unit=people.other_unit))
        Client.objects.filter(pk=other.client_id).update(advisor=None)
        assert Mandate.objects.get(pk=mandate.pk).submission == 1
    assert advisor.get(url_of("clients:review", other.pk)).status_code == 404


@pytest.mark.parametrize("count", ["²", "9" * 5000, "-1"])
def test_a_number_of_lines_that_is_none_counts_as_none(advisor: Browser, count: str) -> None:
    more = {"kind": "company", "_add": "1", "party-TOTAL_FORMS": count, "party-INITIAL_FORMS": "0"}
    page = advisor.post(url_of("clients:client_create"), more)
    assert page.status_code == 200
    assert page.context["parties"].total_form_count() >= 1


def test_errors_keep_what_was_typed(advisor: Browser) -> None:
    page = advisor.post(url_of("clients:client_create"), {**PERSON, "birth_date": "2999-01-01"})
    assert page.status_code == 200
    assert b"A date of birth lies in the past." in page.content
    assert b'value="Example"' in page.content
    page = advisor.post(url_of("clients:client_create"), {**PERSON, "birth_date": "0070-01-01"})
    assert b"Check the year of birth, and write it with four digits." in page.content


def test_a_couple_and_a_company_are_entered_with_their_people(advisor: Browser, meadow: Institution) -> None:
    couple = {
        **PERSON,
        "kind": "couple",
        "second_first_name": "Bob",
        "second_last_name": "Example",
        "second_birth_date": "1961-01-01",
    }
    assert advisor.post(url_of("clients:client_create"), couple).status_code == 302
    company = {
        "kind": "company",
        "name": "Fictive Ltd",
        "registration_number": "HRB 1",
        "lei": "5493 001K JTII GC8Y 1R12",
        "country": "DE",
        "language": "en",
        "currency": "EUR",
        "party-TOTAL_FORMS": "2",
        "party-INITIAL_FORMS": "2",
        "party-0-role": "representative",
        "party-0-name": "Rita Rep",
        "party-1-role": "beneficial_owner",
        "party-1-name": "Otto Owner",
    }
    wrong = {**company, "lei": "5493001KJTIIGC8Y1R13", "party-1-name": ""}
    page = advisor.post(url_of("clients:client_create"), wrong)
    assert b"not a valid LEI" in page.content
    assert b"at least one beneficial owner" in page.content
    assert advisor.post(url_of("clients:client_create"), company).status_code == 302
    with tenant_context(meadow):
        assert set(Client.objects.values_list("name", flat=True)) == {
            "Ada Example & Bob Example",
            "Fictive Ltd",
        }
        assert Client.objects.get(kind="company").lei == "5493001KJTIIGC8Y1R12"
        assert Party.objects.count() == 3


def test_another_kind_shows_its_fields_and_keeps_what_was_typed(advisor: Browser) -> None:
    page = advisor.post(url_of("clients:client_create"), {**PERSON, "kind": "couple", "_switch": "1"})
    assert b"Second person" in page.content
    assert b'value="Example"' in page.content
    assert b"invalid-feedback" not in page.content
    assert b"<html" not in page.content


def test_a_couple_is_no_conflict_with_the_person_the_form_began_with(advisor: Browser) -> None:
    opened = advisor.get(url_of("clients:client_create")).content.decode()
    switched = {**PERSON, "kind": "couple", "_switch": "1", "marker": _marker(opened)}
    drawn_again = advisor.post(url_of("clients:client_create"), switched).content.decode()
    couple = {
        **PERSON,
        "kind": "couple",
        "second_first_name": "Bob",
        "second_last_name": "Example",
        "second_birth_date": "1961-01-01",
        "marker": _marker(drawn_again),
    }
    assert advisor.post(url_of("clients:client_create"), couple).status_code == 302


def _marker(page: str) -> str:
    found = re.search(r'name="marker" value="(\w+)"', page)
    assert found
    return found.group(1)


def test_a_stored_amount_can_be_sent_again_as_the_form_shows_it(
    advisor: Browser, meadow: Institution
) -> None:
    first = advisor.post(url_of("clients:client_create"), PERSON)["Location"]
    filled = {**make.ANSWERS, **KYC, "checked_on": make.today().isoformat(), "plan-currency": "EUR"}
    with tenant_context(meadow):
        make.offer()
    assert advisor.post(first, {**filled, "plan-amount": "100,000"}).status_code == 302
    page = advisor.get(first).content.decode()
    shown = re.search(r'name="plan-amount" value="([^"]+)"', page)
    assert shown
    again = advisor.post(first, {"plan-amount": shown.group(1), "plan-currency": "EUR"})
    assert again.status_code == 302


def test_a_duplicate_is_shown_with_a_link_and_a_way_on(
    advisor: Browser, meadow: Institution, people: Cast
) -> None:
    with tenant_context(meadow):
        known = make.client(people.advisor, national_id="X-1")
    page = advisor.post(url_of("clients:client_create"), {**PERSON, "first_name": "Adah"})
    assert url_of("clients:client_detail", known.pk).encode() in page.content
    answer = advisor.post(url_of("clients:mandate_start", known.pk))
    assert answer.status_code == 302
    go_on = {**PERSON, "first_name": "Adah", "is_someone_else": "on"}
    assert advisor.post(url_of("clients:client_create"), go_on).status_code == 302
    with tenant_context(meadow):
        assert Client.objects.count() == 2


def test_whom_one_may_not_see_does_not_stand_in_the_way_and_compliance_reads_of_it(
    advisor: Browser, meadow: Institution, people: Cast
) -> None:
    with tenant_context(meadow):
        known = make.client(people.advisor, "Zelda", "Hidden", national_id="X-1", unit=people.other_unit)
        Client.objects.filter(pk=known.pk).update(advisor=None)
    assert advisor.post(url_of("clients:client_create"), PERSON).status_code == 302
    with tenant_context(meadow):
        entered = Client.objects.exclude(pk=known.pk).get()
        entry = AuditEntry.objects.get(action="client.may_be_known")
        assert (entry.record_id, entry.data) == (entered.pk, {"clients": [known.number]})


def test_a_conflicting_edit_shows_both_versions(advisor: Browser, meadow: Institution, people: Cast) -> None:
    with tenant_context(meadow):
        client = make.client(people.advisor)
    url = url_of("clients:client_edit", client.pk)
    marker = advisor.get(url).context["form"]["marker"].value()
    with tenant_context(meadow):
        Client.objects.filter(pk=client.pk).update(last_name="Theirs")
    mine = {**PERSON, "last_name": "Mine", "national_id": "", "marker": marker}
    page = advisor.post(url, mine)
    assert page.status_code == 200
    assert b"Theirs" in page.content
    assert b"Mine" in page.content
    with tenant_context(meadow):
        assert Client.objects.get().last_name == "Theirs"
    again = {**mine, "marker": page.context["form"]["marker"].value()}
    assert advisor.post(url, again).status_code == 302
    with tenant_context(meadow):
        assert Client.objects.get().last_name == "Mine"


def test_a_form_shows_and_changes_a_contact_that_nobody_called_primary(
    advisor: Browser, meadow: Institution, people: Cast
) -> None:
    with tenant_context(meadow):
        client = make.client(people.advisor)
        for value in ("+00 1", "+00 2"):
            client.contact_details.create(kind="phone", value=value)
    url = url_of("clients:client_edit", client.pk)
    form = advisor.get(url).context["form"]
    assert form["phone"].value() == "+00 1"
    changed = {**PERSON, "national_id": "", "phone": "+00 3", "marker": form["marker"].value()}
    refused = advisor.post(url, {**changed, "phone": "hello"}).content.decode()
    assert "A phone number has digits. Write it with its country, such as" in refused
    assert 'value="hello"' in refused
    assert advisor.post(url, changed).status_code == 302
    with tenant_context(meadow):
        phones = client.contact_details.filter(kind="phone").order_by("pk")
        assert [each.value for each in phones] == ["+00 3", "+00 2"]


def test_where_only_a_suspension_stands_against_the_plans_the_page_does_not_blame_the_profile(
    advisor: Browser, meadow: Institution, aurora: Institution, people: Cast
) -> None:
    agreement = make.agreement(aurora, meadow)
    with tenant_context(meadow):
        mandate = make.planned(people.advisor)
        make.offer("Shares", risk_level=6, agreement=agreement.pk, origin=aurora.pk)
        make.offer("Balanced", agreement=agreement.pk, origin=aurora.pk)
    url = url_of("models_portfolio:offer_step", mandate.pk)
    assert "1 plan suits the profile." in advisor.get(url).content.decode()
    Agreement.objects.filter(pk=agreement.pk).update(suspended_at=timezone.now())
    page = advisor.get(url).content.decode()
    assert "No plan suits the profile" not in page
    assert "1 plan suits the profile but cannot be chosen now" in page
    assert "The agreement with this manager is suspended." in page


def test_an_unsuitable_plan_says_why_and_asks_for_a_reason(
    advisor: Browser, meadow: Institution, people: Cast
) -> None:
    with tenant_context(meadow):
        mandate = make.planned(people.advisor)
        risky = make.offer("Shares", risk_level=6)
        dear = make.offer("Dear", minimum_amount=make.D(900_000))
    url = url_of("models_portfolio:offer_step", mandate.pk)
    page = advisor.get(url).content.decode()
    assert "Its risk is 6 of 7, the profile allows 4." in page
    assert "more are needed" in page
    assert "900,000" in page
    page = advisor.post(url, {"offer": risky.pk}).content.decode()
    assert "Say why the client wants it all the same" in page
    assert advisor.post(url, {"offer": dear.pk, "override_reason": "Please"}).status_code == 200
    assert advisor.post(url, {"offer": new_id()}).status_code == 404
    assert advisor.post(url, {"offer": risky.pk, "override_reason": "Pension"}).status_code == 302


def test_where_nothing_is_on_offer_the_page_says_what_to_do(
    advisor: Browser, meadow: Institution, people: Cast
) -> None:
    with tenant_context(meadow):
        mandate = make.planned(people.advisor)
    page = advisor.get(url_of("models_portfolio:offer_step", mandate.pk))
    assert b"No plan is on offer" in page.content


def test_the_review_shows_exactly_what_the_manager_will_see(
    browse: Browse, harbour: Institution, aurora: Institution
) -> None:
    agreement = make.agreement(aurora, harbour)
    with tenant_context(harbour):
        people = cast()
        mandate = make.chosen(people.advisor, make.offer(agreement=agreement.pk, origin=aurora.pk))
    advisor = browse(harbour, people.advisor)
    url = url_of("clients:review", mandate.pk)
    page = advisor.get(url).content.decode()
    assert "What Aurora Asset Management will see" in page
    assert "national id" in page
    assert "<dt>Nationality</dt>" in page
    assert "Note" not in [kind.name for kind in advisor.get(url).context["partner"].shared]
    page = advisor.post(url, {"signed_on": "9999-12-31", "disclosure_authorised_on": "9999-12-31"})
    assert b"nothing may be disclosed" in page.content
    # Both days are told at once, beside what else is missing.
    assert page.content.count(b"lies in the future") == 2
    with tenant_context(harbour):
        assert Mandate.objects.get().state == MandateState.DRAFT
    sign = {
        "signed_on": make.today().isoformat(),
        "disclosure_authorised": "on",
        "disclosure_authorised_on": make.today().isoformat(),
    }
    late = advisor.post(url, {**sign, "disclosure_authorised_on": "9999-12-31"})
    assert "future" in str(late.context["form"].errors["disclosure_authorised_on"])
    assert advisor.post(url, sign).status_code == 302


@pytest.mark.parametrize("name", ["manager", "operations", "administrator", "compliance", "stranger"])
def test_only_an_advisor_enters_clients(browse: Browse, meadow: Institution, people: Cast, name: str) -> None:
    browser = browse(meadow, getattr(people, name))
    assert browser.get(url_of("clients:client_create")).status_code == 404
    with tenant_context(meadow):
        mandate = make.planned(people.advisor)
    for step in ("clients:who", "clients:profile", "models_portfolio:offer_step", "clients:review"):
        assert browser.get(url_of(step, mandate.pk)).status_code == 404


def test_somebody_who_is_not_signed_in_is_sent_to_the_sign_in(browse: Browse, meadow: Institution) -> None:
    answer = browse(meadow).get(url_of("clients:client_create"))
    assert answer.status_code == 302
    assert "login" in answer["Location"]
