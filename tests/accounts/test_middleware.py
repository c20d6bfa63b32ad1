"""What happens around every page."""

import datetime
import uuid
from decimal import Decimal

import pytest
from django.contrib import messages
from django.contrib.messages.storage.fallback import FallbackStorage
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.http import HttpResponse
from django.test import RequestFactory
from django.urls import reverse
from django.utils import timezone
from django_htmx.middleware import HtmxMiddleware

from accounts.errors import DomainError
from accounts.middleware import DomainErrorMiddleware, PartMessagesMiddleware
from accounts.models import Job, Unit
from accounts.tasks import clear_away
from clients.models import Client
from config.api.problems import handle
from portfolios.models import Price


def answer(method: str, content: str = "<p>part</p>", *, is_htmx: bool = True) -> str:
    def view(request):
        messages.success(request, "The unit is there.")
        return HttpResponse(content)

    request = getattr(RequestFactory(), method)("/", headers={"HX-Request": "true"} if is_htmx else {})
    request.session = {}
    request._messages = FallbackStorage(request)
    return HtmxMiddleware(PartMessagesMiddleware(view))(request).content.decode()


def test_a_change_that_answers_a_part_brings_its_message():
    assert 'id="messages" hx-swap-oob="innerHTML"' in answer("post")
    assert "The unit is there." in answer("post")


@pytest.mark.parametrize("method", ["get", "head"])
def test_a_poll_takes_no_message_away(method):
    assert "hx-swap-oob" not in answer(method)


def test_whole_pages_show_messages_themselves():
    assert "hx-swap-oob" not in answer("post", "<!doctype html><html>")
    assert "hx-swap-oob" not in answer("post", is_htmx=False)


ERROR = DomainError("closed", "The portfolio is closed. Choose another.")


def refuse(method: str, referer: str | None = None) -> HttpResponse:
    headers = {"referer": referer} if referer else {}
    request = getattr(RequestFactory(), method)("/", headers=headers)
    request.session = {}
    request._messages = FallbackStorage(request)
    response = DomainErrorMiddleware(lambda request: HttpResponse()).process_exception(request, ERROR)
    response.told = [str(message) for message in messages.get_messages(request)]
    return response


def test_an_address_that_only_a_form_sends_to_says_so(aurora, in_aurora, browse):
    page = browse(aurora, in_aurora.administrator).get(
        reverse("accounts:person_deactivate", args=[in_aurora.advisor.pk])
    )
    assert page.status_code == 405
    assert page["Allow"] == "POST"
    assert "It only takes what a form sends" in page.content.decode()


def test_back_to_a_form_that_was_refused_leads_to_the_page_it_stands_on(aurora, in_aurora, browse) -> None:
    forms = [
        ("administrator", "accounts:role_add", "accounts:person_detail"),
        ("administrator", "federation:accept VERSION", "federation:version_detail"),
        ("administrator", "federation:decline VERSION", "federation:version_detail"),
        ("administrator", "federation:token_make", "federation:agreement_detail"),
        ("administrator", "federation:mirror_skip", "federation:mirror_detail"),
        ("administrator", "federation:mirror_alerts threshold", "federation:mirror_detail"),
        ("operations", "portfolios:bank_entry_match", "portfolios:bank_entry_detail"),
        ("operations", "portfolios:bank_entry_send_back", "portfolios:bank_entry_detail"),
        ("advisor", "reporting:report_release", "reporting:report_detail"),
        ("operations", "trading:allocation_answer", "trading:allocation_detail"),
        ("operations", "trading:allocation_correct", "trading:allocation_detail"),
        ("operations", "trading:allocation_withdraw", "trading:allocation_detail"),
    ]
    for who, form, page in forms:
        name, *more = form.split()
        ids = [uuid.uuid4(), *(uuid.uuid4() for part in more if part == "VERSION")]
        path = reverse(name, args=[*ids, *(part for part in more if part != "VERSION")])
        found = browse(aurora, getattr(in_aurora, who)).get(path)
        assert found["Location"] == reverse(page, args=ids), form
        assert browse(aurora, in_aurora.stranger).get(path).status_code == 404, form


def test_a_refused_change_leads_back_with_its_sentence(db):
    response = refuse("post", "http://testserver/portfolios/")
    assert (response.status_code, response.url) == (302, "http://testserver/portfolios/")
    assert response.told == ["The portfolio is closed. Choose another."]


@pytest.mark.parametrize("referer", [None, "https://example.test/"])
def test_without_a_page_to_go_back_to_the_answer_is_a_conflict(db, referer):
    response = refuse("post", referer)
    assert response.status_code == 409
    assert "The portfolio is closed." in response.content.decode()


def test_other_exceptions_are_left_alone():
    middleware = DomainErrorMiddleware(lambda request: HttpResponse())
    assert middleware.process_exception(RequestFactory().get("/"), ValueError()) is None


def _too_large() -> None:
    Price.objects.create(close=Decimal(10) ** 20, date="2026-03-02", security_id=uuid.uuid4(), currency="EUR")


def _taken() -> None:
    Unit.objects.create(name="Main")
    Unit.objects.create(name="Main")


def _gone() -> None:
    Unit.objects.select_for_update().get(pk=uuid.uuid4())


def _deadlocked() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DO $$ BEGIN RAISE SQLSTATE '40P01'; END $$")


def _uncountable() -> None:
    Decimal("1e40").quantize(Decimal("0.01"))


def _ours() -> None:
    Client.objects.create(name="")


@pytest.mark.parametrize(
    ("fail", "code"),
    [
        (_too_large, "beyond_bounds"),
        (_uncountable, "beyond_bounds"),
        (_taken, "somebody_was_faster"),
        (_gone, "somebody_was_faster"),
        (_deadlocked, "somebody_was_faster"),
        (_ours, None),
    ],
)
def test_what_nobody_foresaw_of_input_and_races_is_answered_as_a_refusal(in_aurora, fail, code):
    with pytest.raises(Exception) as raised, transaction.atomic():
        fail()
    page = DomainErrorMiddleware(lambda request: HttpResponse()).process_exception(
        RequestFactory().get("/"), raised.value
    )
    request = RequestFactory().get("/api/v1/units/")
    body = handle(raised.value, {"request": request})
    if code is None:
        assert (page, body) == (None, None)
        return
    assert (page.status_code, body.status_code) == (409, 409)
    assert f"urn:roboblock:problem:{code}" in body.content.decode()


def test_the_night_clears_old_sessions_and_jobs_away(in_aurora):
    now = timezone.now()
    day = datetime.timedelta(days=1)
    Session.objects.create(session_key="old", session_data="", expire_date=now - day)
    Session.objects.create(session_key="new", session_data="", expire_date=now + day)
    Job.objects.create(kind="x", title="old", finished_at=now - 91 * day)
    Job.objects.create(kind="x", title="new", finished_at=now - day)
    Job.objects.create(kind="x", title="waiting")
    clear_away()
    assert {session.session_key for session in Session.objects.all()} == {"new"}
    assert {job.title for job in Job.objects.all()} == {"new", "waiting"}


def test_nothing_keeps_what_was_shown_to_one_person(aurora, in_aurora, browse):
    assert browse(aurora, in_aurora.compliance).get("/people/")["Cache-Control"] == "private, no-store"
