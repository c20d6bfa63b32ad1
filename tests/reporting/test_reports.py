"""Reports are ordered, made once, kept as made, and released by whoever has the client."""

import io
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import typst
from django.db import DatabaseError, IntegrityError, transaction
from pypdf import PdfReader

from accounts.errors import DomainError
from accounts.models import Job
from federation.models import Institution
from portfolios.models import Portfolio, Transaction
from portfolios.services import book
from reporting import services, tasks
from reporting.document import title
from reporting.letterhead import Letterhead
from reporting.models import Report, ReportRelease
from reporting.words import _WORDS, language_for, problem_in, words_in
from tests.factories import Cast
from tests.portfolios import make as portfolios
from tests.reporting import make


def text_of(report: Report) -> str:
    pages = PdfReader(io.BytesIO(bytes(report.pdf))).pages
    return "\n".join(page.extract_text() for page in pages)


@pytest.fixture
def portfolio(in_aurora: Cast) -> Portfolio:
    return make.portfolio_with_history(in_aurora.unit, by=in_aurora.manager)


@pytest.fixture
def letterhead(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Return a function that puts reports on another letterhead."""

    def put(**fields: Any) -> None:
        paper = Letterhead(**{"name": "Harbour Bank", "footer": "Harbour Bank, Kiel", **fields})
        monkeypatch.setattr(services, "letterhead_of", lambda portfolio: paper)

    return put


def test_page_and_pdf_say_the_same(
    portfolio: Portfolio, in_aurora: Cast, letterhead: Callable[..., None]
) -> None:
    letterhead()
    exchange = Transaction(
        portfolio=portfolio, type="currency_exchange", trade_date=make.FIRST, settlement_date=make.FIRST,
        currency="EUR", gross_amount=100, net_amount=-100, counter_currency="CHF", counter_amount=90,
    )  # fmt: skip
    book(entries=[exchange], by=in_aurora.manager)
    report = make.report(portfolio, by=in_aurora.manager)
    assert report.state == Report.State.READY
    assert report.made_at is not None
    text = " ".join(text_of(report).split())
    document = report.content["document"]
    assert "Harbour Bank" in text
    assert "Alma Muster" in text
    assert report.number in text
    said = [tile["value"] for tile in document["tiles"]]
    said += [
        cell for name in ("development", "returns", "costs") for row in document[name]["rows"] for cell in row
    ]
    said.append("−100.00 EUR\n90.00 CHF")
    assert said[-1] in [row[-1] for row in document["transactions"]["rows"]]
    for cell in said:
        assert " ".join(cell.split()) in text
    assert "simulated" in document["notice"]
    assert document["notice"] in text
    assert "US0378331005" in text


def test_a_german_letterhead_makes_a_german_report(
    portfolio: Portfolio, in_aurora: Cast, letterhead: Callable[..., None]
) -> None:
    letterhead(language="de-CH")
    report = make.report(portfolio, by=in_aurora.manager)
    assert report.language == "de"
    assert report.title == "Vermögensauszug 1. April 2026 – 30. Juni 2026"
    text = " ".join(text_of(report).split())
    assert "Zeitgewichtet, nach allen Kosten (netto)" in text
    assert "+3,47 %" in text.replace("\u00a0", " ")
    assert "120.526,78" in text
    assert "nicht verfügbar (unter einem Jahr)" in text
    assert not any(english in text for english in ("Holdings", "Transactions", "Statement", "Payment in"))


def test_the_institutions_own_letterhead_and_language_are_used(
    portfolio: Portfolio, in_aurora: Cast, aurora: Institution
) -> None:
    aurora.language, aurora.address = "de", "Rheinsprung 1\n4051 Basel"
    aurora.save(verbosity=0)
    report = make.report(portfolio, by=in_aurora.manager)
    document = report.content["document"]
    assert document["letterhead"]["name"] == aurora.name
    assert document["language"] == "de"
    assert "Rheinsprung 1" in text_of(report)


def test_every_language_has_every_word() -> None:
    assert len({frozenset(words) for words in _WORDS.values()}) == 1
    assert language_for("de_AT") == "de"
    assert language_for("fr") == "en"
    assert (
        problem_in(words_in("de"), "No price for Roche; Stale price: SAP")
        == "kein Kurs für Roche; alter Kurs: SAP"
    )
    assert title("en", make.FIRST, make.LAST) == "Statement 1 April 2026 – 30 June 2026"
    assert title("en", make.LAST, make.LAST) == "Statement 30 June 2026"
    assert title("de", make.LAST, make.LAST) == "Vermögensauszug 30. Juni 2026"


def test_a_message_that_comes_twice_makes_one_report(portfolio: Portfolio, in_aurora: Cast) -> None:
    report = make.report(portfolio, by=in_aurora.manager)
    tasks.make_report(str(report.pk))
    again = Report.objects.get(pk=report.pk)
    assert again.made_at == report.made_at
    assert bytes(again.pdf) == report.pdf
    tasks.make_report(str(uuid.uuid4()))


def test_the_same_report_is_not_ordered_twice_while_it_is_made(portfolio: Portfolio, in_aurora: Cast) -> None:
    order = {
        "portfolio": portfolio,
        "period_from": make.FIRST,
        "period_to": make.LAST,
        "by": in_aurora.manager,
    }
    services.order_report(**order)
    with pytest.raises(DomainError) as refused:
        services.order_report(**order)
    assert refused.value.code == "report_in_work"


def test_a_report_stays_as_it_was_made(portfolio: Portfolio, in_aurora: Cast) -> None:
    report = make.report(portfolio, by=in_aurora.manager)
    report.title = "Another"
    with pytest.raises((IntegrityError, DatabaseError)), transaction.atomic():
        report.save()
    with pytest.raises((IntegrityError, DatabaseError)), transaction.atomic():
        report.delete()


@pytest.mark.parametrize(
    ("first", "last", "code"),
    [
        (120, 30, "period_order"),
        (100_000, 100_001, "period_in_future"),
        (30, 100_000, "period_in_future"),
        (-100, 120, "period_before_opening"),
    ],
)
def test_a_period_that_cannot_be_is_refused(
    portfolio: Portfolio, in_aurora: Cast, first: int, last: int, code: str
) -> None:
    with pytest.raises(DomainError) as refused:
        services.order_report(
            portfolio=portfolio,
            period_from=portfolios.day(first),
            period_to=portfolios.day(last),
            by=in_aurora.manager,
        )
    assert refused.value.code == code


def test_a_partner_who_reports_is_not_replaced(in_aurora: Cast) -> None:
    theirs = make.mandate(make.client(in_aurora.unit), agreement=uuid.uuid4())
    portfolio = portfolios.portfolio(in_aurora.unit, mandate=theirs)
    with pytest.raises(DomainError) as refused:
        services.order_report(
            portfolio=portfolio, period_from=make.FIRST, period_to=make.LAST, by=in_aurora.manager
        )
    assert refused.value.code == "not_our_duty"


def test_what_prevents_a_report_is_said_and_can_be_put_right(portfolio: Portfolio, in_aurora: Cast) -> None:
    early = {"first": portfolios.day(-20), "last": portfolios.day(-10)}
    report = make.report(portfolio, by=in_aurora.manager, **early)
    assert report.state == Report.State.FAILED
    assert "no value within this period" in report.problem
    assert report.pdf is None
    assert report.content == {}
    again = services.retry_report(report=report, by=in_aurora.manager)
    assert again.state == Report.State.QUEUED
    assert again.problem == ""
    with pytest.raises(DomainError):
        services.retry_report(report=again, by=in_aurora.manager)


def test_a_page_that_cannot_be_set_fails_the_report(
    portfolio: Portfolio, in_aurora: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(document: object) -> bytes:
        raise typst.TypstError("unknown font")

    monkeypatch.setattr(services, "set_pdf", broken)
    report = make.report(portfolio, by=in_aurora.manager)
    assert report.state == Report.State.FAILED
    assert "could not be set" in report.problem


def test_an_unexpected_error_does_not_leave_people_waiting(
    portfolio: Portfolio, in_aurora: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = services.order_report(
        portfolio=portfolio, period_from=make.FIRST, period_to=make.LAST, by=in_aurora.manager
    )

    def broken(*_args: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(services, "gather", broken)
    tasks.make_report.apply(args=[str(report.pk)])
    report.refresh_from_db()
    assert report.state == Report.State.FAILED
    assert "Try again" in report.problem


def test_a_lost_message_is_sent_again(
    portfolio: Portfolio, in_aurora: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = services.order_report(
        portfolio=portfolio, period_from=make.FIRST, period_to=make.LAST, by=in_aurora.manager
    )
    sent: list[str] = []
    monkeypatch.setattr(tasks.make_report, "delay", sent.append)
    tasks.resume_reports()
    assert sent == []
    Report.objects.filter(pk=report.pk).update(created_at=report.created_at - 2 * tasks._FORGOTTEN_AFTER)
    tasks.resume_reports()
    assert sent == [str(report.pk)]


def test_a_batch_makes_all_and_lists_what_failed(portfolio: Portfolio, in_aurora: Cast) -> None:
    empty = portfolios.portfolio(in_aurora.unit, "P-2")
    by = in_aurora.manager
    job = services.order_reports(
        portfolios=[portfolio, empty], period_from=make.FIRST, period_to=make.LAST, by=by
    )
    tasks.make_batch(str(job.pk))
    tasks.make_batch(str(job.pk))
    job.refresh_from_db()
    assert (job.state, job.done, job.total) == (Job.State.DONE, 2, 2)
    assert [failure["portfolio"] for failure in job.failures] == [str(empty.pk)]
    assert "no value" in job.failures[0]["why"]
    assert job.failures[0]["remedy"]
    assert Report.objects.filter(state=Report.State.READY).count() == 1


def test_a_batch_goes_on_where_it_stopped(
    portfolio: Portfolio, in_aurora: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = portfolios.portfolio(in_aurora.unit, "P-2")
    by = in_aurora.manager
    job = services.order_reports(
        portfolios=[second, portfolio], period_from=make.FIRST, period_to=make.LAST, by=by
    )
    sent: list[str] = []
    monkeypatch.setattr(tasks, "REPORTS_AT_ONCE", 1)
    monkeypatch.setattr(tasks.make_batch, "delay", sent.append)
    tasks.make_batch(str(job.pk))
    job.refresh_from_db()
    assert (job.state, job.done, sent) == (Job.State.RUNNING, 1, [str(job.pk)])
    # A message for the place before comes late: nothing is made twice.
    assert services.make_one_of_batch(job=job, position=0, by=by).done == 1
    tasks.make_batch(str(job.pk))
    job.refresh_from_db()
    assert (job.state, job.done) == (Job.State.DONE, 2)


def test_a_batch_leaves_out_what_is_no_longer_within_reach(portfolio: Portfolio, in_aurora: Cast) -> None:
    job = services.order_reports(
        portfolios=[portfolio], period_from=make.FIRST, period_to=make.LAST, by=in_aurora.stranger
    )
    tasks.make_batch(str(job.pk))
    job.refresh_from_db()
    assert job.state == Job.State.DONE
    assert "reach" in job.failures[0]["why"]
    assert not Report.objects.exists()


def test_a_received_report_is_released_by_whoever_has_the_client(
    in_harbour: Cast, aurora: Institution
) -> None:
    client = make.client(in_harbour.unit)
    received = portfolios.portfolio(mandate=make.mandate(client))
    report = make.received_report(received, aurora.pk)
    assert list(Report.objects.all().waiting_for_release()) == [report]
    release = services.release_report(report=report, by=in_harbour.advisor, note=" Fine ")
    assert release.origin is None
    assert release.note == "Fine"
    report = Report.objects.get(pk=report.pk)
    assert report.status == "released"
    assert not Report.objects.all().waiting_for_release().exists()
    with pytest.raises(DomainError) as refused:
        services.release_report(report=report, by=in_harbour.advisor)
    assert refused.value.code == "released_before"


def test_a_report_of_a_partners_client_is_the_partners_to_release(
    portfolio: Portfolio, in_aurora: Cast
) -> None:
    report = make.report(portfolio, by=in_aurora.manager)
    mandate = portfolio.mandate
    mandate.agreement = uuid.uuid4()
    mandate.save()
    with pytest.raises(DomainError) as refused:
        services.release_report(report=report, by=in_aurora.advisor)
    assert refused.value.code == "not_our_duty"
    assert not Report.objects.all().waiting_for_release().exists()


def test_a_report_that_is_not_ready_is_not_released(portfolio: Portfolio, in_aurora: Cast) -> None:
    report = services.order_report(
        portfolio=portfolio, period_from=make.FIRST, period_to=make.LAST, by=in_aurora.manager
    )
    with pytest.raises(DomainError) as refused:
        services.release_report(report=report, by=in_aurora.advisor)
    assert refused.value.code == "report_not_ready"
    assert not ReportRelease.objects.exists()
