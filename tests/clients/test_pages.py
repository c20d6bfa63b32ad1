"""The advisor's day, lists, a client, a mandate, the inbox and instructions."""

import datetime
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django_tenants.utils import tenant_context

from clients import services
from clients.calculations.states import MandateState
from clients.models import Client, ClientInstruction, KycStatus, Mandate
from federation.models import Institution
from portfolios.models import Portfolio, Valuation
from tests.clients import make
from tests.factories import Cast, cast

Browse = Callable[..., Browser]


@pytest.fixture
def people(meadow: Institution) -> Cast:
    with tenant_context(meadow):
        return cast()


@pytest.fixture
def advisor(browse: Browse, meadow: Institution, people: Cast) -> Browser:
    return browse(meadow, people.advisor)


@pytest.fixture
def manager(browse: Browse, meadow: Institution, people: Cast) -> Browser:
    return browse(meadow, people.manager)


def _url(name: str, *args: Any) -> str:
    return reverse(name, args=args)


def _queries(browser: Browser, url: str) -> int:
    browser.get(url)
    with CaptureQueriesContext(connection) as captured:
        assert browser.get(url).status_code == 200
    return len(captured)


def _value(mandate: Mandate, value: int, day: datetime.date, index: str = "1", **fields: Any) -> None:
    portfolio = Portfolio.objects.get(mandate=mandate)
    Valuation.objects.filter(portfolio=portfolio, is_latest=True).update(is_latest=False)
    Valuation.objects.update_or_create(
        portfolio=portfolio,
        date=day,
        defaults={
            "currency": portfolio.currency,
            "market_value": value,
            "return_index": make.D(index),
            "gross_return_index": make.D(index),
            "is_latest": True,
            **fields,
        },
    )


# My day


def test_an_empty_day_welcomes_and_offers_the_first_step(advisor: Browser) -> None:
    page = advisor.get(_url("clients:my_day")).content.decode()
    assert "Enter your first client" in page
    assert _url("clients:client_create") in page


def test_a_day_gathers_what_waits(advisor: Browser, meadow: Institution, people: Cast) -> None:
    with tenant_context(meadow):
        mandate = make.submitted(people.advisor)
        services.return_mandate(mandate=mandate, by=people.manager, reason="Copy unreadable.")
        KycStatus.objects.filter(client=mandate.client).update(valid_until=make.today(-1))
        services.promise_task(
            client=mandate.client, title="Call back", due_date=make.today(), by=people.advisor
        )
        services.plan_review(client=mandate.client, day=make.today(3), by=people.advisor)
        services.start_mandate(client=make.client(people.advisor, "Bea"), by=people.advisor)
        done = make.active(people.advisor, people.manager, of=make.client(people.advisor, "Cleo"))
        deposit = services.send_instruction(
            instruction=services.draft_instruction(
                mandate=done, kind="deposit", amount=make.D(10), by=people.advisor
            ),
            by=people.advisor,
        )
        services.record_outcome(instruction=deposit, outcome="done", by=people.operations)
    page = advisor.get(_url("clients:my_day"))
    found = {work.key: work for work in page.context["waiting"]}
    assert {"returned", "kyc", "tasks", "reviews", "unfinished", "answered"} <= set(found)
    assert found["returned"].items[0].url == _url("clients:mandate_detail", mandate.pk)
    assert found["kyc"].items[0].tone == "late"
    assert found["answered"].items[0].text == "Cash has arrived"
    assert b"Copy unreadable." in page.content


def test_a_day_shows_own_clients_first_and_the_unit_on_request(
    advisor: Browser, meadow: Institution, people: Cast
) -> None:
    with tenant_context(meadow):
        client = make.client(people.advisor)
        services.promise_task(client=client, title="Theirs", due_date=make.today(), by=people.advisor)
        Client.objects.filter(pk=client.pk).update(advisor=None)
    assert b"Theirs" not in advisor.get(_url("clients:my_day")).content
    assert b"Theirs" in advisor.get(f"{_url('clients:my_day')}?of=unit").content


def test_a_day_takes_a_fixed_number_of_queries(advisor: Browser, meadow: Institution, people: Cast) -> None:
    def add(name: str) -> None:
        with tenant_context(meadow):
            mandate = make.submitted(people.advisor, of=make.client(people.advisor, name))
            services.return_mandate(mandate=mandate, by=people.manager, reason="More.")
            services.promise_task(client=mandate.client, title="x", due_date=make.today(), by=people.advisor)
            services.start_mandate(client=mandate.client, by=people.advisor)

    add("Ada")
    few = _queries(advisor, _url("clients:my_day"))
    for name in ("Bea", "Cleo", "Dora"):
        add(name)
    assert _queries(advisor, _url("clients:my_day")) == few <= 40


# Clients


def test_the_list_of_clients_filters_sorts_and_exports(
    advisor: Browser, meadow: Institution, people: Cast
) -> None:
    url = _url("clients:client_list")
    assert b"Enter the first one" in advisor.get(url).content
    with tenant_context(meadow):
        for name in ("Ada", "Bea", "Cleo"):
            make.client(people.advisor, name)
        mandate = make.active(people.advisor, people.manager, of=Client.objects.get(first_name="Bea"))
        _value(mandate, 123_456, make.today(-1))
    page = advisor.get(url, {"q": "bea"}).content.decode()
    assert "Bea Example" in page
    assert "Ada Example" not in page
    assert "123,456" in page
    names = [row.record.first_name for row in advisor.get(url, {"sort": "-name"}).context["table"].rows]
    assert names == ["Cleo", "Bea", "Ada"]
    exported = advisor.get(url, {"_export": "csv"}).content.decode()
    assert exported.count("Example") == 3


def test_the_list_of_clients_takes_a_fixed_number_of_queries(
    advisor: Browser, meadow: Institution, people: Cast
) -> None:
    with tenant_context(meadow):
        make.client(people.advisor)
    few = _queries(advisor, _url("clients:client_list"))
    with tenant_context(meadow):
        for name in "BCDEFGH":
            make.active(people.advisor, people.manager, of=make.client(people.advisor, name))
    assert _queries(advisor, _url("clients:client_list")) == few <= 20


def test_a_client_page_totals_over_managers_and_currencies(
    advisor: Browser, meadow: Institution, people: Cast
) -> None:
    from tests.portfolios import make as books

    with tenant_context(meadow):
        client = make.client(people.advisor)
        first = make.active(people.advisor, people.manager, of=client)
        second = make.active(people.advisor, people.manager, of=client)
        Portfolio.objects.filter(mandate=second).update(currency="CHF")
        books.ExchangeRate.objects.create(
            source=books.source(), date=make.today(-1), currency="CHF", rate=make.D("0.8")
        )
        _value(first, 100_000, make.today(-30), "1", inflow=90_000)
        _value(first, 100_000, make.today(-1), "1.1")
        _value(second, 80_000, make.today(-1), currency="CHF")
    page = advisor.get(_url("clients:client_detail", client.pk))
    owned = page.context["owned"]
    assert owned.total == 200_000
    assert owned.currency == "EUR"
    assert [position.share for position in owned.positions] == [make.D("0.5"), make.D("0.5")]
    assert owned.positions[0].returned == make.D("0.1")
    assert "EUR\u00a0200,000" in page.content.decode()


def test_a_value_that_is_not_available_is_never_a_zero(
    advisor: Browser, meadow: Institution, people: Cast
) -> None:
    with tenant_context(meadow):
        mandate = make.active(people.advisor, people.manager)
        _value(mandate, 1, make.today(-1))
        Valuation.objects.filter(is_latest=True).update(market_value=None, problem="No price for Apple.")
    page = advisor.get(_url("clients:client_detail", mandate.client_id))
    assert page.context["owned"].total is None
    assert b"not available" in page.content
    assert b"No price for Apple." in page.content


def test_amounts_and_notes_can_be_hidden_in_a_meeting(
    advisor: Browser, meadow: Institution, people: Cast
) -> None:
    with tenant_context(meadow):
        mandate = make.active(people.advisor, people.manager)
        _value(mandate, 123_456, make.today(-1))
        services.write_note(client=mandate.client, text="Difficult neighbour", by=people.advisor)
        url = _url("clients:client_detail", mandate.client_id)
    assert b"Difficult neighbour" in advisor.get(url).content
    with tenant_context(meadow):
        type(people.advisor).objects.filter(pk=people.advisor.pk).update(hides_amounts=True)
    page = advisor.get(url).content
    assert b"123,456" not in page
    assert b"Difficult neighbour" not in page


def test_a_client_page_takes_a_fixed_number_of_queries(
    advisor: Browser, meadow: Institution, people: Cast
) -> None:
    with tenant_context(meadow):
        client = make.client(people.advisor)
        make.active(people.advisor, people.manager, of=client)
    few = _queries(advisor, _url("clients:client_detail", client.pk))
    with tenant_context(meadow):
        for _ in range(3):
            make.active(people.advisor, people.manager, of=client)
    assert _queries(advisor, _url("clients:client_detail", client.pk)) == few <= 55


def test_a_received_client_shows_whose_it_is_and_no_button(
    browse: Browse, aurora: Institution, harbour: Institution
) -> None:
    agreement = make.agreement(aurora, harbour)
    with tenant_context(aurora):
        people = cast()
        with make.as_mirror():
            client = Client.objects.create(name="Theirs", origin=harbour.pk)
            mandate = Mandate.objects.create(
                number="M-1",
                client=client,
                agreement=agreement.pk,
                status="submitted",
                submission=1,
                submitted_at=timezone.now(),
                signed_on=make.today(),
                disclosure_authorised_on=make.today(),
                currency="EUR",
                amount=1,
                origin=harbour.pk,
            )
    manager = browse(aurora, people.manager)
    page = manager.get(_url("clients:client_detail", client.pk)).content.decode()
    assert "Received from <strong>Harbour</strong>" in page
    assert "New mandate" not in page
    assert _url("clients:client_edit", client.pk) not in page
    assert "Notes" not in page
    inbox = manager.get(_url("clients:mandate_inbox")).content.decode()
    assert "Theirs" in inbox
    assert "Harbour" in inbox
    advisor = browse(aurora, people.advisor)
    assert advisor.post(_url("clients:mandate_withdraw", mandate.pk)).status_code == 404
    assert advisor.get(_url("clients:client_edit", client.pk)).status_code == 404


@pytest.mark.parametrize("name", ["administrator", "stranger"])
def test_who_has_no_part_in_clients_sees_none_of_their_pages(
    browse: Browse, meadow: Institution, people: Cast, name: str
) -> None:
    with tenant_context(meadow):
        mandate = make.submitted(people.advisor)
    browser = browse(meadow, getattr(people, name))
    urls = [
        _url("clients:my_day"),
        _url("clients:client_list"),
        _url("clients:client_detail", mandate.client_id),
        _url("clients:mandate_list"),
        _url("clients:mandate_detail", mandate.pk),
        _url("clients:mandate_inbox"),
        _url("clients:mandate_decide", mandate.pk),
        _url("clients:instruction_list"),
    ]
    assert [browser.get(url).status_code for url in urls] == [404] * len(urls)


def test_compliance_reads_everything_and_changes_nothing(
    browse: Browse, meadow: Institution, people: Cast
) -> None:
    with tenant_context(meadow):
        mandate = make.submitted(people.advisor)
    browser = browse(meadow, people.compliance)
    page = browser.get(_url("clients:client_detail", mandate.client_id))
    assert page.status_code == 200
    assert _url("clients:client_edit", mandate.client_id).encode() not in page.content
    assert browser.post(_url("clients:mandate_withdraw", mandate.pk)).status_code == 404
    assert browser.get(_url("clients:mandate_decide", mandate.pk)).status_code == 404


# Records about a client


def test_operations_verify_what_an_advisor_entered(
    advisor: Browser, browse: Browse, meadow: Institution, people: Cast
) -> None:
    with tenant_context(meadow):
        client = make.client(people.advisor)
    url = _url("clients:payout_account_create", client.pk)
    assert b"not a valid IBAN" in advisor.post(url, {"iban": "DE00", "holder": "Ada"}).content
    spaced = "DE89 3704 0044 0532 0130 00"
    assert advisor.post(url, {"iban": spaced, "holder": "Ada"}).status_code == 302
    with tenant_context(meadow):
        account = client.payout_accounts.get()
    verify = _url("clients:payout_account_verify", account.pk)
    assert advisor.post(verify).status_code == 409
    assert browse(meadow, people.operations).post(verify).status_code == 302
    with tenant_context(meadow):
        account.refresh_from_db()
        assert account.is_verified


def test_notes_tasks_reviews_identity_and_profile_are_kept(
    advisor: Browser, meadow: Institution, people: Cast
) -> None:
    with tenant_context(meadow):
        client = make.client(people.advisor)
    day = make.today(5).isoformat()
    posts: list[tuple[str, dict[str, Any]]] = [
        ("clients:note_create", {"text": "Likes tea"}),
        ("clients:task_create", {"title": "Send brochure", "due_date": day}),
        ("clients:review_plan", {"next_review_date": day}),
        ("clients:profile_renew", make.ANSWERS),
        (
            "clients:kyc",
            {
                "checked_on": make.today().isoformat(),
                "evidence_kind": "passport",
                "evidence_reference": "P1",
            },
        ),
    ]
    for name, data in posts:
        assert advisor.post(_url(name, client.pk), data).status_code == 302, name
    with tenant_context(meadow):
        client.refresh_from_db()
        task = client.tasks.get()
        assert client.notes.get().text == "Likes tea"
        assert client.next_review_date == make.today(5)
        assert client.risk_profiles.get().level == 4
        assert client.kyc.state == KycStatus.State.APPROVED
    assert advisor.post(_url("clients:task_finish", task.pk)).status_code == 302
    assert advisor.post(_url("clients:kyc", client.pk), {"block": "1"}).status_code == 302
    with tenant_context(meadow):
        task.refresh_from_db()
        assert task.done_at is not None
        assert KycStatus.objects.get(client=client).state == KycStatus.State.BLOCKED


# Mandates and the inbox


def test_the_inbox_changes_only_when_something_changed(
    manager: Browser, meadow: Institution, people: Cast
) -> None:
    url = _url("clients:mandate_inbox")
    page = manager.get(url)
    assert b"Nothing waits" in page.content
    mark = page.context["mark"]
    assert manager.get(url, {"seen": mark}).status_code == 204
    with tenant_context(meadow):
        make.submitted(people.advisor)
    part = manager.get(url, {"seen": mark})
    assert part.status_code == 200
    assert b"Ada Example" in part.content
    assert b"<html" not in part.content
    assert b'id="announce"' in part.content


def test_the_inbox_takes_a_fixed_number_of_queries(
    manager: Browser, meadow: Institution, people: Cast
) -> None:
    with tenant_context(meadow):
        make.submitted(people.advisor)
    few = _queries(manager, _url("clients:mandate_inbox"))
    with tenant_context(meadow):
        for name in "BCDE":
            make.submitted(people.advisor, of=make.client(people.advisor, name))
    assert _queries(manager, _url("clients:mandate_inbox")) == few <= 20


def test_a_manager_checks_and_accepts(manager: Browser, meadow: Institution, people: Cast) -> None:
    with tenant_context(meadow):
        mandate = make.submitted(people.advisor)
    url = _url("clients:mandate_decide", mandate.pk)
    page = manager.get(url)
    assert page.context["bad"] == 0
    assert b"Risk 4 of 7, the profile allows 4" in page.content
    accept = {"decision": "accept", "submission": 1, "unit": people.unit.pk}
    assert manager.post(url, accept)["Location"] == _url("clients:mandate_inbox")
    with tenant_context(meadow):
        assert Mandate.objects.get().state == MandateState.ACTIVE


def test_checks_tell_what_is_not_in_order(manager: Browser, meadow: Institution, people: Cast) -> None:
    with tenant_context(meadow):
        mandate = make.submitted(people.advisor)
        KycStatus.objects.update(valid_until=make.today(-1))
        services.add_restriction(mandate=mandate, kind="exclude_sector", value="Tobacco", by=people.advisor)
    checks = {
        check.name: check.result
        for check in manager.get(_url("clients:mandate_decide", mandate.pk)).context["checks"]
    }
    assert checks["Identity"] == "bad"
    assert checks["The client’s wishes"] == "warning"
    assert checks["Signature"] == "good"


def test_a_desk_outside_ones_reach_cannot_be_chosen(
    manager: Browser, meadow: Institution, people: Cast
) -> None:
    with tenant_context(meadow):
        mandate = make.submitted(people.advisor)
    data = {"decision": "accept", "submission": 1, "unit": people.other_unit.pk}
    page = manager.post(_url("clients:mandate_decide", mandate.pk), data)
    assert page.status_code == 200
    with tenant_context(meadow):
        assert Mandate.objects.get().state == MandateState.SUBMITTED


def test_what_is_missing_goes_back_and_the_answer_comes_in(
    manager: Browser, advisor: Browser, meadow: Institution, people: Cast
) -> None:
    with tenant_context(meadow):
        mandate = make.submitted(people.advisor)
    decide, detail = _url("clients:mandate_decide", mandate.pk), _url("clients:mandate_detail", mandate.pk)
    mark = advisor.get(detail).context["mark"]
    assert advisor.get(detail, {"seen": mark}).status_code == 204
    page = manager.post(decide, {"decision": "reject", "submission": 1, "reason": ""})
    assert b"Say why" in page.content
    back = {"decision": "return", "submission": 1, "missing": ["identity"], "reason": "Unreadable."}
    assert manager.post(decide, back).status_code == 302
    part = advisor.get(detail, {"seen": mark}).content.decode()
    assert "Proof of identity" in part
    assert "Answer and submit again" in part
    answer = advisor.post(_url("clients:mandate_answer", mandate.pk), {"answer": "New copy sent."})
    assert answer.status_code == 302
    page = manager.get(decide).content.decode()
    assert "New copy sent." in page
    assert "Answered and submitted again" in page


def test_wishes_are_edited_in_place(advisor: Browser, meadow: Institution, people: Cast) -> None:
    with tenant_context(meadow):
        mandate = make.submitted(people.advisor)
    add = _url("clients:restriction_add", mandate.pk)
    htmx = {"HTTP_HX_REQUEST": "true"}
    part = advisor.post(add, {"kind": "exclude_security", "value": "US0378331006"}, **htmx)
    assert b"not a valid ISIN" in part.content
    part = advisor.post(add, {"kind": "exclude_security", "value": "US0378331005"}, **htmx)
    assert b"US0378331005" in part.content
    with tenant_context(meadow):
        restriction = mandate.restrictions.get()
    remove = _url("clients:restriction_remove", mandate.pk, restriction.pk)
    assert b"No wishes" in advisor.post(remove, **htmx).content


def test_the_list_of_mandates_filters_by_state(advisor: Browser, meadow: Institution, people: Cast) -> None:
    with tenant_context(meadow):
        make.active(people.advisor, people.manager)
        make.submitted(people.advisor, of=make.client(people.advisor, "Bea"))
    page = advisor.get(_url("clients:mandate_list"), {"state": "submitted"}).content.decode()
    assert "Bea Example" in page
    assert "Ada Example" not in page


# Instructions


def test_an_instruction_goes_out_and_its_answer_comes_back(
    advisor: Browser, browse: Browse, meadow: Institution, people: Cast
) -> None:
    with tenant_context(meadow):
        mandate = make.active(people.advisor, people.manager)
    new = _url("clients:instruction_create", mandate.pk, "deposit")
    assert b"above zero" in advisor.post(new, {"amount": "0", "currency": "EUR"}).content
    answer = advisor.post(new, {"amount": "5,000.50", "currency": "EUR"})
    with tenant_context(meadow):
        instruction = ClientInstruction.objects.get()
        assert instruction.amount == make.D("5000.50")
    detail = _url("clients:instruction_detail", instruction.pk)
    assert answer["Location"] == detail
    page = advisor.get(detail)
    assert b"RF" in page.content
    operations = browse(meadow, people.operations)
    assert b"To answer" in operations.get(_url("clients:instruction_list")).content
    send = _url("clients:instruction_answer", instruction.pk)
    assert advisor.post(send, {"outcome": "accepted"}).status_code == 404
    assert operations.post(send, {"outcome": "done"}).status_code == 409
    assert operations.post(send, {"outcome": "accepted"}).status_code == 302
    part = advisor.get(detail, {"seen": page.context["mark"]})
    assert b"Accepted" in part.content


def test_a_draft_is_kept_and_sent_later(advisor: Browser, meadow: Institution, people: Cast) -> None:
    with tenant_context(meadow):
        mandate = make.active(people.advisor, people.manager)
    new = _url("clients:instruction_create", mandate.pk, "deposit")
    advisor.post(new, {"amount": "10", "currency": "EUR", "draft": "1"})
    with tenant_context(meadow):
        instruction = ClientInstruction.objects.get()
        assert instruction.status == "draft"
    assert advisor.post(_url("clients:instruction_send", instruction.pk)).status_code == 302
    assert advisor.post(_url("clients:instruction_withdraw", instruction.pk)).status_code == 302


def test_a_withdrawal_without_a_verified_account_says_what_to_do(
    advisor: Browser, meadow: Institution, people: Cast
) -> None:
    with tenant_context(meadow):
        mandate = make.active(people.advisor, people.manager)
    page = advisor.get(_url("clients:instruction_create", mandate.pk, "withdrawal"))
    assert _url("clients:payout_account_create", mandate.client_id).encode() in page.content


def test_another_plan_of_the_same_manager_is_asked_for(
    advisor: Browser, meadow: Institution, people: Cast
) -> None:
    with tenant_context(meadow):
        mandate = make.active(people.advisor, people.manager)
        other = make.offer("Income", risk_level=2)
    url = _url("models_portfolio:offer_change", mandate.pk)
    page = advisor.get(url).content.decode()
    assert "Income" in page
    assert "Send the change" in page
    assert advisor.post(url, {"offer": other.pk}).status_code == 302
    with tenant_context(meadow):
        assert ClientInstruction.objects.get().offer_name == "Income"


def test_clients_mandates_and_references_are_found(
    advisor: Browser, meadow: Institution, people: Cast
) -> None:
    from accounts.search import search

    with tenant_context(meadow):
        mandate = make.active(people.advisor, people.manager)
        instruction = services.draft_instruction(
            mandate=mandate, kind="deposit", amount=make.D(1), by=people.advisor
        )
        spaced = " ".join(instruction.reference[i : i + 4] for i in range(0, 16, 4))

        def kinds(words: str) -> set[str]:
            return {group.kind for group in search(people.advisor, words)}

        assert {"Clients", "Mandates"} <= kinds("ada")
        assert "Mandates" in kinds(mandate.number)
        assert "Instructions" in kinds(spaced)
        assert search(people.stranger, "ada") == []
