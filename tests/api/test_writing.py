"""What is written through the API: by the same services as in the browser, once however often it is sent."""

import datetime
import uuid
from typing import Any

import pytest
from django.test import Client as Caller
from django.utils import timezone

from accounts.models import ApiRequest, AuditEntry
from accounts.tasks import REQUESTS_KEPT_FOR, forget_api_requests
from clients import services
from clients.models import Client, ClientInstruction, Mandate
from federation.models import Institution
from portfolios.models import Portfolio
from reporting.models import Report, ReportRelease
from reporting.tasks import make_report
from tests.api.conftest import Call, assert_problem, post
from tests.clients import make as clients
from tests.factories import Cast
from tests.portfolios import make as portfolios
from tests.reporting import make

PERSON: dict[str, Any] = {
    "kind": "person",
    "first_name": "Ada",
    "last_name": "Example",
    "birth_date": "1960-02-03",
    "country": "DE",
    "currency": "EUR",
    "contacts": {"email": "ada@example.test"},
}


@pytest.fixture
def advisor(in_aurora: Cast, aurora: Institution, call: Call) -> Caller:
    return call(aurora, in_aurora.advisor)


def test_a_client_is_onboarded_from_the_first_line_to_the_instruction(
    advisor: Caller, in_aurora: Cast, aurora: Institution, call: Call
) -> None:
    plan = clients.offer()
    entered = post(advisor, "clients/", PERSON)
    assert entered.status_code == 201
    client = entered.json()
    assert client["name"] == "Ada Example"
    assert client["contact_details"][0]["value"] == "ada@example.test"
    assert Client.objects.get().advisor == in_aurora.advisor
    wanted = {"client": client["id"], "offer": str(plan.pk), "amount": "100000.00"}
    assert_problem(post(advisor, "mandates/", wanted), 422, "no_risk_profile")
    drawn = post(advisor, f"clients/{client['id']}/risk-profiles/", {"answers": clients.ANSWERS})
    assert drawn.status_code == 201
    assert len(drawn.json()["risk_profiles"]) == 1
    checked = post(
        advisor,
        f"clients/{client['id']}/kyc/",
        {
            "checked_on": timezone.localdate().isoformat(),
            "is_politically_exposed": False,
            "evidence_kind": "passport",
            "evidence_reference": "P1",
        },
    )
    assert checked.json()["kyc"]["state"] == "approved"
    drafted = post(advisor, "mandates/", wanted)
    assert drafted.status_code == 201, drafted.content
    mandate = drafted.json()
    assert (mandate["state"], mandate["amount"], mandate["offer_name"]) == ("draft", "100000.0000", plan.name)
    day = timezone.localdate().isoformat()
    for signed, authorised, code in (
        ("9999-12-31", day, "signed_in_future"),
        ("1960-02-02", day, "signed_too_early"),
        (day, "9999-12-31", "disclosure_authorised_in_future"),
        (day, "1960-02-02", "disclosure_authorised_too_early"),
    ):
        days = {"signed_on": signed, "disclosure_authorised_on": authorised}
        (refused,) = assert_problem(post(advisor, f"mandates/{mandate['id']}/submit/", days), 422, code)[
            "errors"
        ]
        assert refused["field"] == ("signed_on" if code.startswith("signed") else "disclosure_authorised_on")
        assert "document" in refused["remedy"]
    submitted = post(advisor, f"mandates/{mandate['id']}/submit/", {"signed_on": day})
    assert submitted.status_code == 200, submitted.content
    assert submitted.json()["state"] == "submitted"
    asked = {"mandate": mandate["id"], "kind": "deposit", "amount": "5000"}
    for wrong, code in (
        ({"wanted_date": "1900-01-01"}, "wanted_date_passed"),
        ({"amount": "0.0001"}, "amount_too_fine"),
        ({"amount": "100.5", "currency": "JPY"}, "amount_too_fine"),
    ):
        assert_problem(post(advisor, "instructions/", {**asked, **wrong}), 422, code)
    assert_problem(post(advisor, "mandates/", {**wanted, "amount": "100000.0001"}), 422, "amount_too_fine")
    instruction = post(advisor, "instructions/", asked).json()
    assert instruction["state"] == "draft"
    assert instruction["reference"].startswith("RF")
    assert_problem(post(advisor, f"instructions/{instruction['id']}/send/"), 409, "mandate_not_active")
    services.accept_mandate(mandate=Mandate.objects.get(), by=in_aurora.manager)
    sent = post(advisor, f"instructions/{instruction['id']}/send/")
    assert sent.status_code == 200, sent.content
    assert sent.json()["state"] == "sent"
    again = post(advisor, f"instructions/{instruction['id']}/send/")
    assert_problem(again, 409, "instruction_sent_before")
    taken_back = post(advisor, f"instructions/{instruction['id']}/withdraw/")
    assert taken_back.json()["state"] == "withdrawn"
    assert AuditEntry.objects.filter(actor=in_aurora.advisor, action="mandate.submitted").exists()


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"kind": "monster"}, "kind", "invalid_choice"),
        ({"last_name": ""}, "last_name", "blank"),
        ({"birth_date": None}, "birth_date", "null"),
        ({"birth_date": "9999-12-31"}, "birth_date", "birth_date_not_past"),
        (
            {"parties": [{"role": "joint_owner", "name": "Bea", "birth_date": "9999-12-31"}]},
            "parties[0].birth_date",
            "birth_date_not_past",
        ),
        ({"country": "Germany"}, "country", "country_unknown"),
        ({"country": "ZZ"}, "country", "country_unknown"),
        ({"nationality": "ZZ"}, "nationality", "country_unknown"),
        ({"contacts": {"email": "nobody"}}, "contacts.email", "invalid"),
        ({"parties": [{"role": "joint_owner"}]}, "parties[0].name", "required"),
        ({"parties": [{"role": "joint_owner", "full_name": "Bob"}]}, "parties[0].full_name", "unknown"),
        ({"birthdate": "1960-02-03"}, "birthdate", "unknown"),
        ({"kind": "company"}, "name", "required"),
        ({"kind": "couple"}, "parties", "required"),
        ({"first_name": "a\x00b"}, "first_name", "null_characters_not_allowed"),
    ],
)
def test_what_is_wrong_is_named_field_by_field(
    advisor: Caller, change: dict[str, Any], field: str, code: str
) -> None:
    body = assert_problem(post(advisor, "clients/", {**PERSON, **change}), 422, "invalid")
    (error,) = body["errors"]
    assert (error["field"], error["code"]) == (field, code)
    assert error["message"]
    assert error["remedy"]
    assert not Client.objects.exists()


@pytest.mark.parametrize("key", ["kind", "language", "currency", "first_name", "\ud800"])
def test_half_a_character_cannot_be_read(advisor: Caller, key: str) -> None:
    for path, body in (
        ("clients/", PERSON | {key: "\ud800"}),
        ("clients/", PERSON | {"contacts": {"email": "ada\udfff@example.test"}}),
        ("mandates/", {"currency": "\ud800"}),
        ("instructions/", {"currency": "E\udfffR"}),
    ):
        assert_problem(post(advisor, path, body), 400, "parse_error")
    assert not Client.objects.exists()
    whole = post(advisor, "clients/", PERSON | {"first_name": "Ada \U0001f600"})
    assert whole.json()["name"] == "Ada \U0001f600 Example"


def test_somebody_who_is_here_already_is_recognised(advisor: Caller) -> None:
    first = post(advisor, "clients/", PERSON).json()
    body = assert_problem(post(advisor, "clients/", PERSON), 409, "possible_duplicate")
    assert body["data"] == {"ids": [first["id"]]}
    assert post(advisor, "clients/", {**PERSON, "is_someone_else": True}).status_code == 201


def test_whom_the_user_may_not_see_is_not_told_of(advisor: Caller, in_aurora: Cast) -> None:
    hidden = post(advisor, "clients/", PERSON).json()
    Client.objects.filter(pk=hidden["id"]).update(advisor=None, unit=in_aurora.other_unit)
    entered = post(advisor, "clients/", PERSON)
    assert entered.status_code == 201
    entry = AuditEntry.objects.get(action="client.may_be_known")
    assert (str(entry.record_id), entry.data) == (entered.json()["id"], {"clients": [hidden["number"]]})
    assert hidden["id"] not in entered.content.decode()


def test_the_second_person_of_a_couple_is_recognised(advisor: Caller) -> None:
    first = post(advisor, "clients/", PERSON).json()["id"]
    second = {"role": "joint_owner", "name": "Ada Example", "birth_date": PERSON["birth_date"]}
    couple = {**PERSON, "kind": "couple", "first_name": "Bea", "parties": [second]}
    body = assert_problem(post(advisor, "clients/", couple), 409, "possible_duplicate")
    assert body["data"] == {"ids": [first]}


def test_the_same_key_creates_once(advisor: Caller, in_aurora: Cast) -> None:
    key = {"Idempotency-Key": "a-1"}
    first = post(advisor, "clients/", PERSON, **key)
    again = post(advisor, "clients/", PERSON, **key)
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    assert again["Idempotency-Replayed"] == "true"
    assert Client.objects.count() == 1
    other = post(advisor, "clients/", {**PERSON, "first_name": "Bea"}, **key)
    assert_problem(other, 422, "idempotency_key_reused")
    assert (
        post(advisor, "clients/", {**PERSON, "first_name": "Bea"}, **{"Idempotency-Key": "a-2"}).status_code
        == 201
    )
    # Once the client is others', the answer of then is not shown either.
    Client.objects.update(advisor=None, unit=in_aurora.other_unit)
    assert_problem(post(advisor, "clients/", PERSON, **key), 404, "not_found")


def test_a_refused_request_leaves_its_key_free(advisor: Caller) -> None:
    key = {"Idempotency-Key": "b"}
    assert_problem(post(advisor, "clients/", {**PERSON, "kind": "monster"}, **key), 422, "invalid")
    assert post(advisor, "clients/", PERSON, **key).status_code == 201


def test_a_key_is_forgotten_after_a_day_and_is_each_tokens_own(
    advisor: Caller, in_aurora: Cast, aurora: Institution, call: Call
) -> None:
    key = {"Idempotency-Key": "c"}
    assert post(advisor, "clients/", PERSON, **key).status_code == 201
    other = call(aurora, in_aurora.advisor)
    assert_problem(post(other, "clients/", PERSON, **key), 409, "possible_duplicate")
    ApiRequest.objects.update(created_at=timezone.now() - REQUESTS_KEPT_FOR - datetime.timedelta(seconds=1))
    forget_api_requests()
    assert not ApiRequest.objects.exists()
    assert_problem(post(advisor, "clients/", PERSON, **key), 409, "possible_duplicate")


@pytest.mark.parametrize("key", ["x" * 101, "a\tb"])
def test_a_key_that_cannot_be_kept_is_refused(advisor: Caller, key: str) -> None:
    assert_problem(post(advisor, "clients/", PERSON, **{"Idempotency-Key": key}), 422, "idempotency_key")


def test_a_mandate_names_what_is_there(advisor: Caller, in_aurora: Cast) -> None:
    plan = clients.offer()
    client = clients.client(in_aurora.advisor)
    clients.profile(client, in_aurora.advisor)
    wanted = {"client": str(client.pk), "offer": str(plan.pk), "amount": "100000"}
    for field in ("client", "offer", "risk_profile"):
        body = assert_problem(
            post(advisor, "mandates/", {**wanted, field: str(uuid.uuid4())}), 422, "invalid"
        )
        assert body["errors"][0]["field"] == field
    assert not Mandate.objects.exists()
    low = assert_problem(
        post(advisor, "mandates/", {**wanted, "amount": "50"}), 409, "offer_amount_below_minimum"
    )
    assert low["detail"]


def test_a_plan_beyond_the_profile_takes_a_reason(advisor: Caller, in_aurora: Cast) -> None:
    bold = clients.offer("Bold", risk_level=7)
    client = clients.client(in_aurora.advisor)
    clients.profile(client, in_aurora.advisor)
    wanted = {"client": str(client.pk), "offer": str(bold.pk), "amount": "100000"}
    body = assert_problem(post(advisor, "mandates/", wanted), 422, "override_needs_reason")
    assert body["errors"][0]["field"] == "override_reason"
    made = post(advisor, "mandates/", {**wanted, "override_reason": "Wants it"})
    assert made.status_code == 201
    assert made.json()["override_reason"] == "Wants it"


def test_a_client_of_another_unit_gets_no_mandate(advisor: Caller, in_aurora: Cast) -> None:
    plan = clients.offer()
    other = make.client(in_aurora.other_unit)
    wanted = {"client": str(other.pk), "offer": str(plan.pk), "amount": "100000"}
    body = assert_problem(post(advisor, "mandates/", wanted), 422, "invalid")
    assert body["errors"][0]["code"] == "does_not_exist"
    assert_problem(post(advisor, f"clients/{other.pk}/risk-profiles/", {"answers": {}}), 404, "not_found")


def test_a_withdrawal_goes_to_a_verified_account_of_the_client(advisor: Caller, in_aurora: Cast) -> None:
    mandate = clients.active(in_aurora.advisor, in_aurora.manager)
    assert mandate.client is not None
    wanted = {"mandate": str(mandate.pk), "kind": "withdrawal", "amount": "100"}
    assert_problem(post(advisor, "instructions/", wanted), 422, "payout_account_missing")
    account = services.enter_payout_account(
        client=mandate.client, iban=clients.IBAN, holder="Ada", by=in_aurora.advisor
    )
    body = {**wanted, "payout_account": str(account.pk)}
    assert_problem(post(advisor, "instructions/", body), 422, "payout_account_unverified")
    services.verify_payout_account(account=account, by=in_aurora.operations)
    clients.funded(mandate, 100)
    too_much = assert_problem(
        post(advisor, "instructions/", {**body, "amount": "101"}), 422, "amount_above_value"
    )
    assert too_much["errors"][0]["field"] == "amount"
    assert post(advisor, "instructions/", body).status_code == 201
    assert ClientInstruction.objects.count() == 1


def test_a_change_of_model_is_chosen_among_what_the_manager_offers(advisor: Caller, in_aurora: Cast) -> None:
    mandate = clients.active(in_aurora.advisor, in_aurora.manager)
    bold = clients.offer("Bold", risk_level=7)
    wanted = {"mandate": str(mandate.pk), "kind": "model_change", "offer": str(bold.pk)}
    assert_problem(post(advisor, "instructions/", wanted), 422, "override_needs_reason")
    made = post(advisor, "instructions/", {**wanted, "override_reason": "Has inherited"})
    assert made.status_code == 201, made.content
    assert made.json()["offer_name"] == "Bold"
    assert "Has inherited" in made.json()["note"]


def test_a_draft_is_withdrawn(advisor: Caller, in_aurora: Cast) -> None:
    mandate = clients.chosen(in_aurora.advisor, clients.offer())
    response = post(advisor, f"mandates/{mandate.pk}/withdraw/", {"reason": "Thought again"})
    assert response.json()["state"] == "withdrawn"
    again = post(advisor, f"mandates/{mandate.pk}/withdraw/", {})
    assert_problem(again, 409, "mandate_not_withdrawable")


def test_a_received_mandate_is_the_partners(
    in_harbour: Cast, harbour: Institution, aurora: Institution, call: Call
) -> None:
    with make.as_mirror():
        client = make.client(in_harbour.unit, origin=aurora.pk)
        mandate = make.mandate(client, origin=aurora.pk, status="submitted", submission=1)
    caller = call(harbour, in_harbour.advisor)
    assert_problem(post(caller, f"mandates/{mandate.pk}/withdraw/", {}), 409, "received_record")
    wanted = {"mandate": str(mandate.pk), "kind": "close"}
    assert_problem(post(caller, "instructions/", wanted), 422, "invalid")


def test_a_report_is_ordered_and_released(in_aurora: Cast, aurora: Institution, call: Call) -> None:
    portfolio = make.portfolio_with_history(in_aurora.unit, by=in_aurora.manager)
    wanted = {"portfolio": str(portfolio.pk), "period_from": "2026-04-01", "period_to": "2026-06-30"}
    manager = call(aurora, in_aurora.manager)
    ordered = post(manager, "reports/", wanted)
    assert ordered.status_code == 201, ordered.content
    key = ordered.json()["id"]
    assert ordered.json()["status"] == "queued"
    assert_problem(post(manager, "reports/", wanted), 409, "report_in_work")
    assert_problem(post(manager, f"reports/{key}/release/", {}), 403, "permission_denied")
    advisor = call(aurora, in_aurora.advisor)
    assert_problem(post(advisor, f"reports/{key}/release/", {}), 409, "report_not_ready")
    make_report(key)
    released = post(advisor, f"reports/{key}/release/", {"note": "By post"})
    assert released.status_code == 201, released.content
    assert released.json()["status"] == "released"
    assert released.json()["release"]["note"] == "By post"
    assert Report.objects.count() == ReportRelease.objects.count() == 1
    endless = {**wanted, "period_from": "0001-01-01", "period_to": "9999-12-31"}
    assert_problem(post(manager, "reports/", endless), 422, "period_in_future")
    early = {**wanted, "period_from": "0001-01-01"}
    assert_problem(post(manager, "reports/", early), 422, "period_before_opening")
    backwards = {**wanted, "period_from": "2026-06-30", "period_to": "2026-04-01"}
    assert_problem(post(manager, "reports/", backwards), 422, "period_order")
    foreign = portfolios.portfolio(in_aurora.other_unit, "P-9")
    assert_problem(post(manager, "reports/", {**wanted, "portfolio": str(foreign.pk)}), 422, "invalid")
    assert Portfolio.objects.count() == 2
