"""Who may see, order, read and release reports in the browser."""

import datetime
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django_tenants.utils import tenant_context

from accounts.models import Job, User
from clients import day
from clients.models import Client
from federation.models import Institution
from portfolios.models import Portfolio, Price
from portfolios.services import book, value_portfolios
from reporting import services, tasks
from reporting.figures import gather
from reporting.finders import find_reports
from reporting.forms import CUSTOM, LAST_QUARTER, LAST_YEAR, YEAR_TO_DATE, period_of
from reporting.models import Report, ReportRelease
from tests.factories import Cast
from tests.portfolios import make as portfolios
from tests.reporting import make

Browse = Callable[..., Browser]
URLCONF = "config.urls"


def url(name: str, *args: object) -> str:
    return reverse(f"reporting:{name}", urlconf=URLCONF, args=args)


@pytest.fixture
def report(in_aurora: Cast) -> Iterator[Report]:
    portfolio = make.portfolio_with_history(in_aurora.unit, by=in_aurora.manager)
    return make.report(portfolio, by=in_aurora.manager)


@pytest.mark.parametrize(
    ("who", "status"),
    [
        ("manager", 200), ("advisor", 200), ("operations", 200), ("compliance", 200),
        ("administrator", 404), ("stranger", 404),
    ],
)  # fmt: skip
def test_reports_exist_for_those_who_see_the_portfolio(
    report: Report, in_aurora: Cast, aurora: Institution, browse: Browse, who: str, status: int
) -> None:
    browser = browse(aurora, getattr(in_aurora, who))
    for path in (url("report_list"), url("report_detail", report.pk), url("report_pdf", report.pk)):
        assert browser.get(path).status_code == status


def test_a_report_of_another_desk_does_not_exist(
    in_aurora: Cast, aurora: Institution, browse: Browse
) -> None:
    portfolio = make.portfolio_with_history(in_aurora.other_unit, by=in_aurora.manager)
    report = make.report(portfolio, by=in_aurora.manager)
    browser = browse(aurora, in_aurora.manager)
    for name in ("report_detail", "report_pdf", "report_state"):
        assert browser.get(url(name, report.pk)).status_code == 404
    for name in ("report_release", "report_retry"):
        assert browser.post(url(name, report.pk)).status_code == 404
    assert report.number not in browser.get(url("report_list")).content.decode()


def test_somebody_who_is_not_signed_in_is_asked_to(
    report: Report, aurora: Institution, browse: Browse
) -> None:
    response = browse(aurora).get(url("report_detail", report.pk))
    assert response.status_code == 302
    assert "login" in response["Location"]


def test_the_page_shows_the_document_and_the_pdf_is_handed_out(
    report: Report, in_aurora: Cast, aurora: Institution, browse: Browse
) -> None:
    browser = browse(aurora, in_aurora.manager)
    page = browser.get(url("report_detail", report.pk)).content.decode()
    document = report.content["document"]
    for tile in document["tiles"]:
        assert tile["value"] in page
    assert document["letterhead"]["name"] in page
    assert "report-index" in page
    response = browser.get(url("report_pdf", report.pk))
    assert response["Content-Type"] == "application/pdf"
    assert response.content == bytes(report.pdf)
    assert response["Content-Disposition"] == 'attachment; filename="p-1-r-10001-2026-06-30.pdf"'.replace(
        "r-10001", report.number.lower()
    )


def test_amounts_are_hidden_for_a_reader_who_hides_them(
    report: Report, in_aurora: Cast, aurora: Institution, browse: Browse
) -> None:
    User.objects.filter(pk=in_aurora.manager.pk).update(hides_amounts=True)
    page = browse(aurora, in_aurora.manager).get(url("report_detail", report.pk)).content.decode()
    tiles = report.content["document"]["tiles"]
    assert not any(tile["value"] in page for tile in tiles if tile["is_amount"])
    assert all(tile["value"] in page for tile in tiles if not tile["is_amount"])


def test_an_ordered_report_waits_and_then_loads(in_aurora: Cast, aurora: Institution, browse: Browse) -> None:
    portfolio = make.portfolio_with_history(in_aurora.unit, by=in_aurora.manager)
    browser = browse(aurora, in_aurora.manager)
    response = browser.post(
        url("report_order"),
        {
            "scope": "these", "numbers": "P-1", "period": CUSTOM,
            "period_from": "2026-04-01", "period_to": "2026-06-30",
        },
    )  # fmt: skip
    report = Report.objects.get(portfolio=portfolio)
    assert response["Location"] == url("report_detail", report.pk)
    assert "being made" in browser.get(url("report_detail", report.pk)).content.decode()
    assert "HX-Refresh" not in browser.get(url("report_state", report.pk)).headers
    assert browser.get(url("report_pdf", report.pk)).status_code == 404
    tasks.make_report(str(report.pk))
    assert browser.get(url("report_state", report.pk)).headers["HX-Refresh"] == "true"


def test_a_failed_report_says_why_and_is_tried_again(
    in_aurora: Cast, aurora: Institution, browse: Browse
) -> None:
    portfolio = portfolios.portfolio(in_aurora.unit)
    report = make.report(portfolio, by=in_aurora.manager)
    browser = browse(aurora, in_aurora.manager)
    assert "no value within this period" in browser.get(url("report_detail", report.pk)).content.decode()
    assert browser.post(url("report_retry", report.pk)).status_code == 302
    report.refresh_from_db()
    assert report.state == Report.State.QUEUED


def test_many_portfolios_become_a_job(in_aurora: Cast, aurora: Institution, browse: Browse) -> None:
    portfolios.portfolio(in_aurora.unit, "P-1")
    portfolios.portfolio(in_aurora.unit, "P-2")
    portfolios.portfolio(in_aurora.other_unit, "P-3")
    browser = browse(aurora, in_aurora.manager)
    response = browser.post(url("report_order"), {"scope": "all", "period": LAST_QUARTER})
    job = Job.objects.get()
    assert job.total == 2
    assert str(job.pk) in response["Location"]
    assert browser.get(response["Location"]).status_code == 200


def test_what_failed_in_a_batch_is_tried_again_by_whoever_ordered_it(
    in_aurora: Cast, aurora: Institution, browse: Browse
) -> None:
    empty = portfolios.portfolio(in_aurora.unit, "P-2")
    order = {"period_from": make.FIRST, "period_to": make.LAST, "by": in_aurora.manager}
    job = services.order_reports(portfolios=[empty], **order)
    retry = job.data["retry_url"]
    browser = browse(aurora, in_aurora.manager)
    assert browser.post(retry).status_code == 409
    tasks.make_batch(str(job.pk))
    assert retry in browser.get(reverse("accounts:job", urlconf=URLCONF, args=[job.pk])).content.decode()
    assert browse(aurora, in_aurora.operations).post(retry).status_code == 404
    assert browser.post(retry).status_code == 302
    assert Job.objects.latest("created_at").data["portfolios"] == [str(empty.pk)]


def test_a_wrong_order_keeps_what_was_typed_and_says_what_to_do(
    in_aurora: Cast, aurora: Institution, browse: Browse
) -> None:
    portfolios.portfolio(in_aurora.unit, "P-1")
    portfolios.portfolio(in_aurora.other_unit, "P-3")
    browser = browse(aurora, in_aurora.manager)
    page = browser.post(
        url("report_order"), {"scope": "these", "numbers": "P-1 P-3", "period": CUSTOM}
    ).content.decode()
    assert "no portfolio with this number: P-3" in page
    assert "P-1 P-3" in page
    assert "Choose a day" in page
    page = browser.post(
        url("report_order"),
        {
            "scope": "these", "numbers": "P-1", "period": CUSTOM,
            "period_from": "2026-06-30", "period_to": "2026-04-01",
        },
    ).content.decode()  # fmt: skip
    assert "ends before it begins" in page
    # The days of a preset have no field on the page: what is wrong with them stands at the preset.
    Portfolio.objects.filter(number="P-1").update(opened_on=timezone.localdate())
    asked = {"scope": "these", "numbers": "P-1", "period": LAST_YEAR}
    form = browser.post(url("report_order"), asked).context["form"]
    assert "was opened on" in form.errors.as_text()
    assert list(form.errors) == ["period"]
    assert not Report.objects.exists()


def test_the_portfolio_page_brings_its_portfolio_along(
    in_aurora: Cast, aurora: Institution, browse: Browse
) -> None:
    portfolio = portfolios.portfolio(in_aurora.unit, "P-77")
    foreign = portfolios.portfolio(in_aurora.other_unit, "P-78")
    browser = browse(aurora, in_aurora.manager)
    page = browser.get(url("report_create", portfolio.pk), follow=True)
    assert "P-77" in page.content.decode()
    assert browser.get(url("report_create", foreign.pk)).status_code == 404
    page = browser.get(url("report_order"), {"portfolio": [portfolio.pk, foreign.pk, "nonsense"]})
    assert "P-77" in page.content.decode()
    assert "P-78" not in page.content.decode()


@pytest.mark.parametrize("who", ["advisor", "compliance", "stranger"])
def test_ordering_takes_the_right_to_make_reports(
    in_aurora: Cast, aurora: Institution, browse: Browse, who: str
) -> None:
    assert browse(aurora, getattr(in_aurora, who)).get(url("report_order")).status_code == 404


def test_the_advisor_releases_a_received_report(
    in_harbour: Cast, harbour: Institution, aurora: Institution, browse: Browse
) -> None:
    received = _received(in_harbour, aurora)
    browser = browse(harbour, in_harbour.advisor)
    page = browser.get(url("report_detail", received.pk)).content.decode()
    assert "Received from" in page
    assert aurora.short_name in page
    assert "Release to the client" in page
    assert browser.post(url("report_release", received.pk), {"note": "Sent by post"}).status_code == 302
    page = browser.get(url("report_detail", received.pk)).content.decode()
    assert "Released to the client." in page
    assert "Sent by post" in page
    assert "Release to the client" not in page
    assert browser.post(url("report_release", received.pk)).status_code == 409
    assert ReportRelease.objects.count() == 1


@pytest.mark.parametrize("who", ["manager", "operations", "compliance"])
def test_releasing_takes_the_right(
    in_harbour: Cast, harbour: Institution, aurora: Institution, browse: Browse, who: str
) -> None:
    received = _received(in_harbour, aurora)
    browser = browse(harbour, getattr(in_harbour, who))
    assert browser.post(url("report_release", received.pk)).status_code == 404
    page = browser.get(url("report_detail", received.pk))
    assert page.status_code == 404 or "Release to the client" not in page.content.decode()


def test_nobody_makes_a_received_report_again(
    in_harbour: Cast, harbour: Institution, aurora: Institution, browse: Browse
) -> None:
    received = _received(in_harbour, aurora)
    assert browse(harbour, in_harbour.operations).post(url("report_retry", received.pk)).status_code == 404


def _received(cast: Cast, aurora: Institution) -> Report:
    client = make.client(cast.unit, advisor=cast.advisor)
    return make.received_report(portfolios.portfolio(mandate=make.mandate(client)), aurora.pk)


def test_reports_that_wait_are_on_the_advisors_day(
    in_harbour: Cast, harbour: Institution, aurora: Institution
) -> None:
    received = _received(in_harbour, aurora)
    clients = Client.objects.visible_to(in_harbour.advisor)
    work = next(each for each in day.work_for(clients) if each.key == "reports")
    assert work.count == 1
    assert str(received.pk) in work.items[0].url
    services.release_report(report=received, by=in_harbour.advisor)
    assert next(each for each in day.work_for(clients) if each.key == "reports").count == 0


def test_the_list_sorts_filters_and_exports(
    report: Report, in_aurora: Cast, aurora: Institution, browse: Browse
) -> None:
    services.release_report(report=report, by=in_aurora.advisor)
    other = make.report(report.portfolio, by=in_aurora.manager, last=portfolios.day(100))
    browser = browse(aurora, in_aurora.manager)

    def shown(**parameters: str) -> set[str]:
        page = browser.get(url("report_list"), parameters).content.decode()
        return {each.number for each in (report, other) if each.number in page}

    assert shown() == {report.number, other.number}
    assert shown(status="released") == {report.number}
    assert shown(status="ready") == {other.number}
    assert shown(q="Alma") == {report.number, other.number}
    assert shown(q=other.number) == {other.number}
    assert shown(since="2026-06-29") == {report.number}
    assert shown(sort="-status") == {report.number, other.number}
    exported = browser.get(url("report_list"), {"_export": "csv"}).content.decode()
    assert report.number in exported
    assert "Released" in exported


def test_reports_are_found_by_number_within_reach(report: Report, in_aurora: Cast) -> None:
    for words in (report.number, report.portfolio.number):
        (found,) = find_reports(in_aurora.manager, words)
        assert str(report.pk) in found.url
        assert not list(find_reports(in_aurora.stranger, words))


def test_the_list_is_empty_with_a_first_step(in_aurora: Cast, aurora: Institution, browse: Browse) -> None:
    page = browse(aurora, in_aurora.manager).get(url("report_list")).content.decode()
    assert "No reports yet" in page
    assert url("report_order") in page
    page = browse(aurora, in_aurora.advisor).get(url("report_list")).content.decode()
    assert "as soon as they are made" in page


def test_the_list_takes_the_same_queries_for_many(
    report: Report, in_aurora: Cast, aurora: Institution, browse: Browse
) -> None:
    browser = browse(aurora, in_aurora.manager)

    def queries() -> int:
        with tenant_context(aurora), CaptureQueriesContext(connection) as captured:
            assert browser.get(url("report_list")).status_code == 200
        return len([each for each in captured if not each["sql"].startswith("SET ")])

    queries()
    before = queries()
    for last in range(100, 106):
        make.report(report.portfolio, by=in_aurora.manager, last=portfolios.day(last))
    assert queries() == before <= 10


@pytest.mark.parametrize(
    ("preset", "today", "first", "last"),
    [
        (LAST_QUARTER, "2026-11-23", "2026-07-01", "2026-09-30"),
        (LAST_QUARTER, "2026-01-01", "2025-10-01", "2025-12-31"),
        (YEAR_TO_DATE, "2026-11-23", "2026-01-01", "2026-11-22"),
        (YEAR_TO_DATE, "2026-01-01", "2025-01-01", "2025-12-31"),
        (LAST_YEAR, "2026-05-05", "2025-01-01", "2025-12-31"),
    ],
)
def test_presets_are_whole_periods(preset: str, today: str, first: str, last: str) -> None:
    found = period_of(preset, datetime.date.fromisoformat(today))
    assert [day.isoformat() for day in found] == [first, last]


def test_an_unknown_report_does_not_exist(in_aurora: Cast, aurora: Institution, browse: Browse) -> None:
    assert browse(aurora, in_aurora.manager).get(url("report_detail", uuid.uuid4())).status_code == 404
    assert Portfolio.objects.count() == 0


def test_a_portfolios_first_day_returns_the_same_on_its_page_and_in_its_report(
    in_aurora: Cast, aurora: Institution, browse: Browse
) -> None:
    today = portfolios.today()
    portfolio = portfolios.portfolio(in_aurora.unit, opened_on=today)
    security = portfolios.security()
    price = {"security": security, "source": portfolios.source(), "date": today, "currency": "EUR"}
    Price.objects.create(**price, close="100")
    offset = (today - portfolios.MONDAY).days
    entries = [
        portfolios.deposit(portfolio, 10_000, offset),
        portfolios.buy(portfolio, security, 50, 100, offset, fees=10),
    ]
    book(entries=entries, by=in_aurora.manager, refreshing=False)
    value_portfolios(portfolio_ids=[portfolio.pk], from_date=datetime.date.min)
    page = browse(aurora, in_aurora.manager).get(
        reverse("portfolios:portfolio_detail", urlconf=URLCONF, args=[portfolio.pk])
    )
    tiles = {tile["label"]: tile["value"] for tile in page.context["tiles"]}
    returns = {line.key: line for line in gather(portfolio, today, today).returns}
    assert tiles["Return, net"] == returns["net"].period.value == Decimal("-0.001")
    assert tiles["Return, gross"] == returns["gross"].period.value
    assert returns["net"].since_inception.value == Decimal("-0.001")
